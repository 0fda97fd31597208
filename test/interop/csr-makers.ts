// Keys and CSRs as other people's programs make them.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { mustRun } from './run-program.ts';

/** A key and a CSR whose subject has the serial number. Gives the CSR, PEM. */
export type CsrMaker = (folder: string, name: string, kind: KeyKind, serialNumber: string) => Promise<string>;

export const KEY_KINDS = ['P-256', 'P-384', 'Ed25519', 'RSA-2048', 'RSA-3072', 'RSA-4096'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

/** What each program calls each kind. */
const OPENSSL: Readonly<Record<KeyKind, readonly string[]>> = {
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  Ed25519: ['-algorithm', 'ED25519'],
  'RSA-2048': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'RSA-3072': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
  'RSA-4096': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'],
};
const CERTTOOL: Readonly<Record<KeyKind, readonly string[]>> = {
  'P-256': ['--key-type', 'ecdsa', '--curve', 'secp256r1'],
  'P-384': ['--key-type', 'ecdsa', '--curve', 'secp384r1'],
  Ed25519: ['--key-type', 'ed25519'],
  'RSA-2048': ['--key-type', 'rsa', '--bits', '2048'],
  'RSA-3072': ['--key-type', 'rsa', '--bits', '3072'],
  'RSA-4096': ['--key-type', 'rsa', '--bits', '4096'],
};
const STRONGSWAN: Readonly<Record<KeyKind, readonly string[]>> = {
  'P-256': ['--type', 'ecdsa', '--size', '256'],
  'P-384': ['--type', 'ecdsa', '--size', '384'],
  Ed25519: ['--type', 'ed25519'],
  'RSA-2048': ['--type', 'rsa', '--size', '2048'],
  'RSA-3072': ['--type', 'rsa', '--size', '3072'],
  'RSA-4096': ['--type', 'rsa', '--size', '4096'],
};

export const opensslCsr: CsrMaker = async (folder, name, kind, serialNumber) => {
  const key = path.join(folder, `${name}.key`);
  await mustRun('openssl', ['genpkey', '-quiet', ...OPENSSL[kind], '-out', key]);
  return mustRun('openssl', [
    'req',
    '-new',
    '-key',
    key,
    '-subj',
    `/O=Elsewhere/serialNumber=${serialNumber}`,
  ]);
};

const certtoolCsr: CsrMaker = async (folder, name, kind, serialNumber) => {
  const key = path.join(folder, `${name}.key`);
  const template = path.join(folder, `${name}.template`);
  writeFileSync(
    template,
    `dn = "serialNumber=${serialNumber},O=Elsewhere"\ndns_name = "asked.lab.example"\n`,
  );
  await mustRun('certtool', ['--generate-privkey', ...CERTTOOL[kind], '--no-text', '--outfile', key]);
  const words = ['--generate-request', '--no-text', '--load-privkey', key, '--template', template];
  return mustRun('certtool', words);
};

const strongswanCsr: CsrMaker = async (folder, name, kind, serialNumber) => {
  const key = path.join(folder, `${name}.key`);
  writeFileSync(key, await mustRun('pki', ['--gen', ...STRONGSWAN[kind], '--outform', 'pem']), {
    mode: 0o600,
  });
  const dn = `O=Elsewhere, serialNumber=${serialNumber}`;
  return mustRun('pki', ['--req', '--in', key, '--type', 'priv', '--dn', dn, '--outform', 'pem']);
};

/** The program that each maker needs, and the maker. */
export const CSR_MAKERS = [
  ['openssl', opensslCsr],
  ['certtool', certtoolCsr],
  ['pki', strongswanCsr],
] as const satisfies readonly (readonly [string, CsrMaker])[];
