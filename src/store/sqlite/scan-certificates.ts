import type { CertificateFacts, CertificateReads } from '../../ca/ports.ts';
import type { Connection } from './connection.ts';
import { FACTS } from './rows.ts';

/** Certificates looked at without letting others have a turn: some milliseconds. */
const SLICE = 2000;

interface SliceRow {
  readonly after: number;
  readonly through: number;
  readonly limit: number;
  readonly wanted: string;
}

/** Goes through the certificates in slices; there is no index for what people ask for this way, since that is rare. */
export function certificateScan({ db, call, pause }: Connection): CertificateReads['scanCertificates'] {
  const newest = db.prepare<[], number | null>('SELECT max(id) FROM certificates').pluck();
  const slice = (join: string, where: string) =>
    db.prepare<[SliceRow], CertificateFacts>(
      `SELECT ${FACTS} FROM certificates c ${join}
       WHERE c.id > @after AND c.id <= @through AND ${where} = @wanted ORDER BY c.id LIMIT @limit`,
    );
  const byAuthority = slice('', 'c.authority');
  const byBatch = slice('CROSS JOIN devices d ON d.id = c.device_id', 'd.batch');

  return async ({ of, after, limit }) => {
    const [statement, wanted] = 'batch' in of ? [byBatch, of.batch] : [byAuthority, of.authority];
    const found: CertificateFacts[] = [];
    const end = await call(() => newest.get() ?? 0);
    for (let from = after; from < end; ) {
      const through = Math.min(end, from + SLICE);
      const at = from;
      found.push(
        ...(await call(() => statement.all({ after: at, through, wanted, limit: limit - found.length }))),
      );
      if (found.length === limit) return { items: found, through: found.at(-1)?.id ?? through };
      from = through;
      await pause();
    }
    return { items: found };
  };
}
