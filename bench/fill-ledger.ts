import { hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { OWN_NAMESPACE } from '../src/core/identifiers.ts';
import { openLedger } from '../src/store/sqlite/open-ledger.ts';

/**
 * `node fill-ledger.ts LEDGER COUNT [REVOKED SHARDS BATCH]`: puts COUNT devices into a ledger, each with a key and a certificate of
 * the usual size, through the store's own methods; the first REVOKED are revoked, and lists have told it; batches have BATCH
 * devices. What a certificate says is left empty: nothing reads it, and making a million of them takes minutes.
 */
const [, , path = '', count = '0', revoked = '0', shards = '64', batchSize = '10000'] = process.argv;
const ledger = openLedger({
  path,
  record: { path: join(dirname(path), 'ledger.record'), clock: Date.now },
});
const AT_ONCE = 2000;
const TBS_OCTETS = 560;
const SIGNATURE = Buffer.alloc(71, 1);
const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);
const REASONS = ['superseded', 'keyCompromise', 'cessationOfOperation'] as const;
const now = Date.now();
/** Long ago, so that no clock went back and no serial is one that a new certificate can get. */
const reservedAt = now - 1_000_000;

/** As real ones: the time first, so that the index grows at its end. */
function serialOf(at: number): Buffer {
  const serial = Buffer.alloc(16);
  serial.writeUIntBE(reservedAt - Number(count) + at, 0, 6);
  serial.writeUInt32BE(at, 12);
  return serial;
}

for (let from = 0; from < Number(count); from += AT_ONCE) {
  const numbers = Array.from({ length: Math.min(AT_ONCE, Number(count) - from) }, (_, at) => from + at);
  const keyHashes = numbers.map((at) => Buffer.from(hash('sha256', `key ${at}`, 'hex'), 'hex'));
  await ledger.write(async (tx) => {
    const ids = await tx.addDevices(
      numbers.map((at) => ({
        namespace: OWN_NAMESPACE,
        serialNumber: `OLD-${String(at).padStart(8, '0')}`,
        batch: `batch-${Math.floor(at / Number(batchSize))}`,
        state: 'manufactured',
        createdAt: reservedAt,
      })),
    );
    await tx.claimKeys(keyHashes.map((keyHash, at) => ({ keyHash, deviceId: ids[at] ?? 0 })));
    const reserved = await tx.reserve(
      numbers.map((number, at) => ({
        serial: serialOf(number),
        authority: 'idevid',
        deviceId: ids[at] ?? 0,
        profile: 'idevid',
        keyHash: keyHashes[at] ?? Buffer.alloc(32),
        notBefore: reservedAt,
        notAfter: NO_END,
        shard: number % Number(shards),
        tbs: Buffer.alloc(TBS_OCTETS, number % 251),
        vouchedBy: 'token:bench',
        holder: `OLD-${String(number).padStart(8, '0')}`,
        reservedAt,
      })),
    );
    await tx.commit(reserved.map((id) => ({ id, signature: SIGNATURE })));
    await tx.putRevocations(
      reserved.slice(0, Math.max(0, Number(revoked) - from)).map((id, at) => ({
        id,
        serial: serialOf(from + at),
        authority: 'idevid',
        shard: (from + at) % Number(shards),
        notAfter: NO_END,
        reason: REASONS[at % REASONS.length] ?? 'superseded',
        held: false,
        revokedAt: Math.floor((now - (from + at) * 100) / 1000) * 1000,
        discoveredAt: reservedAt,
        decidedAt: reservedAt,
        recordedAt: reservedAt,
        publishedAt: reservedAt,
        by: 'operator:bench',
      })),
    );
    await tx.appendAudit(
      numbers.map((at) => ({
        at: reservedAt,
        actor: 'token:bench',
        action: 'certificate.issue',
        subject: `device:${OWN_NAMESPACE}/OLD-${String(at).padStart(8, '0')}`,
        outcome: 'done',
        facts: { profile: 'idevid', serial: serialOf(at).toString('hex') },
      })),
    );
  });
  // Otherwise the write-ahead log grows to the size of all of it.
  if (from % (50 * AT_ONCE) === 0) ledger.checkpoint();
}
ledger.checkpoint();
ledger.close();
