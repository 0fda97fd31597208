import { hashKey } from '../../src/x509/public-key.ts';
import type { TestHouse } from '../house.ts';

/** Puts an authority's own certificate into the ledger, as `init` does and test houses do not. Gives its serial number. */
export async function recordAuthority(
  { authorities, ledger }: TestHouse,
  name: string,
): Promise<{ readonly serial: Uint8Array }> {
  const authority = authorities.get(name);
  if (!authority) throw new Error(`there is no authority ${name}`);
  const { serial, raw, spki, notBefore, notAfter } = authority.certificate.tbs;
  await ledger.write(async (tx) => {
    const row = { serial, tbs: raw, notBefore: notBefore.at, notAfter: notAfter.at, keyHash: hashKey(spki) };
    const rest = { authority: 'root', deviceId: null, profile: 'ca', shard: 0, vouchedBy: 'operator:test' };
    const [id = 0] = await tx.reserve([{ ...row, ...rest, holder: name, reservedAt: notBefore.at }]);
    await tx.commit([{ id, signature: Buffer.from('signature') }]);
  });
  return { serial };
}
