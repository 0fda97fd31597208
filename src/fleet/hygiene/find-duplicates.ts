import type { CertificateRecord } from '../../ca/ports.ts';
import { breathe } from '../../core/breathe.ts';
import type { HygieneRoom } from './hygiene.ts';
import type { Finding } from './ports.ts';

const PAGE = 200;

/**
 * Devices that came with one and the same key: the ledger lets only the first have it, and every other attempt is an incident. The
 * certificates of both that stand are findings, since nobody knows which of them made that key.
 */
export async function findDuplicates({ ledger, clock }: HygieneRoom): Promise<void> {
  const { read } = ledger;
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page: Awaited<ReturnType<typeof read.listIncidents>> = await read.listIncidents({
      limit: PAGE,
      ...(cursor !== '' && { cursor }),
    });
    const findings: Finding[] = [];
    const now = clock();
    for (const { kind, subject, facts } of page.items) {
      if (kind !== 'key-in-use') continue;
      const keyHash = Buffer.from(String(facts.keyHash), 'hex');
      const [, namespace = '', serialNumber = ''] = /^device:([^/]+)\/(.+)$/.exec(subject) ?? [];
      const [second] = await read.findDevices([{ namespace, serialNumber }]);
      const add = (certificates: readonly CertificateRecord[], detail: string) => {
        for (const { id, deviceId, notAfter } of certificates)
          if (deviceId !== null && notAfter > now)
            findings.push({ kind: 'duplicate-key', certificateId: id, deviceId, detail, foundAt: now });
      };
      add(await read.findByKey(keyHash), `${subject.slice('device:'.length)} came with the same key`);
      if (second) add(await read.findByDevices([second.id]), 'the device came with the key of another one');
    }
    const revocations = await read.findRevocations(findings.map(({ certificateId }) => certificateId));
    const standing = findings.filter((_, at) => revocations[at] === undefined || revocations[at].held);
    if (standing.length > 0) await ledger.write((tx) => tx.addFindings(standing));
    cursor = page.cursor;
    await breathe();
  }
}
