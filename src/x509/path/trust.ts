import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { PathCertificate } from './path-certificate.ts';

export interface TrustInput {
  /** DER. The name and key of each are believed; what else their certificates say is held against them. */
  readonly anchors: readonly Uint8Array[];
  /** DER. Known and not believed: their signatures are checked once and remembered. */
  readonly intermediates?: readonly Uint8Array[];
}

/** A certificate that could be an issuer. */
export interface Candidate {
  readonly certificate: PathCertificate;
  readonly anchor: boolean;
}

/** Anchors and intermediates, read and indexed once, for any number of `validatePath`. */
export interface Trust {
  /** Those whose subject is the issuer of the certificate; anchors first. */
  readonly issuersOf: (certificate: PathCertificate) => readonly Candidate[];
  /** Those whose subject has this `nameKey`. */
  readonly named: (subjectKey: string) => readonly Candidate[];
  /** Whether the octets are the subject of a known certificate, and so a Name that was read before. */
  readonly knowsName: (octets: Uint8Array) => boolean;
  /** The known certificate with these octets: one that a peer sends along is not read again. */
  readonly known: (der: Uint8Array) => PathCertificate | undefined;
  /** What was given and cannot be read, which is trusted for nothing; the caller tells people. */
  readonly unreadable: readonly { readonly der: Uint8Array; readonly error: BirthmarkError }[];
}

const NONE: readonly Candidate[] = [];

/** Reads anchors and intermediates. A certificate that is in both lists is an anchor. */
export function openTrust({ anchors, intermediates = [] }: TrustInput): Trust {
  const bySubject = new Map<string, Candidate[]>();
  const byOctets = new Map<string, PathCertificate>();
  // The issuer of nearly every leaf is written like the subject of its CA, which saves comparing names.
  const bySubjectOctets = new Map<string, string>();
  const unreadable: { der: Uint8Array; error: BirthmarkError }[] = [];
  const add = (der: Uint8Array, anchor: boolean) => {
    const octets = latin1(der);
    if (byOctets.has(octets)) return;
    try {
      // A copy: what the caller does with its octets afterwards is not to change what is trusted.
      const certificate = new PathCertificate(Uint8Array.from(der));
      const { subjectKey } = certificate;
      byOctets.set(octets, certificate);
      bySubjectOctets.set(latin1(certificate.tbs.subject), subjectKey);
      const before = bySubject.get(subjectKey);
      if (before) before.push({ certificate, anchor });
      else bySubject.set(subjectKey, [{ certificate, anchor }]);
    } catch (error) {
      if (!(error instanceof BirthmarkError)) throw error;
      unreadable.push({ der, error });
    }
  };
  for (const der of anchors) add(der, true);
  for (const der of intermediates) add(der, false);
  const named = (subjectKey: string) => bySubject.get(subjectKey) ?? NONE;
  return {
    issuersOf: (certificate) => named(bySubjectOctets.get(certificate.issuerOctets) ?? certificate.issuerKey),
    named,
    knowsName: (octets) => bySubjectOctets.has(latin1(octets)),
    known: (der) => byOctets.get(latin1(der)),
    unreadable,
  };
}

function latin1(octets: Uint8Array): string {
  return asBuffer(octets).toString('latin1');
}
