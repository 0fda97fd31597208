// A CA that OpenSSL keeps: certificates, lists of any kind, and its own responder.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { mustRun } from '../run-program.ts';

export interface OpensslCa {
  readonly folder: string;
  /** Path of its certificate, PEM. */
  readonly certificate: string;
  /** A device; gives its certificate as brokers hand it on, base64 of the DER. */
  device(name: string, serialNumber: string, point?: string): Promise<string>;
  revoke(name: string, reason: string): Promise<void>;
  /**
   * Makes a list; gives its path, PEM.
   *
   * @param extensions lines of a section of extensions, beside cRLNumber and authorityKeyIdentifier
   */
  list(name: string, options?: ListOptions): Promise<string>;
  /** `openssl ocsp`; gives its URL. */
  respond(): Promise<string>;
  stop(): void;
}

export interface ListOptions {
  readonly extensions?: readonly string[];
  /** crlNumber goes on from here. */
  readonly number?: number;
  readonly hours?: number;
  /** Without any entry, though some are revoked. */
  readonly database?: string;
}

export async function createOpensslCa(under: string, name: string): Promise<OpensslCa> {
  const folder = path.join(under, name);
  mkdirSync(folder);
  const at = (file: string) => path.join(folder, file);
  const openssl = (...words: readonly string[]) => mustRun('openssl', words, { cwd: folder });
  const children: ChildProcess[] = [];
  writeFileSync(at('index.txt'), '');
  writeFileSync(at('empty.txt'), '');
  writeFileSync(at('serial'), '1000\n');
  writeFileSync(at('crlnumber'), '01\n');
  const config = (sections: string, database = 'index.txt') => `
[ca]
default_ca = it
[it]
database = ${database}
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
default_crl_hours = 24
unique_subject = no
policy = any
copy_extensions = none
[any]
commonName = optional
serialNumber = optional
${sections}`;
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    ...[
      'req',
      '-x509',
      ...made,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '365',
      '-subj',
      `/CN=${name}`,
    ],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-addext', 'basicConstraints=critical,CA:TRUE'],
  );

  return {
    folder,
    certificate: at('ca.pem'),
    async device(device, serialNumber, point) {
      const subject = `/serialNumber=${serialNumber}`;
      await openssl(
        'req',
        ...made,
        '-new',
        '-keyout',
        `${device}.key`,
        '-out',
        `${device}.csr`,
        '-subj',
        subject,
      );
      const places = point === undefined ? '' : `crlDistributionPoints = URI:${point}`;
      const device_ = `[device]\nkeyUsage = critical,digitalSignature\nextendedKeyUsage = clientAuth\nauthorityKeyIdentifier = keyid\n${places}\n`;
      writeFileSync(at('device.cnf'), config(device_));
      const files = ['-in', `${device}.csr`, '-out', `${device}.pem`, '-notext', '-batch'];
      await openssl('ca', '-config', 'device.cnf', '-extensions', 'device', ...files);
      const [, text = ''] =
        /-----BEGIN CERTIFICATE-----([^-]+)/.exec(readFileSync(at(`${device}.pem`), 'utf8')) ?? [];
      return text.replace(/\s/g, '');
    },
    async revoke(device, reason) {
      writeFileSync(at('revoke.cnf'), config(''));
      await openssl('ca', '-config', 'revoke.cnf', '-revoke', `${device}.pem`, '-crl_reason', reason);
    },
    async list(list, { extensions = [], number, hours = 24, database } = {}) {
      if (number !== undefined) writeFileSync(at('crlnumber'), `${number.toString(16).padStart(2, '0')}\n`);
      const lines = ['authorityKeyIdentifier = keyid', ...extensions];
      writeFileSync(at('list.cnf'), config(`[list]\n${lines.join('\n')}\n`, database));
      const words = ['-config', 'list.cnf', '-gencrl', '-crlexts', 'list', '-crlhours', String(hours)];
      await openssl('ca', ...words, '-out', `${list}.pem`);
      return at(`${list}.pem`);
    },
    async respond() {
      const port = await freePort();
      const files = ['-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', 'ca.pem', '-rkey', 'ca.key'];
      const words = ['ocsp', ...files, '-port', String(port), '-nmin', '10', '-resp_no_certs', '-ignore_err'];
      const child = spawn('openssl', words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
      children.push(child);
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (part: Buffer) => {
          said += part.toString();
        });
      // A connection that only looks whether it listens would hold up its one process.
      for (let tried = 0; !said.includes('waiting for OCSP client'); tried += 1) {
        if (tried > 200) throw new Error(`openssl ocsp does not listen: ${said}`);
        await sleep(50);
      }
      return `http://127.0.0.1:${port}`;
    },
    stop() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
