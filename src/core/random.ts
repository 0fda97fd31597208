/** Returns `size` octets from a cryptographically secure source. */
export type RandomBytes = (size: number) => Uint8Array;
