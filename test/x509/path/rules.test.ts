import { describe, expect, test } from 'vitest';
import type { Der } from '../../../src/x509/der/encode.ts';
import { constructed, encode, explicit, primitive, sequence, setOf } from '../../../src/x509/der/encode.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import {
  ia5String,
  integer,
  nullValue,
  octetString,
  oid,
  printableString,
  utf8String,
} from '../../../src/x509/der/values.ts';
import * as extensions from '../../../src/x509/extensions.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { type PathInput, validatePath } from '../../../src/x509/path/validate-path.ts';
import { sampleKey } from '../samples.ts';
import {
  commonName,
  makeAuthority,
  makeCertificate,
  NOW,
  type Party,
  type Traits,
} from './make-certificate.ts';

const { EXTENSION } = extensions;
const root = makeAuthority({ cn: 'root' });

/** What can differ between a chain that holds and one that does not. */
interface Chain {
  readonly root?: Traits;
  readonly ca?: Traits;
  readonly leaf?: Traits;
  readonly input?: Partial<PathInput>;
}

function verdictOf({ root: rootTraits, ca, leaf, input }: Chain) {
  const anchor = rootTraits ? makeAuthority({ cn: 'root', ...rootTraits }) : root;
  const issuer = makeAuthority({ issuer: anchor, ...ca });
  return judge(anchor, [issuer], makeCertificate({ issuer, ...leaf }), input);
}

function judge(anchor: Party, untrusted: readonly Party[], leaf: Party, input: Partial<PathInput> = {}) {
  const trust = openTrust({ anchors: [anchor.der] });
  const ders = untrusted.map(({ der }) => der);
  return validatePath(leaf.der, { trust, untrusted: ders, at: NOW, purpose: 'clientAuth', ...input });
}

const keyId = extensions.subjectKeyIdentifier(Uint8Array.of(1));
const unknown = (critical: boolean) => extensions.extension('1.3.6.1.4.1.99999.7', critical, nullValue());
const subtree = (...bases: readonly Der[]) => bases.map((base) => sequence(base));
const constraints = (permitted: readonly Der[], excluded: readonly Der[] = []) =>
  extensions.extension(
    EXTENSION.nameConstraints,
    true,
    sequence(
      ...(permitted.length > 0 ? [constructed(TAG.contextConstructed, subtree(...permitted))] : []),
      ...(excluded.length > 0 ? [constructed(TAG.contextConstructed | 1, subtree(...excluded))] : []),
    ),
  );
const alternatives = (...names: readonly Der[]) =>
  extensions.extension(EXTENSION.subjectAltName, false, sequence(...names));
const dns = (name: string) => ia5String(name, TAG.context | 2);
const email = (name: string) => ia5String(name, TAG.context | 1);
const uri = (name: string) => ia5String(name, TAG.context | 6);
const ip = (...octets: readonly number[]) => primitive(TAG.context | 7, Uint8Array.from(octets));
const directory = (cn: string) => explicit(4, commonName(cn));
const other = (type: string, value: Der) =>
  constructed(TAG.contextConstructed, [oid(type), explicit(0, value)]);
const mac = (...octets: readonly number[]) =>
  other('1.3.6.1.5.5.7.8.12', octetString(Uint8Array.from(octets)));
const hardware = other(
  extensions.HARDWARE_MODULE_NAME,
  sequence(oid('1.3.6.1.4.1.99999.1'), octetString(Uint8Array.of(1))),
);
const policies = (...ids: readonly string[]) => extensions.certificatePolicies(ids);
const P1 = '1.3.6.1.4.1.99999.9.1';
const P2 = '1.3.6.1.4.1.99999.9.2';
const requireExplicit = extensions.extension(
  EXTENSION.policyConstraints,
  true,
  sequence(integer(0, TAG.context)),
);
const mapping = (from: string, to: string) =>
  extensions.extension(EXTENSION.policyMappings, false, sequence(sequence(oid(from), oid(to))));
const wanted = (...ids: readonly string[]): Partial<PathInput> => ({
  policy: {
    initialPolicySet: ids,
    initialExplicitPolicy: true,
    initialPolicyMappingInhibit: false,
    initialAnyPolicyInhibit: false,
  },
});
const { clientAuth, serverAuth, any, ocspSigning } = extensions.EXTENDED_KEY_USAGE;
const ANY_POLICY = '2.5.29.32.0';

/** Each pair differs in one field: the first holds, the second is refused for the reason. */
const TWINS: Readonly<Record<string, readonly [Chain, string, Chain]>> = {
  'a path to an anchor': [{}, 'untrusted', { input: { untrusted: [] } }],
  'a leaf that starts now': [
    { leaf: { fields: { notBefore: NOW } } },
    'notYetValid',
    { leaf: { fields: { notBefore: NOW + 1000 } } },
  ],
  'a leaf that ends now': [
    { leaf: { fields: { notAfter: NOW } } },
    'expired',
    { leaf: { fields: { notAfter: NOW - 1000 } } },
  ],
  'a CA that ends now': [
    { ca: { fields: { notAfter: NOW } } },
    'expired',
    { ca: { fields: { notAfter: NOW - 1000 } } },
  ],
  'an anchor that ends now': [
    { root: { fields: { notAfter: NOW } } },
    'expired',
    { root: { fields: { notAfter: NOW - 1000 } } },
  ],
  'an old CA where only the leaf must be valid': [
    { ca: { fields: { notAfter: NOW - 1000 } }, input: { validity: 'leaf' } },
    'expired',
    { leaf: { fields: { notAfter: NOW - 1000 } }, input: { validity: 'leaf' } },
  ],
  'a CA': [{}, 'wrongUsage', { ca: { only: [extensions.keyUsage(['digitalSignature'])] } }],
  'an anchor that is a CA': [{ root: {} }, 'wrongUsage', { root: { only: [keyId] } }],
  'keyCertSign in a CA': [{ ca: { keyUsage: 'absent' } }, 'wrongUsage', { ca: { keyUsage: ['cRLSign'] } }],
  'keyCertSign without cA': [{}, 'malformed', { leaf: { keyUsage: ['digitalSignature', 'keyCertSign'] } }],
  'room under pathLenConstraint': [{ root: { pathLength: 1 } }, 'wrongUsage', { root: { pathLength: 0 } }],
  'room under the limit of depth': [
    { input: { limits: { maxDepth: 1 } } },
    'untrusted',
    { input: { limits: { maxDepth: 0 } } },
  ],
  'clientAuth in the leaf': [{}, 'wrongUsage', { leaf: { purposes: [serverAuth] } }],
  'any purpose in the leaf': [
    { leaf: { purposes: [any] } },
    'wrongUsage',
    { leaf: { purposes: [any] }, input: { strictPurpose: true } },
  ],
  'a leaf without purposes': [
    { leaf: { only: [keyId] } },
    'wrongUsage',
    { leaf: { only: [keyId] }, input: { strictPurpose: true } },
  ],
  'a foreign purpose beside': [
    { leaf: { purposes: [clientAuth, ocspSigning] } },
    'wrongUsage',
    { leaf: { purposes: [clientAuth, ocspSigning] }, input: { strictPurpose: true } },
  ],
  'clientAuth in a CA': [
    { ca: { purposes: [serverAuth, clientAuth] } },
    'wrongUsage',
    { ca: { purposes: [serverAuth] } },
  ],
  'digitalSignature in the leaf': [
    { leaf: { keyUsage: 'absent' } },
    'wrongUsage',
    { leaf: { keyUsage: ['keyAgreement'] } },
  ],
  'an unknown extension in the leaf': [
    { leaf: { extra: [unknown(false)] } },
    'malformed',
    { leaf: { extra: [unknown(true)] } },
  ],
  'an unknown extension in a CA': [
    { ca: { extra: [unknown(false)] } },
    'malformed',
    { ca: { extra: [unknown(true)] } },
  ],
  'an unknown extension in an anchor': [
    { root: { extra: [unknown(false)] } },
    'malformed',
    { root: { extra: [unknown(true)] } },
  ],
  'an extension once': [
    { leaf: { extra: [policies(P1)] } },
    'malformed',
    { leaf: { extra: [policies(P1), policies(P1)] } },
  ],
  'a policy once': [
    { leaf: { extra: [policies(P1, P2)] } },
    'malformed',
    { leaf: { extra: [policies(P1, P1)] } },
  ],
  'a serial number': [
    { leaf: { fields: { serial: Uint8Array.of(1) } } },
    'malformed',
    { leaf: { fields: { serial: Uint8Array.of(0) } } },
  ],
  'a serial number of 20 octets': [
    { leaf: { fields: { serial: new Uint8Array(20).fill(1) } } },
    'malformed',
    { leaf: { fields: { serial: new Uint8Array(21).fill(1) } } },
  ],
  'an issuer with a name': [{}, 'malformed', { leaf: { fields: { issuer: encode(sequence()) } } }],
  'an empty subject beside a critical subjectAltName': [
    {
      leaf: {
        fields: { subject: encode(sequence()) },
        extra: [extensions.extension(EXTENSION.subjectAltName, true, sequence(dns('d.example')))],
      },
    },
    'malformed',
    { leaf: { fields: { subject: encode(sequence()) }, extra: [alternatives(dns('d.example'))] } },
  ],
  'P-256': [{}, 'weak', { leaf: { fields: { spki: spkiOf('secp256k1') } } }],
  'a point on its curve': [
    { leaf: { fields: { spki: offCurve() } }, input: { possessionProven: true } },
    'weak',
    { leaf: { fields: { spki: offCurve() } } },
  ],
  'a DNS name that is permitted': permittedTwin(
    dns('lab.example'),
    dns('d.lab.example'),
    dns('d.labs.example'),
  ),
  'a DNS name that is the base': permittedTwin(dns('lab.example'), dns('LAB.example'), dns('xlab.example')),
  'a wildcard beside what is excluded': excludedTwin(
    dns('a.lab.example'),
    dns('*.b.lab.example'),
    dns('*.lab.example'),
  ),
  'a mailbox': permittedTwin(email('a@lab.example'), email('a@LAB.example'), email('A@lab.example')),
  'a mail host': permittedTwin(email('lab.example'), email('a@lab.example'), email('a@b.lab.example')),
  'a mail domain': permittedTwin(email('.lab.example'), email('a@b.lab.example'), email('a@lab.example')),
  'a URI': permittedTwin(
    uri('.lab.example'),
    uri('https://u@b.lab.example:1/x'),
    uri('https://lab.example/'),
  ),
  'a URI by address': permittedTwin(
    uri('lab.example'),
    uri('https://lab.example'),
    uri('https://192.0.2.1/'),
  ),
  'an IPv4 address': permittedTwin(ip(192, 0, 2, 0, 255, 255, 255, 0), ip(192, 0, 2, 9), ip(192, 0, 3, 9)),
  'an IPv6 address under IPv4': excludedTwin(
    ip(0, 0, 0, 0, 0, 0, 0, 0),
    ip(...new Array<number>(16).fill(0)),
    ip(9, 9, 9, 9),
  ),
  'a directory name': permittedTwin(directory('device'), directory('DEVICE'), directory('other')),
  'a MAC address': permittedTwin(
    mac(2, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0),
    mac(2, 1, 2, 3, 4, 5),
    mac(4, 1, 2, 3, 4, 5),
  ),
  'hardwareModuleName under a constraint of another otherName': [
    {
      ca: { extra: [constraints([mac(2, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0)])] },
      leaf: { extra: [alternatives(hardware)] },
    },
    'nameConstraint',
    { ca: { extra: [constraints([hardware])] }, leaf: { extra: [alternatives(hardware)] } },
  ],
  'a subject that is permitted': [
    { ca: { extra: [constraints([directory('device')])] } },
    'nameConstraint',
    { ca: { extra: [constraints([directory('device')])] }, leaf: { cn: 'other' } },
  ],
  'the constraints of an anchor': [
    { root: { extra: [constraints([], [dns('lab.example')])] } },
    'nameConstraint',
    {
      root: { extra: [constraints([], [dns('lab.example')])] },
      leaf: { extra: [alternatives(dns('d.lab.example'))] },
    },
  ],
  'constraints in a CA': [
    { ca: { extra: [constraints([dns('lab.example')])] } },
    'malformed',
    { leaf: { extra: [constraints([dns('lab.example')])] } },
  ],
  'a base that is a host': [
    { ca: { extra: [constraints([dns('lab.example')])] } },
    'malformed',
    { ca: { extra: [constraints([dns('*.lab.example')])] } },
  ],
  'a policy that is asked for': [
    { ca: { extra: [policies(P1)] }, leaf: { extra: [policies(P1)] }, input: wanted(P1) },
    'policy',
    { ca: { extra: [policies(P1)] }, leaf: { extra: [policies(P1)] }, input: wanted(P2) },
  ],
  'a policy that a CA asks for': [
    { ca: { extra: [policies(P1), requireExplicit] }, leaf: { extra: [policies(P1)] } },
    'policy',
    { ca: { extra: [policies(P1), requireExplicit] }, leaf: { extra: [policies(P2)] } },
  ],
  'anyPolicy in a CA': [
    { ca: { extra: [policies(ANY_POLICY)] }, leaf: { extra: [policies(P1)] }, input: wanted(P1) },
    'policy',
    { ca: { extra: [policies(P2)] }, leaf: { extra: [policies(P1)] }, input: wanted(P1) },
  ],
  'a policy that is mapped': [
    { ca: { extra: [policies(P1), mapping(P1, P2)] }, leaf: { extra: [policies(P2)] }, input: wanted(P1) },
    'policy',
    { ca: { extra: [policies(P1), mapping(P1, P2)] }, leaf: { extra: [policies(P1)] }, input: wanted(P1) },
  ],
  'a mapping of policies': [
    { ca: { extra: [policies(P1), mapping(P1, P2)] } },
    'malformed',
    { ca: { extra: [policies(P1), mapping(P1, ANY_POLICY)] } },
  ],
  'the name of the peer': [
    {
      leaf: { extra: [alternatives(dns('*.lab.example'))] },
      input: { peer: { kind: 'dns', value: 'd.lab.example' } },
    },
    'wrongUsage',
    {
      leaf: { extra: [alternatives(dns('*.lab.example'))] },
      input: { peer: { kind: 'dns', value: 'd.e.lab.example' } },
    },
  ],
  'the address of the peer': [
    {
      leaf: { extra: [alternatives(ip(192, 0, 2, 1))] },
      input: { peer: { kind: 'ip', value: '192.0.2.1' } },
    },
    'wrongUsage',
    {
      leaf: { extra: [alternatives(dns('192.0.2.1'))] },
      input: { peer: { kind: 'ip', value: '192.0.2.1' } },
    },
  ],
};

function permittedTwin(base: Der, inside: Der, outside: Der): readonly [Chain, string, Chain] {
  const ca = { extra: [constraints([base])] };
  return [
    { ca, leaf: { extra: [alternatives(inside)] } },
    'nameConstraint',
    { ca, leaf: { extra: [alternatives(outside)] } },
  ];
}

function excludedTwin(base: Der, outside: Der, inside: Der): readonly [Chain, string, Chain] {
  const ca = { extra: [constraints([], [base])] };
  return [
    { ca, leaf: { extra: [alternatives(outside)] } },
    'nameConstraint',
    { ca, leaf: { extra: [alternatives(inside)] } },
  ];
}

function spkiOf(curve: string): Buffer {
  const good = sampleKey('P-256').spki;
  const id = { secp256k1: '1.3.132.0.10' }[curve] ?? '';
  return encode(
    sequence(
      sequence(oid('1.2.840.10045.2.1'), oid(id)),
      primitive(TAG.bitString, good.subarray(good.length - 66)),
    ),
  );
}

function offCurve(): Buffer {
  const spki = Buffer.from(sampleKey('P-256').spki);
  spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
  return spki;
}

describe.each(Object.entries(TWINS))('%s', (_, [good, reason, bad]) => {
  test('is taken', () => {
    expect(verdictOf(good)).toMatchObject({ reason: 'ok' });
  });

  test(`and its twin is refused: ${reason}`, () => {
    expect(verdictOf(bad)).toMatchObject({ reason });
  });
});

describe('building a path', () => {
  test('takes an issuer whose name is written otherwise', () => {
    const ca = makeAuthority({ issuer: root, fields: { subject: rdn(utf8String('Lab  CA')) } });
    const leaf = makeCertificate({ issuer: { ...ca, name: rdn(printableString('lab ca')) } });
    expect(judge(root, [ca], leaf).reason).toBe('ok');
  });

  test('says so where a signature is another key’s', () => {
    const ca = makeAuthority({ issuer: root });
    const leaf = makeCertificate({ issuer: { ...ca, key: sampleKey('P-256') } });
    expect(judge(root, [ca], leaf).reason).toBe('badSignature');
  });

  test('tries each CA of a name, and the way back out of each', () => {
    const old = makeAuthority({ cn: 'CA', issuer: root, fields: { notAfter: NOW - 1000 } });
    const again = makeAuthority({ cn: 'CA', key: old.key, issuer: root });
    const strangers = Array.from({ length: 5 }, () => makeAuthority({ cn: 'CA', issuer: root }));
    const verdict = judge(root, [old, ...strangers, again], makeCertificate({ issuer: old }));
    expect(verdict.reason).toBe('ok');
    expect(verdict.path?.[1]).toEqual(new Uint8Array(again.der));
  });

  test('goes round where two CAs certify each other', () => {
    const one = makeAuthority({ cn: 'one' });
    const other = makeAuthority({ cn: 'other' });
    const oneByOther = makeAuthority({ cn: 'one', key: one.key, issuer: other });
    const otherByOne = makeAuthority({ cn: 'other', key: other.key, issuer: one });
    expect(judge(root, [oneByOther, otherByOne], makeCertificate({ issuer: one })).reason).toBe('untrusted');
    const wayOut = makeAuthority({ cn: 'other', key: other.key, issuer: root });
    expect(judge(root, [oneByOther, otherByOne, wayOut], makeCertificate({ issuer: one })).reason).toBe('ok');
  });

  test('passes over what comes along and cannot be read', () => {
    const ca = makeAuthority({ issuer: root });
    const trust = openTrust({ anchors: [root.der, Buffer.from('no certificate')] });
    expect(trust.unreadable).toHaveLength(1);
    const untrusted = [Buffer.from('no certificate'), ca.der];
    expect(
      validatePath(makeCertificate({ issuer: ca }).der, { trust, untrusted, at: NOW, purpose: 'any' }).reason,
    ).toBe('ok');
  });

  test('tells when to look again: at the first end along the path', () => {
    const ca = makeAuthority({ issuer: root, fields: { notAfter: NOW + 5000 } });
    expect(judge(root, [ca], makeCertificate({ issuer: ca }))).toMatchObject({ lookAgainAt: NOW + 5000 });
  });

  test('remembers the signatures of known CAs, and checks one for each leaf after the first', () => {
    const ca = makeAuthority({ issuer: root });
    const trust = openTrust({ anchors: [root.der], intermediates: [ca.der] });
    const checks = Array.from({ length: 3 }, () => {
      let spent = 0;
      const onSpent: PathInput['onSpent'] = ({ signatureChecks }) => {
        spent = signatureChecks;
      };
      validatePath(makeCertificate({ issuer: ca }).der, {
        trust,
        untrusted: [ca.der],
        at: NOW,
        purpose: 'any',
        onSpent,
      });
      return spent;
    });
    expect(checks).toEqual([2, 1, 1]);
  });

  test('does not trust other octets than those that it was given', () => {
    const der = Buffer.from(root.der);
    const trust = openTrust({ anchors: [der] });
    der.fill(0);
    const leaf = makeCertificate({ issuer: root });
    expect(validatePath(leaf.der, { trust, at: NOW, purpose: 'any' }).reason).toBe('ok');
  });
});

test('an algorithm that is weak is refused unless it is allowed by name', () => {
  const key = sampleKey('RSA-2048');
  const sha1 = {
    ...key,
    algorithm: { ...key.algorithm, der: encode(sequence(oid('1.2.840.113549.1.1.5'), nullValue())) },
  };
  const ca = makeAuthority({ issuer: root, key: sha1 });
  const leaf = makeCertificate({ issuer: ca });
  expect(judge(root, [ca], leaf)).toMatchObject({ reason: 'weak' });
  // It names SHA-1 and is signed over SHA-256, so that the next thing that is wrong is the signature.
  const allowWeak = { algorithms: new Set(['sha1'] as const), minimumRsaBits: 2048 };
  expect(judge(root, [ca], leaf, { allowWeak })).toMatchObject({ reason: 'badSignature' });
});

function rdn(text: Der): Buffer {
  return encode(sequence(setOf(sequence(oid('2.5.4.3'), text))));
}
