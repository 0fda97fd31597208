// Answers of the OCSP responder, as a stranger asks for them.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { House } from '../interop/house.ts';
import type { Specimen } from './make-fleet.ts';

/** An answer in a file, and what the checker is to expect of it. */
export interface OcspAnswerFile {
  readonly what: string;
  readonly words: readonly string[];
}

const NEVER_ISSUED = '0x123456';
const FORMS = [
  ['with a nonce', []],
  ['without a nonce', ['-no_nonce']],
  ['by SHA-256', ['-sha256', '-no_nonce']],
] as const;

/** Revokes one certificate of each kind and holds another, and asks for all of that in every form. */
export async function askOcsp(house: House, specimens: readonly Specimen[]): Promise<OcspAnswerFile[]> {
  const files: OcspAnswerFile[] = [];
  const ask = async (authority: string, serial: string, expected: readonly string[], what: string) => {
    for (const [form, how] of FORMS) {
      const [question, answer] = [`q${files.length}-${authority}.der`, `a${files.length}-${authority}.der`];
      const asked = ['-issuer', house.pem(authority), '-serial', serial, '-url', `${house.publicUrl}/ocsp`];
      await house.program(
        'openssl',
        'ocsp',
        // The hash counts for the serials behind it.
        ...how,
        ...asked,
        '-noverify',
        '-reqout',
        question,
        '-respout',
        answer,
      );
      const [request, response] = [question, answer].map((file) => path.join(house.folder, file));
      const nonce = how.some((word) => word === '-no_nonce')
        ? ['--no-nonce']
        : [
            '--nonce',
            readFileSync(request ?? '')
              .subarray(-16)
              .toString('hex'),
          ];
      files.push({
        what: `${what} ${form}`,
        words: [
          response ?? '',
          '--issuer',
          house.pem(authority),
          '--serial',
          serial,
          '--request',
          request ?? '',
        ]
          .concat(['--expect-signer', 'delegated', '--expect-id', 'key'])
          .concat(['--certid-hash', form === 'by SHA-256' ? 'sha256' : 'sha1'], nonce, expected),
      });
    }
  };
  for (const kind of ['idevid', 'ldevid'] as const) {
    const [revoked, held, good] = specimens.filter((one) => one.kind === kind);
    for (const [specimen, expected, act] of [
      [revoked, ['--expect', 'revoked', '--reason', '1'], ['revoke', '--reason', 'keyCompromise']],
      [held, ['--expect', 'revoked', '--reason', '6'], ['hold']],
      [good, ['--expect', 'good'], undefined],
    ] as const) {
      if (!specimen) continue;
      const text = await house.program('openssl', 'x509', '-in', specimen.certificate, '-noout', '-serial');
      const serial = text.trim().replace(/^serial=/, '');
      if (act) {
        const [name, ...words] = act;
        await house.must(name, '--serial', serial, ...words);
      }
      await ask(kind, `0x${serial}`, expected, `${specimen.serialNumber} ${act?.[0] ?? 'good'}`);
    }
    await ask(kind, NEVER_ISSUED, ['--expect', 'revoked', '--reason', '6'], `${kind} never issued`);
  }
  return files;
}
