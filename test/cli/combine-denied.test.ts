import { describe, expect, test } from 'vitest';
import { certificateDigest, type DeniedSource } from '../../src/broker-auth/denied-entry.ts';
import { StatusTable } from '../../src/broker-auth/index.ts';
import { deniedSource } from '../../src/broker-auth/status/denied-source.ts';
import type { ReadSnapshot } from '../../src/broker-auth/status/read-snapshot.ts';
import { combineDenied } from '../../src/cli/broker-auth/combine-denied.ts';
import { toHex } from '../../src/core/bytes.ts';
import { createSteadyClock } from '../../src/core/steady-clock.ts';
import { keyIdentifier } from '../../src/x509/public-key.ts';
import {
  byUrl,
  DAY,
  flag,
  idp,
  type Listed,
  maker,
  openListed,
  someReasons,
} from '../broker-auth/crl/listed.ts';
import { idOf, makeMaker } from '../broker-auth/lab.ts';
import { NOW, type Party } from '../x509/path/make-certificate.ts';

const AT = new Date(NOW).toISOString();
/** The authority's own CA, which no list is held of; its devices. */
const fed = makeMaker('fed');
const [fedBad, fedGood] = [fed.device('fed1'), fed.device('fed2')];
const [bad, good] = [maker.device('dev1'), maker.device('dev2')];
const keyIdOf = ({ key }: Party) => toHex(keyIdentifier(key.spki));
const LISTED_ID = keyIdOf(maker.issuer);

/** A feed that knows one device of `fed` to be revoked. */
function feedOf(): DeniedSource {
  const steady = createSteadyClock(
    () => NOW,
    () => 0,
  );
  const table = new StatusTable({ epoch: 'e', sequence: 6 }, steady.now());
  const told = { sequence: 7, authority: 'ldevid', status: 'revoked', reason: 'superseded', at: AT } as const;
  table.apply({ ...told, ...idOf(fedBad, fed.issuer) });
  const header: ReadSnapshot['header'] = {
    ...{ format: 'birthmark-status-snapshot', version: 1, epoch: 'e', sequence: 6 },
    ...{ issuedAt: AT, validUntil: AT, endedBefore: AT },
    authorities: [{ name: 'ldevid', issuerKeyId: keyIdOf(fed.issuer), keyHash: 'ab'.repeat(32) }],
  };
  return deniedSource(
    () => ({ table, header }),
    () => NOW,
    steady,
  );
}

/** What both know together; `after` milliseconds have passed since the lists were read. */
function combine({ store, source }: Listed, after = 0): DeniedSource {
  const steady = createSteadyClock(
    () => NOW + after,
    () => after,
  );
  return combineDenied(feedOf(), { lists: store, sources: [source] }, steady);
}

const isAmong = (denied: DeniedSource, device: Party, issuer: Party) => {
  const digest = toHex(certificateDigest(idOf(device, issuer)));
  return [...denied.denied()].some((entry) => entry.kind === 'certificate' && toHex(entry.digest) === digest);
};

describe('a feed with lists beside it', () => {
  test('denies whom either of them took back, and nobody else', async () => {
    const listed = await openListed();
    expect(await listed.give({ number: 1, listed: [{ certificate: bad, reason: 4 }] })).toBe('taken');
    const both = combine(listed);
    for (const [device, issuer, denied] of [
      [bad, maker.issuer, true],
      [fedBad, fed.issuer, true],
      [good, maker.issuer, false],
      [fedGood, fed.issuer, false],
    ] as const) {
      expect(both.isDenied(idOf(device, issuer))).toBe(denied);
      expect(isAmong(both, device, issuer)).toBe(denied);
    }
    expect([...both.denied()]).toHaveLength(2);
    expect(both.position()).toEqual(feedOf().position());
  });

  test('denies who came with a newer delta, and no more whom that takes off', async () => {
    const listed = await openListed();
    await listed.give({ number: 1, listed: [{ certificate: bad, reason: 6 }] });
    expect(isAmong(combine(listed), bad, maker.issuer)).toBe(true);
    const delta = [
      { certificate: bad, reason: 8 },
      { certificate: good, reason: 4 },
    ];
    expect(await listed.give({ number: 2, base: 1, listed: delta })).toBe('taken');
    const both = combine(listed);
    for (const [device, denied] of [
      [bad, false],
      [good, true],
    ] as const) {
      expect(both.isDenied(idOf(device, maker.issuer))).toBe(denied);
      expect(isAmong(both, device, maker.issuer)).toBe(denied);
    }
  });

  test('leaves denied whom only a delta from before the full list takes off', async () => {
    const listed = await openListed();
    await listed.give({ number: 1, listed: [{ certificate: bad, reason: 6 }] });
    await listed.give({ number: 2, base: 1, listed: [{ certificate: bad, reason: 8 }] });
    await listed.give({ number: 3, thisUpdate: NOW, listed: [{ certificate: bad, reason: 4 }] });
    expect(isAmong(combine(listed), bad, maker.issuer)).toBe(true);
  });
});

describe('of a CA enough is known', () => {
  test('where the feed knows it, or a whole list is held of it', async () => {
    const listed = await openListed();
    await listed.give();
    expect(combine(listed).knowsIssuer(LISTED_ID)).toBe(true);
    expect(combine(listed).knowsIssuer(keyIdOf(fed.issuer))).toBe(true);
  });
  test('and not where neither is so', async () => {
    const listed = await openListed();
    expect(combine(listed).knowsIssuer(LISTED_ID)).toBe(false);
    expect(combine(listed).knowsIssuer(keyIdOf(makeMaker('acme').issuer))).toBe(false);
  });
  test('and not by a list that is over', async () => {
    const listed = await openListed();
    await listed.give({ nextUpdate: NOW + DAY });
    expect(combine(listed, DAY - 1000).knowsIssuer(LISTED_ID)).toBe(true);
    expect(combine(listed, DAY + 1000).knowsIssuer(LISTED_ID)).toBe(false);
  });
  test.each([
    ['a shard', idp(byUrl('http://crl.example/1'))],
    ['of CAs only', idp(flag(2))],
    ['of some reasons only', idp(someReasons(1))],
  ])('and not by a list that is %s', async (_name, limit) => {
    const listed = await openListed();
    expect(await listed.give({ extra: [limit] })).toBe('taken');
    expect(combine(listed).knowsIssuer(LISTED_ID)).toBe(false);
  });
});
