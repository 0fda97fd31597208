import type {
  CampaignReads,
  CredentialScan,
  ScannedCredential,
  ScannedCredentials,
} from '../../fleet/campaign/ports.ts';
import type { Connection } from './connection.ts';
import { type CertificatesTable, type DevicesTable, toCertificate, toDevice } from './rows.ts';

/** Certificates looked at without letting others have a turn: some milliseconds. */
const SLICE = 2000;

/** Sorts behind every text that begins with the same prefix. */
const LAST_CHARACTER = '\u{10ffff}';

/** What each thing that a selection can say asks of a row. A key and a lineage are looked up before, see `only`. */
const CONDITIONS: Readonly<Partial<Record<keyof CredentialScan['selection'], string>>> = {
  issuer: 'c.authority = @issuer',
  batch: 'd.batch = @batch',
  model: 'd.model = @model',
  namespace: 'd.namespace = @namespace',
  device: `d.serial_number >= @device AND d.serial_number < @device || '${LAST_CHARACTER}'`,
  issuedFrom: 'c.reserved_at >= @issuedFrom',
  issuedBefore: 'c.reserved_at < @issuedBefore',
  notSeenSince: '(g.id IS NULL OR coalesce(g.last_seen_at, g.seen_at) < @notSeenSince)',
  finding: 'EXISTS (SELECT 1 FROM hygiene_findings f WHERE f.kind = @finding AND f.certificate_id = c.id)',
};

/** By table, as the driver expands them. */
interface ScannedRow {
  readonly certificates: CertificatesTable;
  readonly signatures: { readonly signature: Uint8Array };
  readonly devices: DevicesTable;
  readonly sightings: { readonly seen_at: number | null; readonly last_seen_at: number | null };
}

/** Devices' credentials that a selection means, as far as a row can tell: signed, not ended, not revoked. */
export function credentialScan({ db, call }: Connection): CampaignReads['scanCredentials'] {
  return ({ selection, profiles, now, after, end, only }: CredentialScan) =>
    call((): ScannedCredentials => {
      const through = only ? end : Math.min(end, after + SLICE);
      const said = Object.entries(CONDITIONS).filter(([name]) => Reflect.has(selection, name));
      const rows = db
        .prepare<[object], ScannedRow>(
          `SELECT c.*, s.signature, d.*, g.seen_at, g.last_seen_at FROM certificates c
           JOIN signatures s ON s.id = c.id CROSS JOIN devices d ON d.id = c.device_id
           LEFT JOIN revocations r ON r.id = c.id LEFT JOIN sightings g ON g.id = c.id
           WHERE c.id > @after AND c.id <= @through AND c.not_after > @now AND (r.id IS NULL OR r.held = 1)
             ${only ? 'AND c.id IN (SELECT value FROM json_each(@only))' : ''}
             AND c.profile IN (SELECT value FROM json_each(@profiles))
             ${said.map(([, condition]) => `AND ${condition}`).join(' ')}
           ORDER BY c.id`,
        )
        .expand()
        .all({
          ...Object.fromEntries(said.map(([name]) => [name, Reflect.get(selection, name)])),
          after: only ? 0 : after,
          through,
          now,
          profiles: JSON.stringify(profiles),
          ...(only && { only: JSON.stringify(only) }),
        });
      return { items: rows.map(toScanned), through };
    });
}

function toScanned({ certificates, signatures, devices, sightings }: ScannedRow): ScannedCredential {
  const seenAt = sightings.last_seen_at ?? sightings.seen_at;
  return {
    certificate: toCertificate({ ...certificates, ...signatures }),
    device: toDevice(devices),
    ...(seenAt !== null && { seenAt }),
  };
}
