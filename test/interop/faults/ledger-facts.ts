// What the ledger of a home says, read beside whoever serves it.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CertificateRecord } from '../../../src/ca/ports.ts';
import type { Home } from '../../../src/cli/home.ts';
import type { StoredAuditRecord } from '../../../src/core/audit.ts';
import { asBuffer } from '../../../src/core/bytes.ts';
import type { LedgerReads, TokenRecord } from '../../../src/enroll/ports.ts';
import { openLedger } from '../../../src/store/sqlite/open-ledger.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';

const PAGE = 1000;

export async function readLedger<T>(home: Home, work: (read: LedgerReads) => Promise<T>): Promise<T> {
  const ledger = openLedger({ path: home.ledger });
  try {
    return await work(ledger.read);
  } finally {
    ledger.close();
  }
}

/** Every signed certificate of a device. */
export function listIssued(read: LedgerReads): Promise<CertificateRecord[]> {
  return listAll((cursor) => read.searchCertificates({ limit: PAGE, ...(cursor && { cursor }) }));
}

export function listAudit(read: LedgerReads): Promise<StoredAuditRecord[]> {
  return listAll((cursor) => read.listAudit({ limit: PAGE, ...(cursor && { cursor }) }));
}

export async function findToken(read: LedgerReads, name: string): Promise<TokenRecord | undefined> {
  const { items } = await read.listTokens({ limit: PAGE });
  return items.find((token) => token.name === name);
}

/** How often each device was issued a certificate, by the audit record. */
export async function countIssued(read: LedgerReads): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { action, outcome, subject } of await listAudit(read)) {
    if (action === 'certificate.issue' && outcome === 'done')
      counts.set(subject, (counts.get(subject) ?? 0) + 1);
  }
  return counts;
}

/** What is wrong with a certificate that left: nothing, if the ledger has it octet for octet and its authority signed it. */
export async function faultOf(read: LedgerReads, home: Home, pem: string): Promise<string | undefined> {
  const certificate = new X509Certificate(pem);
  const { tbs } = readCertificate(certificate.raw);
  const record = await read.findBySerial(tbs.serial);
  if (!record) return `the ledger has no certificate ${certificate.serialNumber}`;
  if (!record.signature) return `certificate ${certificate.serialNumber} left, and is only reserved`;
  if (!asBuffer(record.tbs).equals(tbs.raw))
    return `the ledger has other octets of ${certificate.serialNumber}`;
  if (!certificate.raw.includes(asBuffer(record.signature)))
    return `the ledger has another signature of ${certificate.serialNumber}`;
  const issuer = new X509Certificate(readFileSync(home.pem(record.authority)));
  return certificate.verify(issuer.publicKey)
    ? undefined
    : `the signature of ${certificate.serialNumber} is wrong`;
}

async function listAll<T>(
  page: (cursor: string | undefined) => Promise<{ readonly items: readonly T[]; readonly cursor?: string }>,
): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  do {
    const { items, cursor: next } = await page(cursor);
    all.push(...items);
    cursor = next;
  } while (cursor !== undefined);
  return all;
}
