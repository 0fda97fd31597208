// Listeners of Node with what they would agree to known beforehand, and the embedded broker behind them.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { PRESETS } from '../../../src/broker-auth/presets.ts';
import { encodeClientHello } from '../../../src/broker-auth/probe/client-hello.ts';
import { type BrokerProbe, type Finding, probeBroker } from '../../../src/broker-auth/probe/probe-broker.ts';
import { readServerFlight } from '../../../src/broker-auth/probe/server-hello.ts';
import { probeOffers } from '../../../src/broker-auth/probe/tls-offers.ts';
import { primitive, sequence } from '../../../src/x509/der/encode.ts';
import { EXTENDED_KEY_USAGE, extension } from '../../../src/x509/extensions.ts';
import { codeOfAsync } from '../../house.ts';
import { makeAuthority, makeCertificate, NOW, type Party } from '../../x509/path/make-certificate.ts';
import { keyPem, openAedesHouse, pem } from '../adapters/aedes-house.ts';
import { makeMaker, policyConfig } from '../lab.ts';

const random = randomBytes;
const LOOPBACK = extension('2.5.29.17', false, sequence(primitive(0x87, Buffer.from([127, 0, 0, 1]))));
const TODAY = { notBefore: Date.now() - 86_400_000, notAfter: Date.now() + 86_400_000 };
const root = makeAuthority({ cn: 'probe root', fields: TODAY });
const server = (traits: Parameters<typeof makeCertificate>[0] = {}) =>
  makeCertificate({
    cn: 'broker',
    issuer: root,
    purposes: [EXTENDED_KEY_USAGE.serverAuth],
    extra: [LOOPBACK],
    fields: TODAY,
    ...traits,
  });
const good = server();

async function listening(options: TlsOptions) {
  const listener = createServer({ cert: pem(good.der), key: keyPem(good), ...options });
  listener.on('tlsClientError', () => undefined);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  return {
    target: { host: '127.0.0.1', port },
    [Symbol.asyncDispose]: async () => void listener.close(),
  };
}

describe('what a listener would agree to', () => {
  test.each<[string, TlsOptions, object]>([
    [
      'one suite and one group of TLS 1.3',
      { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384', ecdhCurve: 'P-384' },
      { versions: ['TLSv1.3'], suites: ['TLS_AES_256_GCM_SHA384'], groups: ['P-384'] },
    ],
    [
      'groups that hold out against quantum computers',
      { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384', ecdhCurve: 'MLKEM1024:X25519MLKEM768' },
      { groups: ['MLKEM1024', 'X25519MLKEM768'] },
    ],
    [
      'TLS 1.2 without certificates of clients, with tickets',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', ecdhCurve: 'X25519:P-256' },
      {
        versions: ['TLSv1.2'],
        suites: ['ECDHE-ECDSA-AES128-GCM-SHA256'],
        groups: ['X25519', 'P-256'],
        asksForCertificate: false,
        givesTicket: true,
      },
    ],
    [
      'TLS 1.2 with certificates of clients',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA', requestCert: true },
      { suites: ['ECDHE-ECDSA-AES256-SHA'], asksForCertificate: true },
    ],
    [
      'what nobody should speak any more',
      { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
      { versions: ['TLSv1.0', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] },
    ],
  ])('is found out: %s', async (_name, options, expected) => {
    await using listener = await listening(options);
    expect(await probeOffers(listener.target, random)).toMatchObject(expected);
  });

  test('is not to be had of who does not speak TLS', async () => {
    const silent = createTcpServer((socket) => socket.end('220 hello\r\n'));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    expect(await codeOfAsync(probeOffers({ host: '127.0.0.1', port }, random))).toBe('unavailable');
    silent.close();
    expect(await codeOfAsync(probeOffers({ host: '127.0.0.1', port: 1 }, random))).toBe('unavailable');
  });

  test('is read from no octets that are none of TLS, without an end', () => {
    const hello = encodeClientHello(
      { version: 0x0304, suites: [0x1301], groups: [0x1d], serverName: 'a.b' },
      random,
    );
    expect(() => readServerFlight(hello)).toThrow(RangeError);
    for (let length = 0; length < 200; length += 1) {
      const octets = Buffer.concat([Buffer.of(22, 3, 3, 0, length), random(length)]);
      try {
        readServerFlight(octets);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  });
});

function stateOf(findings: readonly Finding[]): Readonly<Record<string, string>> {
  return Object.fromEntries(findings.map(({ name, state }) => [name, state]));
}

describe('the embedded broker, held against a preset', () => {
  const listeners = { mqtt: {}, 'mqtt-ws': {} };
  const transport = PRESETS.transport.tls;
  const good: TlsOptions = {
    minVersion: 'TLSv1.2',
    ciphers: (transport?.cipherSuites ?? []).join(':'),
    ecdhCurve: 'X25519:P-256:P-384',
  };

  async function probe(tls: TlsOptions, preset: BrokerProbe['preset'], config = policyConfig({ listeners })) {
    await using house = await openAedesHouse({ tls, config });
    const { maker, status } = house;
    const client = (party: Party, clientId: string) => ({
      clientId,
      certificate: pem(party.der, maker.issuer.der),
      key: keyPem(party),
    });
    const [allowed, revoked, stranger] = [
      maker.device('dev1'),
      maker.device('dev2'),
      makeMaker('acme').device('dev3'),
    ];
    status.tell(revoked, maker.issuer, 'revoked');
    const url = new URL(house.url);
    // Within the life of the house.
    return await probeBroker({
      host: '127.0.0.1',
      serverName: 'localhost',
      port: Number(url.port),
      plain: false,
      preset,
      anchors: [house.brokerRoot.der],
      allowed: client(allowed, 'dev1'),
      refused: [
        { name: 'revoked', ...client(revoked, 'dev2') },
        { name: 'of another CA', ...client(stranger, 'dev3') },
      ],
      at: Date.now(),
      random,
    });
  }

  test('is as it should be, and each finding has its source', async () => {
    const findings = await probe(good, 'transport');
    expect(stateOf(findings)).toEqual({
      versions: 'ok',
      'tls-1.3': 'ok',
      suites: 'ok',
      groups: 'ok',
      server: 'ok',
      'server-keys': 'ok',
      'client-certificate': 'ok',
      allowed: 'ok',
      'refused revoked': 'ok',
      'refused again revoked': 'ok',
      'refused of another CA': 'ok',
      'refused again of another CA': 'ok',
    });
    for (const { source } of findings) expect(source).toMatch(/§|CNSA/);
  });

  test.each<[string, TlsOptions, BrokerProbe['preset'], string]>([
    [
      'an old version',
      { ...good, minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      'transport',
      'versions',
    ],
    [
      'a suite without forward secrecy',
      { ...good, ciphers: 'ECDHE-ECDSA-AES128-SHA:TLS_AES_128_GCM_SHA256' },
      'transport',
      'suites',
    ],
    ['a suite that is not approved', good, 'fips-140', 'suites'],
    ['a group that is not approved', { ...good, ciphers: 'TLS_AES_128_GCM_SHA256' }, 'fips-140', 'groups'],
    ['keys that a preset does not take', { ...good, ecdhCurve: 'P-384' }, 'cnsa-1', 'server-keys'],
    ['no TLS 1.3', { ...good, maxVersion: 'TLSv1.2' }, 'cnsa-2', 'versions'],
  ])('is told %s', async (_name, tls, preset, name) => {
    expect(stateOf(await probe(tls, preset))).toMatchObject({ [name]: 'failed', allowed: 'ok' });
  });

  test('is told that it does not ask for the status', async () => {
    const listeners = {
      mqtt: { preset: 'open', evidence: 'certificate', status: 'off' },
      'mqtt-ws': {},
    } as const;
    const findings = await probe(good, 'transport', policyConfig({ listeners }));
    expect(stateOf(findings)).toMatchObject({
      'refused revoked': 'failed',
      'refused again revoked': 'failed',
      'refused of another CA': 'ok',
    });
  });
});

describe('a broker', () => {
  const base = { preset: 'transport', anchors: [root.der], refused: [], at: Date.now(), random } as const;
  /** Says yes to whoever comes. */
  const yes = (socket: { on(event: 'data', heard: () => void): unknown; write(octets: Buffer): unknown }) =>
    socket.on('data', () => socket.write(Buffer.from([0x20, 2, 0, 0])));

  async function broker(options: TlsOptions) {
    const listener = createServer({ cert: pem(good.der), key: keyPem(good), ...options }, (socket) => {
      socket.on('error', () => undefined);
      yes(socket);
    });
    listener.on('tlsClientError', () => undefined);
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    return { host: '127.0.0.1', port, [Symbol.asyncDispose]: async () => void listener.close() };
  }

  test('that lets in who shows nothing is told so, and that no revoked client was tried', async () => {
    await using open = await broker({ ecdhCurve: 'X25519', ciphers: 'TLS_AES_128_GCM_SHA256' });
    const findings = await probeBroker({ ...base, host: open.host, port: open.port, plain: false });
    expect(stateOf(findings)).toMatchObject({
      'client-certificate': 'failed',
      refused: 'warning',
      server: 'ok',
    });
    const allowed = await probeBroker({
      ...base,
      host: open.host,
      port: open.port,
      plain: false,
      preset: 'open',
    });
    expect(stateOf(allowed)).toMatchObject({ 'client-certificate': 'ok' });
  });

  test.each<[string, Party, Partial<BrokerProbe>]>([
    ['of another CA', server({ issuer: makeAuthority({ cn: 'other', fields: TODAY }) }), {}],
    ['that has ended', server({ fields: { notBefore: NOW - 1000, notAfter: NOW } }), { at: NOW + 1000 }],
    ['of another name', good, { serverName: 'broker.example' }],
    ['for clients', server({ purposes: [EXTENDED_KEY_USAGE.clientAuth] }), {}],
  ])('with a certificate %s is told so', async (_name, party, changes) => {
    await using odd = await broker({ cert: pem(party.der), key: keyPem(party) });
    const findings = await probeBroker({ ...base, host: odd.host, port: odd.port, plain: false, ...changes });
    expect(stateOf(findings)).toMatchObject({ server: 'failed' });
  });

  test('without TLS is right for an open network only', async () => {
    const plain = createTcpServer(yes);
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const { port } = plain.address() as AddressInfo;
    const at = { ...base, host: '127.0.0.1', port, plain: true };
    expect(stateOf(await probeBroker(at))).toMatchObject({ tls: 'failed', 'client-certificate': 'failed' });
    expect(stateOf(await probeBroker({ ...at, preset: 'open' }))).toEqual({
      tls: 'ok',
      'client-certificate': 'ok',
    });
    plain.close();
  });
});
