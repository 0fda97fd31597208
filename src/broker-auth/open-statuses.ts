import { breathe } from '../core/breathe.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import type { SteadyClock } from '../core/steady-clock.ts';
import type { CertIdHash } from '../x509/ocsp-cert-id.ts';
import type { CredentialId } from './credential.ts';
import { type EvidenceClock, isClockBack } from './crl/date-evidence.ts';
import { type FollowedLists, followLists, type ListPlace } from './crl/follow-lists.ts';
import { type ListIssuer, readIssuer, readListIssuer } from './crl/list-issuer.ts';
import { listSource } from './crl/list-source.ts';
import { createListStore, type ListStore } from './crl/list-store.ts';
import { openStatusFolder } from './crl/status-folder.ts';
import type { Gate } from './gate.ts';
import { answerSource, type StapledAnswers } from './ocsp/answer-source.ts';
import { type Answer, type AnswerId, createAnswerStore } from './ocsp/answer-store.ts';
import { type FollowedAnswers, followAnswers } from './ocsp/follow-answers.ts';
import type { StatusSource } from './status-source.ts';

/** Lists of some CAs, and where they are. */
export interface ListsOptions extends ListPlace {
  /** DER of the CAs. */
  readonly issuers: readonly Uint8Array[];
}

/** An OCSP responder of some CAs. */
export interface ResponderOptions {
  /** DER of the CAs. */
  readonly issuers: readonly Uint8Array[];
  readonly url: string;
  readonly hash: CertIdHash;
  readonly everyMs: number;
}

export interface StatusOptions {
  /** What is kept for the next start lies there. */
  readonly folder: string;
  readonly lists: readonly ListsOptions[];
  readonly responders: readonly ResponderOptions[];
  /** DER of CAs whose own status responders are asked for at once. */
  readonly ahead?: readonly Uint8Array[];
  /** Beside these: the feed. Who is known by it to have been taken back signs no answer. */
  readonly sources?: readonly StatusSource[];
  /** Nothing is written into the folder: for who only looks. */
  readonly readOnly?: boolean;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly random: RandomBytes;
  /** Told why a place gives nothing that may be used; it is tried again. */
  readonly onFault: (place: string, why: string) => void;
  /** Told of each list that was taken, once it is in its place. */
  readonly onList?: () => void;
  /** Told what should not happen, like a full disk. */
  readonly onError: (error: unknown) => void;
}

/** Lists and answers at work. */
export interface Statuses {
  /** For `assembleGate`, beside the feed. */
  readonly sources: readonly StatusSource[];
  readonly staples: StapledAnswers;
  readonly lists: ListStore;
  readonly listFaults: ReadonlyMap<string, string>;
  readonly answers: {
    readonly held: number;
    readonly wanted: number;
    readonly faults: ReadonlyMap<string, string>;
  };
  /** The clock stands before what it said at the last run: all that was kept counts as too old until that is mended. */
  clockFault(): string | undefined;
  /** From now on who is taken back by a list or an answer is put out. */
  watch(gate: Gate): void;
  /** Resolves when each place of lists was looked at once. */
  readonly first: Promise<void>;
  close(): Promise<void>;
}

const KEEP_EVERY_MS = 60_000;
const ANSWERS = 'ocsp.ndjson';
const MOST_ANSWERS = 20_000;
/** Sessions looked at before others get their turn. */
const SLICE = 500;

/**
 * Takes statuses from lists and OCSP responders: what was kept first, then what is new, again and again. Nobody who connects waits.
 *
 * @throws BirthmarkError `bad-der`, `bad-certificate`, `config-invalid` for a CA that may sign no lists; `home-unreadable`
 */
export async function openStatuses(options: StatusOptions): Promise<Statuses> {
  const { clock, steady, random, onFault, onError, onList, sources: others = [] } = options;
  const { readOnly = false } = options;
  const folder = await openStatusFolder(options.folder, readOnly);
  const seen = await folder.readSeen();
  const by: EvidenceClock = { clock, steady, ...(seen !== undefined && { seen }) };
  let gate: Gate | undefined;
  let writing: Promise<unknown> = Promise.resolve();
  const keep = (write: () => Promise<void>) => {
    if (!readOnly) writing = writing.then(write).catch(onError);
  };

  const store = createListStore({
    ...by,
    issuers: uniqueIssuers(options.lists),
    onTaken: ({ issuer, ...slot }, list, der) => {
      const kind = list.frame.baseNumber === undefined ? 'base' : 'delta';
      if (isOpen) keep(() => folder.keepList({ issuer, ...slot }, kind, der));
      if (gate) endListed(gate, issuer.keyIdText).catch(onError);
      onList?.();
    },
  });
  const lists = listSource(store, steady);
  const answers = createAnswerStore(by, MOST_ANSWERS);
  answers.load((await folder.readText(ANSWERS)) ?? '');
  let isOpen = false;
  await folder.loadLists(store);
  isOpen = true;

  const followedLists: FollowedLists = followLists({ store, places: options.lists, random, onFault });
  const responders = options.responders.flatMap(({ issuers, ...responder }) =>
    issuers.map((der) => ({ issuer: readIssuer(der), ...responder })),
  );
  const trusted = [...others, lists];
  const following: FollowedAnswers = followAnswers({
    ...by,
    ...{ store: answers, responders, sources: trusted, random, onFault },
    live: () => (gate ? liveCredentials(gate) : []),
    onBad: (id, answer) => gate && endAnswered(gate, id, answer),
  });
  const staples = answerSource({ ...by, store: answers, followed: () => following, sources: trusted });
  for (const der of options.ahead ?? [])
    wantAhead(
      der,
      responders.map(({ issuer }) => issuer),
      following,
    );

  /** Whoever is put out by a list was let in before it. */
  async function endListed(at: Gate, issuerKeyId: string): Promise<void> {
    let looked = 0;
    for (const id of [...liveCredentials(at)]) {
      if (id.issuerKeyId === issuerKeyId) {
        const known = lists.statusOf(id);
        if (known && known.status !== 'good') endAnswered(at, id, { ...known, status: known.status });
      }
      looked += 1;
      if (looked % SLICE === 0) await breathe();
    }
  }

  const keepAll = () => {
    keep(() => folder.noteSeen(Math.max(steady.now(), seen ?? 0)));
    if (options.responders.length > 0) keep(() => folder.keepText(ANSWERS, answers.toText()));
  };
  if (!isClockBack(by)) keepAll();
  const timer = setInterval(keepAll, KEEP_EVERY_MS).unref();
  return {
    sources: [...(options.lists.length > 0 ? [lists] : []), staples],
    staples,
    lists: store,
    listFaults: followedLists.faults,
    answers: {
      get held() {
        return answers.size;
      },
      get wanted() {
        return following.wanted;
      },
      faults: following.faults,
    },
    clockFault: () =>
      seen !== undefined && isClockBack(by)
        ? `the clock stands before ${new Date(seen).toISOString()}, which it said at the last run: set it right, or remove ${options.folder}/clock where that was wrong`
        : undefined,
    watch(watched) {
      gate = watched;
      for (const { keyIdText } of store.issuers) endListed(watched, keyIdText).catch(onError);
    },
    first: followedLists.first,
    async close() {
      clearInterval(timer);
      await followedLists.stop();
      await following.stop();
      if (!isClockBack(by)) keepAll();
      await writing;
    },
  };
}

function uniqueIssuers(lists: readonly ListsOptions[]): readonly ListIssuer[] {
  const byOctets = new Map(
    lists.flatMap(({ issuers }) => issuers.map((der) => [Buffer.from(der).toString('base64'), der] as const)),
  );
  return [...byOctets.values()].map(readListIssuer);
}

function wantAhead(der: Uint8Array, issuers: readonly ListIssuer[], following: FollowedAnswers): void {
  const { certificate } = readIssuer(der);
  const serial = Buffer.from(certificate.tbs.serial).toString('hex');
  for (const issuer of issuers)
    if (issuer.certificate.subjectKey === certificate.issuerKey)
      following.want({ issuerKeyId: issuer.keyIdText, serial });
}

function* liveCredentials({ sessions }: Gate): Generator<CredentialId> {
  for (const { credentials } of sessions.values()) yield* credentials;
}

function endAnswered(
  gate: Gate,
  { issuerKeyId, serial }: AnswerId,
  { status, reason }: Pick<Answer, 'status'> & { readonly reason?: string },
): void {
  if (status === 'good') return;
  gate.takenBack(
    { certificate: { issuerKeyId, serial } },
    reason === 'keyCompromise' ? 'compromised' : status,
  );
}
