import { BirthmarkError } from '../../../core/errors.ts';

/** Puts numbers and texts behind each other as the plugin reads them: big-endian, lengths in front. */
export class OctetWriter {
  readonly #parts: Uint8Array[] = [];

  /** @param width octets, 1 to 8 */
  number(value: number | bigint, width: number): this {
    const number = BigInt(value);
    if (number < 0n || number >= 1n << BigInt(8 * width))
      throw new BirthmarkError('config-invalid', `${value} does not fit into ${width} octets of a snapshot`);
    const octets = Buffer.alloc(8);
    octets.writeBigUInt64BE(number);
    return this.octets(octets.subarray(8 - width));
  }

  octets(octets: Uint8Array): this {
    this.#parts.push(octets);
    return this;
  }

  /** Its length in so many octets, then itself, as UTF-8. */
  text(text: string | Uint8Array, width: number): this {
    const octets = typeof text === 'string' ? Buffer.from(text) : text;
    return this.number(octets.length, width).octets(octets);
  }

  /** How many there are, in so many octets, then each. */
  list<T>(items: readonly T[], width: number, write: (item: T, writer: this) => void): this {
    this.number(items.length, width);
    for (const item of items) write(item, this);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
