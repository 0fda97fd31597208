// Taking certificates back by our commands, and what other people's programs hear of it from two workers.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import { makeDevices } from './make-devices.ts';
import { runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse({ serve: ['--workers', '2'] });
const openssl = (...words: readonly string[]) => house().program('openssl', ...words);

/** The serial number of NAME.pem, hexadecimal. */
async function serialOf(name: string): Promise<string> {
  return (await openssl('x509', '-in', `${name}.pem`, '-noout', '-serial')).trim().replace(/^serial=/, '');
}

/** Has a certificate issued by hand, as NAME.pem and NAME.key. */
async function issue(name: string, profile = 'ldevid', serialNumber = name): Promise<string> {
  house().write(`${name}.csr`, await opensslCsr(house().folder, name, 'P-256', serialNumber));
  const words = ['--profile', profile, '--serial-number', serialNumber, '--csr', `${name}.csr`];
  await house().must('issue', ...words, '--out', `${name}.pem`);
  return serialOf(name);
}

/** Has a device enroll with a certificate that it has, for a new key; NAME.pem and NAME.key. */
async function enrollBy(voucher: string, name: string, serialNumber: string): Promise<string> {
  const csr = await opensslCsr(house().folder, name, 'P-256', serialNumber);
  const body = house().write('body.json', JSON.stringify({ csr }));
  const words = ['--cert', `${voucher}.pem`, '--key', `${voucher}.key`, '--json', `@${body}`];
  const answer = await house().curl('/api/v1/enroll', ...words);
  const { certificate }: { certificate?: string } = JSON.parse(answer.body);
  if (certificate === undefined) throw new Error(answer.body);
  house().write(`${name}.pem`, certificate);
  return serialOf(name);
}

const statusOf = async (serial: string): Promise<string> =>
  JSON.parse(await house().must('certificate', 'show', serial, '--json')).status;

/** What a command would do or did. */
async function act(word: string, ...words: readonly string[]) {
  const { changed, unchanged, profiles } = JSON.parse(await house().must(word, ...words, '--json'));
  return { changed, unchanged, profiles };
}

describe('revoke, hold and unhold', () => {
  test('say what they did, once and twice', async () => {
    const serial = await issue('once');
    const words = ['--serial', serial, '--reason', 'cessationOfOperation'];
    expect(await house().must('revoke', ...words)).toMatch(/^1 revoked: 1 ldevid\n {2}[0-9a-f]+\n$/);
    expect(await house().must('revoke', ...words)).toBe('0 revoked\n1 were so already\n');
    const other = await issue('while');
    expect(await house().must('hold', '--serial', other)).toContain('1 held: 1 ldevid');
    expect(await statusOf(other)).toBe('held');
    expect(await house().must('unhold', '--serial', other)).toContain('1 released: 1 ldevid');
    expect(await house().must('unhold', '--serial', other)).toContain('1 were not held');
    expect(await statusOf(other)).toBe('good');
    const refused = await house().birthmark('unhold', '--serial', serial);
    expect(refused).toMatchObject({ status: 1, err: expect.stringContaining('[certificate-revoked]') });
  });

  test('take what an IDevID vouched for along or leave it, and show it first', async () => {
    const families = await Promise.all(
      ['A-1', 'A-2', 'A-3'].map(async (device) => {
        const idevid = await issue(`${device}-born`, 'idevid', device);
        return [idevid, device] as const;
      }),
    );
    const ldevids: string[] = [];
    for (const [, device] of families)
      ldevids.push(await enrollBy(`${device}-born`, `${device}-owned`, device));
    const [first = '', second = '', third = ''] = families.map(([serial]) => serial);
    const compromised = ['--reason', 'keyCompromise'];
    const both = { changed: 2, unchanged: 0, profiles: { idevid: 1, ldevid: 1 } };
    expect(await act('revoke', '--serial', first, ...compromised, '--dry-run')).toEqual(both);
    expect(await Promise.all([first, ...ldevids].map(statusOf))).toEqual(['good', 'good', 'good', 'good']);
    expect(await act('revoke', '--serial', first, ...compromised)).toEqual(both);
    expect(await act('revoke', '--serial', second, ...compromised, '--no-cascade')).toMatchObject({
      changed: 1,
    });
    expect(await act('revoke', '--serial', third, '--reason', 'superseded', '--cascade')).toEqual(both);
    expect(await Promise.all(ldevids.map(statusOf))).toEqual(['revoked', 'good', 'revoked']);
  });

  test('find a lineage since a time, a device, a batch and an authority', async () => {
    const born = await issue('B-1-born', 'idevid', 'B-1');
    const old = await enrollBy('B-1-born', 'B-1-old', 'B-1');
    await sleep(1100);
    const since = new Date().toISOString();
    const young = await enrollBy('B-1-old', 'B-1-young', 'B-1');
    const lineage = ['--lineage', born, '--since', since, '--reason', 'keyCompromise'];
    expect(await act('revoke', ...lineage)).toMatchObject({ changed: 2 });
    expect(await Promise.all([born, old, young].map(statusOf))).toEqual(['revoked', 'good', 'revoked']);
    expect(await act('hold', '--device', 'B-1')).toMatchObject({ changed: 1, unchanged: 2 });
    expect(await statusOf(old)).toBe('held');

    await house().tokenFile('line', '--role', 'factory');
    const lines = makeDevices(5, 'C-').replaceAll('"csr"', '"batch":"lot-7","csr"');
    house().write('lot.ndjson', lines);
    const from = ['--url', house().tlsUrl, '--token-file', 'line.token', '--ca', house().pem('root')];
    await house().must('factory', 'enroll', ...from, '--in', 'lot.ndjson', '--out', 'lot.out');
    expect(await act('revoke', '--batch', 'lot-7', '--reason', 'superseded', '--dry-run')).toMatchObject({
      changed: 5,
    });
    expect(await act('revoke', '--batch', 'lot-7', '--reason', 'superseded')).toMatchObject({ changed: 5 });
    const all = await act('revoke', '--authority', 'idevid', '--reason', 'cACompromise', '--dry-run');
    expect(all.unchanged).toBeGreaterThanOrEqual(5);
  });

  test.each([
    ['nothing selected', ['hold'], 'bad-request'],
    ['two selections', ['hold', '--serial', '01', '--batch', 'b'], 'bad-request'],
    ['an unknown serial', ['hold', '--serial', '0123'], 'not-found'],
    ['a serial that is none', ['hold', '--serial', 'xyz'], 'bad-request'],
    ['an unknown batch', ['hold', '--batch', 'no-such'], 'not-found'],
    ['an unknown device', ['hold', '--device', 'nobody'], 'device-unknown'],
    ['reason 7', ['revoke', '--serial', '01', '--reason', '7'], 'reason-invalid'],
    ['a hold as a reason', ['revoke', '--serial', '01', '--reason', 'certificateHold'], 'reason-invalid'],
  ])('refuse %s', async (_title, words, code) => {
    const refused = await house().birthmark(...words);
    expect(refused).toMatchObject({ status: 1, out: '', err: expect.stringContaining(`[${code}]`) });
  });

  test.each([
    ['no reason', ['revoke', '--serial', '01'], '--reason'],
    ['a time that is none', ['hold', '--lineage', '01', '--since', 'yesterday'], '--since'],
    ['an option that there is not', ['unhold', '--reason', 'superseded'], '--reason'],
  ])('end with 2 for %s', async (_title, words, told) => {
    expect(await house().birthmark(...words)).toMatchObject({
      status: 2,
      err: expect.stringContaining(told),
    });
  });

  test.each(['revoke', 'hold', 'unhold'])('%s --help names its options', async (word) => {
    const help = await house().must(word, '--help');
    for (const option of [
      'serial',
      'device',
      'spki',
      'batch',
      'authority',
      'lineage',
      'since',
      'cascade',
      'dry-run',
    ])
      expect(help).toContain(`--${option}`);
  });
});

test('every answer of both workers tells a revocation within a second, by GET as by POST', async () => {
  const serial = await issue('told');
  const words = ['-issuer', house().pem('ldevid'), '-cert', 'told.pem', '-no_nonce', '-reqout', 'told.der'];
  await openssl('ocsp', ...words);
  const target = readFileSync(path.join(house().folder, 'told.der')).toString('base64');
  /** A connection each, so that both workers are met. */
  const ask = async (): Promise<readonly string[]> => {
    const answers: string[] = [];
    for (let at = 0; at < 8; at += 1) {
      const got = await fetch(`${house().publicUrl}/ocsp/${target}`, { headers: { connection: 'close' } });
      const posted = await fetch(`${house().publicUrl}/ocsp`, {
        method: 'POST',
        body: readFileSync(path.join(house().folder, 'told.der')),
        headers: { 'content-type': 'application/ocsp-request', connection: 'close' },
      });
      for (const answer of [got, posted]) {
        house().write('told.resp', new Uint8Array(await answer.arrayBuffer()));
        const told = [
          '-respin',
          'told.resp',
          '-noverify',
          '-issuer',
          house().pem('ldevid'),
          '-cert',
          'told.pem',
        ];
        answers.push((await openssl('ocsp', ...told)).includes(': good') ? 'good' : 'revoked');
      }
    }
    return answers;
  };
  expect(new Set(await ask())).toEqual(new Set(['good']));
  await house().must('revoke', '--serial', serial, '--reason', 'superseded');
  await sleep(1000);
  expect(new Set(await ask())).toEqual(new Set(['revoked']));
});

test('openssl verify refuses with the shard that the certificate names, and takes its neighbour', async () => {
  const serial = await issue('listed');
  await issue('unlisted');
  await house().must('revoke', '--serial', serial, '--reason', 'superseded');
  const verify = async (name: string) => {
    const text = await openssl('x509', '-in', `${name}.pem`, '-noout', '-ext', 'crlDistributionPoints');
    const url = house().published(/URI:(\S+)/.exec(text)?.[1] ?? '');
    await house().curl(url, '-o', 'shard.crl');
    await openssl('crl', '-inform', 'DER', '-in', 'shard.crl', '-out', 'shard.pem');
    const chain = ['-CAfile', house().pem('root'), '-untrusted', house().pem('ldevid')];
    return runProgram('openssl', ['verify', '-crl_check', '-CRLfile', 'shard.pem', ...chain, `${name}.pem`], {
      cwd: house().folder,
    });
  };
  expect(await verify('unlisted')).toMatchObject({ status: 0 });
  const refused = await verify('listed');
  expect(refused.status).not.toBe(0);
  expect(refused.err).toContain('certificate revoked');
});

describe('our own certificates', () => {
  /** The serial number that a new TLS connection is shown. */
  const shown = async () => {
    const { host } = new URL(house().tlsUrl);
    const { out } = await runProgram('openssl', ['s_client', '-connect', host, '-servername', 'localhost']);
    house().write('shown.pem', out.slice(out.indexOf('-----BEGIN')));
    return serialOf('shown');
  };
  const until = async (isSo: () => Promise<boolean>): Promise<boolean> => {
    for (let tries = 0; tries < 80; tries += 1) {
      if (await isSo()) return true;
      await sleep(250);
    }
    return false;
  };

  test('of the listener is replaced while it serves, and by a new key where the old one is out', async () => {
    const file = path.join(house().home, 'pki', 'tls-listener.pem');
    const before = (await openssl('x509', '-in', file, '-noout', '-serial')).trim().replace('serial=', '');
    const key = await openssl('x509', '-in', file, '-noout', '-pubkey');
    expect(await shown()).toBe(before);
    await house().must('revoke', '--serial', before, '--reason', 'keyCompromise');
    expect(await until(async () => (await shown()) !== before)).toBe(true);
    expect(await openssl('x509', '-in', file, '-noout', '-pubkey')).not.toBe(key);
    await house().kill();
    await house().restart();
    expect(await shown()).not.toBe(before);
  });

  test('of an OCSP signer is replaced, and answers verify', async () => {
    const file = path.join(house().home, 'pki', 'ocsp-ldevid.pem');
    const before = (await openssl('x509', '-in', file, '-noout', '-serial')).trim().replace('serial=', '');
    const words = ['-issuer', house().pem('ldevid'), '-CAfile', house().pem('root'), '-resp_text'];
    const cert = ['-cert', 'unlisted.pem', '-verify_other', house().pem('ldevid'), '-no_nonce'];
    const answer = () => openssl('ocsp', ...words, ...cert, '-url', `${house().publicUrl}/ocsp`);
    /** The serial number of the certificate that an answer carries. */
    const signedBy = async () =>
      /\nCertificate:\n(?:.*\n)*?\s+Serial Number:\s+([0-9a-f:]+)\n/
        .exec(await answer())?.[1]
        ?.replaceAll(':', '');
    const isOld = async () => (await signedBy())?.toUpperCase() === before;
    expect(await isOld()).toBe(true);
    await house().must('revoke', '--serial', before, '--reason', 'keyCompromise');
    expect(await until(async () => !(await isOld()))).toBe(true);
    expect(await signedBy()).toMatch(/^[0-9a-f]{32}$/);
    expect(await answer()).toContain('unlisted.pem: good');
  });

  test('of an authority is revoked, and it issues nothing then; its lists and OCSP answers go on', async () => {
    const file = house().pem('service');
    const serial = (await openssl('x509', '-in', file, '-noout', '-serial')).trim().replace('serial=', '');
    house().write('late.csr', await opensslCsr(house().folder, 'late', 'P-256', 'late'));
    const ask = () =>
      house().birthmark('issue', '--profile', 'server', '--dns', 'late.example', '--csr', 'late.csr');
    expect(await act('revoke', '--serial', serial, '--reason', 'cACompromise', '--dry-run')).toMatchObject({
      profiles: { ca: 1 },
    });
    await house().must('revoke', '--serial', serial, '--reason', 'cACompromise');
    expect(await until(async () => (await ask()).err.includes('[authority-revoked]'))).toBe(true);
    expect((await house().curl(`${house().publicUrl}/crl/service.pem`)).body).toContain('BEGIN X509 CRL');
    await house().kill();
    await house().restart();
    expect(await ask()).toMatchObject({ status: 1, err: expect.stringContaining('[authority-revoked]') });
  });
});
