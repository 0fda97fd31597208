import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FULL } from '../../src/ca/crl/scope.ts';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { nameKey } from '../../src/x509/compare-names.ts';
import { readCrl } from '../../src/x509/crl-reader.ts';
import { CRL_REASON } from '../../src/x509/crl-reason.ts';
import { openTestHouse } from '../house.ts';

const SEED = 4;
const SHARDS = 4;
const acts = fc.array(
  fc.record({
    act: fc.constantFrom('issue', 'revoke', 'hold', 'release'),
    which: fc.nat(7),
    reason: fc.constantFrom('superseded', 'keyCompromise', 'privilegeWithdrawn', undefined),
  }),
  { minLength: 5, maxLength: 25 },
);

test('whatever is done, the shards together, the full list and the ledger say the same', async () => {
  const property = fc.asyncProperty(acts, async (steps) => {
    using house = await openTestHouse({ shards: SHARDS });
    const { ledger, crls, clock, revoker } = house;
    await publishDueCrls(crls, clock.now());
    const issued = [(await house.grant('SN-0')).serial];
    for (const { act, which, reason } of steps) {
      clock.pass(1500);
      if (act === 'issue') {
        issued.push((await house.grant(`SN-${issued.length}`)).serial);
        continue;
      }
      const by = { kind: 'serial', serial: issued[which % issued.length] ?? Buffer.of(0) } as const;
      const why = act === 'revoke' && reason ? { reason } : {};
      await revoker({ act, by, ...why }, 'operator:test').catch((error: unknown) => {
        if (!(error instanceof BirthmarkError && error.code === 'certificate-revoked')) throw error;
      });
    }
    clock.pass(crls.policy.coalesceMs);
    await publishDueCrls(crls, clock.now());
    const issuer = house.authorities.get('idevid')?.certificate.tbs.subject ?? Buffer.of();
    const read = async (scope: string) => {
      const crl = await ledger.read.findCrl('idevid', scope);
      return readCrl(crl?.crl ?? Buffer.of());
    };
    const full = await read(FULL);
    const shards = await Promise.all(Array.from({ length: SHARDS }, (_, at) => read(String(at))));
    const statuses = await ledger.read.findStatuses('idevid', issued);
    for (const [at, serial] of issued.entries()) {
      const status = statuses[at];
      const record = status?.status === 'revoked' ? status.revocation : undefined;
      const reason = record?.held ? 'certificateHold' : record?.reason;
      const told = record && { revokedAt: record.revokedAt, reason: reason ? CRL_REASON[reason] : 0 };
      expect(full.find(nameKey(issuer), serial)).toEqual(told);
      const found = shards.flatMap((shard) => shard.find(nameKey(issuer), serial) ?? []);
      expect(found).toEqual(told ? [told] : []);
    }
    expect(shards.reduce((sum, { size }) => sum + size, 0)).toBe(full.size);
  });
  await fc.assert(property, { numRuns: 15, seed: SEED });
});
