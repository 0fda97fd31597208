import { integerFromBytes } from '../../ca/key-policy/big-integer.ts';
import { breathe } from '../../core/breathe.ts';
import type { HygieneRoom } from './hygiene.ts';
import { keyOf } from './judge-device.ts';
import type { Finding, HygieneScan } from './ports.ts';
import { findSharedPrimes } from './shared-primes.ts';

/** RSA moduli that are compared with each other. Of 2048 bits they take 2 MB, and the comparison a quarter of a minute. */
const MOST_MODULI = 8192;

/**
 * Looks for RSA keys that share a prime, among those that stand, within a bound.
 *
 * @returns what was done, for the report
 */
export async function judgePrimes({ rsaKeys }: HygieneScan, room: HygieneRoom): Promise<string> {
  const { ledger, clock, profiles } = room;
  if (rsaKeys === 0) return 'there are no RSA keys';
  const moduli: bigint[] = [];
  const places: { readonly certificateId: number; readonly deviceId: number }[] = [];
  const known = new Set<string>();
  const end = await ledger.read.newestCertificate();
  let isWhole = true;
  for (let after = 0; after < end && isWhole; ) {
    const { items, through } = await ledger.read.scanCredentials({
      selection: {},
      profiles: [...profiles.keys()],
      now: clock(),
      after,
      end,
    });
    for (const { certificate, device } of items) {
      const key = keyOf(certificate);
      const keyHash = Buffer.from(certificate.keyHash).toString('hex');
      // A key that is renewed is one key.
      if (key?.kind !== 'rsa' || known.has(keyHash)) continue;
      isWhole = moduli.length < MOST_MODULI;
      if (!isWhole) break;
      known.add(keyHash);
      moduli.push(integerFromBytes(key.modulus));
      places.push({ certificateId: certificate.id, deviceId: device.id });
    }
    after = through;
    await breathe();
  }
  const foundAt = clock();
  const findings = (await findSharedPrimes(moduli)).flatMap((at): Finding[] => {
    const place = places[at];
    const detail =
      'its RSA modulus shares a prime with that of another device: whoever has both has both keys';
    return place ? [{ kind: 'shared-prime', ...place, detail, foundAt }] : [];
  });
  await ledger.write((tx) => tx.addFindings(findings));
  return isWhole
    ? `all ${moduli.length} RSA moduli were compared with each other`
    : `only the first ${moduli.length} RSA moduli were compared with each other, which is the bound of this version`;
}
