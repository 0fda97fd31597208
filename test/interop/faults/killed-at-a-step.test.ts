import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { type AnswerLine, codeOf, createClient, type Reply, readLines } from './client.ts';
import { makeDevices, newCsr } from './devices.ts';
import { copyHome, makeFolder, makeServedHome, makeTicket, makeToken } from './home.ts';
import { countIssued, faultOf, findToken, listIssued, readLedger } from './ledger-facts.ts';
import { type Serving, serve } from './serving.ts';

const DYING_HOUSE = fileURLToPath(new URL('dying-house.ts', import.meta.url));
const BATCH = 200;
const folder = makeFolder();
const devices = makeDevices('B', BATCH);
const ticketDevice = { serialNumber: 'T-1', csr: newCsr() };
let template: Home;
let token = '';
let ticket = '';

beforeAll(async () => {
  template = await makeServedHome(folder);
  token = await makeToken(template, { count: BATCH });
  ticket = await makeTicket(template, ticketDevice.serialNumber);
});
afterAll(() => folder.remove());

const sendBatch = async (home: Home, serving: Serving, onPart: () => void = () => undefined) => {
  const client = createClient(home, serving);
  const reply = await client.batch(token, devices, { onPart });
  client.close();
  return reply;
};
const sendEnroll = async (home: Home, serving: Serving, csr = ticketDevice.csr) => {
  const client = createClient(home, serving);
  const reply = await client.enroll(ticket, csr);
  client.close();
  return reply;
};
const granted = (lines: readonly AnswerLine[]) =>
  lines.filter(({ certificate }) => certificate !== undefined);
const readEnrolled = ({ status, body }: Reply): AnswerLine[] => (status === 200 ? [JSON.parse(body)] : []);

/** The dying house ends by itself at its step; at `answer` it is ended when the answer, or its first part, has come. */
async function untilDeath(
  home: Home,
  [step, times]: readonly [string, number],
  ask: (serving: Serving, onPart: () => void) => Promise<Reply>,
): Promise<Reply> {
  const dying = await serve(home, { program: [DYING_HOUSE, step, String(times)] });
  let isEnded = step !== 'answer';
  const kill = () => {
    // Once: what came of the answer may be read when the process is gone already, and its number free.
    if (!isEnded) process.kill(dying.pid, 'SIGKILL');
    isEnded = true;
  };
  const reply = await ask(dying, kill);
  kill();
  expect((await dying.ended).signal).toBe('SIGKILL');
  return reply;
}

describe.concurrent.each([
  // The step, at which of its times in a batch, and whether it leaves reservations without a signature.
  ['prepare', 2, false],
  ['reserve', 2, true],
  ['sign', 20, true],
  ['commit', 2, false],
  ['answer', 1, false],
] as const)('a kill right after %s', (step, times, leavesReserved) => {
  test('loses nothing, repeats no serial, and is mended by the next start and the same request', async () => {
    const home = copyHome(template, folder);
    const batchBefore = await untilDeath(home, [step, times], (serving, onPart) =>
      sendBatch(home, serving, onPart),
    );
    const enrolledBefore = await untilDeath(home, [step, 1], (serving) => sendEnroll(home, serving));
    const left = [...granted(readLines(batchBefore)), ...readEnrolled(enrolledBefore)];
    expect(readEnrolled(enrolledBefore)).toHaveLength(step === 'answer' ? 1 : 0);
    expect(left.length).toBeLessThanOrEqual(BATCH);

    const reserved = await readLedger(home, async (read) => {
      for (const { certificate = '' } of left) expect(await faultOf(read, home, certificate)).toBeUndefined();
      return read.findReserved(BATCH + 1);
    });
    if (leavesReserved) expect(reserved.length).toBeGreaterThan(1);

    const serving = await serve(home);
    // What was only reserved got its signature before anybody was served.
    expect(serving.log()).toMatch(
      reserved.length > 0 ? `"finished":${reserved.length},` : /^(?!.*"finished")/s,
    );
    await readLedger(home, async (read) => {
      expect(await read.findReserved(1)).toEqual([]);
      for (const { serial, tbs } of reserved) {
        const finished = await read.findBySerial(serial);
        expect(finished?.signature).toBeDefined();
        expect(finished?.tbs).toEqual(tbs);
      }
    });

    const again = readLines(await sendBatch(home, serving));
    const [enrolledAgain] = readEnrolled(await sendEnroll(home, serving));
    const all = [...again, ...(enrolledAgain ? [enrolledAgain] : [])];
    expect(granted(all)).toHaveLength(BATCH + 1);
    expect(new Set(all.map(({ serial }) => serial)).size).toBe(BATCH + 1);
    const byDevice = new Map(all.map((line) => [line.serialNumber, line]));
    for (const { serialNumber, certificate } of left)
      expect(byDevice.get(serialNumber)?.certificate).toBe(certificate);
    for (const { holder, serial } of reserved)
      expect(byDevice.get(holder)?.serial).toBe(Buffer.from(serial).toString('hex'));
    // The ticket is bound to the key that it was used with, whether its answer left or not.
    expect(codeOf(await sendEnroll(home, serving, newCsr()))).toBe('ticket-bound');

    await readLedger(home, async (read) => {
      for (const { certificate = '' } of all) expect(await faultOf(read, home, certificate)).toBeUndefined();
      const ofDevices = (await listIssued(read)).filter(({ deviceId }) => deviceId !== null);
      expect(ofDevices.map(({ holder }) => holder).sort()).toEqual([...byDevice.keys()].sort());
      const issued = await countIssued(read);
      for (const serialNumber of byDevice.keys()) expect(issued.get(`device:own/${serialNumber}`)).toBe(1);
      expect((await findToken(read, 'line'))?.used).toBe(BATCH);
    });
    expect(await serving.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});
