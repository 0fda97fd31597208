import type { Authorities } from '../../ca/authority.ts';
import type { CertificateFacts } from '../../ca/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import type { FleetTx } from '../ports.ts';

/** What a certificate is worth by what it stands on. */
export type Worth = 'good' | 'held' | 'none';

/**
 * What certificates are worth, their own statuses left out: one whose key is blocked, or under an authority that was taken back, is
 * taken by no door and no broker.
 *
 * @returns by row
 */
export async function findWorth(
  tx: Pick<FleetTx, 'findKeys' | 'findBySerial' | 'findRevocations'>,
  certificates: readonly CertificateFacts[],
  authorities: Authorities,
): Promise<ReadonlyMap<number, Worth>> {
  const keys = await tx.findKeys(certificates.map(({ keyHash }) => keyHash));
  const blocked = new Set(keys.flatMap((key) => (key?.blocked === undefined ? [] : [toHex(key.keyHash)])));
  const issuers = new Map<string, Worth>();
  for (const name of new Set(certificates.map(({ authority }) => authority)))
    issuers.set(name, await worthOfAuthority(tx, authorities, name));
  return new Map(
    certificates.map(({ id, keyHash, authority }) => [
      id,
      blocked.has(toHex(keyHash)) ? 'none' : (issuers.get(authority) ?? 'good'),
    ]),
  );
}

async function worthOfAuthority(
  tx: Pick<FleetTx, 'findBySerial' | 'findRevocations'>,
  authorities: Authorities,
  name: string,
): Promise<Worth> {
  const authority = authorities.get(name);
  if (!authority) return 'good';
  const chain = [authority.certificate, ...authority.intermediates.map((der) => parseCertificate(der))];
  let worth: Worth = 'good';
  for (const { tbs } of chain) {
    const record = await tx.findBySerial(tbs.serial);
    const [revocation] = record ? await tx.findRevocations([record.id]) : [];
    if (revocation && !revocation.held) return 'none';
    if (revocation) worth = 'held';
  }
  return worth;
}
