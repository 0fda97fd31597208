import { resolve } from 'node:path';

/** Where things are in a home. */
export interface Home {
  readonly path: string;
  readonly config: string;
  readonly ledger: string;
  readonly socket: string;
  readonly keys: string;
  readonly pki: string;
  key(name: string): string;
  pem(name: string): string;
}

export function homeAt(folder: string): Home {
  const path = resolve(folder);
  return {
    path,
    config: `${path}/birthmark.toml`,
    ledger: `${path}/ledger.db`,
    socket: `${path}/birthmark.sock`,
    keys: `${path}/keys`,
    pki: `${path}/pki`,
    key: (name) => `${path}/keys/${name}.key`,
    pem: (name) => `${path}/pki/${name}.pem`,
  };
}
