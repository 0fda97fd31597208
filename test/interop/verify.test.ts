import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { constructed, sequence } from '../../src/x509/der/encode.ts';
import { ia5String, nullValue } from '../../src/x509/der/values.ts';
import { EXTENDED_KEY_USAGE, EXTENSION, extension, subjectAltName } from '../../src/x509/extensions.ts';
import { openTrust } from '../../src/x509/path/trust.ts';
import { validatePath } from '../../src/x509/path/validate-path.ts';
import { toPem } from '../../src/x509/pem.ts';
import { seededRandom } from '../x509/mutate.ts';
import {
  makeAuthority,
  makeCertificate,
  NOW,
  type Party,
  type Traits,
} from '../x509/path/make-certificate.ts';
import { makeCrl } from '../x509/path/make-crl.ts';
import { sampleKey } from '../x509/samples.ts';
import { birthmark } from './house.ts';
import { runProgram } from './run-program.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
afterAll(() => rmSync(folder, { recursive: true }));

const CHAINS = 60;
const SEED = 9;
const random = seededRandom(SEED);
const KEYS = ['P-256', 'P-384', 'P-521', 'Ed25519', 'RSA-2048'] as const;
const pick = <T>(items: readonly [T, ...(readonly T[])]): T =>
  items[Math.floor(random() * items.length)] ?? items[0];

const dnsConstraint = (base: string, list: number) =>
  extension(
    EXTENSION.nameConstraints,
    true,
    sequence(constructed(0xa0 | list, [sequence(ia5String(base, 0x82))])),
  );
const sane = { extra: [subjectAltName([{ kind: 'dns', name: 'd.lab.example' }])] };

/** What is wrong with a certificate, if anything; all of it is what OpenSSL looks at too. */
const LEAVES: readonly [Traits, ...Traits[]] = [
  sane,
  sane,
  sane,
  { purposes: [EXTENDED_KEY_USAGE.serverAuth] },
  { fields: { notAfter: NOW - 1000 } },
  { fields: { notBefore: NOW + 1000 } },
  { keyUsage: ['keyEncipherment'] },
  { extra: [extension('1.3.6.1.4.1.99999.7', true, nullValue())] },
];
const AUTHORITIES: readonly [Traits, ...Traits[]] = [
  {},
  {},
  {},
  {},
  { pathLength: 1 },
  { pathLength: 0 },
  { keyUsage: ['cRLSign'] },
  { only: [] },
  { fields: { notAfter: NOW - 1000 } },
  { purposes: [EXTENDED_KEY_USAGE.serverAuth] },
  { extra: [dnsConstraint('lab.example', 0)] },
  { extra: [dnsConstraint('other.example', 0)] },
  { extra: [dnsConstraint('lab.example', 1)] },
  { extra: [extension('1.3.6.1.4.1.99999.7', true, nullValue())] },
];

function pemFile(name: string, parties: readonly Party[]): string {
  const file = path.join(folder, name);
  writeFileSync(file, parties.map(({ der }) => toPem('CERTIFICATE', der)).join(''));
  return file;
}

test(`OpenSSL and we say the same of ${CHAINS} chains with and without flaws`, async () => {
  let accepted = 0;
  for (let round = 0; round < CHAINS; round += 1) {
    const root = makeAuthority({ cn: 'root', key: pick(KEYS) });
    let issuer = root;
    const chain = Array.from({ length: Math.floor(random() * 3) }, (_, at) => {
      const flaw = pick(AUTHORITIES);
      const traits = flaw.only
        ? { ...flaw, only: [subjectAltName([{ kind: 'dns', name: 'ca.lab.example' }])] }
        : flaw;
      issuer = makeAuthority({ cn: `CA ${at}`, key: pick(KEYS), issuer, ...traits });
      return issuer;
    });
    const forged = random() < 0.1 ? { ...issuer, key: sampleKey('P-256') } : issuer;
    const leaf = makeCertificate({ issuer: forged, ...pick(LEAVES) });
    const words = [
      'verify',
      '-no-CApath',
      '-no-CAstore',
      '-no-CAfile',
      '-purpose',
      'sslclient',
      '-attime',
      String(NOW / 1000),
    ];
    const untrusted = chain.length > 0 ? ['-untrusted', pemFile('chain.pem', chain)] : [];
    const files = ['-trusted', pemFile('root.pem', [root]), ...untrusted, pemFile('leaf.pem', [leaf])];
    const { status, out, err } = await runProgram('openssl', [...words, ...files]);
    const verdict = validatePath(leaf.der, {
      trust: openTrust({ anchors: [root.der] }),
      untrusted: chain.map(({ der }) => der),
      at: NOW,
      purpose: 'clientAuth',
    });
    expect(
      verdict.reason === 'ok',
      `round ${round}: ${verdict.reason} ${verdict.detail}; OpenSSL: ${out}${err}`,
    ).toBe(status === 0);
    accepted += status === 0 ? 1 : 0;
  }
  expect(accepted).toBeGreaterThan(5);
  expect(accepted).toBeLessThan(CHAINS - 5);
});

describe('birthmark verify', () => {
  const root = makeAuthority({ cn: 'root' });
  const ca = makeAuthority({ issuer: root });
  const leaf = makeCertificate({ issuer: ca });
  pemFile('anchor.pem', [root]);
  pemFile('ca.pem', [ca]);
  pemFile('device.pem', [leaf]);
  writeFileSync(
    path.join(folder, 'ca.crl'),
    makeCrl({ issuer: ca, listed: [{ certificate: leaf, reason: 1 }] }),
  );
  writeFileSync(path.join(folder, 'empty.crl'), toPem('X509 CRL', makeCrl({ issuer: ca })));
  const at = new Date(NOW).toISOString();
  const verify = (...words: readonly string[]) => birthmark(['verify', ...words], {}, folder);
  const usual = ['--trust', 'anchor.pem', '--untrusted', 'ca.pem', '--at', at];

  test.each<[string, readonly string[], number, RegExp]>([
    [
      'says what is valid, under whom and how long',
      [...usual, 'device.pem'],
      0,
      /^valid: .*root[\s\S]*look again at/,
    ],
    ['finds it on no list', [...usual, '--crl', 'empty.crl', 'device.pem'], 0, /^valid/],
    ['says what was revoked', [...usual, '--crl', 'ca.crl', 'device.pem'], 1, /^revoked: .*keyCompromise/],
    ['says what has no path', ['--trust', 'anchor.pem', '--at', at, 'device.pem'], 1, /^untrusted/],
    [
      'says what is for something else',
      [...usual, '--purpose', 'serverAuth', 'device.pem'],
      1,
      /^wrongUsage/,
    ],
    ['keeps to the depth', [...usual, '--max-depth', '0', 'device.pem'], 1, /^untrusted/],
    ['speaks JSON', [...usual, '--json', 'device.pem'], 0, /^\{"valid":true,"reason":"ok"/],
    ['wants an anchor', ['device.pem'], 2, /^$/],
    ['wants a time that is one', [...usual.slice(0, 4), '--at', 'tomorrow', 'device.pem'], 2, /^$/],
  ])('%s', async (_, words, status, said) => {
    const done = await verify(...words);
    expect(done.out).toMatch(said);
    expect(done.status).toBe(status);
  });

  test('judges a case a line, and answers what is none', async () => {
    const pem = (party: Party) => toPem('CERTIFICATE', party.der);
    const one = {
      id: 'a',
      trusted: [pem(root)],
      untrusted: [pem(ca)],
      leaf: pem(leaf),
      time: at,
      purpose: 'any',
      more: 1,
    };
    const lines = [
      one,
      { ...one, id: 'b', untrusted: [] },
      { ...one, id: 'c', peer: { kind: 'X', value: '' } },
    ];
    const input = [...lines.map((line) => JSON.stringify(line)), 'no case', '{"id":"d"}'].join('\n');
    const program = path.resolve(import.meta.dirname, '../../src/cli/main.ts');
    const { out, status } = await runProgram(process.execPath, [program, 'verify', '--jsonl'], { input });
    const answers = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers.map(({ id, result }) => `${id} ${result}`)).toEqual([
      'a SUCCESS',
      'b FAILURE',
      'c SKIPPED',
      'null SKIPPED',
      'd SKIPPED',
    ]);
    expect(status).toBe(0);
  });
});
