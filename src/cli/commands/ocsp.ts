import { randomBytes } from 'node:crypto';
import { Command, Option } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { CRL_REASON_NAMES } from '../../x509/crl-reason.ts';
import { type CertIdHash, certIdIssuer } from '../../x509/ocsp-cert-id.ts';
import { encodeCertId, encodeOcspRequest } from '../../x509/ocsp-request.ts';
import { judgeOcspResponse, type ReadSingle, readOcspResponse } from '../../x509/ocsp-response-reader.ts';
import { newCommand, type Shell } from '../command.ts';
import { readBlocks } from '../input-file.ts';

interface QueryOptions {
  readonly issuer: string;
  readonly serial: string;
  readonly url: string;
  readonly hash: CertIdHash;
  readonly nonce: boolean;
  readonly json?: boolean;
}

const NONCE_OCTETS = 32;
const SKEW_MS = 300_000;
const WITHIN_MS = 15_000;

export function ocspCommand(shell: Shell): Command {
  const ocsp = new Command('ocsp').description('ask an OCSP responder');
  ocsp.addCommand(
    newCommand(
      'query',
      'ask for the status of a certificate, and verify the answer (RFC 6960 §3.2)',
      'birthmark ocsp query --issuer idevid.pem --serial 01a2… --url http://pki.example/ocsp',
    )
      .requiredOption('--issuer <file>', 'the certificate of the authority that issued it, PEM')
      .requiredOption('--serial <hex>', 'serial number')
      .requiredOption('--url <url>', 'the responder')
      .addOption(new Option('--hash <name>', 'of the CertID').choices(['sha1', 'sha256']).default('sha256'))
      .option('--no-nonce', 'take an answer that was signed earlier')
      .addHelpText('after', '\nExit codes: 0 good, 1 anything else, 2 wrong usage.')
      .action(async (options: QueryOptions) => {
        const single = await query(options);
        print(shell, single, options.json === true);
        if (single.status.status !== 'good')
          throw new BirthmarkError('certificate-refused', `the certificate is ${single.status.status}`);
      }),
  );
  return ocsp;
}

async function query(options: QueryOptions): Promise<ReadSingle> {
  const [der = new Uint8Array(0)] = readBlocks(options.issuer, 'CERTIFICATE', {
    code: 'bad-certificate',
    option: '--issuer',
  });
  const issuer = parseCertificate(der);
  const { subject: name, spki } = issuer.tbs;
  const certId = encodeCertId(
    certIdIssuer({ name, spki }, options.hash, options.hash === 'sha1' ? 'null' : 'absent'),
    parseSerial(options.serial),
  );
  const nonce = options.nonce ? randomBytes(NONCE_OCTETS) : undefined;
  const response = readOcspResponse(await send(options.url, encodeOcspRequest(certId, nonce)));
  return judgeOcspResponse(response, {
    issuer,
    certId,
    ...(nonce && { nonce }),
    now: systemClock(),
    skewMs: SKEW_MS,
  });
}

function parseSerial(text: string): Buffer {
  const digits = text.replace(/^0x/i, '').replaceAll(':', '');
  if (!/^[0-9a-f]{1,80}$/i.test(digits))
    throw new BirthmarkError('bad-request', '--serial is a serial number in hexadecimal', {
      field: 'serial',
    });
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
}

async function send(url: string, body: Uint8Array): Promise<Buffer> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/ocsp-request' },
      body: Uint8Array.from(body),
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    if (answer.status === 200) return Buffer.from(await answer.arrayBuffer());
    throw new BirthmarkError('unavailable', `${url} answers with HTTP status ${answer.status}`);
  } catch (cause) {
    if (cause instanceof BirthmarkError) throw cause;
    throw new BirthmarkError('unavailable', `${url} cannot be asked`, { cause });
  }
}

function print(shell: Shell, { status, thisUpdate, nextUpdate = 0 }: ReadSingle, json: boolean): void {
  const toTime = (milliseconds: number) => new Date(milliseconds).toISOString();
  const number = status.status === 'revoked' ? status.reason : undefined;
  const reason = number === undefined ? undefined : CRL_REASON_NAMES[number];
  const said = {
    status: status.status,
    ...(status.status === 'revoked' && { revokedAt: toTime(status.revokedAt) }),
    ...(reason !== undefined && { reason }),
    thisUpdate: toTime(thisUpdate),
    nextUpdate: toTime(nextUpdate),
  };
  if (json) shell.out(JSON.stringify(said));
  else for (const [key, value] of Object.entries(said)) shell.out(`${key.padEnd(11)} ${value}`);
}
