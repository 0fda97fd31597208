import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { opensslCsr } from '../csr-makers.ts';
import { freePort } from '../free-port.ts';
import { lastLine } from '../house.ts';
import { type HouseBroker, type HouseBrokerOptions, startHouseBroker } from '../mosquitto/house-broker.ts';
import { hasProgram } from '../run-program.ts';
import { useHouse } from '../use-house.ts';

// `--verify-mqtt`: a new credential that must be let in by a broker, by Mosquitto over TLS and by the broker of `serve`.

const house = useHouse({ serve: ['--broker', '--mqtt-port', '0'] });

async function enroll(serialNumber: string, url: string, ...more: readonly string[]) {
  const ticket = lastLine(await house().must('ticket', 'create', '--serial-number', serialNumber));
  spawnSync('chmod', ['600', house().write(`${serialNumber}.ticket`, `${ticket}\n`)]);
  return house().birthmark(
    ...['agent', 'enroll', '--state', serialNumber, '--url', house().tlsUrl, '--ca', house().pem('root')],
    ...[
      '--serial-number',
      serialNumber,
      '--ticket-file',
      `${serialNumber}.ticket`,
      '--verify-mqtt',
      url,
      ...more,
    ],
  );
}
const renew = (serialNumber: string) => house().birthmark('agent', 'renew', '--now', '--state', serialNumber);
const status = async (serialNumber: string) => {
  const shown = await house().must('agent', 'status', '--state', serialNumber, '--json');
  return JSON.parse(shown) as { readonly state: string; readonly serial?: string };
};
const serialOf = async (serialNumber: string) => (await status(serialNumber)).serial;

describe.skipIf(!hasProgram('/usr/sbin/mosquitto'))('a broker that verifies, Mosquitto', () => {
  let port = 0;
  let broker: HouseBroker | undefined;
  let base: HouseBrokerOptions;
  /** The certificate's subject is the user, since it has no common name. */
  const LETS_IN = ['use_subject_as_username true'];

  beforeAll(async () => {
    const { folder, write, read, pem } = house();
    port = await freePort();
    const csr = write('broker.csr', await opensslCsr(folder, 'broker', 'P-256', 'broker'));
    const words = ['--profile', 'server', '--ip', '127.0.0.1', '--csr', csr, '--chain'];
    await house().must('issue', ...words, '--out', path.join(folder, 'broker.pem'));
    const ca = write('devices-ca.pem', read(pem('ldevid')) + read(pem('root')));
    base = { folder, ca, cert: `${folder}/broker.pem`, key: `${folder}/broker.key`, port };
  });

  const start = async (more: Partial<HouseBrokerOptions> = {}) => {
    await broker?.stop();
    broker = await startHouseBroker({ ...base, lines: LETS_IN, ...more });
  };
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(broker?.log());
    await broker?.stop();
    broker = undefined;
  });
  const url = () => `mqtts://127.0.0.1:${port}`;

  test('that lets it in is who had it first: then it is current', async () => {
    await start();
    expect(await enroll('VM-1', url())).toMatchObject({ status: 0 });
    const before = await serialOf('VM-1');
    expect(await renew('VM-1')).toMatchObject({ status: 0 });
    expect(await serialOf('VM-1')).not.toBe(before);
    expect(broker?.log().match(/ as VM-1 \(/g)).toHaveLength(2);
  });

  test.each([
    ['does not know its CA (TLS 1.3)', () => ({ ca: house().pem('service') }), 'SSL alert number 48'],
    [
      'does not know its CA (TLS 1.2)',
      () => ({ ca: house().pem('service'), lines: ['tls_version tlsv1.2'] }),
      'SSL alert number 48',
    ],
    ['does not know the user', () => ({ lines: [] }), 'not authorized'],
  ])('that %s refuses it: the one before is current again', async (why, other, told) => {
    const serialNumber = `VM-${why.length}-${told.length}`;
    await start();
    expect(await enroll(serialNumber, url())).toMatchObject({ status: 0 });
    const before = await serialOf(serialNumber);
    await start(other());
    expect(await renew(serialNumber)).toMatchObject({ status: 1, err: expect.stringContaining(told) });
    expect(await serialOf(serialNumber)).toBe(before);
    await start();
    expect(await renew(serialNumber)).toMatchObject({ status: 0 });
    expect(await serialOf(serialNumber)).not.toBe(before);
  });

  test('that does not answer says nothing: the new one stays, and is tried again', async () => {
    await start();
    expect(await enroll('VM-8', url())).toMatchObject({ status: 0 });
    const before = await serialOf('VM-8');
    await broker?.stop();
    expect(await renew('VM-8')).toMatchObject({
      status: 1,
      err: expect.stringContaining('cannot be reached'),
    });
    const { state, serial } = await status('VM-8');
    expect(serial).not.toBe(before);
    expect(state).toBe('renewing');
    await start();
    expect(await renew('VM-8')).toMatchObject({ status: 0 });
    expect(await status('VM-8')).toMatchObject({ state: 'enrolled', serial });
  });
});

describe('a broker that verifies, that of serve', () => {
  const url = () => (JSON.parse(house().read('ready.json')) as { mqtt: string }).mqtt;

  test('lets it in, and the authority has seen it in use by that', async () => {
    expect(await enroll('VM-9', url())).toMatchObject({ status: 0 });
    expect(await renew('VM-9')).toMatchObject({ status: 0 });
  });

  test('does not let it in by a ClientId that is not its own', async () => {
    const done = await enroll('VM-10', url(), '--verify-client-id', 'VM-9');
    expect(done).toMatchObject({ status: 1, err: expect.stringContaining('the ClientId is not taken') });
    expect(await serialOf('VM-10')).toBeUndefined();
  });
});
