import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { printableString } from '../../../src/x509/der/values.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { attribute, newCsr, newKey } from '../../house.ts';
import { newIdentity } from '../peer-server.ts';
import {
  type Credential,
  certificateIn,
  type EstConnection,
  madeBy,
  makerCa,
  shareEstServer,
  verdictOf,
} from './est-server.ts';

const proxy = newIdentity('operator');
const stranger = newIdentity('operator');
const asCredential = ({ key, leaf, chain }: typeof proxy): Credential => ({ key, chain: [leaf, ...chain] });
const est = await shareEstServer({
  labels: { bound: { channelBinding: 'required' } },
  proxies: [{ name: 'edge', certificateSha256: proxy.sha256, forwarded: { kind: 'rfc9440' } }],
});
let devices = 0;
const next = () => {
  devices += 1;
  return `SN-${devices}`;
};

function boundCsr(password: Buffer | string): Buffer {
  const text = typeof password === 'string' ? password : password.toString('base64');
  return newCsr(newKey(), { attributes: [attribute('1.2.840.113549.1.9.7', printableString(text))] });
}

const BINDINGS = {
  'TLSv1.2': ({ socket }: EstConnection) => socket.getFinished() ?? Buffer.of(),
  'TLSv1.3': ({ socket }: EstConnection) =>
    socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)),
} as const;
const KINDS = { 'TLSv1.2': 'tls-unique', 'TLSv1.3': 'tls-exporter' } as const;

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('on %s a CSR', (version) => {
  const at = { minVersion: version, maxVersion: version };
  const open = () => est.open(undefined, at);

  test('bound to its connection is taken, under either label, and audited so', async () => {
    for (const label of ['', 'bound/']) {
      const device = next();
      const connection = await open();
      const csr = boundCsr(BINDINGS[version](connection));
      const headers = await est.ticket(device);
      expect(verdictOf(await connection.enroll(`${label}simpleenroll`, csr, headers))).toBe('200');
      expect((await est.latestAct(`own/${device}`)).facts.binding).toBe(KINDS[version]);
    }
  });

  test.each<[string, (right: Buffer, other: EstConnection) => Buffer | string, string]>([
    ['another connection', (_right, other) => BINDINGS[version](other), '403 channel-binding'],
    [
      'another octet',
      (right) => Buffer.concat([right.subarray(0, -1), Buffer.of((right.at(-1) ?? 0) ^ 1)]),
      '403 channel-binding',
    ],
    ['fewer octets', (right) => right.subarray(0, -1), '403 channel-binding'],
    ['more octets', (right) => Buffer.concat([right, Buffer.of(0)]), '403 channel-binding'],
    ['hexadecimal', (right) => right.toString('hex'), '403 channel-binding'],
    ['a password', () => 'secret', '403 channel-binding'],
    ['the right octets', (right) => right, '200'],
  ])('bound to %s: %3$s', async (_title, password, verdict) => {
    const [connection, other] = [await open(), await open()];
    const csr = boundCsr(password(BINDINGS[version](connection), other));
    const device = next();
    expect(verdictOf(await connection.enroll('simpleenroll', csr, await est.ticket(device)))).toBe(verdict);
    if (verdict !== '200')
      expect((await est.latestAct(`own/${device}`)).outcome).toBe('refused:channel-binding');
  });

  test('bound to nothing is taken where that is not required, and refused where it is', async () => {
    const connection = await open();
    const headers = await est.ticket(next());
    const csr = newCsr();
    expect(verdictOf(await connection.enroll('bound/simpleenroll', csr, headers))).toBe(
      '403 channel-binding',
    );
    expect(verdictOf(await connection.enroll('simpleenroll', csr, headers))).toBe('200');
  });

  test('is bound when it renews, too', async () => {
    const credential = await est.credential(next());
    const connection = await est.open(credential, at);
    const right = BINDINGS[version](connection);
    expect(verdictOf(await connection.enroll('bound/simpleenroll', boundCsr(right)))).toBe('200');
    expect(
      verdictOf(await connection.enroll('bound/simpleenroll', boundCsr(Buffer.alloc(right.length)))),
    ).toBe('403 channel-binding');
  });
});

test('CSR attributes say so where a binding is required', async () => {
  const { ask } = await est.open();
  const oid = Buffer.from('06092a864886f70d010907', 'hex');
  const has = async (operation: string) => Buffer.from((await ask(operation)).text, 'base64').includes(oid);
  expect([await has('bound/csrattrs'), await has('csrattrs')]).toEqual([true, false]);
});

describe('behind a proxy', () => {
  const forward = ({ chain: [leaf = Buffer.of(), ...more] }: Credential) => ({
    'client-cert': `:${Buffer.from(leaf).toString('base64')}:`,
    ...(more.length > 0 && {
      'client-cert-chain': more.map((der) => `:${Buffer.from(der).toString('base64')}:`).join(', '),
    }),
  });

  test('a device is who its forwarded certificate says, on each request anew', async () => {
    const [one, two] = [next(), next()];
    const connection = await est.open(asCredential(proxy));
    for (const device of [one, two]) {
      const headers = forward(await est.credential(device));
      certificateIn(await connection.enroll('simpleenroll', newCsr(), headers));
      expect(await est.latestAct(`own/${device}`)).toMatchObject({
        outcome: 'done',
        facts: { via: 'proxy:edge' },
      });
    }
  });

  test("its forwarded certificate is judged again, and the proxy's own enrolls nobody", async () => {
    const connection = await est.open(asCredential(proxy));
    const foreign = madeBy(makerCa({ cn: 'Unknown' }), next());
    expect(verdictOf(await connection.enroll('simpleenroll', newCsr(), forward(foreign)))).toBe(
      '403 certificate-refused',
    );
    expect(verdictOf(await connection.enroll('simpleenroll', newCsr()))).toBe('401 certificate-required');
    expect(verdictOf(await connection.enroll('simpleenroll', newCsr(), { 'client-cert': 'x' }))).toBe(
      '400 bad-request',
    );
  });

  test.each<[string, () => Promise<Credential | undefined>]>([
    ['nobody', () => Promise.resolve(undefined)],
    ['another certificate of the same issuer', () => Promise.resolve(asCredential(stranger))],
    ['a device', () => est.credential(next())],
  ])('a header from %s is refused, even beside a good ticket', async (_title, credential) => {
    const device = next();
    const connection = await est.open(await credential());
    const headers = { ...(await est.ticket(device)), ...forward(await est.credential(device)) };
    expect(verdictOf(await connection.enroll('simpleenroll', newCsr(), headers))).toBe(
      '403 certificate-refused',
    );
    const { authorization = '' } = await est.ticket(device);
    expect(verdictOf(await connection.enroll('simpleenroll', newCsr(), { authorization }))).toBe('200');
  });

  test('a CSR that is bound to a connection is refused, and one that is not is taken', async () => {
    const connection = await est.open(asCredential(proxy));
    const headers = forward(await est.credential(next()));
    for (const password of [BINDINGS['TLSv1.3'](connection), Buffer.alloc(32)])
      expect(verdictOf(await connection.enroll('simpleenroll', boundCsr(password), headers))).toBe(
        '403 channel-binding',
      );
    expect(verdictOf(await connection.enroll('bound/simpleenroll', newCsr(), headers))).toBe(
      '403 channel-binding',
    );
    expect(verdictOf(await connection.enroll('simpleenroll', newCsr(), headers))).toBe('200');
  });
});

test("a session that is resumed is its first client's, who is judged again", async () => {
  const credential = await est.credential(next());
  const first = await est.open(credential, { maxVersion: 'TLSv1.2' });
  expect(verdictOf(await first.enroll('simpleenroll', newCsr()))).toBe('200');
  const session = first.socket.getSession() ?? Buffer.of();
  first.socket.destroy();
  const again = await est.open(undefined, { maxVersion: 'TLSv1.2', session });
  expect(again.socket.isSessionReused()).toBe(true);
  expect(verdictOf(await again.enroll('simpleenroll', newCsr()))).toBe('200');
  const keyHash = createHash('sha256').update(credential.key.spki).digest();
  await est.house.ledger.write((tx) => tx.blockKey(keyHash, 'leaked', est.house.clock.now()));
  expect(verdictOf(await again.enroll('simpleenroll', newCsr()))).toBe('403 key-blocked');
});

test('POST /enroll takes the same certificates', async () => {
  const device = next();
  const csr = toPem('CERTIFICATE REQUEST', newCsr());
  const post = async (credential?: Credential) => {
    const { ask } = await est.open(credential);
    const headers = { 'content-type': 'application/json' };
    return ask('/api/v1/enroll', { method: 'POST', body: JSON.stringify({ csr }), headers });
  };
  const answer = await post(await est.credential(device));
  expect([answer.status, JSON.parse(answer.text).serialNumber]).toEqual([200, device]);
  expect((await est.latestAct(`own/${device}`)).facts).toMatchObject({ door: 'api', via: 'tls' });
  expect((await post(madeBy(makerCa({ cn: 'Unknown' }), device))).status).toBe(403);
  expect((await post()).status).toBe(401);
});
