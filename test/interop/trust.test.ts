// A manufacturer's CA, made with OpenSSL, and enrollments that wait: by commands, with a server and without one.
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Ledger } from '../../src/enroll/ports.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { birthmark } from './house.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();

/** A CA of OpenSSL's; gives the fingerprint that OpenSSL prints. */
async function makeCa(name: string, ...words: readonly string[]): Promise<string> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  const request = ['req', '-x509', ...key, '-subj', `/O=Acme/CN=${name}`, '-days', '30', ...words];
  await house().program('openssl', ...request, '-out', `${name}.pem`);
  const said = await house().program(
    'openssl',
    'x509',
    '-in',
    `${name}.pem`,
    '-noout',
    '-sha256',
    '-fingerprint',
  );
  return said.trim().split('=')[1] ?? '';
}

/** Writes to the ledger as another process of this program would. */
async function inLedger<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const ledger = openLedger({ path: path.join(house().home, 'ledger.db') });
  try {
    return await work(ledger);
  } finally {
    ledger.close();
  }
}

describe("a manufacturer's CA", () => {
  let first = '';
  let plain = '';

  beforeAll(async () => {
    first = await makeCa('first');
    plain = first.replaceAll(':', '').toLowerCase();
    await house().program('openssl', 'x509', '-in', 'first.pem', '-outform', 'DER', '-out', 'first.der');
  });

  test('is trusted from PEM and from DER, listed, and removed by the beginning of its fingerprint', async () => {
    const { must } = house();
    for (const file of ['first.pem', 'first.der']) {
      const told = await must(
        'trust',
        'add',
        '--ca',
        file,
        '--namespace',
        'acme',
        '--serial-pattern',
        'AC-*',
      );
      expect(told).toBe(`trusted for namespace acme: O=Acme, CN=first  ${plain}\n`);
      const [head, row, ...more] = (await must('trust', 'list')).trimEnd().split('\n');
      expect(head).toMatch(/^namespace +fingerprint +not after +serial numbers +validity +subject$/);
      const { validTo } = new X509Certificate(house().read('first.pem'));
      expect(row?.split(/ {2,}/)).toEqual([
        'acme',
        plain,
        new Date(validTo).toISOString(),
        'AC-*',
        'all',
        'O=Acme, CN=first',
      ]);
      expect(more).toEqual([]);
      expect(await must('trust', 'remove', plain.slice(0, 8))).toBe(`trusted no longer: ${plain}\n`);
      expect(JSON.parse(await must('trust', 'list', '--json'))).toEqual([]);
    }
  });

  test('is removed by the fingerprint as OpenSSL writes it, and then not there', async () => {
    await house().must('trust', 'add', '--ca', 'first.pem', '--namespace', 'acme');
    expect(JSON.parse(await house().must('trust', 'remove', first, '--json'))).toEqual({ removed: plain });
    const again = await house().birthmark('trust', 'remove', first);
    expect(again).toMatchObject({ status: 1, out: '', err: expect.stringContaining('[not-found]') });
  });

  test('is not removed by a beginning that two have', async () => {
    const { raw } = new X509Certificate(house().read('first.pem'));
    const prints = ['0'.repeat(56), 'f'.repeat(56)].map((rest) => `abcdef01${rest}`);
    await inLedger((ledger) =>
      ledger.write(async (tx) => {
        for (const print of prints) {
          const fingerprint = Buffer.from(print, 'hex');
          const rest = { certificate: raw, validity: 'all', addedAt: 0, addedBy: 'test' } as const;
          await tx.addTrustedCa({ namespace: 'acme', fingerprint, ...rest });
        }
      }),
    );
    const both = await house().birthmark('trust', 'remove', 'ABCDEF01');
    expect(both).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^birthmark: 2 trusted CAs .* more digits/),
    });
    for (const print of prints) await house().must('trust', 'remove', print.slice(0, 9));
    expect(JSON.parse(await house().must('trust', 'list', '--json'))).toEqual([]);
  });

  test.each([
    ['too few digits of a fingerprint', ['trust', 'remove', '1234567']],
    ['no digits', ['trust', 'remove', 'acme-ca.pem']],
    ['no namespace', ['trust', 'add', '--ca', 'first.pem']],
    [
      'another word for validity',
      ['trust', 'add', '--ca', 'first.pem', '--namespace', 'a', '--validity', 'x'],
    ],
    ['no number of an enrollment', ['enrollment', 'approve', 'first']],
    ['a state that there is not', ['enrollment', 'list', '--state', 'lost']],
  ])('%s is wrong usage', async (_title, words) => {
    const { status, out, err } = await house().birthmark(...words);
    expect([status, out, err]).toEqual([2, '', expect.stringMatching(/^error: .*\n/)]);
  });

  test("a certificate that is no CA's and one that is not there are refused", async () => {
    await makeCa('leaf', '-addext', 'basicConstraints=critical,CA:FALSE');
    const add = (file: string) => house().birthmark('trust', 'add', '--ca', file, '--namespace', 'acme');
    expect(await add('leaf.pem')).toMatchObject({
      status: 1,
      err: expect.stringMatching(/"O=Acme, CN=leaf".* no CA.*\[bad-certificate\]\n$/),
    });
    expect(await add('nowhere.pem')).toMatchObject({
      status: 1,
      err: expect.stringContaining('--ca nowhere.pem cannot be read'),
    });
  });
});

describe('an enrollment that waits', () => {
  const key = {
    namespace: 'acme',
    serialNumber: 'AC-1',
    keyHash: Buffer.alloc(32, 7),
    profile: 'ldevid',
  };

  test('is listed, and has its word by command', async () => {
    await inLedger((ledger) => ledger.write((tx) => tx.addApproval(key, 'manufacturer:acme:00', 0)));
    const list = async (...words: readonly string[]) =>
      JSON.parse(await house().must('enrollment', 'list', '--json', ...words));
    const [{ id }] = await list('--state', 'waiting');
    expect(await house().must('enrollment', 'list')).toMatch(
      new RegExp(
        `^id .*\\n${id} +waiting +acme/AC-1 +ldevid +1970-\\S+ +${'07'.repeat(32)} +manufacturer:acme:00\\n$`,
      ),
    );
    expect(await house().must('enrollment', 'approve', String(id))).toBe(
      'approved: device acme/AC-1, profile ldevid\n',
    );
    expect(await list('--state', 'waiting')).toEqual([]);
    expect(await inLedger((ledger) => ledger.read.findApproval(key))).toMatchObject({
      state: 'approved',
      decidedBy: 'local',
    });
    expect(JSON.parse(await house().must('enrollment', 'deny', String(id), '--json'))).toMatchObject({
      id,
      state: 'denied',
    });
    expect(await house().birthmark('enrollment', 'deny', String(id + 1))).toMatchObject({
      status: 1,
      out: '',
      err: expect.stringContaining('[not-found]'),
    });
  });
});

test('without a server the same commands do the same', async () => {
  const env = { BIRTHMARK_HOME: path.join(house().folder, 'quiet') };
  const run = (...words: readonly string[]) => birthmark(words, env, house().folder);
  expect(await run('init')).toMatchObject({ status: 0 });
  await makeCa('quiet');
  expect(await run('trust', 'add', '--ca', 'quiet.pem', '--namespace', 'acme')).toMatchObject({ status: 0 });
  expect(await run('trust', 'add', '--ca', 'quiet.pem', '--namespace', 'bolt')).toMatchObject({
    status: 1,
    err: expect.stringContaining('is trusted in namespace acme [already-exists]'),
  });
  expect((await run('trust', 'list')).out).toMatch(/\nacme .* O=Acme, CN=quiet\n$/);
  expect(await run('enrollment', 'list', '--json')).toMatchObject({ status: 0, out: '[]\n' });
});
