import { constructed, type Der, explicit, primitive, sequence } from '../../../src/x509/der/encode.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { ia5String, integer, oid } from '../../../src/x509/der/values.ts';
import { EXTENSION, extension, subjectAltName } from '../../../src/x509/extensions.ts';
import { type KeyKind, sampleKey } from '../samples.ts';
import { commonName, makeAuthority, makeCertificate, type Party } from './make-certificate.ts';

/** A leaf with what comes with it, made to keep a validator busy. */
export interface SlowChain {
  readonly what: string;
  readonly anchors: readonly Uint8Array[];
  readonly untrusted: readonly Uint8Array[];
  readonly leaf: Uint8Array;
}

const ders = (parties: readonly Party[]) => parties.map(({ der }) => der);

/** Many CAs of one name, of which none, or the last one only, issued the leaf. */
function sameName(kind: KeyKind, count: number): SlowChain {
  const root = makeAuthority({ cn: 'root', key: kind });
  const fakes = Array.from({ length: count }, () => makeAuthority({ cn: 'CA', key: kind, issuer: root }));
  const stranger = makeAuthority({ cn: 'CA', key: kind, issuer: root });
  const leaf = makeCertificate({ issuer: stranger });
  return {
    what: `${count} CAs of one name (${kind})`,
    anchors: [root.der],
    untrusted: ders(fakes),
    leaf: leaf.der,
  };
}

/** CAs that all certify each other, and a leaf under one of them; none leads to the anchor, or one to a refusal. */
function everyoneSignsEveryone(count: number, sameNames: boolean, reachable = false): SlowChain {
  const root = makeAuthority({ cn: 'root' });
  const parties = Array.from({ length: count }, (_, at) =>
    makeAuthority({ cn: sameNames ? 'CA' : `CA ${at}` }),
  );
  const crossed = parties.flatMap((subject) =>
    parties
      .filter((issuer) => issuer !== subject)
      .map((issuer) => makeAuthority({ key: subject.key, issuer, fields: { subject: subject.name } })),
  );
  const [first = root] = parties;
  const last = parties.at(-1) ?? root;
  const rooted = reachable
    ? [makeAuthority({ key: last.key, issuer: root, fields: { subject: last.name } })]
    : [];
  const leaf = makeCertificate({
    issuer: first,
    ...(reachable ? { purposes: ['1.3.6.1.4.1.99999.8'] } : {}),
  });
  const what = `${count} CAs that certify each other${sameNames ? ' under one name' : ''}${reachable ? ', rooted' : ''}`;
  return { what, anchors: [root.der], untrusted: ders([...crossed, ...rooted]), leaf: leaf.der };
}

/** Self-issued certificates up to the limit of a path's length and beyond. */
function longChain(length: number): SlowChain {
  const root = makeAuthority({ cn: 'root' });
  let issuer = root;
  const chain = Array.from({ length }, (_, at) => {
    issuer = makeAuthority({ cn: at % 2 === 0 ? `CA ${at}` : 'CA', issuer });
    return issuer;
  });
  return {
    what: `a chain of ${length}`,
    anchors: [root.der],
    untrusted: ders(chain),
    leaf: makeCertificate({ issuer }).der,
  };
}

/** As many names as fit a certificate against as many constraints as fit another. */
function manyNames(count: number, form: 'dns' | 'ip' | 'directory'): SlowChain {
  const name = (at: number, subtree: boolean): Der => {
    if (form === 'dns') return ia5String(`${subtree ? 'x' : 'y'}${at}.example`, TAG.context | 2);
    if (form === 'ip')
      return primitive(TAG.context | 7, new Uint8Array(subtree ? 8 : 4).fill(255).fill(at & 255, 2, 4));
    return explicit(4, commonName(`${subtree ? 'x' : 'y'}${at}`));
  };
  const list = (subtree: boolean) => Array.from({ length: count }, (_, at) => name(at, subtree));
  const constraints = extension(
    EXTENSION.nameConstraints,
    true,
    sequence(
      constructed(
        TAG.contextConstructed | 1,
        list(true).map((base) => sequence(base)),
      ),
    ),
  );
  const root = makeAuthority({ cn: 'root' });
  const issuer = makeAuthority({ cn: 'CA', issuer: root, extra: [constraints] });
  const leaf = makeCertificate({
    issuer,
    extra: [extension(EXTENSION.subjectAltName, false, sequence(...list(false)))],
  });
  return {
    what: `${count} names (${form}) under ${count} constraints`,
    anchors: [root.der],
    untrusted: [issuer.der],
    leaf: leaf.der,
  };
}

/** Policies that are mapped to each other at every step (RFC 9618 §1: a tree of these grows without end). */
function manyPolicies(count: number, depth: number): SlowChain {
  const policy = (at: number) => oid(`1.3.6.1.4.1.99999.9.${at}`);
  const all = Array.from({ length: count }, (_, at) => at);
  const policies = extension(
    EXTENSION.certificatePolicies,
    false,
    sequence(...all.map((at) => sequence(policy(at)))),
  );
  const mappings = extension(
    EXTENSION.policyMappings,
    false,
    sequence(...all.map((at) => sequence(policy(at % 11), policy((at * 7) % count)))),
  );
  const required = extension(EXTENSION.policyConstraints, true, sequence(integer(0, TAG.context)));
  const root = makeAuthority({ cn: 'root' });
  let issuer = root;
  const chain = Array.from({ length: depth }, (_, at) => {
    issuer = makeAuthority({ cn: `CA ${at}`, issuer, extra: [policies, mappings, required] });
    return issuer;
  });
  const leaf = makeCertificate({ issuer, extra: [policies] });
  return {
    what: `${count} policies at ${depth} depths`,
    anchors: [root.der],
    untrusted: ders(chain),
    leaf: leaf.der,
  };
}

/** One long certificate after another under the same name: each must be read. */
function longCertificates(count: number): SlowChain {
  const key = sampleKey('P-256');
  const names = Array.from({ length: 400 }, (_, at) => ({
    kind: 'dns' as const,
    name: `a-rather-long-name-${at}.example`,
  }));
  const root = makeAuthority({ cn: 'root' });
  const long = Array.from({ length: count }, () =>
    makeAuthority({ cn: 'CA', key, issuer: root, extra: [subjectAltName(names)] }),
  );
  const stranger = makeAuthority({ cn: 'CA', issuer: root });
  return {
    what: `${count} long certificates`,
    anchors: [root.der],
    untrusted: ders(long),
    leaf: makeCertificate({ issuer: stranger }).der,
  };
}

/** A hundred chains, no two alike. */
export function makeSlowChains(): SlowChain[] {
  const range = (from: number, count: number, step = 1) =>
    Array.from({ length: count }, (_, at) => from + at * step);
  return [
    ...range(60, 6, 16).map((count) => sameName('P-256', count)),
    ...range(4, 6).map((count) => everyoneSignsEveryone(count, false, true)),
    ...range(20, 8, 4).map((count) => sameName('P-384', count)),
    ...range(8, 8, 4).map((count) => sameName('P-521', count)),
    ...range(60, 4, 20).map((count) => sameName('Ed25519', count)),
    ...range(4, 8).map((count) => everyoneSignsEveryone(count, false)),
    ...range(4, 8).map((count) => everyoneSignsEveryone(count, true)),
    ...range(6, 12, 4).map(longChain),
    ...range(200, 8, 100).map((count) => manyNames(count, 'dns')),
    ...range(200, 8, 100).map((count) => manyNames(count, 'ip')),
    ...range(200, 8, 100).map((count) => manyNames(count, 'directory')),
    ...range(16, 12, 10).map((count) => manyPolicies(count, 8)),
    ...range(2, 4).map(longCertificates),
  ];
}
