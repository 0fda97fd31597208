// What a stranger can send to the doors of devices as a whole: nothing of it may be a fault of ours, or make a certificate.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createIdentifier } from '../../../src/enroll/identify.ts';
import { trustCa } from '../../../src/enroll/trust-ca.ts';
import { printableString } from '../../../src/x509/der/values.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { type FuzzTarget, fuzz, fuzzSeconds } from '../../fuzz-run.ts';
import { attribute, newCsr, newKey } from '../../house.ts';
import { inject } from '../test-server.ts';
import { madeBy, makerCa, shareEstServer, toBase64 } from './est-server.ts';

const SECONDS = fuzzSeconds(2);
const est = await shareEstServer({ est: { acceptPem: true } });
const { house, server } = est;
const ca = makerCa();
const between = makerCa({ cn: 'Between', issuer: ca });
await est.trust(ca);
const [idevid, ldevid] = [await est.credential('SN-1'), await est.credential('SN-1', 'ldevid')];
const foreign = madeBy(between, 'SN-1');
const identify = createIdentifier(house);
const ticket = await est.ticket('SN-2');
const challenge = attribute('1.2.840.113549.1.9.7', printableString('q83vASNFZ4mrze8B'));
const csr = newCsr(newKey(), { subject: [{ type: 'serialNumber', value: 'SN-2' }], attributes: [challenge] });
const leafOf = ({ chain: [leaf = Buffer.of()] }: typeof idevid) => Buffer.from(leaf);

/** Whoever is recognized must be one of the devices that there are. */
async function recognize(leaf: Uint8Array, chain: readonly Uint8Array[]): Promise<void> {
  const { device } = await identify({ leaf, chain, via: 'tls' }, { at: house.clock.now(), graceMs: 0 });
  expect(device.serialNumber).toBe('SN-1');
}

async function post(
  path: string,
  body: Buffer | string,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const { status, text } = await inject(server.remote, 'POST', path, { body, headers });
  if (status >= 500) throw new Error(`${status}: ${text}`);
  return `${status} ${text}`;
}

const ENROLL = '/.well-known/est/simpleenroll';
const PKCS10 = { 'content-type': 'application/pkcs10' };
const room = { ledger: house.ledger, authorities: house.authorities, clock: house.guardedClock };

const TARGETS: readonly FuzzTarget[] = [
  {
    name: 'identify, leaf',
    corpus: [leafOf(idevid), leafOf(ldevid), leafOf(foreign)],
    read: (leaf) => recognize(leaf, [between.der]),
  },
  {
    name: 'identify, chain',
    corpus: [between.der, ca.der],
    read: (above) => recognize(leafOf(foreign), [above]),
  },
  {
    name: 'EST, body',
    corpus: [toBase64(csr), toPem('CERTIFICATE REQUEST', csr)],
    read: (body) => post(ENROLL, body, { ...PKCS10, ...ticket }),
  },
  {
    name: 'EST, CSR',
    corpus: [csr],
    read: (der) => post(ENROLL, toBase64(der), { ...PKCS10, ...ticket }),
  },
  {
    name: 'EST, authorization',
    corpus: [ticket.authorization ?? ''],
    read: async (octets) => {
      const authorization = octets.toString('latin1').replace(/[^\t -~\x80-\xff]/g, '');
      const said = await post(ENROLL, toBase64(csr), { ...PKCS10, authorization });
      // The ticket is for another CSR: one that is bound to no connection.
      if (said.startsWith('200')) throw new Error('it is granted');
    },
  },
  {
    name: 'POST enroll',
    corpus: [JSON.stringify({ csr: toPem('CERTIFICATE REQUEST', csr), label: 'default', profile: 'ldevid' })],
    read: (body) => post('/api/v1/enroll', body, { 'content-type': 'application/json' }),
  },
  {
    name: 'trust add',
    corpus: [toPem('CERTIFICATE', ca.der), toPem('CERTIFICATE', between.der)],
    read: (pem) => trustCa({ certificate: pem.toString('latin1'), namespace: 'fuzz' }, 'operator:test', room),
  },
];

const { stackTraceLimit } = Error;
beforeAll(() => {
  // Most of the time of a refusal is its stack trace.
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

test('a device is recognized by what is then changed', async () => {
  await recognize(leafOf(idevid), []);
  await recognize(leafOf(ldevid), []);
  await recognize(leafOf(foreign), [between.der]);
  expect(await post(ENROLL, toBase64(newCsr()), { ...PKCS10, ...ticket })).toMatch(/^200 /);
  expect(await post(ENROLL, toBase64(csr), { ...PKCS10, ...ticket })).toMatch(/^403 channel-binding/);
});

test.each(TARGETS)(
  '$name is answered with a code and in time, whatever is sent',
  { timeout: (SECONDS + 30) * 1000 },
  (target) => fuzz(target, SECONDS / TARGETS.length),
);
