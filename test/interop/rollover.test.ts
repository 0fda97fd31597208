// Authorities that are rolled over while they serve, with a tenth of the devices off.
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { until } from './broker-auth/gate.ts';
import { type EstClients, estClients, subjectFor } from './est-clients.ts';
import type { House } from './house.ts';
import { hasProgram, runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

/** After so long every process knows of it (docs/authorities.md). */
const KNOWN_AFTER_MS = 1000;
const SERVE = ['--workers', '2', '--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0'];

/** Publishes with the leaf alone: who is above it the broker must know. Empty where all is well. */
async function publish(house: House, name: string, device: string, root = 'root'): Promise<string> {
  const { port } = new URL(JSON.parse(house.read('ready.json')).mqtt);
  const tls = ['--cafile', house.pem(root), '--cert', `${name}.pem`, '--key', `${name}.key`];
  const words = [
    '-h',
    '127.0.0.1',
    '-p',
    port,
    ...tls,
    '-i',
    device,
    '-t',
    `devices/${device}/up`,
    '-m',
    'x',
  ];
  const { status, err } = await runProgram('mosquitto_pub', [...words, '-q', '1'], { cwd: house.folder });
  return status === 0 ? '' : err;
}

const issuerOf = (house: House, name: string) =>
  new X509Certificate(house.read(`${name}.pem`)).issuer
    .split('\n')
    .at(-1)
    ?.replace(/^.* (?=LDevID)/, '');
const shows = (name: string) => ['--cert', `${name}.pem`, '--key', `${name}.key`];
const fingerprints = (pem: string) =>
  (pem.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map(
    (one) => new X509Certificate(one).fingerprint256,
  );

/** What a device gets that asks for CA certificates. */
async function cacerts(house: House, root = 'root'): Promise<readonly string[]> {
  const { status, body } = await house.curl('/.well-known/est/cacerts', '--cacert', house.pem(root));
  expect(status).toBe(200);
  house.write('cacerts.p7', Buffer.from(body, 'base64'));
  return fingerprints(
    await house.program('openssl', 'pkcs7', '-inform', 'DER', '-in', 'cacerts.p7', '-print_certs'),
  );
}

async function statesOf(house: House): Promise<readonly string[]> {
  const items: { name: string; state: string }[] = JSON.parse(
    await house.must('authority', 'list', '--json'),
  );
  return items.map(({ name, state }) => `${name} ${state}`);
}

async function enroll(est: EstClients, name: string): Promise<void> {
  await est.request(name, `/serialNumber=${name}`);
  const ticket = ['-u', `${name}:${await est.ticket(name)}`];
  expect(await est.curl(name, 'simpleenroll', ...ticket)).toBe('200');
}

async function renew(house: House, est: EstClients, from: string, to: string, ...words: readonly string[]) {
  await est.request(to, subjectFor(house, from).openssl);
  return est.curl(to, 'simplereenroll', ...shows(from), ...words);
}

describe('an issuing authority', () => {
  const house = useHouse({ serve: SERVE });
  const devices = Array.from({ length: 10 }, (_, at) => `SN-${at}`);
  const off = 'SN-9';
  const on = devices.filter((name) => name !== off);
  let est: EstClients;

  beforeAll(async () => {
    est = estClients(house());
    await est.idevid('born', 'SN-0');
    for (const name of devices) await enroll(est, name);
  }, 120_000);

  test('is prepared: published to all, and everything goes on as it was', async () => {
    const before = fingerprints(house().read(house().pem('bundle')));
    await house().must('authority', 'rotate', 'ldevid', '--algorithm', 'ec-p384');
    const [fresh = ''] = fingerprints(house().read(house().pem('ldevid-2')));
    expect(fingerprints(house().read(house().pem('bundle')))).toEqual([...before, fresh]);
    await sleep(KNOWN_AFTER_MS);
    // New connections go to each worker in turn.
    for (const _ of [1, 2]) {
      expect(await cacerts(house())).toContain(fresh);
      for (const file of ['ca/ldevid-2.pem', 'crl/ldevid-2.crl']) {
        const { status } = await house().curl(`${house().publicUrl}/${file}`, '-o', '/dev/null');
        expect([file, status]).toEqual([file, 200]);
      }
    }
    const early = await house().birthmark('authority', 'activate', 'ldevid');
    expect([early.status, early.err]).toEqual([1, expect.stringContaining('[authority-not-ready]')]);
    expect(await renew(house(), est, 'SN-0', 'early')).toBe('200');
    expect(issuerOf(house(), 'early')).toBe('LDevID CA');
  });

  test('takes over while it serves, in every process within a second', async () => {
    const told = await house().must('authority', 'activate', 'ldevid', '--now');
    // Ten devices, and one that renewed early.
    expect(told).toContain('11 certificates of ldevid stand, the last until ');
    expect(told).toContain('birthmark campaign plan NAME --preset rotate-ca --issuer ldevid\n');
    await sleep(KNOWN_AFTER_MS);
    for (const name of on) {
      expect(await renew(house(), est, name, `${name}-new`)).toBe('200');
      expect(issuerOf(house(), `${name}-new`)).toBe('LDevID CA 2');
    }
    expect(await statesOf(house())).toContain('ldevid former');
  }, 60_000);

  test('is known to the broker with its devices, the old ones beside the new', async () => {
    for (const name of ['SN-0', 'SN-1']) {
      expect(await publish(house(), name, name)).toBe('');
      expect(await publish(house(), `${name}-new`, name)).toBe('');
    }
  });

  test('is believed by OpenSSL, with its lists, and by GnuTLS', async () => {
    const { program, pem, publicUrl, folder } = house();
    for (const [name, authority] of [
      ['SN-1-new', 'ldevid-2'],
      ['SN-1', 'ldevid'],
    ] as const) {
      for (const list of [authority, 'root']) {
        const file = path.join(folder, `${list}.crl.pem`);
        await house().curl(`${publicUrl}/crl/${list}.pem`, '-o', file);
      }
      const lists = ['-CRLfile', `${authority}.crl.pem`, '-CRLfile', 'root.crl.pem', '-crl_check_all'];
      await program('openssl', 'verify', '-x509_strict', '-CAfile', pem('bundle'), ...lists, `${name}.pem`);
      const asked = ['-issuer', pem(authority), '-cert', `${name}.pem`, '-CAfile', pem('root')];
      const url = ['-url', `${publicUrl}/ocsp`];
      expect(await program('openssl', 'ocsp', ...url, ...asked, '-no_nonce')).toContain(': good');
    }
    if (!hasProgram('certtool')) return;
    const files = ['--load-ca-certificate', pem('bundle'), '--infile', 'SN-1-new.pem'];
    expect(await program('certtool', '--verify', ...files)).toContain('Chain verification output: Verified');
  });

  test('leaves nobody behind who was off: the old certificate is good, and is renewed under the new one', async () => {
    expect(await publish(house(), off, off)).toBe('');
    expect(await renew(house(), est, off, `${off}-new`)).toBe('200');
    expect(issuerOf(house(), `${off}-new`)).toBe('LDevID CA 2');
    expect(await publish(house(), `${off}-new`, off)).toBe('');
  });

  test.skipIf(!hasProgram('pki'))('renews for strongSwan too', async () => {
    const trust = ['--cacert', house().pem('ldevid-2')];
    await est.swanRequest('swan', subjectFor(house(), 'SN-2').swan);
    const files = ['--cert', 'SN-2.pem', '--key', 'SN-2.key'];
    const done = await est.swan('swan', '1.3', ...trust, ...files);
    expect(done.status, done.err).toBe(0);
    expect(issuerOf(house(), 'swan')).toBe('LDevID CA 2');
  });

  test('is as it was after a power cut', async () => {
    await house().kill();
    await house().restart();
    expect(await statesOf(house())).toEqual([
      ...['root current', 'idevid current', 'ldevid former', 'service current', 'ldevid-2 current'],
    ]);
    expect(await publish(house(), 'SN-3-new', 'SN-3')).toBe('');
    expect(await renew(house(), est, 'SN-3', 'SN-3-again')).toBe('200');
    expect(issuerOf(house(), 'SN-3-again')).toBe('LDevID CA 2');
  });

  test('is retired when its last certificate was taken back, and not before', async () => {
    // For ten seconds after the switch it is refused for that alone: a process may have issued until then.
    let early = await house().birthmark('authority', 'retire', 'ldevid');
    for (let tries = 0; tries < 40 && early.err.includes('a moment ago'); tries += 1)
      early = await house().birthmark('authority', 'retire', 'ldevid');
    expect([early.status, early.err]).toEqual([1, expect.stringContaining('still stand')]);
    expect(early.err).toContain('[authority-in-use]');
    await house().must('revoke', '--authority', 'ldevid', '--reason', 'superseded');
    expect(await publish(house(), 'SN-1', 'SN-1')).not.toBe('');
    expect(await publish(house(), 'SN-1-new', 'SN-1')).toBe('');
    await house().must('authority', 'retire', 'ldevid', '--revoke', 'superseded');
    const [old = ''] = fingerprints(house().read(house().pem('ldevid')));
    expect(fingerprints(house().read(house().pem('bundle')))).not.toContain(old);
    await sleep(KNOWN_AFTER_MS);
    for (const _ of [1, 2]) expect(await cacerts(house())).not.toContain(old);
    // Its lists go on: who has an old signature to check needs them.
    expect((await house().curl(`${house().publicUrl}/crl/ldevid.crl`, '-o', '/dev/null')).status).toBe(200);
    const { out } = await house().birthmark('doctor');
    expect(out).not.toMatch(/^failed/m);
  });

  test('whose key got out is refused with all under it, and its devices recover by their IDevID under the next', async () => {
    const serial = new X509Certificate(house().read(house().pem('ldevid-2'))).serialNumber;
    await house().must('revoke', '--serial', serial, '--reason', 'cACompromise');
    await sleep(KNOWN_AFTER_MS);
    expect(await publish(house(), 'SN-1-new', 'SN-1')).not.toBe('');
    expect(await renew(house(), est, 'SN-1-new', 'refused')).toBe('403 certificate-revoked');
    await house().must('authority', 'rotate', 'ldevid', '--from', 'ldevid-2', '--activate', 'now');
    await sleep(KNOWN_AFTER_MS);
    expect(await renew(house(), est, 'SN-1-new', 'refused')).toBe('403 certificate-revoked');
    await est.request('recovered', '/');
    expect(await est.curl('recovered', 'simpleenroll', ...shows('born'))).toBe('200');
    expect(issuerOf(house(), 'recovered')).toBe('LDevID CA 3');
    expect(await publish(house(), 'recovered', 'SN-0')).toBe('');
  });
});

describe('a root', () => {
  const house = useHouse({ serve: SERVE });
  let est: EstClients;

  beforeAll(async () => {
    est = estClients(house());
    for (const name of ['SN-0', 'SN-1']) await enroll(est, name);
    await house().must('authority', 'rotate', 'root', '--algorithm', 'ec-p384');
    await sleep(KNOWN_AFTER_MS);
    // Both roots, and what is across.
    for (const _ of [1, 2]) expect(await cacerts(house())).toHaveLength(5);
    await house().must('authority', 'activate', 'root', '--now');
    for (const family of ['service', 'ldevid'])
      await house().must('authority', 'rotate', family, '--activate', 'now');
    await sleep(KNOWN_AFTER_MS);
  }, 120_000);

  test('is handed out with its certificates across, old with new and new with old', async () => {
    const files = ['root', 'root-2', 'root-2-by-root', 'root-by-root-2', 'ldevid', 'ldevid-2'];
    const expected = files.flatMap((name) => fingerprints(house().read(house().pem(name))));
    expect((await cacerts(house())).toSorted()).toEqual(expected.toSorted());
  });

  test('is found by OpenSSL from either one', async () => {
    const { program, pem } = house();
    expect(await renew(house(), est, 'SN-0', 'SN-0-new')).toBe('200');
    const verify = (anchor: string, ...untrusted: readonly string[]) => {
      const files = untrusted.slice(0, -1).flatMap((name) => ['-untrusted', pem(name)]);
      const strict = ['-x509_strict', '-CAfile', pem(anchor)];
      return program('openssl', 'verify', ...strict, ...files, `${untrusted.at(-1)}.pem`);
    };
    await verify('root-2', 'ldevid-2', 'SN-0-new');
    await verify('root', 'ldevid-2', 'root-2-by-root', 'SN-0-new');
    await verify('root-2', 'ldevid', 'root-by-root-2', 'SN-0');
    await verify('root', 'ldevid', 'SN-0');
    await expect(verify('root', 'ldevid-2', 'SN-0-new')).rejects.toThrow('unable to get local issuer');
  });

  test('serves who trusts the old one only, and who trusts the new one only', async () => {
    const issuer = async () =>
      house().program('openssl', 'x509', '-in', house().pem('tls-listener'), '-noout', '-issuer');
    await until(async () => (await issuer()).includes('Service CA 2'), 'the new TLS certificate', 5000);
    const trusts = (root: string) =>
      house().curl('/api/v1/openapi.json', '--cacert', house().pem(root), '-o', '/dev/null');
    await until(
      async () => (await trusts('root-2').catch(() => ({ status: 0 }))).status === 200,
      'the new root',
      15_000,
    );
    expect((await trusts('root')).status).toBe(200);
    // Who is of the old one renews with it, and is let in with either.
    expect(await renew(house(), est, 'SN-1', 'SN-1-new', '--cacert', house().pem('root-2'))).toBe('200');
    await until(
      async () => (await publish(house(), 'SN-1-new', 'SN-1', 'root-2')) === '',
      'the broker’s certificate',
      15_000,
    );
    for (const root of ['root', 'root-2']) {
      expect(await publish(house(), 'SN-1', 'SN-1', root)).toBe('');
      expect(await publish(house(), 'SN-1-new', 'SN-1', root)).toBe('');
    }
  }, 60_000);

  test('is as it was after a power cut, and the old one cannot be retired while something stands under it', async () => {
    await house().kill();
    await house().restart();
    expect(await publish(house(), 'SN-1-new', 'SN-1', 'root-2')).toBe('');
    expect(await publish(house(), 'SN-0', 'SN-0', 'root')).toBe('');
    const { status, err } = await house().birthmark('authority', 'retire', 'root');
    expect([status, err]).toEqual([1, expect.stringContaining('[authority-in-use]')]);
  });
});
