import { statSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';

/** The key and certificate of a TLS listener, wherever they come from. */
export interface TlsIdentity {
  /** Differs after a file was replaced or written. Throws where one is gone. */
  version(): string;
  /** Reads them anew. Throws where they cannot be used, in the middle of a replacement too. */
  read(): SecureContextOptions;
}

/** One that lies in files. */
export function identityOfFiles(files: readonly string[], read: () => SecureContextOptions): TlsIdentity {
  return {
    version: () => files.map((path) => versionOf(path)).join(),
    read,
  };
}

function versionOf(path: string): string {
  const { mtimeMs, ino, size } = statSync(path);
  return `${mtimeMs}-${ino}-${size}`;
}
