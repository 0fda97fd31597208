import Type, { type TSchema } from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import type { WeakAlgorithmName } from '../../x509/algorithms.ts';
import { readCrl } from '../../x509/crl-reader.ts';
import { ipAddressOctets } from '../../x509/ip-address.ts';
import { NO_WEAKNESS, type WeakAllowance } from '../../x509/path/key-strength.ts';
import type { PeerName } from '../../x509/path/peer-name.ts';
import { ANY_POLICY } from '../../x509/path/read-policies.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import { type PemLabel, parsePemBlocks } from '../../x509/pem.ts';

const Text = Type.String();
const Pems = Type.Array(Text);
const Nullable = <T extends TSchema>(type: T) => Type.Optional(Type.Union([type, Type.Null()]));

/** One line of `verify --jsonl`, in the form of the conformance runner; members that are not here are passed over. */
const parseCase = schemaParser(
  Type.Object({
    id: Text,
    trusted: Pems,
    untrusted: Type.Optional(Pems),
    leaf: Text,
    crls: Type.Optional(Pems),
    check_crl: Type.Optional(Text),
    time: Nullable(Text),
    purpose: Type.Optional(Text),
    strict_eku: Nullable(Type.Boolean()),
    policy: Nullable(
      Type.Object({
        initial_policy_set: Type.Optional(Type.Array(Text)),
        explicit: Type.Optional(Type.Boolean()),
        inhibit_mapping: Type.Optional(Type.Boolean()),
        inhibit_any: Type.Optional(Type.Boolean()),
      }),
    ),
    max_depth: Nullable(Type.Integer({ minimum: 0 })),
    peer: Nullable(Type.Object({ kind: Text, value: Text })),
    sig_allow: Nullable(Pems),
  }),
  'bad-request',
);

type Case = ReturnType<typeof parseCase>;

export interface CaseAnswer {
  readonly id: string;
  readonly result: 'SUCCESS' | 'FAILURE' | 'SKIPPED';
  readonly detail: string;
}

/** Judges one case; whatever it says about certificates is an answer, and only what is no case at all is thrown. */
export function judgeCase(value: unknown, now: number): CaseAnswer {
  const one = parseCase(value, '');
  const skipped = whySkipped(one);
  if (skipped !== undefined) return { id: one.id, result: 'SKIPPED', detail: skipped };
  try {
    const verdict = judge(one, now);
    const detail = `${verdict.reason}: ${verdict.detail}`;
    return { id: one.id, result: verdict.reason === 'ok' ? 'SUCCESS' : 'FAILURE', detail };
  } catch (error) {
    if (error instanceof BirthmarkError)
      return { id: one.id, result: 'FAILURE', detail: `malformed: ${error.message}` };
    throw error;
  }
}

const PURPOSES = { clientAuth: 'clientAuth', serverAuth: 'serverAuth', any: 'any' } as const;
const SCOPES = { none: 'none', leaf: 'leaf', chain: 'chain' } as const;

function whySkipped({ purpose = 'any', check_crl: scope = 'none', peer, time }: Case): string | undefined {
  if (!(purpose in PURPOSES)) return `purpose ${purpose} is not known here`;
  if (!(scope in SCOPES)) return `check_crl ${scope} is not known here`;
  if (peer && !peerName(peer)) return `a peer of kind ${peer.kind} is not known here`;
  if (typeof time === 'string' && Number.isNaN(Date.parse(time))) return `time ${time} cannot be read`;
  return undefined;
}

function judge(one: Case, now: number) {
  const { trusted, untrusted = [], leaf, crls = [], time, policy, max_depth: maxDepth, peer } = one;
  const blocks = (pems: readonly string[], label: PemLabel) =>
    pems.flatMap((pem) => readable(() => parsePemBlocks(pem, [label], 'pem')));
  const [leafDer] = parsePemBlocks(leaf, ['CERTIFICATE'], 'leaf');
  const name = peer ? peerName(peer) : undefined;
  return validatePath(leafDer ?? new Uint8Array(0), {
    trust: openTrust({ anchors: blocks(trusted, 'CERTIFICATE') }),
    untrusted: blocks(untrusted, 'CERTIFICATE'),
    crls: blocks(crls, 'X509 CRL').flatMap((der) => readable(() => [readCrl(der)])),
    status: pick(SCOPES, one.check_crl) ?? 'none',
    at: time ? Date.parse(time) : now,
    purpose: pick(PURPOSES, one.purpose) ?? 'any',
    strictPurpose: one.strict_eku === true,
    allowWeak: weakAllowance(one.sig_allow ?? []),
    ...(policy
      ? {
          policy: {
            initialPolicySet: policy.initial_policy_set ?? [ANY_POLICY],
            initialExplicitPolicy: policy.explicit === true,
            initialPolicyMappingInhibit: policy.inhibit_mapping === true,
            initialAnyPolicyInhibit: policy.inhibit_any === true,
          },
        }
      : {}),
    ...(typeof maxDepth === 'number' ? { limits: { maxDepth } } : {}),
    ...(name ? { peer: name } : {}),
  });
}

/** What cannot be read is left out: an anchor or a list that is not there speaks for nothing. */
function readable<T>(read: () => readonly T[]): readonly T[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof BirthmarkError) return [];
    throw error;
  }
}

function pick<T>(from: Readonly<Record<string, T>>, name: string | undefined): T | undefined {
  return name === undefined ? undefined : from[name];
}

/** An address stays one when someone calls it a DNS name. */
function peerName({ kind, value }: { readonly kind: string; readonly value: string }): PeerName | undefined {
  switch (kind) {
    case 'DNS':
      return { kind: ipAddressOctets(value) ? 'ip' : 'dns', value };
    case 'IP':
      return { kind: 'ip', value };
    case 'RFC822':
      return { kind: 'email', value };
    default:
      return undefined;
  }
}

const WEAK: readonly WeakAlgorithmName[] = ['md5', 'sha1', 'dsa'];

/** `sha1`, `md5`, `dsa`; `rsa1024` for RSA keys of that size and above. */
function weakAllowance(names: readonly string[]): WeakAllowance {
  const plain = names.map((name) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
  const bits = plain.flatMap((name) => /^rsa(\d+)$/.exec(name)?.slice(1).map(Number) ?? []);
  return {
    algorithms: new Set(WEAK.filter((name) => plain.includes(name))),
    minimumRsaBits: Math.min(NO_WEAKNESS.minimumRsaBits, ...bits),
  };
}
