// Other people's EST clients on one house: curl, openssl s_client, strongSwan's pki.
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { type House, lastLine } from './house.ts';
import { type Done, mustRun, runProgram } from './run-program.ts';

/** `STATUS`, or `STATUS CODE` of a refusal. */
export type Verdict = string;

export type TlsVersion = '1.2' | '1.3';

export interface EstClients {
  /** Makes a key and a CSR with OpenSSL: NAME.key, NAME.csr (PEM) and NAME.b64. */
  request(name: string, subject: string): Promise<void>;
  /** The same with strongSwan: NAME.key and NAME.csr. */
  swanRequest(name: string, dn: string): Promise<void>;
  ticket(serialNumber: string): Promise<string>;
  /** An IDevID of ours with its chain: NAME.key, NAME.pem. */
  idevid(name: string, serialNumber: string): Promise<void>;
  /** Asks with NAME.b64 by curl; what is granted is NAME.pem. */
  curl(name: string, operation: string, ...words: readonly string[]): Promise<Verdict>;
  /** The same by `openssl s_client`. */
  sClient(name: string, operation: string, tls: TlsVersion, ...words: readonly string[]): Promise<Verdict>;
  /** Asks with NAME.csr by `pki --est`; what is granted is NAME.pem. */
  swan(name: string, tls: TlsVersion, ...words: readonly string[]): Promise<Done>;
  /** Runs strongSwan's `pki` with a highest version of TLS. */
  pki(tls: TlsVersion, ...words: readonly string[]): Promise<Done>;
  /** Subject and serial number of NAME.pem, for which OpenSSL finds a path from the root. */
  read(name: string): Promise<{ readonly subject: string; readonly serial: string }>;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const CERT_FILE = /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/;

/** The subject of a certificate in its order, as OpenSSL and strongSwan take it. */
export function subjectFor(house: House, name: string): { readonly openssl: string; readonly swan: string } {
  const parts = new X509Certificate(house.read(`${name}.pem`)).subject.split('\n');
  return { openssl: `/${parts.join('/')}`, swan: parts.join(', ') };
}

export function estClients(house: House): EstClients {
  const { folder, tlsUrl } = house;
  const openssl = (...words: readonly string[]) => house.program('openssl', ...words);
  const { port } = new URL(tlsUrl);
  /** Keeps the one certificate of an answer. */
  const keep = async (name: string, base64: string) => {
    const der = path.join(folder, `${name}.p7`);
    house.write(`${name}.p7`, Buffer.from(base64, 'base64'));
    const pem = await openssl('pkcs7', '-inform', 'DER', '-in', der, '-print_certs');
    if (pem.split('BEGIN CERTIFICATE').length !== 2) throw new Error(`not one certificate: ${pem}`);
    house.write(`${name}.pem`, pem);
  };
  const verdict = async (name: string, status: number, body: string): Promise<Verdict> => {
    if (status !== 200) return `${status} ${body.split(':')[0]}`;
    await keep(name, body);
    return '200';
  };
  const pki = (tls: TlsVersion, words: readonly string[]) => {
    const conf = house.write(`strongswan-${tls}.conf`, `pki { tls { version_max = ${tls} } }\n`);
    return runProgram('pki', words, { cwd: folder, env: { ...process.env, STRONGSWAN_CONF: conf } });
  };
  return {
    request: async (name, subject) => {
      const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
      await openssl('req', '-new', ...NEW_KEY, ...files, '-subj', subject);
      house.write(`${name}.b64`, house.read(`${name}.csr`).replace(/-----[^-]+-----\n/g, ''));
    },
    swanRequest: async (name, dn) => {
      const gen = ['--gen', '--type', 'ecdsa', '--size', '256', '--outform', 'pem'];
      house.write(`${name}.key`, await mustRun('pki', gen, { cwd: folder }));
      const req = ['--req', '--in', `${name}.key`, '--type', 'priv', '--dn', dn, '--outform', 'pem'];
      house.write(`${name}.csr`, await mustRun('pki', req, { cwd: folder }));
    },
    ticket: async (serialNumber) =>
      lastLine(await house.must('ticket', 'create', '--serial-number', serialNumber)),
    idevid: async (name, serialNumber) => {
      const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
      await openssl('req', '-new', ...NEW_KEY, ...files, '-subj', '/');
      const words = ['--csr', `${name}.csr`, '--out', `${name}.pem`, '--chain', '--profile', 'idevid'];
      await house.must('issue', ...words, '--serial-number', serialNumber);
    },
    curl: async (name, operation, ...words) => {
      const body = ['-H', 'Content-Type: application/pkcs10', '--data-binary', `@${name}.b64`];
      const answer = await house.curl(`/.well-known/est/${operation}`, ...body, ...words);
      return verdict(name, answer.status, answer.body);
    },
    sClient: async (name, operation, tls, ...words) => {
      const body = house.read(`${name}.b64`);
      const head = [
        `POST /.well-known/est/${operation} HTTP/1.1`,
        `Host: localhost:${port}`,
        'Connection: close',
        'Content-Type: application/pkcs10',
        `Content-Length: ${body.length}`,
      ];
      const at = ['-connect', `localhost:${port}`, '-CAfile', house.pem('root'), '-verify_return_error'];
      const version = `-tls1_${tls.at(-1)}`;
      const { out, err } = await runProgram('openssl', ['s_client', ...at, '-quiet', version, ...words], {
        cwd: folder,
        input: `${head.join('\r\n')}\r\n\r\n${body}`,
      });
      const [top = '', ...rest] = out.split('\r\n\r\n');
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(top)?.[1]);
      if (!status) throw new Error(`s_client got nothing: ${out} ${err}`);
      return verdict(name, status, rest.join('\r\n\r\n'));
    },
    swan: async (name, tls, ...words) => {
      const trust = ['--cacert', house.pem('root'), '--cacert', house.pem('ldevid')];
      const at = ['--est', '--url', `https://localhost:${port}`, '--in', `${name}.csr`, ...trust];
      const done = await pki(tls, [...at, ...words, '--outform', 'pem']);
      const certificate = CERT_FILE.exec(done.out)?.[0];
      if (done.status === 0 && certificate) house.write(`${name}.pem`, `${certificate}\n`);
      return done;
    },
    pki: (tls, ...words) => pki(tls, words),
    read: async (name) => {
      const chain = ['-CAfile', house.pem('root'), '-untrusted', house.pem('ldevid')];
      await openssl('verify', '-x509_strict', '-purpose', 'sslclient', ...chain, `${name}.pem`);
      const { subject, serialNumber } = new X509Certificate(house.read(`${name}.pem`));
      return { subject: subject.split('\n').join(', '), serial: serialNumber };
    },
  };
}
