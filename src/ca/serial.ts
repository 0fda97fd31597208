import type { RandomBytes } from '../core/random.ts';

const TIME_OCTETS = 6;
const RANDOM_OCTETS = 10;

/**
 * A serial number of 16 octets: 48 bits of time in milliseconds, then 80 random bits (RFC 5280 §4.1.2.2 wants it positive
 * and at most 20 octets; 64 unpredictable bits are the custom). New ones are near each other in the ledger's index,
 * which makes storing them several times faster. The first bit stays 0 for four thousand years.
 */
export function newSerial(now: number, random: RandomBytes): Buffer {
  const serial = Buffer.allocUnsafe(TIME_OCTETS + RANDOM_OCTETS);
  serial.writeUIntBE(now, 0, TIME_OCTETS);
  serial.set(random(RANDOM_OCTETS), TIME_OCTETS);
  return serial;
}

/** The CRL shard of a new certificate: its serial's random bits decide, so that shards fill evenly. */
export function shardOf(serial: Buffer, shards: number): number {
  return serial.readUInt32BE(TIME_OCTETS) % shards;
}
