import { describe, expect, test } from 'vitest';
import { PROFILE_KINDS } from '../../src/ca/profile.ts';
import { OWN_NAMESPACE } from '../../src/core/identifiers.ts';
import { operatorAdmission, ticketAdmission, tokenAdmission } from '../../src/enroll/admission.ts';
import { admitLine, assertMayGive, assertMayRunBatch } from '../../src/enroll/admit.ts';
import { ROLES, type TicketRecord, type TokenRecord } from '../../src/enroll/ports.ts';
import { readSecret } from '../../src/enroll/secret.ts';
import { createTicket, presentTicket } from '../../src/enroll/ticket.ts';
import {
  type Asking,
  codeOfAsync,
  newCsr,
  newKey,
  only,
  openTestHouse,
  outcomeCode,
  type TestHouse,
} from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

const HOUR_MS = 3_600_000;

async function newToken(house: TestHouse, limits: Partial<TokenRecord> = {}): Promise<TokenRecord> {
  const token: TokenRecord = {
    id: 'a'.repeat(16),
    name: 'line-7',
    role: 'factory',
    secretHash: new Uint8Array(32),
    createdAt: house.clock.now(),
    createdBy: 'local',
    expiresAt: house.clock.now() + HOUR_MS,
    used: 0,
    ...limits,
  };
  await house.ledger.write((tx) => tx.addToken(token));
  return token;
}

async function run(
  house: TestHouse,
  token: TokenRecord,
  serialNumbers: readonly string[],
): Promise<string[]> {
  const requests = serialNumbers.map((serialNumber) => house.request(serialNumber));
  return (await house.enroll(requests, tokenAdmission(token, house.clock.now))).map(outcomeCode);
}

async function used({ ledger }: TestHouse, token: TokenRecord): Promise<number | undefined> {
  return (await ledger.read.findToken(token.id))?.used;
}

async function newTicket(house: TestHouse, serialNumber = 'SN-1', profile = 'ldevid'): Promise<TicketRecord> {
  const { ticket } = await createTicket(
    { serialNumber, profile, expiresInMs: HOUR_MS },
    { actor: 'local', role: 'admin' },
    { ...house, clock: house.clock.now },
  );
  return presentTicket(ticket, house.ledger, house.clock.now);
}

async function use(house: TestHouse, ticket: TicketRecord, asking: Asking = {}) {
  const { serialNumber, namespace, profile } = ticket;
  const request = house.request(serialNumber, { namespace, profile, ...asking });
  return only(await house.enroll([request], ticketAdmission(ticket, house.clock.now)));
}

describe('a factory token', () => {
  test('gives a device in the field another LDevID only where it was made for that profile', async () => {
    using house = await openTestHouse();
    await house.grant('SN-1');
    const any = await newToken(house);
    const made = await newToken(house, { id: 'b'.repeat(16), name: 'rework', profiles: ['ldevid'] });
    const ask = async (token: TokenRecord, asking: Asking = {}) => {
      const request = house.request('SN-1', { profile: 'ldevid', ...asking });
      return outcomeCode(only(await house.enroll([request], tokenAdmission(token, house.clock.now))));
    };
    const key = newKey();
    expect(await ask(any, { key })).toBe('granted');
    expect(await ask(any, { key })).toBe('granted');
    expect(await ask(any)).toBe('profile-not-allowed');
    expect([await used(house, any), await used(house, made)]).toEqual([1, 0]);
    expect(await ask(made)).toBe('granted');
    expect(await ask(any)).toBe('profile-not-allowed');
    expect(outcomeCode(await house.ask('SN-1', { profile: 'ldevid' }))).toBe('granted');
  });

  test('vouches until it expires, and for nothing after', async () => {
    using house = await openTestHouse();
    const token = await newToken(house);
    house.clock.pass(HOUR_MS - 1);
    expect(await run(house, token, ['SN-1'])).toEqual(['granted']);
    house.clock.pass(1);
    expect(await run(house, token, ['SN-2', 'SN-3'])).toEqual(['unauthenticated', 'unauthenticated']);
    expect(await house.ledger.read.findReserved(10)).toEqual([]);
    expect(await used(house, token)).toBe(1);
  });

  test('vouches for nothing more once it is revoked, also where the batch began before', async () => {
    using house = await openTestHouse();
    const token = await newToken(house);
    expect(await run(house, token, ['SN-1'])).toEqual(['granted']);
    await house.ledger.write((tx) => tx.revokeToken(token.name, house.clock.now()));
    expect(await run(house, token, ['SN-2'])).toEqual(['unauthenticated']);
    // Not even for what it had: who asks is nobody any more.
    expect(await run(house, token, ['SN-1'])).toEqual(['unauthenticated']);
  });

  test('has exactly as many certificates issued as it may, in order', async () => {
    using house = await openTestHouse();
    const token = await newToken(house, { count: 3 });
    expect(await run(house, token, ['SN-1', 'SN-2'])).toEqual(['granted', 'granted']);
    expect(await run(house, token, ['SN-3', 'SN-4', 'SN-5'])).toEqual([
      'granted',
      'token-exhausted',
      'token-exhausted',
    ]);
    expect(await used(house, token)).toBe(3);
  });

  test('has exactly as many issued where thirty batches run at once', async () => {
    using house = await openTestHouse();
    const token = await newToken(house, { count: 17 });
    const codes = await Promise.all(
      Array.from({ length: 30 }, (_, at) => run(house, token, [`SN-${at}`, `SX-${at}`])),
    );
    expect(codes.flat().filter((code) => code === 'granted')).toHaveLength(17);
    expect(codes.flat().filter((code) => code === 'token-exhausted')).toHaveLength(43);
    expect(await used(house, token)).toBe(17);
    expect((await house.ledger.read.searchCertificates({ limit: 100 })).items).toHaveLength(17);
  });

  test('that was revoked is told of in one act, however many lines come', async () => {
    using house = await openTestHouse();
    const token = await newToken(house);
    await house.ledger.write((tx) => tx.revokeToken(token.name, house.clock.now()));
    await run(house, token, ['SN-1', 'SN-2', 'SN-3']);
    expect(only((await house.ledger.read.listAudit({ limit: 10 })).items)).toMatchObject({
      actor: 'token:line-7',
      subject: 'device:own/SN-1',
      outcome: 'refused:unauthenticated',
      facts: { requests: 3 },
    });
  });

  test('does not pay for a repeated answer, nor for a refusal', async () => {
    using house = await openTestHouse();
    const token = await newToken(house, { count: 2 });
    const key = newKey();
    const once = house.request('SN-1', { key });
    const admission = tokenAdmission(token, house.clock.now);
    const clone = house.request('SN-2', { key });
    const outcomes = await house.enroll(
      [once, once, clone, house.request('SN-3'), once, house.request('SN-4')],
      admission,
    );
    expect(outcomes.map(outcomeCode)).toEqual([
      'granted',
      'granted',
      'key-in-use',
      'granted',
      'granted',
      'token-exhausted',
    ]);
    expect(await used(house, token)).toBe(2);
    // What it had is still answered when all is used up.
    expect((await house.enroll([once], admission)).map(outcomeCode)).toEqual(['granted']);
  });

  test('is named in the record and in the act', async () => {
    using house = await openTestHouse();
    const token = await newToken(house);
    await run(house, token, ['SN-1']);
    expect(only((await house.ledger.read.searchCertificates({ limit: 10 })).items).vouchedBy).toBe(
      `token:${token.id}`,
    );
    expect(only((await house.ledger.read.listAudit({ limit: 10 })).items).actor).toBe('token:line-7');
  });
});

describe('the limits of a token', () => {
  test.each<[string, Partial<TokenRecord>, string, string | undefined, string]>([
    ['a serial number that fits', { serialPattern: 'SN-7*' }, 'SN-70', undefined, 'accepted'],
    ['one that does not', { serialPattern: 'SN-7*' }, 'SN-8', undefined, 'serial-number-not-allowed'],
    ['its batch', { batch: 'B1' }, 'SN-1', 'B1', 'accepted'],
    ['another batch', { batch: 'B1' }, 'SN-1', 'B2', 'batch-not-allowed'],
    ['a batch where it has none', {}, 'SN-1', 'B2', 'accepted'],
  ])('%s', async (_title, limits, serialNumber, batch, code) => {
    using house = await openTestHouse();
    const token = await newToken(house, limits);
    const request = house.request(serialNumber, batch === undefined ? {} : { batch });
    expect(codeOf(() => admitLine(request, token))).toBe(code);
  });

  test('a line without a batch gets that of its token', async () => {
    using house = await openTestHouse();
    const request = house.request('SN-1');
    expect(admitLine(request, await newToken(house, { batch: 'B1' })).batch).toBe('B1');
    expect(admitLine(request, undefined)).toBe(request);
  });
});

describe('who may what', () => {
  const profileOf = async (kind: (typeof PROFILE_KINDS)[number]) => {
    using house = await openTestHouse();
    return house.issuing.profile(kind);
  };

  test.each(ROLES.flatMap((role) => PROFILE_KINDS.map((kind) => [role, kind] as const)))(
    '%s gives %s, by itself or by a ticket, only as its role allows',
    async (role, kind) => {
      const profile = await profileOf(kind);
      const may =
        (role === 'admin' && (kind === 'idevid' || kind === 'ldevid')) ||
        (role === 'operator' && kind === 'ldevid');
      expect(codeOf(() => assertMayGive(role, profile))).toBe(may ? 'accepted' : 'profile-not-allowed');
    },
  );

  test.each(ROLES.flatMap((role) => PROFILE_KINDS.map((kind) => [role, kind] as const)))(
    '%s runs batches of %s only as its role allows',
    async (role, kind) => {
      const profile = await profileOf(kind);
      const code = codeOf(() => assertMayRunBatch(role, undefined, profile));
      if (role !== 'admin' && role !== 'factory') expect(code).toBe('forbidden');
      else expect(code).toBe(kind === 'idevid' || kind === 'ldevid' ? 'accepted' : 'profile-not-allowed');
    },
  );

  test('a token for one profile runs no batch of another', async () => {
    using house = await openTestHouse();
    const token = await newToken(house, { profiles: ['ldevid'] });
    expect(codeOf(() => assertMayRunBatch('factory', token, house.issuing.profile('ldevid')))).toBe(
      'accepted',
    );
    expect(codeOf(() => assertMayRunBatch('factory', token, house.issuing.profile('idevid')))).toBe(
      'profile-not-allowed',
    );
  });

  test.each([
    ['admin', 'idevid', 'accepted'],
    ['admin', 'operator', 'profile-not-allowed'],
    ['admin', 'server', 'profile-not-allowed'],
    ['operator', 'ldevid', 'accepted'],
    ['operator', 'idevid', 'profile-not-allowed'],
    ['factory', 'ldevid', 'profile-not-allowed'],
    ['auditor', 'ldevid', 'profile-not-allowed'],
    ['admin', 'nothing', 'profile-unknown'],
  ] as const)('a ticket that %s makes for %s: %s', async (role, profile, code) => {
    using house = await openTestHouse();
    const order = { serialNumber: 'SN-1', profile, expiresInMs: HOUR_MS };
    const making = createTicket(order, { actor: 'x', role }, { ...house, clock: house.clock.now });
    expect(await codeOfAsync(making)).toBe(code);
    expect((await house.ledger.read.listAudit({ limit: 10 })).items).toHaveLength(
      code === 'accepted' ? 1 : 0,
    );
  });
});

describe('a ticket', () => {
  test('gives the same pair the same certificate until it expires', async () => {
    using house = await openTestHouse();
    const ticket = await newTicket(house);
    const key = newKey();
    const first = await use(house, ticket, { key });
    const again = await use(house, ticket, { csr: newCsr(key, { subject: [{ type: 'CN', value: 'x' }] }) });
    expect(outcomeCode(first)).toBe('granted');
    expect('certificate' in again && 'certificate' in first && again.certificate).toEqual(
      'certificate' in first ? first.certificate : 'none',
    );
    house.clock.pass(HOUR_MS);
    expect(outcomeCode(await use(house, ticket, { key }))).toBe('ticket-expired');
  });

  test('expires unused', async () => {
    using house = await openTestHouse();
    const ticket = await newTicket(house);
    house.clock.pass(HOUR_MS - 1);
    expect(outcomeCode(await use(house, { ...ticket }))).toBe('granted');
    const other = await newTicket(house, 'SN-2');
    house.clock.pass(HOUR_MS);
    expect(outcomeCode(await use(house, other))).toBe('ticket-expired');
    expect((await house.ledger.read.findTicket(other.id))?.boundKeyHash).toBeUndefined();
  });

  test('is bound to the key that used it', async () => {
    using house = await openTestHouse();
    const ticket = await newTicket(house);
    expect(outcomeCode(await use(house, ticket))).toBe('granted');
    expect(outcomeCode(await use(house, ticket))).toBe('ticket-bound');
    // Whoever came second had the ticket too: people want to know.
    expect((await house.ledger.read.listAudit({ limit: 10 })).items.at(-1)).toMatchObject({
      actor: `ticket:${ticket.id}`,
      subject: 'device:own/SN-1',
      outcome: 'refused:ticket-bound',
    });
  });

  test('used by two keys at once serves exactly one of them', async () => {
    using house = await openTestHouse();
    const ticket = await newTicket(house);
    const codes = (await Promise.all([use(house, ticket), use(house, ticket), use(house, ticket)])).map(
      outcomeCode,
    );
    expect(codes.sort()).toEqual(['granted', 'ticket-bound', 'ticket-bound']);
    expect((await house.ledger.read.searchCertificates({ limit: 10 })).items).toHaveLength(1);
  });

  test('is not bound to a key that was refused: the device makes another one, as it is told', async () => {
    using house = await openTestHouse();
    const born = newKey();
    await house.grant('SN-1', { key: born });
    const ticket = await newTicket(house);
    // The profile wants a new key.
    expect(outcomeCode(await use(house, ticket, { key: born }))).toBe('key-in-use');
    expect((await house.ledger.read.findTicket(ticket.id))?.boundKeyHash).toBeUndefined();
    expect(outcomeCode(await use(house, ticket))).toBe('granted');
  });

  test('is bound by the certificate that the key had already', async () => {
    using house = await openTestHouse();
    const key = newKey();
    await house.grant('SN-1', { key, profile: 'ldevid' });
    const ticket = await newTicket(house);
    expect(outcomeCode(await use(house, ticket, { key }))).toBe('granted');
    expect(outcomeCode(await use(house, ticket))).toBe('ticket-bound');
  });

  test('is good for one certificate: when that has ended, the ticket gives no second one', async () => {
    using house = await openTestHouse({ profiles: { ldevid: { validityDays: 1 } } });
    const { ticket } = await createTicket(
      { serialNumber: 'SN-1', profile: 'ldevid', expiresInMs: 100 * 24 * HOUR_MS },
      { actor: 'local', role: 'admin' },
      { ...house, clock: house.clock.now },
    );
    const record = await presentTicket(ticket, house.ledger, house.clock.now);
    const key = newKey();
    expect(outcomeCode(await use(house, record, { key }))).toBe('granted');
    house.clock.pass(24 * HOUR_MS);
    expect(outcomeCode(await use(house, record, { key }))).toBe('token-exhausted');
    expect((await house.ledger.read.searchCertificates({ limit: 10 })).items).toHaveLength(1);
  });

  test('does not bear a device twice', async () => {
    using house = await openTestHouse();
    await house.grant('SN-1');
    const ticket = await newTicket(house, 'SN-1', 'idevid');
    expect(outcomeCode(await use(house, ticket))).toBe('device-already-born');
  });

  test('is for one certificate at a time', async () => {
    using house = await openTestHouse();
    const ticket = await newTicket(house);
    const requests = [
      house.request('SN-1', { profile: 'ldevid' }),
      house.request('SN-1', { profile: 'ldevid' }),
    ];
    const outcomes = await house.enroll(requests, ticketAdmission(ticket, house.clock.now));
    expect(outcomes.map(outcomeCode)).toEqual(['bad-request', 'bad-request']);
  });

  test('is kept as a hash, and presented only with its secret', async () => {
    using house = await openTestHouse();
    const made = await createTicket(
      { serialNumber: 'SN-1', profile: 'ldevid', expiresInMs: HOUR_MS },
      { actor: 'local', role: 'admin' },
      { ...house, clock: house.clock.now },
    );
    const { id } = readSecret(made.ticket) ?? { id: '' };
    const record = await house.ledger.read.findTicket(id);
    expect(record).toMatchObject({ serialNumber: 'SN-1', namespace: OWN_NAMESPACE });
    expect(JSON.stringify(record)).not.toContain(made.ticket.slice(21));
    const present = (text: string | undefined) =>
      codeOfAsync(presentTicket(text, house.ledger, house.clock.now));
    expect(await present(made.ticket)).toBe('accepted');
    expect(await present(undefined)).toBe('unauthenticated');
    expect(await present(made.ticket.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')))).toBe(
      'unauthenticated',
    );
    expect(await present(made.ticket.replace('bmt_', 'bmk_'))).toBe('unauthenticated');
    expect(await present(`bmt_${'0'.repeat(16)}_${made.ticket.slice(21)}`)).toBe('unauthenticated');
    house.clock.pass(HOUR_MS);
    expect(await present(made.ticket)).toBe('ticket-expired');
  });
});

test("an operator's hand has no count", async () => {
  using house = await openTestHouse();
  const requests = Array.from({ length: 40 }, (_, at) => house.request(`SN-${at}`));
  const outcomes = await house.enroll(requests, operatorAdmission('operator:anna'));
  expect(new Set(outcomes.map(outcomeCode))).toEqual(new Set(['granted']));
});
