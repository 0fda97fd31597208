import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();
const openssl = (...words: readonly string[]) => house().program('openssl', ...words);

/** Signs in with a certificate, by curl; gives the status and, where it was refused, the code. */
async function signIn(name: string, target = '/api/v1/devices', ...words: readonly string[]) {
  const { status, body } = await house().curl(
    target,
    '--cert',
    `${name}.pem`,
    '--key',
    `${name}.key`,
    ...words,
  );
  return status === 200 ? [status] : [status, (JSON.parse(body) as { readonly code: string }).code];
}

/** Makes a key and has a certificate issued by hand, with its chain, as NAME.pem and NAME.key. */
async function issue(name: string, ...words: readonly string[]): Promise<void> {
  house().write(`${name}.csr`, await opensslCsr(house().folder, name, 'P-256', name));
  await house().must('issue', '--csr', `${name}.csr`, '--out', `${name}.pem`, '--chain', ...words);
}

beforeAll(async () => {
  await Promise.all([
    issue('anna', '--profile', 'operator', '--name', 'anna', '--role', 'operator'),
    issue('otto', '--profile', 'operator', '--name', 'otto', '--role', 'auditor'),
    issue('broker', '--profile', 'server', '--dns', 'broker.lab.example'),
    issue('device', '--profile', 'ldevid', '--serial-number', 'device'),
    issue('born', '--profile', 'idevid', '--serial-number', 'born'),
  ]);
});

describe('an operator with a certificate, by curl', () => {
  test('signs in and acts in its role', async () => {
    expect(await signIn('anna')).toEqual([200]);
    const ticket = ['--json', JSON.stringify({ serialNumber: 'SN-1' })];
    expect(
      (await house().curl('/api/v1/tickets', '--cert', 'anna.pem', '--key', 'anna.key', ...ticket)).status,
    ).toBe(201);
    const acts = (await house().must('audit', 'show')).trim().split('\n');
    expect(acts.at(-1)).toContain('"actor":"operator:anna"');
  });

  test('does not act beyond its role', async () => {
    expect(await signIn('otto')).toEqual([200]);
    const ticket = ['--json', JSON.stringify({ serialNumber: 'SN-1' })];
    expect(await signIn('otto', '/api/v1/tickets', ...ticket)).toEqual([403, 'profile-not-allowed']);
    const operator = ['--json', JSON.stringify({ serialNumber: 'SN-1', profile: 'operator' })];
    expect(await signIn('anna', '/api/v1/tickets', ...operator)).toEqual([403, 'profile-not-allowed']);
    const token = ['--json', JSON.stringify({ role: 'admin', name: 'mine' })];
    expect(await signIn('anna', '/api/v1/tokens', ...token)).toEqual([403, 'forbidden']);
  });
});

describe('who is not registered does not sign in', () => {
  test.each([
    ['the LDevID of a device of ours', 'device'],
    ['the IDevID of a device of ours', 'born'],
    ["a server's certificate of ours", 'broker'],
  ])('%s', async (_, name) => {
    expect(await signIn(name)).toEqual([401, 'unauthenticated']);
  });

  test('nobody at all', async () => {
    expect((await house().curl('/api/v1/devices')).status).toBe(401);
  });

  test("a foreign CA's copy of an operator's certificate: same names, same serial number, same key", async () => {
    const issuer = ['-subj', '/O=Elsewhere/CN=Root', '-addext', 'keyUsage=critical,keyCertSign'];
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      ...issuer,
    );
    const serial = (await openssl('x509', '-in', 'anna.pem', '-noout', '-serial')).trim().split('=')[1] ?? '';
    house().write('client.ext', 'extendedKeyUsage=clientAuth\n');
    const sign = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-set_serial',
      `0x${serial}`,
      '-extfile',
      'client.ext',
    ];
    await openssl('req', '-new', '-key', 'anna.key', '-subj', '/CN=anna', '-out', 'copy.csr');
    await openssl('x509', '-req', '-in', 'copy.csr', ...sign, '-out', 'copy.pem');
    await openssl('pkey', '-in', 'anna.key', '-out', 'copy.key');
    expect(await signIn('copy')).toEqual([401, 'unauthenticated']);
  });

  test('a self-signed certificate', async () => {
    const words = ['-subj', '/CN=anna', '-keyout', 'self.key', '-out', 'self.pem'];
    await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...words);
    expect(await signIn('self')).toEqual([401, 'unauthenticated']);
  });
});

describe('who was taken back does not sign in', () => {
  const hello = `GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\n\r\n`;

  /** Opens a connection as an operator; goes on with the session of another where one is given. */
  async function open(
    name: string,
    session?: Buffer,
  ): Promise<{ readonly socket: TLSSocket; readonly sessions: readonly Buffer[] }> {
    const sessions: Buffer[] = [];
    const socket = connect({
      host: '127.0.0.1',
      port: Number(new URL(house().tlsUrl).port),
      servername: 'localhost',
      ca: house().read(house().pem('root')),
      cert: house().read(`${name}.pem`),
      key: house().read(`${name}.key`),
      ...(session && { session }),
    });
    onTestFinished(() => void socket.destroy());
    socket.on('session', (ticket: Buffer) => sessions.push(ticket));
    await once(socket, 'secureConnect');
    return { socket, sessions };
  }

  /** The status of an answer over that connection, which stays open. */
  function ask(socket: TLSSocket): Promise<number> {
    return new Promise((resolve, reject) => {
      let text = '';
      const read = (part: Buffer) => {
        text += part.toString('latin1');
        const [, length] = /content-length: (\d+)/i.exec(text) ?? [];
        const end = text.indexOf('\r\n\r\n');
        if (length === undefined || end < 0 || text.length < end + 4 + Number(length)) return;
        socket.off('data', read);
        resolve(Number(text.slice(9, 12)));
      };
      socket.on('data', read);
      socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
      socket.write(hello);
    });
  }

  test.each([
    ['hold', 200],
    ['revoke', 401],
  ] as const)(
    'after a %s, not anew, nor over a connection that is open, nor over one that is resumed',
    async (word, afterwards) => {
      const name = `ines-${word}`;
      await issue(name, '--profile', 'operator', '--name', name, '--role', 'operator');
      const { socket: kept, sessions } = await open(name);
      expect(await ask(kept)).toBe(200);
      const serial =
        (await openssl('x509', '-in', `${name}.pem`, '-noout', '-serial')).trim().split('=')[1] ?? '';
      const words = word === 'revoke' ? ['--reason', 'affiliationChanged'] : [];
      await house().must(word, '--serial', serial, ...words);
      expect(await ask(kept)).toBe(401);
      const { socket: resumed } = await open(name, sessions.at(-1));
      expect([resumed.isSessionReused(), await ask(resumed)]).toEqual([true, 401]);
      expect(await signIn(name)).toEqual([401, 'unauthenticated']);
      expect(await signIn('anna')).toEqual([200]);
      if (word === 'hold') await house().must('unhold', '--serial', serial);
      expect([await ask(kept), await ask(resumed)]).toEqual([afterwards, afterwards]);
    },
  );
});
