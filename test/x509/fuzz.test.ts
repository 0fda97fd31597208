import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseBase64 } from '../../src/core/bytes.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { parseCertificate, readCertificate, readExtensions } from '../../src/x509/certificate.ts';
import { readCrl } from '../../src/x509/crl-reader.ts';
import { parseCsr, verifyPossession } from '../../src/x509/csr.ts';
import { assertDer, DerReader } from '../../src/x509/der/reader.ts';
import { assertName, nameToText, parseName } from '../../src/x509/name.ts';
import { openTrust } from '../../src/x509/path/trust.ts';
import { validatePath } from '../../src/x509/path/validate-path.ts';
import type { Verdict } from '../../src/x509/path/verdict.ts';
import { parsePem, parsePemBlocks } from '../../src/x509/pem.ts';
import { importPublicKey, parsePublicKey } from '../../src/x509/public-key.ts';
import { FUZZ_SEED, type FuzzTarget, failWith, fuzz, fuzzSeconds, readFindings } from '../fuzz-run.ts';
import { CORPUS_FOLDER, makeCorpus, readCorpus, writeCorpus } from './corpus.ts';
import { mutate, seededRandom } from './mutate.ts';
import { makeAuthority, makeCertificate, NOW } from './path/make-certificate.ts';
import { makeCrl } from './path/make-crl.ts';
import { sampleKey } from './samples.ts';

const SECONDS = fuzzSeconds(3);
/** Far above what any input of these sizes may take, far below what a hang does. */
const LONGEST_MS = 2000;
/** The other libraries are slow: at most so many accepted inputs of a target are shown to them in three seconds. */
const SAMPLES = Math.max(60, 20 * SECONDS);

interface Target {
  readonly name: string;
  /** What the names of its corpus files start with. */
  readonly corpus: string;
  /** Reads the octets; may throw BirthmarkError only. */
  readonly read: (octets: Buffer) => unknown;
  /** Reads what we accepted with another library; whatever it throws is a finding. */
  readonly readByOther?: (octets: Buffer) => unknown;
}

const TARGETS: readonly Target[] = [
  {
    name: 'parseCsr',
    corpus: 'csr',
    read: parseCsr,
    readByOther: (octets) => pkijs.CertificationRequest.fromBER(octets.slice()),
  },
  {
    name: 'verifyPossession',
    corpus: 'csr',
    read: (octets) => verifyPossession(parseCsr(octets)),
  },
  {
    name: 'readCertificate',
    corpus: 'certificate',
    read: readCertificate,
    readByOther: readByAsn1js,
  },
  {
    name: 'parseCertificate',
    corpus: 'certificate',
    read: parseCertificate,
    readByOther: (octets) => pkijs.Certificate.fromBER(octets.slice()),
  },
  {
    name: 'parseName',
    corpus: 'name',
    read: (octets) => [assertName(octets), parseName(octets), nameToText(octets)],
    readByOther: (octets) => new pkijs.RelativeDistinguishedNames({ schema: readByAsn1js(octets) }),
  },
  {
    name: 'readExtensions',
    corpus: 'extensions',
    read: (octets) => readExtensions(new DerReader(octets)),
    readByOther: (octets) => new pkijs.Extensions({ schema: readByAsn1js(octets) }),
  },
  {
    name: 'parsePublicKey',
    corpus: 'spki',
    read: parsePublicKey,
    readByOther: (octets) => new pkijs.PublicKeyInfo({ schema: readByAsn1js(octets) }),
  },
  {
    name: 'importPublicKey',
    corpus: 'spki',
    read: (octets) => [parsePublicKey(octets), importPublicKey(octets)],
  },
  {
    name: 'assertDer',
    corpus: '',
    read: (octets) => assertDer(octets, 'value'),
    readByOther: readByAsn1js,
  },
  {
    name: 'parsePemBlocks',
    corpus: 'pem',
    read: (octets) =>
      parsePemBlocks(octets.toString('latin1'), ['CERTIFICATE REQUEST', 'CERTIFICATE'], 'pem'),
  },
  {
    name: 'parsePem',
    corpus: 'pem',
    read: (octets) => parsePem(octets.toString('utf8'), ['CERTIFICATE REQUEST', 'CERTIFICATE'], 'pem'),
  },
  {
    name: 'parseBase64',
    corpus: 'pem',
    read: (octets) => parseBase64(octets.toString('utf8'), 'base64'),
  },
];

function readByAsn1js(octets: Buffer): asn1js.AsnType {
  const { offset, result } = asn1js.fromBER(octets.slice());
  if (offset !== octets.length)
    throw new Error(`asn1js stops at ${offset} of ${octets.length}: ${result.error}`);
  return result;
}

/** What went wrong with one input, if anything; `accepted` says whether we took it. */
function tryInput(target: Target, octets: Buffer): { readonly accepted: boolean; readonly fault?: string } {
  const before = performance.now();
  let accepted = true;
  try {
    target.read(octets);
  } catch (error) {
    accepted = false;
    if (!(error instanceof BirthmarkError)) return { accepted, fault: `threw ${String(error)}` };
    if (error.code === 'internal') return { accepted, fault: `took the blame: ${error.message}` };
  }
  const took = performance.now() - before;
  return took > LONGEST_MS ? { accepted, fault: `took ${Math.round(took)} ms` } : { accepted };
}

describe('whatever is sent', () => {
  const { stackTraceLimit } = Error;
  beforeAll(() => {
    // Most of the time of a refusal is its stack trace.
    Error.stackTraceLimit = 0;
  });
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });

  test.each(TARGETS)(
    '$name refuses with a code, in time, or another library can read it too',
    { timeout: (SECONDS + 60) * 1000 },
    ({ name, ...target }) => {
      const corpus = readCorpus(target.corpus);
      const before = readFindings(name);
      const random = seededRandom(FUZZ_SEED);
      const end = performance.now() + (SECONDS * 1000) / TARGETS.length;
      let tries = 0;
      let shown = 0;
      for (; tries <= before.length || performance.now() < end; tries += 1) {
        const input =
          before[tries] ?? mutate(corpus[tries % corpus.length] ?? Buffer.alloc(0), corpus, random);
        const { accepted, fault } = tryInput({ name, ...target }, input);
        if (fault) failWith(name, input, `${fault}, try ${tries}`);
        if (!accepted || !target.readByOther || shown >= SAMPLES) continue;
        shown += 1;
        try {
          target.readByOther(input);
        } catch (error) {
          failWith(name, input, `we accept what another library cannot read: ${String(error)}, try ${tries}`);
        }
      }
      expect(tries).toBeGreaterThan(0);
    },
  );

  const key = sampleKey('P-256');
  const signing = makeAuthority({ key });
  const middle = makeAuthority({ issuer: signing, cn: 'middle', pathLength: 0 });
  const leaf = makeCertificate({ issuer: middle });
  const list = makeCrl({ issuer: signing, number: 2, listed: [{ certificate: leaf, reason: 1 }] });
  const trust = openTrust({ anchors: [signing.der] });
  const judge = (input: Buffer, untrusted: Buffer) =>
    validatePath(input, { trust, at: NOW, purpose: 'clientAuth', untrusted: [untrusted, middle.der] });
  const judging: readonly FuzzTarget[] = [
    { name: 'readCrl', corpus: [list], read: readCrl },
    // A verdict is never thrown: what is, is a fault, ours or not.
    {
      name: 'validatePath, leaf',
      corpus: [leaf.der, ...readCorpus('certificate')],
      read: (input) => saying(judge(input, middle.der)),
    },
    {
      name: 'validatePath, chain',
      corpus: [middle.der, signing.der],
      read: (input) => saying(judge(leaf.der, input)),
    },
    { name: 'validatePath, anchor', corpus: [signing.der], read: (input) => openTrust({ anchors: [input] }) },
  ];

  function saying({ reason }: Verdict): void {
    if (reason.length === 0) throw new Error('there is no reason');
  }

  test.each(judging)('$name is answered with a code, in time', { timeout: (SECONDS + 60) * 1000 }, (target) =>
    fuzz(target, SECONDS / TARGETS.length),
  );
});

describe('the corpus', () => {
  if (process.env.BIRTHMARK_WRITE_CORPUS !== undefined) writeCorpus();
  const files = makeCorpus();

  test('is what the generator makes', () => {
    const there = readdirSync(CORPUS_FOLDER).filter(
      (name) => name !== 'README.md' && name !== '.gitattributes',
    );
    expect(there.toSorted()).toEqual(Object.keys(files).toSorted());
  });

  test.each(Object.entries(files))('%s is as it was made', (name, octets) => {
    expect(readFileSync(path.join(CORPUS_FOLDER, name)).equals(octets)).toBe(true);
  });

  test.each(TARGETS)('$name accepts a file of it', (target) => {
    expect(readCorpus(target.corpus).some((octets) => tryInput(target, octets).accepted)).toBe(
      target.name !== 'parseBase64',
    );
  });
});

test('a seed gives the same inputs again', () => {
  const corpus = readCorpus('csr');
  const inputs = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 50 }, () =>
      mutate(corpus[0] ?? Buffer.alloc(0), corpus, random).toString('hex'),
    );
  };
  expect(inputs(7)).toEqual(inputs(7));
  expect(inputs(7)).not.toEqual(inputs(8));
});
