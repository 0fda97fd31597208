import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Agent, request } from 'node:https';
import { createCsr } from '../src/x509/create-csr.ts';

/** A certificate with its chain, and its key: both PEM. */
export interface Credential {
  /** Of the certificate, hexadecimal. */
  readonly serial: string;
  readonly cert: string;
  readonly key: string;
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Where a device enrolls: the TLS listener, and the root that it trusts (PEM). */
export interface EnrollmentPlace {
  readonly tls: string;
  readonly ca: string;
}

/** Gets an LDevID for a new key by a certificate that the device has: its IDevID, or the LDevID that this one follows. */
export async function enrollWith(by: Credential, { tls, ca }: EnrollmentPlace): Promise<Credential> {
  const key = newKey();
  const agent = new Agent({ ca, cert: by.cert, key: by.key });
  try {
    const answer: { serial: string; certificate: string; chain: string[] } = JSON.parse(
      await post(`${tls}/api/v1/enroll`, agent, JSON.stringify({ csr: createCsr(key).toString('base64') })),
    );
    return {
      serial: answer.serial,
      cert: [answer.certificate, ...answer.chain].join(''),
      key: keyPem(key),
    };
  } finally {
    agent.destroy();
  }
}

function post(url: string, agent: Agent, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${url} was answered with ${response.statusCode}: ${text}`));
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
