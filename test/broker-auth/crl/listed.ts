// A judge that knows statuses from lists only, and a clock that can be set.
import { readListIssuer } from '../../../src/broker-auth/crl/list-issuer.ts';
import { listSource } from '../../../src/broker-auth/crl/list-source.ts';
import {
  createListStore,
  type ListOutcome,
  type ListStore,
} from '../../../src/broker-auth/crl/list-store.ts';
import {
  type CredentialJudgeOptions,
  type CredentialVerdict,
  createCredentialJudge,
} from '../../../src/broker-auth/judge-credential.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import type { ListenerConfig } from '../../../src/broker-auth/policy-config.ts';
import type { StatusSource } from '../../../src/broker-auth/status-source.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { type Der, explicit, primitive, sequence } from '../../../src/x509/der/encode.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { ia5String, namedBits } from '../../../src/x509/der/values.ts';
import { EXTENSION, extension } from '../../../src/x509/extensions.ts';
import { NOW, type Party } from '../../x509/path/make-certificate.ts';
import { type CrlTraits, makeCrl } from '../../x509/path/make-crl.ts';
import { type Maker, makeMaker, policyConfig } from '../lab.ts';

export const DAY = 86_400_000;
export const MINUTE = 60_000;
/** Long enough for a leap of the clock. */
export const maker: Maker = makeMaker('own');

/** Fields of an issuingDistributionPoint. */
export const idp = (...fields: readonly Der[]) =>
  extension(EXTENSION.issuingDistributionPoint, true, sequence(...fields));
export const byUrl = (url: string) => explicit(0, explicit(0, ia5String(url, TAG.context | 6)));
export const flag = (number: number) => primitive(TAG.context | number, Uint8Array.of(0xff));
export const someReasons = (...bits: readonly number[]) => ({ ...namedBits(bits), tag: TAG.context | 3 });
export interface Listed {
  readonly store: ListStore;
  readonly source: StatusSource;
  /** Both clocks go on. */
  pass(ms: number): void;
  /** Somebody sets the wall clock. */
  set(ms: number): void;
  /** `taken`, `known`, or why it was refused. */
  give(traits?: Partial<CrlTraits>): Promise<string>;
  offer(der: Uint8Array): Promise<ListOutcome>;
  judge(device: Party, listener?: ListenerConfig, stapled?: readonly Uint8Array[]): CredentialVerdict;
  /** `ok`, or why not. */
  reason(device: Party, listener?: ListenerConfig): string;
}

export interface ListedOptions {
  readonly issuers?: readonly Uint8Array[];
  /** The latest time that was seen before. */
  readonly seen?: number;
  /** Now, by the wall clock. */
  readonly at?: number;
  readonly judge?: Partial<CredentialJudgeOptions>;
  /** The root says that nothing of its is taken back. */
  readonly withoutRoot?: boolean;
}

export async function openListed(options: ListedOptions = {}): Promise<Listed> {
  let wall = options.at ?? NOW;
  let passed = 0;
  const clock = () => wall;
  const steady = createSteadyClock(clock, () => passed);
  const store = createListStore({
    clock,
    steady,
    ...(options.seen !== undefined && { seen: options.seen }),
    issuers: (options.issuers ?? [maker.root.der, maker.issuer.der]).map(readListIssuer),
  });
  const source = listSource(store, steady);
  const sources = [source, ...(options.judge?.sources ?? [])];
  const judge = createCredentialJudge({ trust: [maker.trust], ...options.judge, sources });
  const policyOf = (listener: ListenerConfig) => {
    const { listeners } = parsePolicy(policyConfig({}, listener), [maker.trust]);
    const found = listeners.get('mqtt');
    if (!found) throw new Error('there is no listener');
    return found;
  };
  const give: Listed['give'] = async (traits = {}) => {
    const found = await store.offer(makeCrl({ issuer: maker.issuer, ...traits }));
    return found.outcome === 'refused' ? found.why : found.outcome;
  };
  if (!options.withoutRoot)
    await give({ issuer: maker.root, thisUpdate: NOW - 2000, nextUpdate: NOW + 40 * DAY });
  const judged: Listed['judge'] = (device, listener = {}, stapled = undefined) =>
    judge(device.der, [maker.issuer.der], policyOf(listener), wall, stapled);
  return {
    store,
    source,
    pass(ms) {
      wall += ms;
      passed += ms;
    },
    set(ms) {
      wall += ms;
    },
    give,
    offer: (der) => store.offer(der),
    judge: judged,
    reason: (device, listener) => judged(device, listener).reason,
  };
}
