import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { compilePolicy } from '../../../src/broker-auth/adapters/mosquitto/compile-policy.ts';
import { issuedAtOf } from '../../../src/broker-auth/adapters/mosquitto/encode-snapshot.ts';
import { openSigningKey } from '../../../src/broker-auth/adapters/mosquitto/signing-key.ts';
import { SnapshotWriter } from '../../../src/broker-auth/adapters/mosquitto/snapshot-writer.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { keyIdentifier } from '../../../src/x509/public-key.ts';
import { DeniedList } from './denied-list.ts';
import { makeAuthorities, makePolicy } from './party.ts';

describe('the writer of snapshots', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-writer-'));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const authorities = makeAuthorities();
  const stops: (() => Promise<void>)[] = [];
  let count = 0;

  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function open(source: DeniedList, { clock = Date.now, seconds = 300, file = '' } = {}) {
    count += 1;
    const place = file || path.join(mkdtempSync(path.join(folder, `w${count}-`)), 'snapshot');
    const errors: unknown[] = [];
    const policy = compilePolicy(makePolicy(authorities, { maxStatusAgeSeconds: seconds }), 'mqtt');
    const onError = (error: unknown) => errors.push(error);
    const writer = new SnapshotWriter({
      file: place,
      key: privateKey,
      policy: () => policy,
      source,
      clock,
      permanent: [],
      onError,
    });
    stops.push(() => writer.stop());
    await writer.start();
    return { writer, file: place, errors };
  }

  const entry = (octet: number) => ({ kind: 'certificate', digest: Buffer.alloc(16, octet) }) as const;

  test('writes a change within 50 ms or little more, and many into one file', async () => {
    const source = new DeniedList(Date.now());
    const { writer, file } = await open(source);
    const before = statSync(file).ino;
    for (let octet = 1; octet < 100; octet += 1) writer.changed(source.apply(entry(octet), true));
    expect(statSync(file).ino).toBe(before);
    await writer.written();
    const octets = readFileSync(file);
    expect(octets.includes(entry(1).digest)).toBe(true);
    expect(octets.includes(entry(99).digest)).toBe(true);
  });

  test('never says a time before that of a file of a run before', async () => {
    const source = new DeniedList(Date.now());
    const { writer, file } = await open(source, { clock: () => 5_000_000 });
    await writer.stop();
    await open(source, { clock: () => 4_000_000, file });
    expect(issuedAtOf(readFileSync(file), publicKey)).toBe(5_000_000);
  });

  test('believes no time of a file that it did not sign', async () => {
    const source = new DeniedList(Date.now());
    const { writer, file } = await open(source, { clock: () => 5_000_000 });
    await writer.stop();
    const octets = readFileSync(file);
    octets[13] = 0xff;
    writeFileSync(file, octets);
    await open(source, { clock: () => 4_000_000, file });
    expect(issuedAtOf(readFileSync(file), publicKey)).toBe(4_000_000);
  });

  test('renews in time by itself as long as what is known is renewed', async () => {
    const source = new DeniedList(Date.now());
    const { file } = await open(source, { seconds: 1 });
    const before = statSync(file).ino;
    await sleep(400);
    expect(statSync(file).ino).toBe(before);
    source.asOf = Date.now();
    await sleep(600);
    expect(statSync(file).ino).not.toBe(before);
  });

  test('makes the base anew when much has changed, and keeps what it said', async () => {
    const source = new DeniedList(Date.now());
    const { writer, file } = await open(source);
    const bases = () => readdirSync(path.dirname(file)).filter((name) => name.startsWith('denied-'));
    const [first = ''] = bases();
    const changes = Array.from({ length: 9000 }, (_, at) => {
      const digest = Buffer.alloc(16);
      digest.writeUInt32BE(at * 70_001);
      return source.apply({ kind: 'certificate', digest }, true);
    });
    writer.changed(changes.flat());
    const added = () => bases().find((name) => name !== first) ?? '';
    // The new base is there before a snapshot names it.
    const isNamed = () =>
      added() !== '' && readFileSync(file).includes(Buffer.from(added().slice(7, 71), 'hex'));
    for (let tried = 0; !isNamed() && tried < 200; tried += 1) await sleep(20);
    const next = added();
    expect(readFileSync(path.join(path.dirname(file), next))).toHaveLength(8 + 4 + 4 + 9000 * 16);
    expect(readFileSync(file).includes(Buffer.from(next.slice(7, 71), 'hex'))).toBe(true);
    expect(statSync(file).size).toBeLessThan(2000);
  });

  test('says what it could not write, and writes it when it can', async () => {
    const source = new DeniedList(Date.now());
    const { writer, file, errors } = await open(source);
    // Even root cannot make a file where a folder has its name.
    const folderInTheWay = `${file}.new`;
    mkdirSync(folderInTheWay);
    writer.changed(source.apply(entry(7), true));
    await sleep(300);
    expect(errors).toMatchObject([{ code: 'home-unreadable' }]);
    rmSync(folderInTheWay, { recursive: true });
    await writer.written();
    expect(readFileSync(file).includes(entry(7).digest)).toBe(true);
  });

  test.each([
    ['hard', 'transport', false],
    ['soft', 'private-network', true],
  ] as const)(
    'with status = %j and preset %s, names a CA of which nothing is known: %j',
    async (status, preset, named) => {
      const { issuing } = authorities;
      const source = new DeniedList(Date.now());
      const policy = compilePolicy(makePolicy(authorities, { status, preset }), 'mqtt');
      const place = path.join(mkdtempSync(path.join(folder, 'ca-')), 'snapshot');
      const writer = new SnapshotWriter({
        ...{ file: place, key: privateKey, policy: () => policy, source, clock: Date.now, permanent: [] },
        onError: (error) => console.log(error),
      });
      stops.push(() => writer.stop());
      await writer.start();
      expect(readFileSync(place).includes(issuing.key.spki)).toBe(true);
      source.strangers.add(toHex(keyIdentifier(issuing.key.spki)));
      await writer.written();
      expect(readFileSync(place).includes(issuing.key.spki)).toBe(named);
    },
  );

  test('makes its key once, for its own eyes only, and refuses one that others may read', async () => {
    const place = path.join(folder, 'key');
    const key = await openSigningKey(place);
    expect(statSync(place).mode & 0o777).toBe(0o600);
    expect(createPublicKey(await openSigningKey(place)).equals(createPublicKey(key))).toBe(true);
    expect(createPublicKey(readFileSync(`${place}.pub`)).equals(createPublicKey(key))).toBe(true);
    chmodSync(place, 0o644);
    await expect(openSigningKey(place)).rejects.toMatchObject({ code: 'key-file-permissions' });
    chmodSync(place, 0o600);
    writeFileSync(place, 'nonsense');
    await expect(openSigningKey(place)).rejects.toMatchObject({ code: 'key-file-unreadable' });
  });
});
