// Two manufacturers, their devices, and a gate with real parts: chains that our own code signs, a status that is told here.
import { createDecider } from '../../src/broker-auth/decide.ts';
import { createEnforcer, type Enforcer } from '../../src/broker-auth/enforcer.ts';
import type { Evidence } from '../../src/broker-auth/evidence.ts';
import { createGate, type Gate, type GateVerdict } from '../../src/broker-auth/gate.ts';
import {
  type CredentialJudgeOptions,
  createCredentialJudge,
} from '../../src/broker-auth/judge-credential.ts';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import type { TrustedNamespace } from '../../src/broker-auth/policy.ts';
import type { ListenerConfig, PolicyConfig } from '../../src/broker-auth/policy-config.ts';
import type { BehaviourGuard, EndCause, KickDriver, SessionMemory } from '../../src/broker-auth/ports.ts';
import { type Session, Sessions } from '../../src/broker-auth/sessions.ts';
import type { KnownStatus, NameStatusSource, StatusSource } from '../../src/broker-auth/status-source.ts';
import { toHex } from '../../src/core/bytes.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { type Attribute, encodeName } from '../../src/x509/name.ts';
import { hashKey, keyIdentifier } from '../../src/x509/public-key.ts';
import { type TestClock, testClock } from '../house.ts';
import {
  makeAuthority,
  makeCertificate,
  NOW,
  type Party,
  type Traits,
} from '../x509/path/make-certificate.ts';

/** A manufacturer: a root, an issuing CA, and devices under it. */
export interface Maker {
  readonly root: Party;
  readonly issuer: Party;
  readonly trust: TrustedNamespace;
  device(serialNumber: string, traits?: Traits): Party;
}

export function makeMaker(namespace: string): Maker {
  const root = makeAuthority({ cn: `${namespace} root` });
  const issuer = makeAuthority({ cn: `${namespace} CA`, issuer: root });
  return {
    root,
    issuer,
    trust: { namespace, anchors: [root.der], intermediates: [issuer.der] },
    device: (serialNumber, traits = {}) => makeCertificate({ issuer, ...named(serialNumber), ...traits }),
  };
}

export function named(serialNumber: string, ...more: readonly Attribute[]): Traits {
  return { fields: { subject: encodeName([...more, { type: 'serialNumber', value: serialNumber }]) } };
}

export function idOf(party: Party, issuer: Party) {
  const { tbs } = parseCertificate(party.der);
  return {
    issuerKeyId: toHex(keyIdentifier(issuer.key.spki)),
    serial: toHex(tbs.serial),
    keyHash: toHex(hashKey(tbs.spki)),
  };
}

/** Knows all that these issuers issued to be good, but for what it was told. */
export interface ToldStatus extends StatusSource {
  tell(party: Party, issuer: Party, status: KnownStatus['status']): void;
  /** It was so then; it moves with the clock unless it is set. */
  asOf: number | undefined;
}

export function toldStatus(
  clock: TestClock,
  issuers: readonly Party[],
  name: StatusSource['name'] = 'feed',
): ToldStatus {
  const known = new Set(issuers.map((issuer) => toHex(keyIdentifier(issuer.key.spki))));
  const told = new Map<string, KnownStatus['status']>();
  return {
    name,
    asOf: undefined,
    tell(party, issuer, status) {
      const { issuerKeyId, serial } = idOf(party, issuer);
      told.set(`${issuerKeyId}/${serial}`, status);
    },
    statusOf({ issuerKeyId, serial }) {
      if (!known.has(issuerKeyId)) return undefined;
      return {
        status: told.get(`${issuerKeyId}/${serial}`) ?? 'good',
        ageMs: clock.now() - (this.asOf ?? clock.now()),
      };
    },
  };
}

/** A broker that holds sessions until it is told to let go, and does what it is told unless it is made to fail. */
export interface TestBroker extends KickDriver {
  readonly kicks: { readonly clientIds: readonly string[]; readonly cause: EndCause }[];
  readonly live: Set<Session>;
  /** So many calls fail, or are not heeded. */
  failing: number;
  deaf: number;
}

export function testBroker(broker = 'test'): TestBroker {
  return {
    broker,
    kicks: [],
    live: new Set(),
    failing: 0,
    deaf: 0,
    async kick(sessions, cause) {
      if (this.failing > 0) {
        this.failing -= 1;
        throw new Error('the broker cannot be reached');
      }
      this.kicks.push({ clientIds: sessions.map(({ clientId }) => clientId), cause });
      if (this.deaf > 0) this.deaf -= 1;
      else for (const session of sessions) this.live.delete(session);
    },
    async stillLive(sessions) {
      return sessions.filter((session) => this.live.has(session));
    },
  };
}

/** The rules that most tests are under. */
export function policyConfig(
  changes: Partial<PolicyConfig> = {},
  listener: ListenerConfig = {},
): PolicyConfig {
  return {
    listeners: { mqtt: listener },
    roles: [{ name: 'device', publish: ['devices/${id}/#'], subscribe: ['devices/${id}/#'] }],
    ...changes,
  };
}

export interface LabOptions {
  readonly config?: PolicyConfig;
  readonly makers?: readonly Maker[];
  readonly judge?: Partial<CredentialJudgeOptions>;
  readonly random?: number;
  readonly guard?: BehaviourGuard;
  /** In place of the broker that holds sessions until it is told. */
  readonly drivers?: readonly KickDriver[];
  readonly names?: NameStatusSource;
  readonly memory?: SessionMemory;
}

export interface Lab extends Disposable {
  readonly clock: TestClock;
  readonly maker: Maker;
  readonly status: ToldStatus;
  readonly gate: Gate;
  readonly broker: TestBroker;
  readonly enforcer: Enforcer;
  readonly ended: { readonly clientIds: readonly string[]; readonly cause: EndCause }[];
  readonly errors: unknown[];
  /** A CONNECT at listener `mqtt`; what is allowed is live at the broker. */
  connect(party: Party, clientId: string, listener?: string): GateVerdict;
  show(evidence: Evidence, clientId: string, listener?: string): GateVerdict;
}

const ours = makeMaker('own');

export function openLab(options: LabOptions = {}): Lab {
  const { config = policyConfig(), makers = [ours], random = 0, guard, names, memory } = options;
  const [maker = ours] = makers;
  const clock = testClock(NOW);
  const status = toldStatus(
    clock,
    makers.flatMap(({ root, issuer }) => [root, issuer]),
  );
  const sessions = new Sessions((session) => memory?.ended(session));
  const broker = testBroker();
  const ended: Lab['ended'] = [];
  const errors: unknown[] = [];
  const enforcer = createEnforcer({
    sessions,
    drivers: options.drivers ?? [broker],
    clock: clock.now,
    onEnded: (gone, cause) => ended.push({ clientIds: gone.map(({ clientId }) => clientId), cause }),
    onError: (error) => errors.push(error),
  });
  const trust = makers.map((one) => one.trust);
  const judge = createCredentialJudge({ trust, sources: [status], ...options.judge });
  const decide = createDecider({
    policy: parsePolicy(config, trust),
    judge,
    ...(names && { names }),
    hasOtherSession: (identity, clientId) =>
      sessions.ofIdentity(identity).some((session) => session.clientId !== clientId),
    random: (size) => new Uint8Array(size).fill(random),
  });
  const gate = createGate({
    decide,
    sessions,
    enforcer,
    clock: clock.now,
    ...(guard && { guard }),
    ...(memory && { memory }),
  });
  const show: Lab['show'] = (evidence, clientId, listener = 'mqtt') => {
    const verdict = gate.connect({
      broker: broker.broker,
      listener,
      clientId,
      evidence,
      address: '192.0.2.1',
    });
    if (verdict.allow) broker.live.add(verdict.session);
    return verdict;
  };
  return {
    clock,
    maker,
    status,
    gate,
    broker,
    enforcer,
    ended,
    errors,
    connect: (party, clientId, listener) =>
      show({ level: 'certificate', leaf: party.der, chain: [maker.issuer.der] }, clientId, listener),
    show,
    [Symbol.dispose]: () => enforcer.stop(),
  };
}

/** `ok`, or why not. */
export function reasonOf(verdict: GateVerdict): string {
  return verdict.allow ? 'ok' : verdict.reason;
}
