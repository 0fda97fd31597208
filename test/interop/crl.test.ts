// Our lists in other people's hands: OpenSSL, GnuTLS and pkijs read them, Mosquitto and nginx refuse by them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { Certificate, CertificateRevocationList } from 'pkijs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCrl } from '../../src/x509/crl-reader.ts';
import { opensslCsr } from './csr-makers.ts';
import { freePort } from './free-port.ts';
import { hasProgram, runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse({
  configure: (toml) =>
    toml.replace(/^shards = \d+$/m, 'shards = 1').replace(/^#coalesceSeconds = \d+$/m, 'coalesceSeconds = 0'),
});
const NAMES = ['good', 'stolen', 'lost', 'found'] as const;
/** What became of each, in order, behind the full list that `before.pem` is. */
const TAKEN_BACK = ['stolen', 'lost'];
const verdicts = (ofTaken: string, ofOthers: string) =>
  NAMES.map((name) => (TAKEN_BACK.includes(name) ? ofTaken : ofOthers));
const LISTS = ['before', 'ldevid', 'shard', 'delta', 'root'] as const;
const children: ChildProcess[] = [];

async function fetchList(address: string, name: string): Promise<void> {
  for (const form of ['crl', 'pem'])
    expect(
      (await house().curl(`${house().publicUrl}/crl/${address}.${form}`, '-o', `${name}.${form}`)).status,
    ).toBe(200);
}

/** Waits until the full list tells so many changes. */
async function fullListOf(entries: number, name: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    await fetchList('ldevid', name);
    if (readCrl(readFileSync(path.join(house().folder, `${name}.crl`))).size === entries) return;
    await sleep(200);
  }
  throw new Error(`the full list has not got ${entries} entries`);
}

beforeAll(async () => {
  const serials = new Map<string, string>();
  const at = house();
  for (const name of NAMES) {
    at.write(`${name}.csr`, await opensslCsr(at.folder, name, 'P-256', name));
    const words = ['--profile', 'ldevid', '--serial-number', name, '--csr', `${name}.csr`];
    await at.must('issue', ...words, '--out', `${name}.pem`);
    const text = await at.program('openssl', 'x509', '-in', `${name}.pem`, '-noout', '-serial');
    serials.set(name, text.trim().replace(/^serial=/, ''));
  }
  const act = (word: string, name: string, ...words: string[]) =>
    at.must(word, '--serial', serials.get(name) ?? '', ...words);
  await act('hold', 'found');
  await fullListOf(1, 'before');
  await act('revoke', 'stolen', '--reason', 'keyCompromise', '--invalidity-date', '2026-01-01T00:00:00Z');
  await act('hold', 'lost');
  await act('unhold', 'found');
  await fetchList('ldevid/delta', 'delta');
  await fetchList('ldevid/0', 'shard');
  await fullListOf(2, 'ldevid');
  await fetchList('root', 'root');
  for (const name of ['ldevid', 'shard'])
    at.write(`${name}-and-root.pem`, at.read(`${name}.pem`) + at.read('root.pem'));
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'front.key'];
  await at.program('openssl', 'req', '-x509', ...key, ...names, '-out', 'front.pem');
});
afterAll(() => {
  for (const child of children) child.kill('SIGTERM');
});

describe('openssl verify', () => {
  async function verify(name: string, ...words: string[]): Promise<string> {
    const trust = ['-CAfile', house().pem('root'), '-untrusted', house().pem('ldevid'), `${name}.pem`];
    const { status, out, err } = await runProgram('openssl', ['verify', ...words, ...trust], {
      cwd: house().folder,
    });
    return status === 0 ? 'OK' : (/lookup: (.*)/.exec(out + err)?.[1] ?? out + err);
  }
  const list = (name: string) => ['-CRLfile', `${name}.pem`];

  test.each([
    ['the full list of each authority', ['-crl_check_all', ...list('ldevid'), ...list('root')]],
    ['the shard', ['-crl_check_all', '-extended_crl', ...list('shard'), ...list('root')]],
    [
      'an older full list with the delta',
      [
        '-crl_check_all',
        '-extended_crl',
        '-use_deltas',
        ...list('before'),
        ...list('delta'),
        ...list('root'),
      ],
    ],
  ])('by %s refuses what is revoked or held, takes what is released or good', async (_by, words) => {
    const refused = 'certificate revoked';
    expect(await Promise.all(NAMES.map((name) => verify(name, ...words)))).toEqual(verdicts(refused, 'OK'));
  });

  test('by that older list alone knows nothing of it: the delta told', async () => {
    const words = ['-crl_check', '-extended_crl', ...list('before')];
    expect(await Promise.all(NAMES.map((name) => verify(name, ...words)))).toEqual([
      'OK',
      'OK',
      'OK',
      'certificate revoked',
    ]);
  });
});

test.each(LISTS)('GnuTLS and pkijs verify and read the list %s as we do', async (name) => {
  const [issuer, other] = name === 'root' ? ['root', 'ldevid'] : ['ldevid', 'root'];
  const certtool = (ca: string) =>
    runProgram(
      'certtool',
      ['--verify-crl', '--load-ca-certificate', house().pem(ca), '--infile', `${name}.pem`],
      {
        cwd: house().folder,
      },
    );
  expect((await certtool(issuer)).status).toBe(0);
  expect((await certtool(other)).status).not.toBe(0);
  const der = readFileSync(path.join(house().folder, `${name}.crl`));
  const ours = readCrl(der);
  const theirs = CertificateRevocationList.fromBER(der);
  const authority = async (ca: string) =>
    Certificate.fromBER(
      Buffer.from(
        (await house().program('openssl', 'x509', '-in', house().pem(ca), '-outform', 'PEM')).replace(
          /-----.*-----/g,
          '',
        ),
        'base64',
      ),
    );
  expect(await theirs.verify({ issuerCertificate: await authority(issuer) })).toBe(true);
  expect(await theirs.verify({ issuerCertificate: await authority(other) }).catch(() => false)).toBe(false);
  expect(ours.unusable).toBeUndefined();
  expect(theirs.thisUpdate.value.getTime()).toBe(ours.thisUpdate);
  expect(theirs.nextUpdate?.value.getTime()).toBe(ours.nextUpdate);
  expect(theirs.revokedCertificates?.length ?? 0).toBe(ours.size);
  for (const { userCertificate, revocationDate } of theirs.revokedCertificates ?? []) {
    const entry = ours.find(ours.issuerKey, Buffer.from(userCertificate.valueBlock.valueHexView));
    expect(entry?.revokedAt).toBe(revocationDate.value.getTime());
  }
});

test('`crl show` prints facts and entries, and refuses a list of another authority', async () => {
  const show = (...words: string[]) => house().birthmark('crl', 'show', ...words);
  const { status, out } = await show('--issuer', house().pem('ldevid'), 'delta.pem', '--json');
  const told: { kind: string; entries: { reason: string; invalidityDate?: string }[] } = JSON.parse(out);
  expect([status, told.kind, told.entries.length]).toEqual([0, 'delta', 3]);
  expect(told.entries.map(({ reason }) => reason).sort()).toEqual([
    'certificateHold',
    'keyCompromise',
    'removeFromCRL',
  ]);
  expect(told.entries.find(({ reason }) => reason === 'keyCompromise')?.invalidityDate).toBe(
    '2026-01-01T00:00:00Z',
  );
  const text = (await show('shard.crl')).out;
  expect(text).toMatch(/^scope +http:\/\/pki\.lab\.example\/crl\/ldevid\/0\.crl, end entities only$/m);
  const refused = await show('--issuer', house().pem('idevid'), 'delta.pem');
  expect([refused.status, refused.out]).toEqual([1, '']);
  expect(refused.err).toContain('[certificate-refused]');
  expect((await show('good.pem')).err).toContain('[bad-pem]');
});

/** A broker or a web server that loads a list, and who is let in. */
const SERVERS = [
  {
    name: 'mosquitto',
    config: (port: number, crl: string) => `
user root
listener ${port} 127.0.0.1
cafile ${house().folder}/cas.pem
certfile ${house().folder}/front.pem
keyfile ${house().folder}/front.key
crlfile ${house().folder}/${crl}
require_certificate true
allow_anonymous true
`,
    words: (file: string) => ['-c', file],
    /** MQTT 3.1.1 CONNECT with the client identifier "a"; answered by CONNACK 0. */
    question: Buffer.from('100d00044d5154540402003c000161', 'hex'),
    isLetIn: (answer: Buffer) => answer.toString('hex').startsWith('20020000'),
  },
  {
    name: 'nginx',
    config: (port: number, crl: string) => `
daemon off; worker_processes 1; pid ${house().folder}/nginx.pid; error_log stderr crit; user root;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${house().folder}/b; proxy_temp_path ${house().folder}/p; fastcgi_temp_path ${house().folder}/f;
  uwsgi_temp_path ${house().folder}/u; scgi_temp_path ${house().folder}/s;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${house().folder}/front.pem; ssl_certificate_key ${house().folder}/front.key;
    ssl_client_certificate ${house().folder}/cas.pem; ssl_verify_client on; ssl_verify_depth 3;
    ssl_crl ${house().folder}/${crl};
    location / { return 204; }
  }
}
`,
    words: (file: string) => ['-p', house().folder, '-c', file],
    question: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
    isLetIn: (answer: Buffer) => answer.toString('latin1').startsWith('HTTP/1.1 204 '),
  },
] as const;

describe.each(SERVERS)('$name', ({ name, config, words, question, isLetIn }) => {
  const program = `/usr/sbin/${name}`;

  test.runIf(hasProgram(program)).each(['ldevid', 'shard'])(
    'with the list %s as PEM refuses what is revoked or held and lets in the others',
    async (list) => {
      const port = await freePort();
      const at = house();
      at.write('cas.pem', readFileSync(at.pem('ldevid'), 'utf8') + readFileSync(at.pem('root'), 'utf8'));
      const file = at.write(`${name}-${list}.conf`, config(port, `${list}-and-root.pem`));
      const child = spawn(program, words(file), { stdio: 'ignore' });
      children.push(child);
      const ended = once(child, 'exit');
      for (let tries = 0; tries < 200 && !(await accepts(port)); tries += 1) await sleep(25);
      const told: string[] = [];
      for (const one of NAMES) {
        const identity = {
          cert: at.read(`${one}.pem`),
          key: at.read(`${one}.key`),
          ca: at.read('front.pem'),
        };
        told.push(isLetIn(await askOverTls(port, identity, question)) ? 'let in' : 'refused');
      }
      child.kill('SIGTERM');
      await ended;
      expect(told).toEqual(verdicts('refused', 'let in'));
    },
  );
});

/** What a server answers before it closes, or within a second. */
function askOverTls(port: number, identity: ConnectionOptions, question: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const answer: Buffer[] = [];
    const socket = connectTls({ host: '127.0.0.1', port, ...identity });
    const end = () => {
      socket.destroy();
      resolve(Buffer.concat(answer));
    };
    socket.once('secureConnect', () => socket.write(question));
    socket.on('data', (piece) => {
      answer.push(piece);
      end();
    });
    socket.once('error', end);
    socket.once('close', end);
    socket.setTimeout(5000, end);
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
