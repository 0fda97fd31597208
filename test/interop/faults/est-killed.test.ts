// A power cut in the middle of an EST enrollment: the device asks again, and has what was made for it.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { type SampleKey, sampleCsr, sampleKey } from '../../x509/samples.ts';
import { freePort } from '../free-port.ts';
import { askDoor, certificateOf, estRequest, type Shown, shown } from './ask-door.ts';
import { copyHome, makeFolder, makeServedHome, makeTicket } from './home.ts';
import { countIssued, faultOf, readLedger } from './ledger-facts.ts';
import { childrenOf, type Serving, serve } from './serving.ts';

const DYING_HOUSE = fileURLToPath(new URL('dying-house.ts', import.meta.url));
const folder = makeFolder();
const EMPTY = encodeName([]);

/** One who enrolls by ticket, and one who renews. */
interface Asker {
  readonly device: string;
  readonly operation: 'simpleenroll' | 'simplereenroll';
  readonly csr: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly shows?: Shown;
}

let template: Home;
let askers: readonly Asker[] = [];

/** The certificate, PEM; undefined where the connection broke. */
async function ask(
  home: Home,
  { tlsUrl }: Serving,
  { operation, csr, headers, shows }: Asker,
  onSecure?: () => void,
): Promise<string | undefined> {
  const rest = { headers, ...(shows && { shows }), ...(onSecure && { onSecure }) };
  const answer = await askDoor(
    { tlsUrl, ca: readFileSync(home.pem('root')) },
    estRequest(operation, csr, rest),
  );
  return answer && certificateOf(answer);
}

async function byTicket(home: Home, device: string, key: SampleKey): Promise<Asker> {
  const credentials = Buffer.from(`${device}:${await makeTicket(home, device)}`).toString('base64');
  const headers = { authorization: `Basic ${credentials}` };
  return { device, operation: 'simpleenroll', csr: sampleCsr(key, { subject: EMPTY }), headers };
}

beforeAll(async () => {
  template = await makeServedHome(folder);
  const key = sampleKey('P-256');
  const old = await byTicket(template, 'T-old', key);
  const serving = await serve(template);
  const cert = (await ask(template, serving, old)) ?? '';
  await serving.end('SIGTERM');
  const { subject } = parseCertificate(new X509Certificate(cert).raw).tbs;
  const shows = shown(key.privateKey, cert);
  const renewal = { device: 'T-old', operation: 'simplereenroll', headers: {}, shows } as const;
  askers = [
    await byTicket(template, 'T-new', sampleKey('P-256')),
    { ...renewal, csr: sampleCsr(sampleKey('P-256'), { subject }) },
    // The same key again: what follows the certificate is told from it.
    { ...renewal, csr: sampleCsr(key, { subject }) },
  ];
});
afterAll(() => folder.remove());

describe.concurrent.each(['prepare', 'reserve', 'sign', 'commit'] as const)(
  'a kill right after %s',
  (step) => {
    test.each([
      ['an enrollment by ticket', 0],
      ['a renewal with a new key', 1],
      ['a renewal with the same key', 2],
    ])('leaves %s to be asked for again, and gives it once', async (_title, at) => {
      const asker = askers[at];
      if (!asker) throw new Error('nobody asks');
      const home = copyHome(template, folder);
      const before = await readLedger(home, countIssued);
      const dying = await serve(home, { program: [DYING_HOUSE, step, '1'] });
      expect(await ask(home, dying, asker)).toBeUndefined();
      expect((await dying.ended).signal).toBe('SIGKILL');
      const reserved = await readLedger(home, (read) => read.findReserved(10));
      expect(reserved).toHaveLength(step === 'reserve' || step === 'sign' ? 1 : 0);

      const serving = await serve(home);
      const got = (await ask(home, serving, asker)) ?? '';
      expect(await ask(home, serving, asker)).toBe(got);
      const serial = new X509Certificate(got).serialNumber.toLowerCase();
      for (const record of reserved) expect(Buffer.from(record.serial).toString('hex')).toBe(serial);
      await readLedger(home, async (read) => {
        expect(await faultOf(read, home, got)).toBeUndefined();
        const subject = `device:own/${asker.device}`;
        expect((await countIssued(read)).get(subject)).toBe((before.get(subject) ?? 0) + 1);
      });
      await serving.end('SIGTERM');
    });
  },
);

// On a port of its own: workers that all died come back to the same one only where it is fixed.
test('workers killed with an enrollment under way: another one answers when the device asks again', async () => {
  const [asker] = askers;
  if (!asker) throw new Error('nobody asks');
  const home = copyHome(template, folder);
  const serving = await serve(home, {
    words: ['--workers', '2', '--public-port', '0', '--tls-port', String(await freePort())],
  });
  const first = await ask(home, serving, asker, () => {
    for (const worker of childrenOf(serving.pid)) process.kill(worker, 'SIGKILL');
  });
  let again: string | undefined;
  // Workers come back by themselves; until one listens, connections are refused.
  for (let tries = 0; again === undefined && tries < 200; tries += 1) {
    again = await ask(home, serving, asker);
    if (again === undefined) await sleep(50);
  }
  expect(again).toContain('BEGIN CERTIFICATE');
  if (first !== undefined) expect(first).toBe(again);
  await readLedger(home, async (read) => expect((await countIssued(read)).get('device:own/T-new')).toBe(1));
  await serving.end('SIGTERM');
});
