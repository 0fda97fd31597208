import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readSnapshot } from '../../../src/broker-auth/index.ts';
import { StatusTable } from '../../../src/broker-auth/status/status-table.ts';
import { parseLine } from '../../../src/broker-auth/status/wire.ts';
import { toBase64, toHex } from '../../../src/core/bytes.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { createFileSigner } from '../../../src/keys/file-signer.ts';
import { generateKey } from '../../../src/keys/key-algorithm.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { hashKey } from '../../../src/x509/public-key.ts';
import { codeOfAsync, DAY_MS, newKey } from '../../house.ts';
import { shareTestServer, startTestServer } from '../../server/test-server.ts';
import { makeAuthority } from '../../x509/path/make-certificate.ts';
import { fetchSnapshot, inPieces, read, rootOf, seal, split } from './snapshots.ts';

const server = await shareTestServer();
await server.signSnapshots();
const { house } = server;
const names = ['revoked', 'compromised', 'held', 'released', 'good'] as const;
const certificates = new Map<string, Awaited<ReturnType<typeof key>>>();

async function key(name: string) {
  const { serial } = await house.grant(`SNAP-${name}`);
  const record = await house.ledger.read.findBySerial(serial);
  const issuerKeyId = house.authorities.get('idevid')?.keyId;
  if (!record || !issuerKeyId) throw new Error('it was not granted');
  return { issuerKeyId, serial, keyHash: record.keyHash };
}
for (const name of names) certificates.set(name, await key(name));
const keyOf = (name: string) => {
  const found = certificates.get(name);
  if (!found) throw new Error(`there is no ${name}`);
  return found;
};
const act = (name: string, word: 'revoke' | 'hold' | 'release', reason?: 'keyCompromise' | 'superseded') =>
  house.revoker(
    { by: { kind: 'serial', serial: keyOf(name).serial }, act: word, ...(reason && { reason }) },
    'operator:test',
  );
await act('revoked', 'revoke', 'superseded');
await act('compromised', 'revoke', 'keyCompromise');
await act('held', 'hold');
await act('released', 'hold');
await act('released', 'release');
const strange = house.random(32);
await house.revoker(
  { by: { kind: 'key', keyHash: strange }, act: 'revoke', reason: 'keyCompromise' },
  'operator:test',
);
const octets = await fetchSnapshot(server);
const service = house.authorities.get('service');
if (!service) throw new Error('there is no service authority');

test('tells all that is not good, by certificate and by key, and nothing else', async () => {
  const { header, table } = await read(octets, server);
  expect(header).toMatchObject({
    epoch: await house.ledger.read.statusEpoch(),
    sequence: await house.ledger.read.lastStatusChange(),
  });
  expect(Date.parse(header.validUntil) - Date.parse(header.issuedAt)).toBe(3_600_000);
  expect(header.authorities).toContainEqual(
    expect.objectContaining({ name: 'idevid', issuerKeyId: toHex(keyOf('good').issuerKeyId) }),
  );
  expect(table.position).toEqual({ epoch: header.epoch, sequence: header.sequence });
  expect(table.asOf).toBe(Date.parse(header.issuedAt));
  expect(Object.fromEntries(names.map((name) => [name, table.statusOf(keyOf(name))]))).toMatchObject({
    revoked: { status: 'revoked', reason: 'superseded', because: 'certificate' },
    compromised: { status: 'revoked', reason: 'keyCompromise', because: 'certificate' },
    held: { status: 'held', because: 'certificate' },
    released: { status: 'good' },
    good: { status: 'good' },
  });
  // Another certificate for a key that is out, and one for a key that no certificate was for.
  expect(table.statusOf({ ...keyOf('good'), keyHash: keyOf('compromised').keyHash })).toMatchObject({
    status: 'revoked',
    because: 'key',
  });
  expect(table.statusOf({ ...keyOf('good'), keyHash: strange })).toMatchObject({ because: 'key' });
  expect(table.statusOf({ ...keyOf('good'), keyHash: keyOf('revoked').keyHash })).toEqual({ status: 'good' });
  // The same number of another authority is another certificate.
  expect(table.statusOf({ ...keyOf('revoked'), issuerKeyId: service.keyId })).toEqual({ status: 'good' });
});

test.each([1, 7, 1_000_000])('is read in pieces of %i octets', async (size) => {
  const trust = openTrust({ anchors: [rootOf(server)] });
  const { table } = await readSnapshot(inPieces(octets, size), {
    trust,
    at: house.clock.now(),
    steady: createSteadyClock(house.clock.now, house.clock.now),
  });
  expect(table.statusOf(keyOf('held')).status).toBe('held');
});

test('of an authority narrower than the root is believed too', async () => {
  const trust = openTrust({ anchors: [service.certificate.raw] });
  expect((await read(octets, server, { trust })).header.version).toBe(1);
});

describe('is refused', () => {
  const { content, seal: sealLine } = split(octets);
  const refused = (forged: Uint8Array, rules = {}) => codeOfAsync(read(forged, server, rules));

  test('with one octet changed anywhere', async () => {
    for (const at of [10, 120, content.indexOf('"held"') + 2, content.length + 20, octets.length - 50]) {
      const forged = Buffer.from(octets);
      forged[at] = forged[at] === 0x61 ? 0x62 : 0x61;
      expect([at, await refused(forged)]).toEqual([at, 'snapshot-refused']);
    }
  });

  test('with a line left out, doubled, or put elsewhere', async () => {
    const lines = content.trimEnd().split('\n');
    const [header = '', first = '', second = '', ...rest] = lines;
    for (const forged of [
      [header, second, ...rest],
      [header, first, first, second, ...rest],
      [header, second, first, ...rest],
    ])
      expect(await refused(Buffer.from(`${forged.join('\n')}\n${sealLine}`))).toBe('snapshot-refused');
  });

  test('when it is cut short, wherever', async () => {
    for (const length of [
      0,
      10,
      content.indexOf('\n') + 1,
      content.length - 1,
      content.length,
      octets.length - 1,
    ])
      expect([length, await refused(octets.subarray(0, length))]).toEqual([length, 'snapshot-refused']);
  });

  test('when it has ended, and when it is of a time to come', async () => {
    const now = house.clock.now();
    expect(await refused(octets, { at: now + 3_600_000 - 1 })).toBe('accepted');
    expect(await refused(octets, { at: now + 3_600_000 })).toBe('snapshot-refused');
    expect(await refused(octets, { at: now - DAY_MS / 2 })).toBe('snapshot-refused');
  });

  test('when it is older than what is held, and not when it is the same', async () => {
    const { header } = await read(octets, server);
    const held = { epoch: header.epoch, sequence: header.sequence, issuedAt: header.issuedAt };
    expect(await refused(octets, { held })).toBe('accepted');
    expect(await refused(octets, { held: { ...held, sequence: held.sequence + 1 } })).toBe(
      'snapshot-refused',
    );
    const other = { ...held, epoch: randomUUID(), sequence: 1_000_000 };
    expect(await refused(octets, { held: other })).toBe('accepted');
    const later = new Date(Date.parse(held.issuedAt) + 1).toISOString();
    expect(await refused(octets, { held: { ...other, issuedAt: later } })).toBe('snapshot-refused');
  });

  test('under another root', async () => {
    const { der } = makeAuthority({ cn: 'Elsewhere' });
    expect(await refused(octets, { trust: openTrust({ anchors: [der] }) })).toBe('snapshot-refused');
  });

  test('signed by an authority itself, or by who is certified for something else', async () => {
    const chain = [service.certificate.raw];
    expect(await refused(await seal(content, service.signer, chain))).toBe('snapshot-refused');
    const host = newKey();
    const { certificate } = await house.grant('SNAP-forger', { key: host });
    const idevid = house.authorities.get('idevid')?.certificate.raw ?? certificate;
    const signer = createFileSigner(host.privateKey);
    expect(await refused(await seal(content, signer, [certificate, idevid]))).toBe('snapshot-refused');
  });

  test('signed with another key than that of its certificate, and over another text', async () => {
    const signing = server.options.status.snapshot.signerOf('service');
    if (!signing) throw new Error('there is no signer');
    const chain = [signing.certificate, service.certificate.raw];
    expect(await refused(await seal(content, signing.signer, chain))).toBe('accepted');
    expect(await refused(await seal(content, createFileSigner(generateKey('ec-p256')), chain))).toBe(
      'snapshot-refused',
    );
    const plain = (sha256: string) => Buffer.from(sha256);
    expect(await refused(await seal(content, signing.signer, chain, plain))).toBe('snapshot-refused');
    const without = JSON.parse(sealLine);
    without.chain = [toBase64(signing.certificate)];
    expect(await refused(Buffer.from(`${content}${JSON.stringify(without)}\n`))).toBe('snapshot-refused');
  });

  test.each([
    ['what is no JSON', 'x\ny\n'],
    ['a header of another format', '{"format":"other"}\n{}\n'],
    ['a header of a later version', content.replace('"version":1', '"version":2') + sealLine],
    ['a seal alone', sealLine],
  ])('as %s', async (_title, text) => {
    expect(await refused(Buffer.from(text))).toBe('snapshot-refused');
  });
});

describe('a signer that was taken back', () => {
  const begin = async () => {
    const own = await startTestServer();
    await own.signSnapshots();
    const before = await fetchSnapshot(own);
    const signing = own.options.status.snapshot.signerOf('service');
    const above = own.house.authorities.get('service');
    if (!signing || !above) throw new Error('there is no signer');
    const { serial } = parseCertificate(signing.certificate).tbs;
    const order = (act: 'revoke' | 'hold', from: Uint8Array, reason?: 'keyCompromise') =>
      own.house.revoker(
        { by: { kind: 'serial', serial: from }, act, ...(reason && { reason }) },
        'operator:test',
      );
    const sealed = (content: string) =>
      seal(content, signing.signer, [signing.certificate, above.certificate.raw]);
    return { own, before, serial, above, order, sealed };
  };

  test.each([
    ['revoke', 'keyCompromise'],
    ['revoke', undefined],
    ['hold', undefined],
  ] as const)('signs none by its own content: %s for %s', async (act, reason) => {
    const { own, before, serial, order, sealed } = await begin();
    await using _ = own;
    await order(act, serial, reason);
    const forged = await sealed(split(await fetchSnapshot(own)).content);
    expect(await codeOfAsync(read(forged, own))).toBe('snapshot-refused');
    // Others that are taken back are no hindrance.
    expect(await codeOfAsync(read(before, own))).toBe('accepted');
  });

  test('signs none that keeps silent about it, for who knows it', async () => {
    const { own, before, serial, order, sealed } = await begin();
    await using _ = own;
    const unaware = (await read(before, own)).table;
    expect(await codeOfAsync(read(before, own, { known: unaware }))).toBe('accepted');
    await order('revoke', serial, 'keyCompromise');
    const { content } = split(await fetchSnapshot(own));
    const telling = new StatusTable(unaware.position, unaware.asOf);
    for (const line of content.trimEnd().split('\n').slice(1)) telling.load(parseLine(JSON.parse(line), ''));
    const silent = await sealed(split(before).content);
    expect(await codeOfAsync(read(silent, own))).toBe('accepted');
    expect(await codeOfAsync(read(silent, own, { known: telling }))).toBe('snapshot-refused');
  });

  test('signs none when it is the authority above it', async () => {
    const { own, above, order, sealed } = await begin();
    await using _ = own;
    await order('revoke', (await own.house.grant('SNAP-other')).serial);
    const [header, line = '', ...more] = split(await fetchSnapshot(own))
      .content.trimEnd()
      .split('\n');
    const { tbs } = parseCertificate(above.certificate.raw);
    const ids = { serial: toHex(tbs.serial), keyHash: toHex(hashKey(tbs.spki)) };
    const issuerKeyId = toHex(own.house.authorities.get('root')?.keyId ?? new Uint8Array());
    const told = JSON.stringify({ ...JSON.parse(line), ...ids, issuerKeyId });
    const forged = await sealed(`${[header, told, ...more].join('\n')}\n`);
    expect(await codeOfAsync(read(forged, own))).toBe('snapshot-refused');
  });
});

test('a server without a signer says that it has none', async () => {
  await using own = await startTestServer();
  const token = await own.token('gate');
  expect((await own.ask('GET', '/status-snapshot', { token })).json.code).toBe('unavailable');
});
