import { spawnSync } from 'node:child_process';
import * as pkijs from 'pkijs';
import { expect, test } from 'vitest';
import { encodeCertsOnly, readCertsOnly } from '../../src/x509/certs-only.ts';
import { parsePemBlocks, toPem } from '../../src/x509/pem.ts';
import { codeOf } from './code-of.ts';
import { sampleCertificate, sampleKey } from './samples.ts';
import { hex, tlv } from './tlv.ts';

const ca = sampleKey('P-256');
const certificates = [
  sampleCertificate('ca', ca, ca),
  sampleCertificate('ldevid', sampleKey('P-256'), ca),
  sampleCertificate('ldevid', sampleKey('RSA-2048'), ca),
];
const sorted = certificates.toSorted(Buffer.compare);

test('is the degenerate SignedData of RFC 5272 §4.1 to the octet', () => {
  const [one] = certificates;
  if (!one) throw new Error('there is no certificate');
  expect(encodeCertsOnly([one])).toEqual(
    tlv(
      0x30,
      hex('06 09 2a864886f70d010702'),
      tlv(
        0xa0,
        tlv(
          0x30,
          hex('02 01 01'),
          hex('31 00'),
          hex('30 0b 06 09 2a864886f70d010701'),
          tlv(0xa0, one),
          hex('31 00'),
        ),
      ),
    ),
  );
});

test('has its certificates in the order of a SET OF, whatever order they came in', () => {
  const all = encodeCertsOnly(certificates);
  expect(encodeCertsOnly(certificates.toReversed())).toEqual(all);
  expect(all.indexOf(Buffer.concat(sorted))).toBeGreaterThan(0);
});

test('openssl pkcs7 prints the certificates that went in', () => {
  const { status, stdout } = spawnSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], {
    input: encodeCertsOnly(certificates),
  });
  expect(status).toBe(0);
  expect(parsePemBlocks(stdout.toString(), ['CERTIFICATE'], 'out')).toEqual(sorted);
});

test('pkijs reads it as SignedData that says nothing else', () => {
  const content = pkijs.ContentInfo.fromBER(encodeCertsOnly(certificates));
  const signedData = new pkijs.SignedData({ schema: content.content });
  expect(signedData.version).toBe(1);
  expect(signedData.digestAlgorithms).toEqual([]);
  expect(signedData.signerInfos).toEqual([]);
  expect(signedData.crls).toBeUndefined();
  expect(signedData.encapContentInfo.eContentType).toBe('1.2.840.113549.1.7.1');
  expect(signedData.encapContentInfo.eContent).toBeUndefined();
  expect(
    signedData.certificates?.map((one) => Buffer.from(one.toSchema().toBER())).toSorted(Buffer.compare),
  ).toEqual(sorted);
});

test('is read again as it was written, and as OpenSSL writes it', () => {
  expect(readCertsOnly(encodeCertsOnly(certificates)).map((der) => Buffer.from(der))).toEqual(sorted);
  const pem = certificates.map((der) => toPem('CERTIFICATE', der)).join('');
  const words = ['-c', 'cat | openssl crl2pkcs7 -nocrl -certfile /dev/stdin -outform DER'];
  const { stdout } = spawnSync('sh', words, { input: pem });
  expect(
    readCertsOnly(stdout)
      .map((der) => Buffer.from(der))
      .toSorted(Buffer.compare),
  ).toEqual(sorted);
});

/** A SignedData with the parts that are given in the place of the usual ones. */
function message({
  type = hex('06 09 2a864886f70d010702'),
  digests = hex('31 00'),
  content = hex('30 0b 06 09 2a864886f70d010701'),
  list = tlv(0xa0, ...sorted),
  signers = hex('31 00'),
  end = hex(''),
} = {}): Buffer {
  return tlv(0x30, type, tlv(0xa0, tlv(0x30, hex('02 01 01'), digests, content, list, signers, end)));
}

test('is read where nothing is beside the certificates, and refused with anything else in it', () => {
  expect(readCertsOnly(message())).toHaveLength(3);
  for (const wrong of [
    message({ type: hex('06 09 2a864886f70d010701') }),
    message({ digests: hex('31 0d 300b0609608648016503040201') }),
    message({ content: hex('30 0f 06 09 2a864886f70d010701 a002 0400') }),
    message({ list: hex('') }),
    message({ list: tlv(0xa0) }),
    message({ list: tlv(0xa0, ...Array.from({ length: 33 }, () => sorted[0] ?? hex(''))) }),
    message({ signers: hex('31 02 3000') }),
    message({ end: hex('05 00') }),
    Buffer.concat([message(), hex('00')]),
  ])
    expect(codeOf(() => readCertsOnly(wrong))).toBe('bad-der');
});
