import { generateKeyPairSync } from 'node:crypto';
import { createCsr } from '../../src/x509/create-csr.ts';

/** Lines for a batch: devices with fresh P-256 keys. Other people's requests are tested elsewhere; these are many. */
export function makeDevices(count: number, prefix = 'SN-'): string {
  let lines = '';
  for (let at = 0; at < count; at += 1) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = createCsr(privateKey).toString('base64');
    lines += `${JSON.stringify({ serialNumber: `${prefix}${String(at).padStart(6, '0')}`, csr })}\n`;
  }
  return lines;
}
