import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { SIGNATURE_ALGORITHMS } from '../src/x509/algorithms.ts';
import { assembleSigned } from '../src/x509/certificate.ts';
import { constructed, encode, sequence } from '../src/x509/der/encode.ts';
import { TAG } from '../src/x509/der/tags.ts';
import { integer } from '../src/x509/der/values.ts';
import { encodeName } from '../src/x509/name.ts';

const HW_TYPE = '1.3.6.1.4.1.99999.1.1';
const FLUSH_OCTETS = 1024 * 1024;

/** A device's line with a fresh P-256 key; its CSR names the device, as real ones do. */
function makeLine(serialNumber: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })).export({
    type: 'spki',
    format: 'der',
  });
  const subject = encodeName([
    { type: 'O', value: 'ACME' },
    { type: 'serialNumber', value: serialNumber },
  ]);
  const info = encode(sequence(integer(0), subject, spki, constructed(TAG.contextConstructed, [])));
  const csr = assembleSigned(
    info,
    SIGNATURE_ALGORITHMS['ecdsa-sha256'].der,
    sign('sha256', info, privateKey),
  );
  const hwSerialNum = Buffer.from(serialNumber).toString('base64');
  return `${JSON.stringify({ serialNumber, csr: csr.toString('base64'), hwType: HW_TYPE, hwSerialNum })}\n`;
}

/** `node make-lines.ts FILE FIRST COUNT`: writes COUNT device lines with serial numbers from FIRST on. */
const [, , path = '', first = '0', count = '0'] = process.argv;
const file = openSync(path, 'w');
let text = '';
for (let at = 0; at < Number(count); at += 1) {
  text += makeLine(`SN-${String(Number(first) + at).padStart(8, '0')}`);
  if (text.length < FLUSH_OCTETS) continue;
  writeSync(file, text);
  text = '';
}
writeSync(file, text);
closeSync(file);
