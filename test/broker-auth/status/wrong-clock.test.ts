// What a clock that is set wrong does to what is known of statuses: it may make it look older, never fresher.
import { describe, expect, test } from 'vitest';
import { assembleGate } from '../../../src/broker-auth/assemble-gate.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import type { ReadSnapshot } from '../../../src/broker-auth/status/read-snapshot.ts';
import {
  changeNote,
  clockNote,
  confirmNote,
  readStored,
  type StatusStore,
} from '../../../src/broker-auth/status/status-store.ts';
import { StatusTable } from '../../../src/broker-auth/status/status-table.ts';
import { tableSource } from '../../../src/broker-auth/status/table-source.ts';
import { parseLine } from '../../../src/broker-auth/status/wire.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { keyIdentifier } from '../../../src/x509/public-key.ts';
import { shareTestServer } from '../../server/test-server.ts';
import { makeAuthority, makeCertificate, NOW } from '../../x509/path/make-certificate.ts';
import { idOf, named, reasonOf } from '../lab.ts';
import { fetchSnapshot, inPieces, rootOf, split } from './snapshots.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const DECADE = 3652 * DAY;
const AGES = { notBefore: NOW - 3 * DECADE, notAfter: NOW + 3 * DECADE };

/** A gate that hears of a feed, with a clock of its own that can be set. */
function openWrongGate() {
  let wall = NOW;
  let passed = 0;
  const clock = () => wall;
  const steady = createSteadyClock(clock, () => passed);
  const root = makeAuthority({ cn: 'old root', fields: AGES });
  const device = makeCertificate({ issuer: root, fields: { ...named('dev1').fields, ...AGES } });
  const table = new StatusTable({ epoch: 'e', sequence: 0 }, steady.now());
  const authorities = [{ name: 'root', issuerKeyId: toHex(keyIdentifier(root.key.spki)), keyHash: '' }];
  const at = new Date(NOW).toISOString();
  const header: ReadSnapshot['header'] = {
    ...{ format: 'birthmark-status-snapshot', version: 1, epoch: 'e', sequence: 0 },
    ...{ issuedAt: at, validUntil: at, endedBefore: at, authorities },
  };
  const policy = parsePolicy(
    { listeners: { mqtt: { maxStatusAgeSeconds: 300 } }, roles: [{ name: 'device' }] },
    [{ namespace: 'own', anchors: [root.der], intermediates: [] }],
  );
  const { gate } = assembleGate({
    policy,
    sources: [tableSource(() => ({ header, table }), steady)],
    drivers: [],
    clock,
    random: (size) => new Uint8Array(size),
    onError: () => undefined,
  });
  return {
    /** Somebody sets the clock. */
    set(ms: number) {
      wall += ms;
    },
    pass(ms: number) {
      wall += ms;
      passed += ms;
    },
    /** The feed says that nothing has changed, at a time that is right. */
    hear: (rightTime: number) =>
      table.confirm({ epoch: 'e', sequence: 0 }, steady.of(Math.min(rightTime, clock()))),
    revoke: () =>
      table.apply({ ...idOf(device, root), authority: 'root', sequence: 1, status: 'revoked', at }),
    connect() {
      const evidence = { level: 'certificate', leaf: device.der, chain: [] } as const;
      const place = { broker: 'b', listener: 'mqtt', clientId: 'dev1' };
      const verdict = gate.connect({ ...place, address: '192.0.2.1', evidence });
      gate.disconnected(place, 'clean');
      return reasonOf(verdict);
    },
  };
}

describe.each([
  ['a day', DAY],
  ['a decade', DECADE],
])('a clock that is set wrong by %s', (_name, far) => {
  test('backwards while the authority is away makes nothing look fresher', () => {
    const gate = openWrongGate();
    expect(gate.connect()).toBe('ok');
    gate.pass(4 * MINUTE);
    gate.set(-far);
    expect(gate.connect()).toBe('ok');
    gate.pass(MINUTE);
    expect(gate.connect()).toBe('ok');
    gate.pass(1);
    expect(gate.connect()).toBe('statusUnknown');
    // Set back once more, or right again: it stays as old.
    gate.set(-far);
    expect(gate.connect()).toBe('statusUnknown');
    gate.set(2 * far);
    expect(gate.connect()).toBe('statusUnknown');
  });

  test('backwards keeps nobody out whom the authority still confirms', () => {
    const gate = openWrongGate();
    gate.set(-far);
    gate.pass(10 * MINUTE);
    expect(gate.connect()).toBe('statusUnknown');
    gate.hear(NOW + 10 * MINUTE);
    expect(gate.connect()).toBe('ok');
  });

  test('forwards makes it look old, and is mended by the next word once it is set right', () => {
    const gate = openWrongGate();
    gate.set(far);
    expect(gate.connect()).toBe('statusUnknown');
    gate.hear(NOW);
    expect(gate.connect()).toBe('statusUnknown');
    gate.set(-far);
    expect(gate.connect()).toBe('statusUnknown');
    gate.hear(NOW);
    expect(gate.connect()).toBe('ok');
  });

  test.each([-1, 1])('lets nobody in who was taken back (%i)', (way) => {
    const gate = openWrongGate();
    gate.revoke();
    gate.set(way * far);
    expect(gate.connect()).toBe('revoked');
  });
});

const server = await shareTestServer();
await server.signSnapshots();
const { house } = server;
const { serial } = await house.grant('WRONG-1');
await house.revoker({ by: { kind: 'serial', serial }, act: 'revoke', reason: 'superseded' }, 'operator:test');
const octets = await fetchSnapshot(server);
const issuedAt = house.clock.now();
const { content } = split(octets);
const [, taken = ''] = content.split('\n');
const trust = openTrust({ anchors: [rootOf(server)] });
const position = { epoch: await house.ledger.read.statusEpoch(), sequence: 1 };

function storeWith(...notes: readonly string[]): StatusStore {
  return {
    readSnapshot: () => inPieces(octets),
    readNotes: () => inPieces(Buffer.from(notes.map((note) => `\n${note}\n`).join(''))),
    writeSnapshot: () => {
      throw new Error('nothing is written here');
    },
    note: () => undefined,
  };
}

/** What is known after a start at that time, and how old it is. */
async function start(at: number, ...notes: readonly string[]) {
  const clock = () => at;
  const steady = createSteadyClock(clock, () => 0);
  const back: number[] = [];
  const rules = { trust, at, steady, onClockBack: (seen: number) => void back.push(seen) };
  const stored = await readStored(storeWith(...notes), rules);
  const line = parseLine(JSON.parse(taken), '');
  if (!stored || !('serial' in line)) throw new Error('there is nothing');
  const key = {
    issuerKeyId: Buffer.from(line.issuerKeyId, 'hex'),
    serial: Buffer.from(line.serial, 'hex'),
    keyHash: Buffer.from(line.keyHash, 'hex'),
  };
  return { ageMs: stored.table.ageMs(steady.now()), back, status: stored.table.statusOf(key).status };
}

describe('at a start, what is on disk', () => {
  const heard = (after: number) => confirmNote(position, issuedAt + after, issuedAt + after);

  test('is as old as the clock says where that went on', async () => {
    expect(await start(issuedAt + 10 * MINUTE, heard(5 * MINUTE))).toMatchObject({
      ageMs: 5 * MINUTE,
      back: [],
      status: 'revoked',
    });
    expect((await start(issuedAt + MINUTE)).ageMs).toBe(MINUTE);
  });

  test.each([
    ['a day', DAY],
    ['a decade', DECADE],
  ])(
    'is too old for anybody where the clock stands %s before what was seen, and still denies',
    async (_name, far) => {
      const seen = issuedAt + 6 * 3_600_000;
      const found = await start(seen - far, heard(MINUTE), clockNote(seen));
      expect(found).toEqual({ ageMs: Number.POSITIVE_INFINITY, back: [seen], status: 'revoked' });
    },
  );

  test('is not made fresher by a clock that was set back to within what was heard', async () => {
    // Heard until hour 12; the clock says hour 1.
    const found = await start(issuedAt + 3_600_000, heard(12 * 3_600_000));
    expect(found.ageMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('is as old as the latest time that was seen, where the clock is a little before that', async () => {
    const seen = issuedAt + 10 * MINUTE;
    const found = await start(seen - 4 * MINUTE, heard(MINUTE), clockNote(seen));
    expect(found).toMatchObject({ ageMs: 9 * MINUTE, back: [] });
  });

  test.each([
    ['a day', DAY],
    ['a decade', DECADE],
  ])('is that old where the clock stands %s ahead, and still denies', async (_name, far) => {
    expect(await start(issuedAt + far)).toEqual({ ageMs: far, back: [], status: 'revoked' });
  });

  test('does not hold a clock against anybody that was ahead once and was set right by the authority since', async () => {
    const found = await start(issuedAt + 2 * MINUTE, clockNote(issuedAt + DECADE), heard(MINUTE));
    expect(found).toMatchObject({ ageMs: MINUTE, back: [] });
  });

  test('has what was told behind the snapshot', async () => {
    const change = { ...JSON.parse(taken), authority: 'idevid', sequence: 2, status: 'good' } as const;
    const note = changeNote({ ...position, sequence: 2 }, change);
    expect((await start(issuedAt, note)).status).toBe('good');
  });
});
