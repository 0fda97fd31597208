import { isDeviceKind, type Profile } from '../ca/profile.ts';
import { BirthmarkError } from '../core/errors.ts';
import { isLabel, OWN_NAMESPACE } from '../core/identifiers.ts';
import { DEFAULT_LABEL, type LabelConfig, type Voucher } from './label-config.ts';

/** A way in: who may enroll as what. EST has it in the path, the API as a member of the body. */
export interface Label {
  readonly name: string;
  readonly profile: Profile;
  readonly admits: ReadonlySet<Voucher>;
  /** Undefined where devices of every namespace may come. */
  readonly namespaces: ReadonlySet<string> | undefined;
  readonly serialPattern: string;
  readonly bindingRequired: boolean;
  readonly approval: boolean;
  readonly renewalGraceMs: number;
  readonly idevidMayReenroll: boolean;
  readonly serverKeygen: boolean;
}

export type Labels = ReadonlyMap<string, Label>;

/** A label must not be an operation's name (RFC 7030 §3.2.2). */
const OPERATIONS: readonly string[] = [
  'cacerts',
  'simpleenroll',
  'simplereenroll',
  'fullcmc',
  'serverkeygen',
  'csrattrs',
];
const DAY_MS = 86_400_000;

/**
 * Checks what a schema cannot say of the labels.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function parseLabels(
  configs: Readonly<Record<string, LabelConfig>>,
  profiles: readonly Profile[],
): Labels {
  const labels = new Map(
    Object.entries(configs).map(([name, config]) => [name, parseLabel(name, config, profiles)]),
  );
  if (!labels.has(DEFAULT_LABEL))
    throw invalid(
      `labels.${DEFAULT_LABEL}`,
      'is missing: EST must be served without a label too (RFC 7030 §3.2.2)',
    );
  return labels;
}

function parseLabel(name: string, config: LabelConfig, profiles: readonly Profile[]): Label {
  const at = `labels.${name}`;
  if (!isLabel(name)) throw invalid(at, 'must be lower-case letters, digits and hyphens');
  if (OPERATIONS.includes(name)) throw invalid(at, 'is the name of an operation of EST (RFC 7030 §3.2.2)');
  const profile = profiles.find((one) => one.name === config.profile);
  if (!profile)
    throw invalid(`${at}.profile`, `names ${JSON.stringify(config.profile)}, which is no profile`);
  if (!isDeviceKind(profile.kind)) throw invalid(`${at}.profile`, 'must be of kind idevid or ldevid');
  if (profile.kind === 'idevid' && config.admit.some((voucher) => voucher !== 'ticket'))
    throw invalid(`${at}.admit`, 'may be ticket only: no certificate vouches for an IDevID');
  if (profile.kind === 'idevid' && config.serverKeygen)
    throw invalid(`${at}.serverKeygen`, 'cannot be: the key of an IDevID never leaves its device');
  if (config.serverKeygen && config.approval)
    throw invalid(
      `${at}.serverKeygen`,
      'cannot be with approval: it makes another key each time that it is asked',
    );
  if (config.serverKeygen && !profile.allowedKeys.includes('ec-p256'))
    throw invalid(`${at}.serverKeygen`, `makes P-256 keys, which profile ${profile.name} does not allow`);
  for (const namespace of config.namespaces) {
    if (namespace !== '*' && namespace !== OWN_NAMESPACE && !isLabel(namespace))
      throw invalid(`${at}.namespaces`, `has ${JSON.stringify(namespace)}, which is no namespace's name`);
  }
  return {
    name,
    profile,
    admits: new Set(config.admit),
    namespaces: config.namespaces.includes('*') ? undefined : new Set(config.namespaces),
    serialPattern: config.serialPattern,
    bindingRequired: config.channelBinding === 'required',
    approval: config.approval,
    renewalGraceMs: config.renewalGraceDays * DAY_MS,
    idevidMayReenroll: config.idevidMayReenroll,
    serverKeygen: config.serverKeygen,
  };
}

/** @throws BirthmarkError `not-found` */
export function findLabel(labels: Labels, name: string = DEFAULT_LABEL): Label {
  const label = labels.get(name);
  if (label) return label;
  throw new BirthmarkError('not-found', `there is no label ${JSON.stringify(name).slice(0, 80)}`, {
    field: 'label',
  });
}

/** A way in for one ticket, to a profile that no label gives. */
export function ticketLabel(profile: Profile): Label {
  return {
    name: 'ticket',
    profile,
    admits: new Set(['ticket']),
    namespaces: undefined,
    serialPattern: '*',
    bindingRequired: false,
    approval: false,
    renewalGraceMs: 0,
    idevidMayReenroll: false,
    serverKeygen: false,
  };
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field} ${rule}`, { field });
}
