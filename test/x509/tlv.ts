/** Octets from hexadecimal with spaces. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** A value with a correct length, made without the project's encoder, so that it can be spoiled afterwards. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length.toString(16);
  const octets = Buffer.from(size.length % 2 === 0 ? size : `0${size}`, 'hex');
  const length = content.length < 0x80 ? octets : Buffer.concat([Buffer.of(0x80 | octets.length), octets]);
  return Buffer.concat([Buffer.of(tag), length, content]);
}

/** The octets with one occurrence of some of them replaced; fails where there is not exactly one. */
export function replaceOnce(octets: Uint8Array, from: Uint8Array, to: Uint8Array): Buffer {
  const buffer = Buffer.from(octets);
  const at = buffer.indexOf(from);
  if (at === -1 || buffer.indexOf(from, at + 1) !== -1) {
    throw new Error(`${Buffer.from(from).toString('hex')} is not there exactly once`);
  }
  return Buffer.concat([buffer.subarray(0, at), to, buffer.subarray(at + from.length)]);
}
