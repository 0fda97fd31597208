import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createCsr } from '../src/x509/create-csr.ts';
import { type Credential, keyPem, newKey } from './credential.ts';
import { createDevice, type Device } from './device.ts';
import type { DemoHouse } from './house.ts';
import { duration, type Stage } from './stage.ts';

const BATCHES = ['A', 'B', 'C', 'D'] as const;

interface Born {
  readonly serialNumber: string;
  readonly serial: string;
  readonly certificate: string;
}

/** A factory line: CSRs in a file, `birthmark factory enroll`, certificates in a file. */
export async function births(house: DemoHouse, stage: Stage, count: number): Promise<Device[]> {
  stage.act(`A factory line births ${count} devices`);
  const keys = new Map<string, KeyObject>();
  const lines = Array.from({ length: count }, (_, at) => {
    const serialNumber = `SN-${String(at + 1).padStart(4, '0')}`;
    const key = newKey();
    keys.set(serialNumber, key);
    return JSON.stringify({
      serialNumber,
      batch: batchOf(at, count),
      csr: createCsr(key).toString('base64'),
    });
  });
  const token = await house.token('factory', '--profile', 'idevid', '--count', String(count));
  const input = house.write('devices.ndjson', `${lines.join('\n')}\n`);
  const output = `${input}.out`;
  const begun = performance.now();
  await house.command(
    ...['factory', 'enroll', '--url', house.tls, '--ca', house.ca],
    ...['--token-file', house.write('line.token', token), '--in', input, '--out', output],
  );
  const tookMs = performance.now() - begun;
  const born: Born[] = readFileSync(output, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  stage.expect(
    born.length === count && born.every(({ certificate }) => certificate !== undefined),
    `${born.length} IDevIDs in ${duration(tookMs)}, from a file of CSRs to a file of certificates`,
  );
  return born.map(({ serialNumber, serial, certificate }, at) => {
    const key = keys.get(serialNumber);
    if (!key) throw new Error(`there is no key of ${serialNumber}`);
    const idevid: Credential = { serial, cert: certificate, key: keyPem(key) };
    return createDevice({
      name: serialNumber,
      batch: batchOf(at, count),
      idevid,
      place: house.place,
      onFault: (error) => stage.expect(false, `${serialNumber}: ${String(error)}`),
    });
  });
}

function batchOf(at: number, count: number): string {
  return `batch-${BATCHES[Math.floor((at * BATCHES.length) / count)] ?? 'A'}`;
}
