import { describe, expect, test } from 'vitest';
import { decideApproval } from '../../../src/enroll/decide-approval.ts';
import { DAY_MS, newCsr, newKey } from '../../house.ts';
import { basic, certificateIn, shareEstServer, verdictOf } from './est-server.ts';

const est = await shareEstServer({
  labels: {
    slow: { approval: true },
    tags: { serialPattern: 'TAG-*' },
    closed: { admit: ['idevid'] },
    born: { profile: 'idevid', admit: ['ticket'] },
  },
});
const { house } = est;
const actor = { actor: 'operator:test', role: 'admin' } as const;

describe('who has no credentials', () => {
  test('is told of HTTP Basic where a ticket helps, and refused where it does not', async () => {
    const { ask, enroll } = await est.open();
    const answer = await enroll('simpleenroll', newCsr());
    expect(verdictOf(answer)).toBe('401 certificate-required');
    expect(answer.headers['www-authenticate']).toBe('Basic realm="birthmark", charset="UTF-8"');
    expect(verdictOf(await enroll('simplereenroll', newCsr()))).toBe('403 certificate-required');
    expect(verdictOf(await enroll('closed/simpleenroll', newCsr()))).toBe('403 certificate-required');
    const headers = await est.ticket('SN-none');
    expect(verdictOf(await enroll('simpleenroll', newCsr(), headers))).toBe('200');
    // On the same connection: what a ticket opened stays open to nobody.
    expect(verdictOf(await enroll('simpleenroll', newCsr()))).toBe('401 certificate-required');
    expect((await ask('cacerts')).status).toBe(200);
  });
});

describe('a ticket', () => {
  const enroll = (headers: Readonly<Record<string, string>>, csr = newCsr(), label = '') =>
    est.enroll(`${label}simpleenroll`, csr, { headers });

  test('gives one certificate for one key, as often as that asks', async () => {
    const headers = await est.ticket('SN-1');
    const key = newKey();
    const first = await enroll(headers, newCsr(key));
    const second = await enroll(headers, newCsr(key, { subject: [{ type: 'serialNumber', value: 'SN-1' }] }));
    expect(certificateIn(second)).toEqual(certificateIn(first));
    expect(verdictOf(await enroll(headers))).toBe('409 ticket-bound');
    expect(await est.latestAct('own/SN-1')).toMatchObject({ outcome: 'refused:ticket-bound' });
  });

  test('is audited with the door, the operation, the label, the key and what bound it', async () => {
    await enroll(await est.ticket('SN-2'));
    const { outcome, facts } = await est.latestAct('own/SN-2');
    expect(outcome).toBe('done');
    expect(facts).toEqual({
      door: 'est',
      operation: 'enroll',
      label: 'default',
      binding: 'none',
      profile: 'ldevid',
      keyHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      serial: expect.stringMatching(/^[0-9a-f]+$/),
    });
  });

  test.each<[string, () => Promise<Readonly<Record<string, string>>>, string]>([
    ['with another secret', async () => basic('SN-3', 'bmt_0000'), '401 unauthenticated'],
    ['without its secret', async () => basic('SN-3', ''), '401 unauthenticated'],
    ['of another device than its user', () => est.ticket('SN-4', { user: 'SN-3' }), '401 unauthenticated'],
    ['without a user', () => est.ticket('SN-3', { user: '' }), '401 unauthenticated'],
    ['for another profile', () => est.ticket('SN-3', { profile: 'idevid' }), '403 profile-not-allowed'],
    [
      'that has expired',
      async () => {
        const headers = await est.ticket('SN-3', { expiresInMs: 1 });
        house.clock.pass(1);
        return headers;
      },
      '401 ticket-expired',
    ],
    ['that cannot be read', async () => ({ authorization: 'Basic !' }), '400 bad-request'],
    [
      'sent as a bearer token',
      async () => {
        const { authorization = '' } = await est.ticket('SN-3');
        const text = Buffer.from(authorization.slice('Basic '.length), 'base64').toString();
        return { authorization: `Bearer ${text.slice(text.indexOf(':') + 1)}` };
      },
      '401 certificate-required',
    ],
  ])('%s is refused', async (_title, headers, verdict) => {
    expect(verdictOf(await enroll(await headers()))).toBe(verdict);
    expect(verdictOf(await enroll(await est.ticket('SN-3', { expiresInMs: DAY_MS })))).toBe('200');
  });

  test.each([
    ['tags/', 'SN-5', '403 serial-number-not-allowed'],
    ['tags/', 'TAG-5', '200'],
    ['closed/', 'SN-6', '403 admission-refused'],
    ['born/', 'SN-7', '403 profile-not-allowed'],
  ])('under label %s for %s: %s', async (label, serialNumber, verdict) => {
    expect(verdictOf(await enroll(await est.ticket(serialNumber), newCsr(), label))).toBe(verdict);
    const { outcome, facts } = await est.latestAct(`own/${serialNumber}`);
    expect([outcome, facts.label]).toEqual([
      verdict === '200' ? 'done' : `refused:${verdict.slice(4)}`,
      label.slice(0, -1),
    ]);
  });

  test('for an IDevID gives one under a label for those', async () => {
    expect(verdictOf(await enroll(await est.ticket('SN-8', { profile: 'idevid' }), newCsr(), 'born/'))).toBe(
      '200',
    );
  });

  test("is refused a CSR for another device, and another device's key", async () => {
    const headers = await est.ticket('SN-9');
    const other = newCsr(newKey(), { subject: [{ type: 'serialNumber', value: 'SN-10' }] });
    expect(verdictOf(await enroll(headers, other))).toBe('403 serial-number-mismatch');
    const { key } = await est.credential('SN-11');
    expect(verdictOf(await enroll(headers, newCsr(key)))).toBe('409 key-in-use');
    expect(verdictOf(await enroll(headers))).toBe('200');
  });
});

test('wrong tickets from one address are slowed down, and right ones are not', async () => {
  const slowed = await shareEstServer();
  const { enroll } = await slowed.open();
  const verdicts = new Set<string>();
  for (let at = 0; at < 62; at += 1)
    verdicts.add(verdictOf(await enroll('simpleenroll', newCsr(), basic('SN-1', 'no'))));
  expect([...verdicts]).toEqual(['401 unauthenticated', '429 too-many-requests']);
  const last = await enroll('simpleenroll', newCsr(), basic('SN-1', 'no'));
  expect(Number(last.headers['retry-after'])).toBeGreaterThan(0);
  expect(verdictOf(await enroll('simpleenroll', newCsr(), await slowed.ticket('SN-1')))).toBe('200');
});

describe('an enrollment that an operator must approve', () => {
  const waiting = async (serialNumber: string) => {
    const { items } = await house.ledger.read.listApprovals({ limit: 1000, state: 'waiting' });
    return items.filter((one) => one.serialNumber === serialNumber);
  };
  const decide = async (serialNumber: string, word: 'approved' | 'denied') => {
    const [one, ...more] = await waiting(serialNumber);
    expect(more).toEqual([]);
    await decideApproval(one?.id ?? 0, word, actor, est.server.options);
  };

  test('waits, over new connections and with a CSR that was signed again, until it is approved', async () => {
    const headers = await est.ticket('SN-20');
    const key = newKey();
    const ask = () => est.enroll('slow/simpleenroll', newCsr(key), { headers });
    for (let times = 0; times < 2; times += 1) {
      const answer = await ask();
      expect(verdictOf(answer)).toBe('202 waiting');
      expect(answer.headers['retry-after']).toBe('30');
      expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    }
    expect(await waiting('SN-20')).toHaveLength(1);
    await decide('SN-20', 'approved');
    const granted = certificateIn(await ask());
    expect(certificateIn(await ask())).toEqual(granted);
    const { items } = await house.ledger.read.listAudit({ limit: 1000 });
    expect(
      items
        .filter(({ subject }) => subject === 'device:own/SN-20')
        .map(({ action, outcome }) => [action, outcome]),
    ).toEqual([
      ['ticket.create', 'done'],
      ['enrollment.request', 'waiting'],
      ['enrollment.approve', 'done'],
      ['certificate.issue', 'done'],
    ]);
  });

  test('that is asked for many times at once waits once', async () => {
    const headers = await est.ticket('SN-24');
    const csr = newCsr();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => est.enroll('slow/simpleenroll', csr, { headers })),
    );
    expect(new Set(answers.map(verdictOf))).toEqual(new Set(['202 waiting']));
    expect(await waiting('SN-24')).toHaveLength(1);
  });

  test('is refused once it was denied, and waits again for another key', async () => {
    const headers = await est.ticket('SN-21');
    const csr = newCsr();
    const ask = (what = csr) => est.enroll('slow/simpleenroll', what, { headers });
    await ask();
    await decide('SN-21', 'denied');
    expect(verdictOf(await ask())).toBe('403 approval-denied');
    expect(verdictOf(await ask(newCsr()))).toBe('202 waiting');
    expect(verdictOf(await ask())).toBe('403 approval-denied');
  });

  test('does not wait where the key is not proven, or the ticket is no good', async () => {
    const csr = newCsr();
    csr.writeUInt8((csr.at(-1) ?? 0) ^ 1, csr.length - 1);
    const headers = await est.ticket('SN-22');
    expect(verdictOf(await est.enroll('slow/simpleenroll', csr, { headers }))).toBe(
      '400 proof-of-possession-failed',
    );
    expect(await waiting('SN-22')).toEqual([]);
  });

  test('is one of the first certificate only: a renewal needs none', async () => {
    const credential = await est.credential('SN-23', 'ldevid');
    expect(verdictOf(await est.enroll('slow/simpleenroll', newCsr(), { credential }))).toBe('202 waiting');
    const renewal = newCsr(newKey(), {
      subject: [
        { type: 'O', value: 'Lab' },
        { type: 'serialNumber', value: 'SN-23' },
      ],
    });
    expect(verdictOf(await est.enroll('slow/simplereenroll', renewal, { credential }))).toBe('200');
  });
});
