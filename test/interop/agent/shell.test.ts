import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { lastLine } from '../house.ts';
import { runProgram } from '../run-program.ts';
import { useHouse } from '../use-house.ts';

// integrations/agent-shell: a device with a shell, curl and OpenSSL.

const SCRIPT = fileURLToPath(
  new URL('../../../integrations/agent-shell/birthmark-device.sh', import.meta.url),
);
const LATER = 75;
/**
 * curl, whose answer to an operation is lost while there is a file `lose`, and that to the word of a new credential while there is
 * `lose-word`; with `refuse-word` that word is refused.
 */
const LOSING_CURL = `#!/bin/sh
case "$*" in *--data-binary*confirmations*) if [ -e refuse-word ]; then rm refuse-word; printf 403; exit 0; fi ;; esac
/usr/bin/curl "$@"; status=$?
case "$*" in
  *enroll*) if [ -e lose ]; then rm lose; exit 52; fi ;;
  *--data-binary*confirmations*) if [ -e lose-word ]; then rm lose-word; exit 52; fi ;;
esac
exit $status
`;

const house = useHouse();
const at = (name: string) => path.join(house().folder, name);

beforeAll(() => {
  mkdirSync(at('bin'));
  spawnSync('chmod', ['755', house().write('bin/curl', LOSING_CURL)]);
});

const run = (state: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runProgram('sh', [SCRIPT, ...words], {
    cwd: house().folder,
    env: {
      PATH: `${at('bin')}:${process.env.PATH}`,
      ...{ URL: house().tlsUrl, CA: house().pem('root'), STATE: state },
      ...env,
    },
  });

async function ticket(serialNumber: string) {
  const text = lastLine(await house().must('ticket', 'create', '--serial-number', serialNumber));
  spawnSync('chmod', ['600', house().write(`${serialNumber}.ticket`, `${text}\n`)]);
  return { SERIAL_NUMBER: serialNumber, TICKET_FILE: `${serialNumber}.ticket` };
}

const serialOf = (state: string) =>
  house().program('openssl', 'x509', '-in', `${state}/current/certificate.pem`, '-noout', '-serial');
const issued = async (serialNumber: string) => {
  const shown = await house().must('device', 'show', serialNumber, '--json');
  return (JSON.parse(shown) as { certificates: unknown[] }).certificates.length;
};

describe('a device with a shell', () => {
  test('enrolls by a ticket, renews with another key, and tells who uses it', async () => {
    const env = { ...(await ticket('SH-1')), AFTER_CHANGE: 'echo changed >> told' };
    expect(await run('one', ['enroll'], env)).toMatchObject({ status: 0 });
    const first = await serialOf('one');
    expect(await run('one', ['renew'], env)).toMatchObject({ status: 0 });
    expect(await serialOf('one')).toBe(first);
    expect(await run('one', ['renew', 'now'], env)).toMatchObject({ status: 0 });
    expect(await serialOf('one')).not.toBe(first);
    expect(house().read('told')).toBe('changed\nchanged\n');
    expect(readdirSync(at('one')).filter((name) => name.startsWith('credential'))).toHaveLength(1);
    const verify = ['verify', '-x509_strict', '-CAfile', house().pem('root')];
    const chain = ['-untrusted', 'one/current/certificate.pem', 'one/current/certificate.pem'];
    expect(await house().program('openssl', ...verify, ...chain)).toContain(': OK');
  });

  test('has one certificate where answers were lost, at enrollment and at a renewal', async () => {
    const env = await ticket('SH-2');
    for (const words of [['enroll'], ['renew', 'now']]) {
      house().write('lose', '');
      expect(await run('two', words, env)).toMatchObject({ status: LATER });
      expect(existsSync(at('lose'))).toBe(false);
      expect(await run('two', words, env)).toMatchObject({ status: 0 });
    }
    expect(await issued('SH-2')).toBe(2);
  });

  test('goes on with the new credential where the word on it was lost, since it may have been heard', async () => {
    const env = { ...(await ticket('SH-7')), AFTER_CHANGE: 'echo changed >> told-7' };
    expect(await run('seven', ['enroll'], env)).toMatchObject({ status: 0 });
    const before = await serialOf('seven');
    house().write('lose-word', '');
    expect(await run('seven', ['renew', 'now'], env)).toMatchObject({ status: LATER });
    const after = await serialOf('seven');
    expect(after).not.toBe(before);
    expect(readdirSync(at('seven'))).toContain('previous');
    expect(house().read('told-7')).toBe('changed\nchanged\n');
    expect(await run('seven', ['renew'], env)).toMatchObject({ status: 0 });
    expect(await serialOf('seven')).toBe(after);
    expect(await issued('SH-7')).toBe(2);
    expect(readdirSync(at('seven')).filter((name) => /^(credential|previous|next)/.test(name))).toHaveLength(
      1,
    );
  });

  test('goes back to the old credential where the new one is refused, and gets another one then', async () => {
    const env = { ...(await ticket('SH-8')), AFTER_CHANGE: 'echo changed >> told-8' };
    expect(await run('eight', ['enroll'], env)).toMatchObject({ status: 0 });
    const before = await serialOf('eight');
    house().write('refuse-word', '');
    expect(await run('eight', ['renew', 'now'], env)).toMatchObject({ status: 1 });
    expect(await serialOf('eight')).toBe(before);
    expect(house().read('told-8')).toBe('changed\nchanged\nchanged\n');
    expect(readdirSync(at('eight')).filter((name) => /^(credential|previous|next)/.test(name))).toHaveLength(
      1,
    );
    expect(await run('eight', ['renew', 'now'], env)).toMatchObject({ status: 0 });
    expect(await serialOf('eight')).not.toBe(before);
  });

  test('enrolls by an IDevID', async () => {
    const files = ['-keyout', 'idev.key', '-out', 'idev.csr'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await house().program('openssl', 'req', '-new', ...key, ...files, '-subj', '/');
    const words = ['--csr', 'idev.csr', '--out', 'idev.pem', '--chain', '--profile', 'idevid'];
    await house().must('issue', ...words, '--serial-number', 'SH-3');
    expect(await run('three', ['enroll'], { IDEVID_CERT: 'idev.pem', IDEVID_KEY: 'idev.key' })).toMatchObject(
      {
        status: 0,
      },
    );
  });

  test('is refused with the ticket of another device, and keeps what it has when its renewal is refused', async () => {
    const env = { ...(await ticket('SH-4')), SERIAL_NUMBER: 'SH-5' };
    expect(await run('four', ['enroll'], env)).toMatchObject({
      status: 1,
      err: expect.stringContaining('401'),
    });
    expect(existsSync(at('four/current'))).toBe(false);
    const before = await serialOf('two');
    await house().must('revoke', '--device', 'SH-2', '--reason', 'keyCompromise');
    expect(await run('two', ['renew', 'now'])).toMatchObject({ status: 1 });
    expect(await serialOf('two')).toBe(before);
  });

  test('asks no server that does not stand under its root', async () => {
    const env = { ...(await ticket('SH-6')), CA: house().pem('idevid') };
    expect(await run('six', ['enroll'], env)).toMatchObject({ status: LATER });
    rmSync(at('six'), { recursive: true });
    expect(await run('six', ['enroll'], { ...env, CA: house().pem('root') })).toMatchObject({ status: 0 });
  });
});
