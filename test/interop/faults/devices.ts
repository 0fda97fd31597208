// Devices with keys of their own, and what a factory's script sends of them.
import { generateKeyPairSync } from 'node:crypto';
import { createCsr } from '../../../src/x509/create-csr.ts';

export interface Device {
  readonly serialNumber: string;
  /** Base64 of the DER. */
  readonly csr: string;
}

export function makeDevices(prefix: string, count: number): Device[] {
  return Array.from({ length: count }, (_, at) => ({ serialNumber: `${prefix}-${at + 1}`, csr: newCsr() }));
}

export function newCsr(): string {
  return createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).toString('base64');
}

export function toLines(devices: readonly Device[]): string {
  return devices.map((device) => `${JSON.stringify(device)}\n`).join('');
}
