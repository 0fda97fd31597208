// `npm run conformance -- DIR`: other people's checkers (DIR/check) judge what a real `birthmark serve` gives, from
// outside. A warning fails too, unless departures.ts says why we take it. Closes with one total.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { mapInOrder } from '../../src/core/map-in-order.ts';
import { type House, PUBLIC_URL, startHouse } from '../interop/house.ts';
import { type Checker, type Finding, openChecker } from './checker.ts';
import { fetchList, listsWithEntries } from './crl.ts';
import { judgeCsrAttributes } from './csrattrs.ts';
import { DEPARTURES, type Departure, departureFor, type Subject } from './departures.ts';
import { makeCsrs, makeFleet, type Specimen } from './make-fleet.ts';
import { askOcsp } from './ocsp.ts';
import { judgePaths, PATH_SUITES } from './paths.ts';

/** A file to be judged, and how. */
interface Case {
  readonly group: string;
  readonly what: string;
  readonly subject: Subject;
  readonly checker: Checker;
  readonly words: readonly string[];
}

/** Algorithm of the authorities, and shards of their lists: fewer than a home has by default, all are alike. */
const HIERARCHIES = [
  ['ec-p256', 16],
  ['ec-p384', 4],
  ['ed25519', 4],
] as const;

const [folder, ...more] = process.argv.slice(2);
if (folder === undefined || more.length > 0) {
  console.error('usage: npm run conformance -- DIR   (checkers in DIR/check, vectors in DIR/vectors)');
  process.exit(2);
}
const work = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
const used = new Set<Departure>();
let passed = 0;
let failed = 0;
try {
  const checkers = {
    devId: await openChecker(folder, 'check_idevid.py'),
    crl: await openChecker(folder, 'check_crl.py'),
    ocsp: await openChecker(folder, 'check_ocsp.py'),
  };
  countCsrAttributes(path.join(folder, 'vectors', 'est-csrattrs.json'));
  for (const { suite, passed: good, known, complaints } of await judgePaths(folder)) {
    passed += good;
    console.log(
      `${good} of ${good + known + complaints.length}  paths of ${suite}; ${known} accepted with a reason`,
    );
    for (const complaint of complaints) fail('paths', suite, [complaint]);
  }
  const csrs = await makeCsrs(work);
  for (const [algorithm, shards] of HIERARCHIES) await judgeHierarchy(algorithm, shards, csrs, checkers);
  for (const departure of DEPARTURES.filter((one) => !used.has(one)))
    fail('departures', departure.code, ['is not needed any more']);
} catch (error) {
  fail('conformance', 'run', [error instanceof Error ? error.message : String(error)]);
} finally {
  rmSync(work, { recursive: true });
}
tellWhatIsNotRun(folder);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

async function judgeHierarchy(
  algorithm: string,
  shards: number,
  csrs: ReadonlyMap<string, string>,
  { devId, crl, ocsp }: Readonly<Record<'devId' | 'crl' | 'ocsp', Checker>>,
): Promise<void> {
  const house = await startHouse({
    init: ['--algorithm', algorithm, '--organization', 'Conformance'],
    under: work,
    configure: (toml) =>
      toml
        .replace(/^shards = \d+$/m, `shards = ${shards}`)
        .replace(/^#coalesceSeconds = \d+$/m, 'coalesceSeconds = 0'),
  });
  try {
    const specimens = await makeFleet(house, csrs);
    const certificates = specimens.map((specimen) => certificateCase(house, specimen, algorithm, devId));
    const lists = await crlCases(house, specimens, algorithm, crl);
    // Behind those, since it takes certificates back.
    const entries = (await listsWithEntries(house, specimens)).map(({ what, words }) => ({
      group: `CRLs with entries of an ${algorithm} hierarchy (check_crl.py)`,
      what,
      subject: { kind: 'crl' } as const,
      checker: crl,
      words,
    }));
    const answers = (await askOcsp(house, specimens)).map(({ what, words }) => ({
      group: `OCSP answers of an ${algorithm} hierarchy (check_ocsp.py)`,
      what,
      subject: { kind: 'ocsp' } as const,
      checker: ocsp,
      words,
    }));
    for (const [one] of [certificates, lists, entries, answers])
      if (one) await assertAlive(one, house.pem('service'));
    await judge([...certificates, ...lists, ...entries, ...answers]);
  } catch (error) {
    console.log(house.log());
    throw error;
  } finally {
    await house.stop();
  }
}

function certificateCase(house: House, specimen: Specimen, algorithm: string, checker: Checker): Case {
  const { kind, key, serialNumber, certificate, csr, hardware } = specimen;
  const words = [
    '--issuer',
    house.pem(kind),
    '--csr',
    csr,
    '--serial-number',
    serialNumber,
    '--profile',
    kind,
  ];
  const expected = hardware
    ? ['--require-hwmod', '--hwtype', hardware.type, '--hwserial', hardware.serialHex]
    : [];
  return {
    group: `${kind === 'idevid' ? 'IDevIDs' : 'LDevIDs'} of an ${algorithm} hierarchy (check_idevid.py)`,
    what: serialNumber,
    subject: { kind, key },
    checker,
    words: [path.join(house.folder, certificate), ...words, ...expected],
  };
}

/** Every list that is published: each authority's full one, and its shards, with a certificate where one names them. */
async function crlCases(
  house: House,
  specimens: readonly Specimen[],
  algorithm: string,
  checker: Checker,
): Promise<Case[]> {
  const named = new Map<string, Specimen>();
  for (const specimen of specimens) {
    const text = await house.program(
      'openssl',
      'x509',
      '-in',
      specimen.certificate,
      '-noout',
      '-ext',
      'crlDistributionPoints',
    );
    for (const [, url = ''] of text.matchAll(/URI:(\S+)/g)) named.set(url, specimen);
  }
  const cases: Case[] = [];
  const add = (authority: string, url: string, file: string, words: readonly string[]) =>
    cases.push({
      group: `CRLs of an ${algorithm} hierarchy (check_crl.py)`,
      what: url,
      subject: { kind: 'crl' },
      checker,
      words: [
        path.join(house.folder, file),
        '--issuer',
        house.pem(authority),
        '--expect-count',
        '0',
        ...words,
      ],
    });
  for (const authority of ['root', 'idevid', 'ldevid', 'service']) {
    const anyone = specimens.find(({ kind }) => kind === authority);
    const subject = anyone ? path.join(house.folder, anyone.certificate) : house.pem('idevid');
    const full = `${PUBLIC_URL}/crl/${authority}.crl`;
    await fetchList(house, full, `${authority}.crl`);
    add(authority, full, `${authority}.crl`, [
      '--kind',
      'full',
      ...(authority === 'service' ? [] : ['--cert', subject]),
    ]);
    const delta = `${PUBLIC_URL}/crl/${authority}/delta.crl`;
    await fetchList(house, delta, `${authority}-first-delta.crl`);
    add(authority, delta, `${authority}-first-delta.crl`, ['--kind', 'delta']);
    for (let shard = 0; ; shard += 1) {
      const url = `${PUBLIC_URL}/crl/${authority}/${shard}.crl`;
      const file = `${authority}-${shard}.crl`;
      if (!(await fetchList(house, url, file))) break;
      const specimen = named.get(url);
      named.delete(url);
      const judged = specimen ? ['--cert', path.join(house.folder, specimen.certificate)] : [];
      add(authority, url, file, ['--kind', 'partition', '--expect-dp', url, ...judged]);
    }
  }
  for (const url of named.keys()) fail('CRLs', url, ['is named by a certificate and not published']);
  return cases;
}

/** A checker that has nothing to say against a wrong issuer says nothing by its silence. */
async function assertAlive({ group, checker, words }: Case, wrongIssuer: string): Promise<void> {
  const changed = words.map((word, at) => (words[at - 1] === '--issuer' ? wrongIssuer : word));
  const findings = await checker(changed);
  if (!findings.some(({ level }) => level === 'ERROR'))
    fail(group, 'control', ['the checker takes a wrong issuer']);
}

async function judge(cases: readonly Case[]): Promise<void> {
  const groups = new Map<string, { passed: number; accepted: Set<string> }>();
  const verdicts = mapInOrder(fromArray(cases), availableParallelism(), ({ checker, words }) =>
    checker(words),
  );
  let at = 0;
  for await (const findings of verdicts) {
    const one = cases[at];
    at += 1;
    if (!one) continue;
    const group = groups.get(one.group) ?? { passed: 0, accepted: new Set() };
    groups.set(one.group, group);
    const bad: Finding[] = [];
    for (const finding of findings) {
      const departure = departureFor(finding, one.subject);
      if (departure === undefined) bad.push(finding);
      else {
        used.add(departure);
        group.accepted.add(departure.code);
      }
    }
    if (bad.length > 0)
      fail(
        one.group,
        one.what,
        bad.map(({ level, code, message }) => `${level} ${code}: ${message}`),
      );
    else {
      passed += 1;
      group.passed += 1;
    }
  }
  for (const [name, group] of groups) {
    const all = cases.filter((one) => one.group === name).length;
    const accepted =
      group.accepted.size > 0 ? `; accepted with a reason: ${[...group.accepted].join(', ')}` : '';
    console.log(`${group.passed} of ${all}  ${name}${accepted}`);
  }
}

function countCsrAttributes(file: string): void {
  if (!existsSync(file)) {
    console.log('not run  vectors/est-csrattrs.json: it is not there');
    return;
  }
  const group = 'CSR attributes of EST (est-csrattrs.json)';
  const outcomes = judgeCsrAttributes(file);
  const agreed = outcomes.filter(({ disagreement }) => disagreement === undefined).length;
  passed += agreed;
  for (const { name, disagreement } of outcomes) if (disagreement) fail(group, name, [disagreement]);
  console.log(`${agreed} of ${outcomes.length}  ${group}`);
}

function fail(group: string, what: string, why: readonly string[]): void {
  failed += 1;
  console.log(`FAILED  ${group}: ${what}: ${why.join('; ')}`);
}

/** What lies in DIR and has nothing of ours to judge yet. It counts neither way. */
function tellWhatIsNotRun(dir: string): void {
  const known = new Set([...PATH_SUITES.map((suite) => `vectors/${suite}`), 'vectors/est-csrattrs.json']);
  const vectors = existsSync(path.join(dir, 'vectors')) ? readdirSync(path.join(dir, 'vectors')) : [];
  for (const file of vectors.filter((name) => /\.jsonl?$/.test(name) && !known.has(`vectors/${name}`)))
    console.log(`not run  vectors/${file}: nothing here knows what it is`);
}

async function* fromArray<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
