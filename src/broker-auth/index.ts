/**
 * The gate at a broker, for any Node server: it stands alone, and needs no authority on its machine.
 *
 * `parsePolicy` holds written rules to what they must be, `followFeed` and `openStatuses` keep what is known of statuses, from an
 * authority's feed and from lists and OCSP answers of anybody, `assembleGate` makes the gate out of both, and an adapter (`birthmark/broker-auth/aedes`) puts it into a broker. Call `gate.tick()` each second.
 */

export type { Clock, Monotonic } from '../core/clock.ts';
export { createSteadyClock, type SteadyClock } from '../core/steady-clock.ts';
export type { StatusFinding } from './ask-sources.ts';
export { type AssembledGate, type AssembleOptions, assembleGate } from './assemble-gate.ts';
export type { Credential, CredentialId } from './credential.ts';
export type { Allowed, ConnectAttempt, ConnectVerdict, DenialReason, Denied, Identity } from './decide.ts';
export type { Evidence, EvidenceLevel } from './evidence.ts';
export type { Gate, GateConnect, GateVerdict, TopicAct } from './gate.ts';
export { createGuard, type Guard } from './guard/behaviour-guard.ts';
export { type GuardConfig, GuardConfigSchema } from './guard/guard-config.ts';
export { parseGuard, provingListeners } from './guard/parse-guard.ts';
export { type ConnackCodes, connackCodes, DISCONNECT } from './mqtt-codes.ts';
export type { StapledAnswers } from './ocsp/answer-source.ts';
export {
  type ListsOptions,
  openStatuses,
  type ResponderOptions,
  type Statuses,
  type StatusOptions,
} from './open-statuses.ts';
export { parsePolicy } from './parse-policy.ts';
export type { GatePolicy, ListenerPolicy, Role, TrustedNamespace } from './policy.ts';
export { type PolicyConfig, PolicyConfigSchema } from './policy-config.ts';
export type { BehaviourGuard, EndCause, KickDriver } from './ports.ts';
export type { Session, SessionPlace, TakenBack } from './sessions.ts';
export { type FeedEvent, parseFeedEvent, type RawEvent, readFeedEvents } from './status/feed-events.ts';
export { type Following, type FollowOptions, followFeed } from './status/follow-feed.ts';
export { type Position, parsePosition, positionToText } from './status/position.ts';
export { type ReadSnapshot, readSnapshot, type SnapshotRules } from './status/read-snapshot.ts';
export { type CertificateKey, type Standing, StatusTable } from './status/status-table.ts';
export { endAllTakenBack, endTakenBack, nameSource, tableSource } from './status/table-source.ts';
export type { KnownStatus, NameStatusSource, StatusSource } from './status-source.ts';
