import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readFeedEvents } from '../../src/broker-auth/status/feed-events.ts';
import { StatusTable } from '../../src/broker-auth/status/status-table.ts';
import { FULL } from '../../src/ca/crl/scope.ts';
import { finishReserved } from '../../src/ca/issue.ts';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { toHex } from '../../src/core/bytes.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { createChangePages } from '../../src/server/status/change-pages.ts';
import { restoreLedger } from '../../src/store/sqlite/backup/restore-ledger.ts';
import { writeBackup } from '../../src/store/sqlite/backup/write-backup.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { nameKey } from '../../src/x509/compare-names.ts';
import { type Crl, type CrlEntry, readCrl } from '../../src/x509/crl-reader.ts';
import { CRL_REASON } from '../../src/x509/crl-reason.ts';
import { judgeOcspResponse, readOcspResponse } from '../../src/x509/ocsp-response-reader.ts';
import { certIdFor, openResponding, question, type Responding } from '../ca/ocsp/responding.ts';
import { DAY_MS, openTestHouse, type TestHouse, testClock } from '../house.ts';

const SEED = 4;
const RUNS = 8;
const SHARDS = 4;
const AUTHORITY = 'idevid';

const steps = fc.array(
  fc.record({
    act: fc.constantFrom('issue', 'issue', 'revoke', 'revoke', 'hold', 'release', 'wait', 'publish', 'ask'),
    /** What becomes of the house around the act. */
    fate: fc.constantFrom('well', 'well', 'well', 'well', 'crash', 'backup', 'restore'),
    which: fc.nat(7),
    reason: fc.constantFrom('superseded', 'keyCompromise', 'privilegeWithdrawn', undefined),
  }),
  { minLength: 8, maxLength: 30 },
);

/** What an operator would say of a certificate, who has written down what was done and read nothing. */
interface Expected {
  readonly serial: Uint8Array;
  readonly notAfter: number;
  status: 'good' | 'held' | 'revoked';
  reason?: string;
}

/** A house in a folder, which may be closed, rolled back, restored, and opened again. */
class Life implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'birthmark-truth-'));
  readonly #clock = testClock();
  readonly issued: Expected[] = [];
  /** Every full list there ever was: somebody may still hold it. */
  readonly fullLists = new Map<bigint, Crl>();
  readonly numbers = new Map<string, Map<bigint, string>>();
  #house: TestHouse | undefined;
  #responding: Responding | undefined;
  #backedUp = false;
  #table = new StatusTable({ epoch: 'none', sequence: 0 }, 0);

  get house(): TestHouse {
    if (!this.#house) throw new Error('the house is closed');
    return this.#house;
  }

  get #ledger(): string {
    return join(this.#folder, 'ledger.db');
  }

  get #record() {
    return { path: join(this.#folder, 'ledger.record'), clock: this.#clock.now };
  }

  async open(): Promise<void> {
    const profiles = { short: { validityDays: 1 } };
    this.#house = await openTestHouse({
      shards: SHARDS,
      profiles,
      path: this.#ledger,
      record: this.#record.path,
      clock: this.#clock,
    });
    const { ledger, authorities, guardedClock } = this.#house;
    await finishReserved(ledger, authorities, guardedClock, Number.POSITIVE_INFINITY);
    this.#responding = await openResponding(this.#house);
    await this.publish();
  }

  #close(): void {
    this.#responding?.[Symbol.dispose]();
    this.#house?.[Symbol.dispose]();
    this.#house = undefined;
  }

  /** The act is in the record, and the ledger never heard of it. */
  async crashDuring(act: () => Promise<void>): Promise<void> {
    const before = join(this.#folder, 'before.db');
    this.#close();
    copyFileSync(this.#ledger, before);
    await this.open();
    await act();
    this.#close();
    for (const end of ['-wal', '-shm']) rmSync(this.#ledger + end, { force: true });
    copyFileSync(before, this.#ledger);
    await this.open();
  }

  backUp(): void {
    const facts = { files: () => [], madeAt: this.#clock.now(), program: 'test', replace: true };
    writeBackup({ ledger: this.#ledger, target: join(this.#folder, 'backup'), ...facts });
    this.#backedUp = true;
  }

  async restore(): Promise<void> {
    if (!this.#backedUp) return;
    this.#close();
    const backup = join(this.#folder, 'backup');
    restoreLedger({ backup, ledger: this.#ledger, record: this.#record, beginRecord: false });
    await this.open();
  }

  async publish(): Promise<void> {
    const { crls, clock } = this.house;
    clock.pass(crls.policy.coalesceMs + 1000);
    await publishDueCrls(crls, clock.now());
    await this.#keepLists();
  }

  /** A number of a scope is one list's for ever. */
  async #keepLists(): Promise<void> {
    for (const scope of [FULL, 'delta', ...Array.from({ length: SHARDS }, (_, at) => String(at))]) {
      const list = await this.list(scope);
      const numbers = this.numbers.get(scope) ?? new Map<bigint, string>();
      this.numbers.set(scope, numbers);
      const number = list.number ?? 0n;
      const octets = Buffer.from(list.raw).toString('base64');
      expect(numbers.get(number) ?? octets).toBe(octets);
      numbers.set(number, octets);
      if (scope === FULL) this.fullLists.set(number, list);
    }
  }

  async list(scope: string): Promise<Crl> {
    return readCrl((await this.house.ledger.read.findCrl(AUTHORITY, scope))?.crl ?? Buffer.of());
  }

  async askOcsp(serial: Uint8Array) {
    const answer = await Promise.resolve(this.#responding?.respond(question(this.house, serial)));
    const issuer = this.house.authorities.get(AUTHORITY)?.certificate;
    if (answer?.kind !== 'answer' || !issuer) throw new Error('there is no answer');
    const certId = certIdFor(this.house, serial);
    return judgeOcspResponse(readOcspResponse(answer.der), {
      issuer,
      certId,
      now: this.#clock.now(),
      skewMs: 1000,
    });
  }

  /** As a gate does: from where it stands, or anew where the epoch is another. */
  async follow(): Promise<StatusTable> {
    const { ledger, authorities } = this.house;
    const epoch = await ledger.read.statusEpoch();
    if (this.#table.position.epoch !== epoch) this.#table = new StatusTable({ epoch, sequence: 0 }, 0);
    const last = await ledger.read.lastStatusChange();
    const pages = createChangePages({ ledger: ledger.read, authorities, clock: this.#clock.now });
    while (this.#table.position.sequence < last) {
      const { text } = await pages(this.#table.position.sequence, epoch, last);
      for await (const event of readFeedEvents(once(Buffer.from(text))))
        if (event?.kind === 'change') this.#table.apply(event.change);
    }
    return this.#table;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function* once(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield octets;
}

type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

async function act(life: Life, { act, which, reason }: Step): Promise<void> {
  const { house, issued } = life;
  house.clock.pass(1500);
  const target = issued[which % issued.length];
  if (act === 'wait') house.clock.pass(Math.round(10 * DAY_MS * (which / 7) ** 4));
  else if (act === 'publish') await life.publish();
  else if (act === 'ask') await life.askOcsp(target?.serial ?? Buffer.of(1));
  else if (act === 'issue') {
    const profile = which % 3 === 0 ? 'short' : 'idevid';
    const { serial, certificate } = await house.grant(`SN-${issued.length}`, { profile });
    const notAfter = parseCertificate(certificate).tbs.notAfter.at;
    issued.push({ serial, notAfter, status: 'good' });
  } else if (target) await change(life, target, act, reason);
}

async function change(
  { house }: Life,
  target: Expected,
  act: 'revoke' | 'hold' | 'release',
  reason: 'superseded' | 'keyCompromise' | 'privilegeWithdrawn' | undefined,
): Promise<void> {
  const why = act === 'revoke' && reason ? { reason } : {};
  try {
    await house.revoker({ act, by: { kind: 'serial', serial: target.serial }, ...why }, 'operator:test');
  } catch (error) {
    if (!(error instanceof BirthmarkError && error.code === 'certificate-revoked')) throw error;
    expect(target.status).toBe('revoked');
  }
  // Worse news of what is final already is taken down.
  if (target.status === 'revoked' && !(act === 'revoke' && reason === 'keyCompromise')) return;
  if (act === 'revoke') Object.assign(target, { status: 'revoked', ...why });
  else target.status = act === 'hold' ? 'held' : 'good';
}

/** Holds every view to what an operator would expect. */
async function compare(life: Life): Promise<void> {
  const { house, issued } = life;
  const { ledger, authorities, clock } = house;
  const authority = authorities.get(AUTHORITY);
  if (!authority) throw new Error('there is no authority');
  await life.publish();
  const issuer = nameKey(authority.certificate.tbs.subject);
  const [full, delta] = [await life.list(FULL), await life.list('delta')];
  const shards = await Promise.all(Array.from({ length: SHARDS }, (_, at) => life.list(String(at))));
  const bases = [...life.fullLists.values()].filter(
    ({ number }) => (number ?? 0n) >= (delta.baseNumber ?? 0n),
  );
  expect(bases.length).toBeGreaterThan(0);
  const table = await life.follow();
  const statuses = await ledger.read.findStatuses(
    AUTHORITY,
    issued.map(({ serial }) => serial),
  );
  for (const [at, { serial, notAfter, status, reason }] of issued.entries()) {
    const known = statuses[at];
    const row = known?.status === 'revoked' ? known.revocation : undefined;
    const held = row?.held ? 'held' : 'revoked';
    expect([row ? held : known?.status, row?.reason]).toEqual([status, reason]);
    const number = row?.reason ? CRL_REASON[row.reason] : 0;
    const told = row && { revokedAt: row.revokedAt, reason: row.held ? CRL_REASON.certificateHold : number };

    const single = await life.askOcsp(serial);
    expect(single.status.status).toBe(told ? 'revoked' : 'good');
    const certificate = await ledger.read.findBySerial(serial);
    const key = { issuerKeyId: authority.keyId, serial, keyHash: certificate?.keyHash ?? Buffer.of() };
    expect(table.statusOf(key).status).toBe(status);

    const found: readonly (CrlEntry | undefined)[] = [
      full.find(issuer, serial),
      ...bases.map((base) => combine(base, delta, issuer, serial)),
    ];
    const inShards = shards.flatMap((shard) => shard.find(issuer, serial) ?? []);
    // RFC 5280 §3.3: after its end an entry may leave, in each list at its own time.
    const ended = notAfter < clock.now();
    for (const one of found) if (one || !ended) expect(one).toEqual(told);
    if (inShards.length > 0 || !ended) expect(inShards).toEqual(told ? [told] : []);
  }
}

/** RFC 5280 §5.2.4: what the delta says, and what the base says of all others. */
function combine(base: Crl, delta: Crl, issuer: string, serial: Uint8Array): CrlEntry | undefined {
  const changed = delta.find(issuer, serial);
  if (!changed) return base.find(issuer, serial);
  return changed.reason === CRL_REASON.removeFromCRL ? undefined : changed;
}

test('whatever is done and whatever befalls the house, ledger, lists, deltas, shards, OCSP and feed agree', async () => {
  const property = fc.asyncProperty(steps, async (all) => {
    await using life = new Life();
    await life.open();
    await act(life, { act: 'issue', fate: 'well', which: 1, reason: undefined });
    for (const step of all) {
      if (step.fate === 'crash') await life.crashDuring(() => act(life, step));
      else await act(life, step);
      if (step.fate === 'backup') life.backUp();
      if (step.fate === 'restore') await life.restore();
      if (step.fate === 'crash' || step.fate === 'restore') await compare(life);
    }
    await compare(life);
    expect(new Set(life.issued.map(({ serial }) => toHex(serial))).size).toBe(life.issued.length);
  });
  await fc.assert(property, { numRuns: RUNS, seed: SEED });
}, 240_000);
