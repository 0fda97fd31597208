import { parseCertificate } from '../x509/certificate.ts';
import type { Authorities } from './authority.ts';
import type { CertificateReads } from './ports.ts';
import type { RevocationReads } from './revocation/ports.ts';

/** Which authorities may issue: one whose own certificate was revoked or is held, or one above it, may not. */
export interface Standing {
  /** As the ledger said at the last look; before the first one everybody may. */
  mayIssue(authority: string): boolean;
  /** Asks the ledger, where any status changed. Throws what the ledger throws. */
  look(): Promise<void>;
}

export interface StandingOptions {
  readonly authorities: Authorities;
  readonly reads: Pick<CertificateReads, 'findBySerial'> &
    Pick<RevocationReads, 'findRevocations' | 'lastStatusChange'>;
  /** Told of each that may not issue any more. */
  readonly onFall: (authority: string) => void;
}

/** Knows who may issue, so that requests need not ask the ledger. Lists and OCSP answers are not concerned: they go on. */
export function createStanding({ authorities, reads, onFall }: StandingOptions): Standing {
  let fallen: ReadonlySet<string> = new Set();
  let seen = 0;
  let revision: number | undefined;
  const isTakenBack = async (serial: Uint8Array): Promise<boolean> => {
    const record = await reads.findBySerial(serial);
    const [revocation] = record ? await reads.findRevocations([record.id]) : [];
    return revocation !== undefined;
  };
  return {
    mayIssue: (authority) => !fallen.has(authority),
    look: async () => {
      const last = await reads.lastStatusChange();
      if (last === seen && authorities.revision === revision) return;
      revision = authorities.revision;
      const now = new Set<string>();
      for (const { name, certificate, intermediates } of authorities.values()) {
        const chain = [certificate, ...intermediates.map((der) => parseCertificate(der))];
        for (const { tbs } of chain) if (await isTakenBack(tbs.serial)) now.add(name);
      }
      for (const name of now) if (!fallen.has(name)) onFall(name);
      fallen = now;
      seen = last;
    },
  };
}
