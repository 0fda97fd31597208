import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { lastLine } from '../house.ts';
import { hasProgram, runProgram } from '../run-program.ts';
import { useHouse } from '../use-house.ts';

// A device whose keys are made and stay in SoftHSM: OpenSSL's engine signs in TLS, pkcs11js signs CSRs.

const MODULE = '/usr/lib/softhsm/libsofthsm2.so';
const PIN = '82731';
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const engines = /"(.*)"/.exec(spawnSync('openssl', ['version', '-e'], { encoding: 'utf8' }).stdout)?.[1];
const ENGINE = path.join(engines ?? '', 'pkcs11.so');
const isPossible = hasProgram('softhsm2-util') && hasProgram('c++') && existsSync(ENGINE);

const house = useHouse();

describe.skipIf(!isPossible)('a device with a token', () => {
  beforeAll(async () => {
    const built = await runProgram(process.execPath, [path.join(ROOT, 'scripts/build-pkcs11.mjs')]);
    expect(built).toMatchObject({ status: 0 });
    mkdirSync(path.join(house().folder, 'tokens'));
    process.env.SOFTHSM2_CONF = house().write(
      'softhsm2.conf',
      `directories.tokendir = ${house().folder}/tokens\nobjectstore.backend = file\n`,
    );
    await house().program(
      'softhsm2-util',
      ...['--init-token', '--free', '--label', 'device', '--pin', PIN, '--so-pin', '000000'],
    );
    spawnSync('chmod', ['600', house().write('pin', `${PIN}\n`)]);
  });

  const enroll = async (serialNumber: string, state: string, ...more: readonly string[]) => {
    const ticket = lastLine(await house().must('ticket', 'create', '--serial-number', serialNumber));
    spawnSync('chmod', ['600', house().write(`${serialNumber}.ticket`, `${ticket}\n`)]);
    return house().birthmark(
      ...['agent', 'enroll', '--state', state, '--url', house().tlsUrl, '--ca', house().pem('root')],
      ...['--serial-number', serialNumber, '--ticket-file', `${serialNumber}.ticket`],
      ...['--pkcs11-module', MODULE, '--pkcs11-token', 'device', '--pkcs11-pin-file', 'pin', ...more],
    );
  };
  const keys = async () => {
    const words = ['--module', MODULE, '--token-label', 'device', '--login', '--pin', PIN, '--list-objects'];
    const { out } = await runProgram('pkcs11-tool', [...words, '--type', 'privkey']);
    return { count: out.split('Private Key Object').length - 1, text: out };
  };
  const facts = async (state: string) =>
    JSON.parse(await house().must('agent', 'status', '--state', state, '--json')) as Record<string, string>;

  test('enrolls and renews with keys that never leave it, and destroys the old one', async () => {
    expect(await enroll('HSM-1', 'hsm', '--pkcs11-engine', ENGINE)).toMatchObject({ status: 0 });
    const first = await facts('hsm');
    expect(existsSync(path.join(house().folder, 'hsm/current/key.pem'))).toBe(false);
    expect(await keys()).toMatchObject({ count: 1, text: expect.stringContaining('never extractable') });
    const renewed = await house().birthmark('agent', 'renew', '--now', '--state', 'hsm');
    expect(renewed).toMatchObject({ status: 0 });
    expect((await facts('hsm')).serial).not.toBe(first.serial);
    expect((await keys()).count).toBe(1);
    for (const text of [renewed.out, renewed.err, house().read('hsm/agent.json')])
      expect(text).not.toContain(PIN);
  });

  test('has a certificate without the engine, by its ticket and a word signed in the token, and is told what a renewal needs', async () => {
    expect(await enroll('HSM-2', 'bare')).toMatchObject({ status: 0 });
    const before = await facts('bare');
    const renewed = await house().birthmark('agent', 'renew', '--now', '--state', 'bare');
    expect(renewed).toMatchObject({ status: 1, err: expect.stringContaining('libengine-pkcs11-openssl') });
    expect((await facts('bare')).serial).toBe(before.serial);
  });

  test('enrolls by an IDevID whose key a factory made in the token, with a key that is made beside it', async () => {
    const access = ['--module', MODULE, '--token-label', 'device', '--login', '--pin', PIN];
    const words = ['--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'idevid', '--id', '01'];
    await house().program('pkcs11-tool', ...access, ...words);
    const key = `pkcs11:token=device;object=idevid;type=private?pin-value=${PIN}`;
    process.env.PKCS11_MODULE_PATH = MODULE;
    await house().program(
      ...(['openssl', 'req', '-new', '-engine', 'pkcs11', '-keyform', 'engine', '-key', key] as const),
      ...['-subj', '/', '-out', 'idevid.csr'],
    );
    const order = ['--profile', 'idevid', '--serial-number', 'HSM-4', '--csr', 'idevid.csr'];
    await house().must('issue', ...order, '--out', 'idevid.pem', '--chain');
    const before = (await keys()).count;
    const enrollBy = (label: string, state: string) =>
      house().birthmark(
        ...['agent', 'enroll', '--state', state, '--url', house().tlsUrl, '--ca', house().pem('root')],
        ...['--idevid-cert', 'idevid.pem', '--idevid-key-label', label],
        ...['--pkcs11-module', MODULE, '--pkcs11-token', 'device', '--pkcs11-pin-file', 'pin'],
        ...['--pkcs11-engine', ENGINE],
      );
    expect(await enrollBy('idevid', 'born')).toMatchObject({ status: 0 });
    expect(await facts('born')).toMatchObject({
      state: 'enrolled',
      subject: expect.stringContaining('HSM-4'),
    });
    expect((await keys()).count).toBe(before + 1);
    expect(await enrollBy('nobody', 'stranger')).toMatchObject({
      status: 1,
      err: expect.stringContaining('labelled "nobody"'),
    });
  });

  test.each(['rsa-3072', 'ec-p384'])('enrolls and renews with keys of type %s', async (type) => {
    const state = `hsm-${type}`;
    expect(await enroll(state, state, '--pkcs11-engine', ENGINE, '--key-type', type)).toMatchObject({
      status: 0,
    });
    const before = await facts(state);
    expect(await house().birthmark('agent', 'renew', '--now', '--state', state)).toMatchObject({ status: 0 });
    expect((await facts(state)).serial).not.toBe(before.serial);
    const text = await house().program(
      'openssl',
      'x509',
      '-in',
      `${state}/current/certificate.pem`,
      '-noout',
      '-text',
    );
    expect(text).toContain(type === 'rsa-3072' ? '(3072 bit)' : '(384 bit)');
  });

  test('says that it cannot make keys of a type that tokens have not', async () => {
    expect(await enroll('HSM-5', 'odd', '--pkcs11-engine', ENGINE, '--key-type', 'ed25519')).toMatchObject({
      status: 1,
      err: expect.stringContaining('no ed25519 key can be made in the token'),
    });
  });

  test('is refused with another PIN, which is not told', async () => {
    spawnSync('chmod', ['600', house().write('pin', '99999\n')]);
    const done = await enroll('HSM-3', 'wrong', '--pkcs11-engine', ENGINE);
    expect(done).toMatchObject({ status: 1, err: expect.stringContaining('[key-store-failed]') });
    expect(done.err).not.toContain('99999');
  });
});
