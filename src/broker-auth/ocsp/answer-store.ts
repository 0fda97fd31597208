import Type, { type Static } from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { CRL_REASON, CRL_REASON_NAMES } from '../../x509/crl-reason.ts';
import type { ReadSingle } from '../../x509/ocsp-response-reader.ts';
import type { CredentialId } from '../credential.ts';
import { dateEvidence, type EvidenceClock, type EvidenceDates } from '../crl/date-evidence.ts';
import type { KnownStatus } from '../status-source.ts';

/** By whom a certificate is known here. */
export type AnswerId = Pick<CredentialId, 'issuerKeyId' | 'serial'>;

const AnswerSchema = Type.Object({
  issuerKeyId: Type.String({ pattern: '^[0-9a-f]+$', maxLength: 128 }),
  serial: Type.String({ pattern: '^(?:[0-9a-f]{2}){1,21}$' }),
  status: Type.Enum(['good', 'revoked', 'held']),
  reason: Type.Optional(Type.String({ maxLength: 32 })),
  since: Type.Optional(Type.Number()),
  thisUpdate: Type.Number(),
  nextUpdate: Type.Number(),
});
/** As it is kept; times in milliseconds since the epoch. */
type KeptAnswer = Static<typeof AnswerSchema>;
const parseAnswer = schemaParser(AnswerSchema, 'bad-request');

/** What a responder said of a certificate, and was verified. */
export interface Answer extends Omit<KeptAnswer, 'issuerKeyId' | 'serial'>, EvidenceDates {}

/** Answers that were verified, in memory, the oldest forgotten first. */
export interface AnswerStore {
  get(id: AnswerId): Answer | undefined;
  /**
   * Takes what was verified, unless it is older than what is held. Who was revoked stays so (RFC 5280 §5.3.1: only a hold ends).
   *
   * @returns what is held from then on; undefined where the responder does not know the certificate
   */
  put(id: AnswerId, single: Pick<ReadSingle, 'status' | 'thisUpdate' | 'nextUpdate'>): Answer | undefined;
  /** A line each. */
  toText(): string;
  /** What `toText` gave; lines that cannot be read are passed over. */
  load(text: string): void;
  readonly size: number;
}

export function createAnswerStore(by: EvidenceClock, mostAnswers: number): AnswerStore {
  const answers = new Map<string, Answer & AnswerId>();

  function keep(answer: KeptAnswer): Answer {
    const { issuerKeyId, serial, thisUpdate, nextUpdate } = answer;
    const dated = { ...answer, ...dateEvidence(thisUpdate, nextUpdate, by) };
    const key = answerKey({ issuerKeyId, serial });
    answers.delete(key);
    answers.set(key, dated);
    const [oldest] = answers.keys();
    if (answers.size > mostAnswers && oldest !== undefined) answers.delete(oldest);
    return dated;
  }

  return {
    get: (id) => answers.get(answerKey(id)),
    put(id, { status: said, thisUpdate, nextUpdate = thisUpdate }) {
      if (said.status === 'unknown') return undefined;
      const held = answers.get(answerKey(id));
      if (held && (held.thisUpdate >= thisUpdate || held.status === 'revoked')) return held;
      const { issuerKeyId, serial } = id;
      const common = { issuerKeyId, serial, thisUpdate, nextUpdate };
      if (said.status === 'good') return keep({ ...common, status: 'good' });
      const { reason: number = 0, revokedAt: since } = said;
      if (number === CRL_REASON.certificateHold) return keep({ ...common, status: 'held', since });
      const reason = CRL_REASON_NAMES[number];
      return keep({
        ...common,
        status: 'revoked',
        since,
        ...(reason !== undefined && number > 0 && { reason }),
      });
    },
    toText: () =>
      [...answers.values()]
        .map(({ asOf: _asOf, until: _until, ...kept }) => `${JSON.stringify(kept)}\n`)
        .join(''),
    load(text) {
      for (const line of text.split('\n')) {
        if (line === '') continue;
        try {
          keep(parseAnswer(JSON.parse(line), 'answer'));
        } catch {
          // A crash may have cut it short; the responder is asked again.
        }
      }
    },
    get size() {
      return answers.size;
    },
  };
}

/** As the gate asks for it. @param now by the steady clock */
export function answerStatus({ status, reason, since, asOf, until }: Answer, now: number): KnownStatus {
  return {
    status,
    ageMs: Math.max(0, now - asOf),
    leftMs: until - now,
    ...(reason !== undefined && { reason }),
    ...(since !== undefined && { since }),
  };
}

export function answerKey({ issuerKeyId, serial }: AnswerId): string {
  return `${issuerKeyId}/${serial}`;
}
