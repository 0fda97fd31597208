import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type CertIdHash, certIdIssuer } from '../../x509/ocsp-cert-id.ts';
import { encodeCertId, encodeOcspRequest } from '../../x509/ocsp-request.ts';
import { readOcspResponse } from '../../x509/ocsp-response-reader.ts';
import type { EvidenceClock } from '../crl/date-evidence.ts';
import type { ListIssuer } from '../crl/list-issuer.ts';
import type { StatusSource } from '../status-source.ts';
import { type Answer, type AnswerId, type AnswerStore, answerKey } from './answer-store.ts';
import { askResponder } from './ask-responder.ts';
import { verifyAnswer } from './verify-answer.ts';

/** Who answers for the certificates of a CA. */
export interface Responder {
  readonly issuer: ListIssuer;
  readonly url: string;
  /** How requests name the CA. */
  readonly hash: CertIdHash;
  /** An answer is asked for again after so long, and sooner where half of its time is over before. */
  readonly everyMs: number;
}

export interface FollowAnswersOptions extends EvidenceClock {
  readonly store: AnswerStore;
  readonly responders: readonly Responder[];
  /** Beside this one: who is known to have been taken back signs no answer. */
  readonly sources: readonly StatusSource[];
  readonly random: RandomBytes;
  /** Certificates of live sessions, which are asked for as long as they live. */
  readonly live: () => Iterable<AnswerId>;
  /** Told of a certificate that is not good. */
  readonly onBad: (id: AnswerId, answer: Answer) => void;
  /** Told why a responder gives no answer that may be used, once for each reason; it is tried again. */
  readonly onFault: (url: string, why: string) => void;
}

export interface FollowedAnswers {
  /** From now on the status of that certificate is asked for ahead. Nothing where nobody answers for its CA. */
  want(id: AnswerId): void;
  /** Why nothing is known of a certificate for whose CA somebody answers. */
  faultOf(id: AnswerId): string | undefined;
  answersFor(issuerKeyId: string): boolean;
  /** Responders that gave no answer when they were last asked, with the reason. */
  readonly faults: ReadonlyMap<string, string>;
  /** Certificates that are asked for. */
  readonly wanted: number;
  stop(): Promise<void>;
}

interface Wanted extends AnswerId {
  readonly responder: Responder;
  /** By the steady clock. */
  seenAt: number;
  nextAt: number;
  failures: number;
  asking: boolean;
  fault?: string;
}

const TICK_MS = 1000;
const AT_ONCE = 8;
const MOST_WANTED = 20_000;
const FORGOTTEN_AFTER_MS = 7 * 86_400_000;
const FIRST_RETRY_MS = 2000;
const LONGEST_RETRY_MS = 300_000;

/**
 * Asks for statuses ahead: of each certificate that came once, again before its answer ends, beside the connections of devices. Who comes
 * for the first time is answered from what is known then, and is known the next time.
 */
export function followAnswers(options: FollowAnswersOptions): FollowedAnswers {
  const { store, responders, clock, steady, random, sources, live, onBad, onFault } = options;
  const byIssuer = new Map(responders.map((responder) => [responder.issuer.keyIdText, responder]));
  const wanted = new Map<string, Wanted>();
  const faults = new Map<string, string>();
  const stopping = new AbortController();
  const asking = new Set<Promise<void>>();
  /** Never asked for yet. */
  const urgent: Wanted[] = [];
  let turn = wanted.values();
  let sweptAt = steady.now();

  async function ask(one: Wanted): Promise<void> {
    const { issuer, url, hash } = one.responder;
    const { tbs } = issuer.certificate;
    const name = certIdIssuer(
      { name: tbs.subject, spki: tbs.spki },
      hash,
      hash === 'sha1' ? 'null' : 'absent',
    );
    const serial = Buffer.from(one.serial, 'hex');
    let why: string | undefined;
    let answer: Answer | undefined;
    try {
      const octets = await askResponder(
        url,
        encodeOcspRequest(encodeCertId(name, serial), undefined),
        stopping.signal,
      );
      const found = verifyAnswer(readOcspResponse(octets), {
        ...{ issuer: tbs, issuerKeyId: one.issuerKeyId, serial, now: clock(), sources },
      });
      if (typeof found === 'string') why = found;
      else {
        answer = store.put(one, found);
        if (!answer) why = 'its responder does not know the certificate';
      }
    } catch (error) {
      if (stopping.signal.aborted) return;
      why = error instanceof BirthmarkError ? error.message : String(error);
    }
    note(one, why);
    plan(one, answer);
    if (answer && answer.status !== 'good') onBad(one, answer);
  }

  function note(one: Wanted, why: string | undefined): void {
    const { url } = one.responder;
    if (why === undefined) {
      one.failures = 0;
      delete one.fault;
      faults.delete(url);
      return;
    }
    one.failures += 1;
    one.fault = why;
    if (faults.get(url) === why) return;
    faults.set(url, why);
    onFault(url, why);
  }

  function plan(one: Wanted, answer: Answer | undefined): void {
    const now = steady.now();
    // Fleets that connect together need not ask together for ever.
    const part = 0.8 + (random(1)[0] ?? 0) / 1280;
    if (!answer)
      one.nextAt = now + part * Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(one.failures, 10));
    else if (answer.status === 'revoked') one.nextAt = Number.POSITIVE_INFINITY;
    else
      one.nextAt =
        now + part * Math.max(FIRST_RETRY_MS, Math.min(one.responder.everyMs, (answer.until - now) / 2));
  }

  /** Goes on where it was: who was looked at waits for the next second. */
  function pump(): void {
    while (asking.size < AT_ONCE && !stopping.signal.aborted) {
      const one = urgent.shift() ?? nextDue();
      if (!one) return;
      if (one.asking) continue;
      one.asking = true;
      const done = ask(one).finally(() => {
        one.asking = false;
        asking.delete(done);
        setImmediate(pump);
      });
      asking.add(done);
    }
  }

  function nextDue(): Wanted | undefined {
    const now = steady.now();
    for (let next = turn.next(); !next.done; next = turn.next())
      if (!next.value.asking && next.value.nextAt <= now) return next.value;
    return undefined;
  }

  function want(id: AnswerId): void {
    const responder = byIssuer.get(id.issuerKeyId);
    if (!responder) return;
    const key = answerKey(id);
    const known = wanted.get(key);
    const now = steady.now();
    if (known) {
      known.seenAt = now;
      wanted.delete(key);
      wanted.set(key, known);
      return;
    }
    const { issuerKeyId, serial } = id;
    const held = store.get(id);
    const one: Wanted = {
      ...{ issuerKeyId, serial, responder, seenAt: now, nextAt: now, failures: 0, asking: false },
    };
    // What was kept from a run before is asked for again at once: it may have changed.
    if (held?.status === 'revoked') one.nextAt = Number.POSITIVE_INFINITY;
    wanted.set(key, one);
    const [oldest] = wanted.keys();
    if (wanted.size > MOST_WANTED && oldest !== undefined) wanted.delete(oldest);
    if (one.nextAt > now) return;
    urgent.push(one);
    setImmediate(pump);
  }

  function sweep(): void {
    const now = steady.now();
    if (now - sweptAt < FORGOTTEN_AFTER_MS / 24) return;
    sweptAt = now;
    for (const id of live()) want(id);
    for (const [key, { seenAt }] of wanted) if (now - seenAt > FORGOTTEN_AFTER_MS) wanted.delete(key);
  }

  const timer = setInterval(() => {
    sweep();
    turn = wanted.values();
    pump();
  }, TICK_MS).unref();
  return {
    want,
    faultOf: (id) => wanted.get(answerKey(id))?.fault,
    answersFor: (issuerKeyId) => byIssuer.has(issuerKeyId),
    faults,
    get wanted() {
      return wanted.size;
    },
    async stop() {
      stopping.abort();
      clearInterval(timer);
      await Promise.allSettled(asking);
    },
  };
}
