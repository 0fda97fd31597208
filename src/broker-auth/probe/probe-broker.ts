import type { RandomBytes } from '../../core/random.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import type { CanaryClient } from '../canary.ts';
import { keyFault } from '../key-demand.ts';
import { PRESETS, type Preset, type PresetName } from '../presets.ts';
import { type Answer, knock } from './knock.ts';
import { type ProbeTarget, probeOffers, type TlsOffers } from './tls-offers.ts';

/** A client that the broker must refuse, and what is wrong with it. */
export interface RefusedClient extends CanaryClient {
  readonly name: string;
}

export interface BrokerProbe extends ProbeTarget {
  /** Without TLS. */
  readonly plain: boolean;
  readonly preset: PresetName;
  /** DER: who issued the broker's certificate. */
  readonly anchors: readonly Uint8Array[];
  readonly allowed?: CanaryClient;
  readonly refused: readonly RefusedClient[];
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly random: RandomBytes;
}

/** What was found, held against a demand of the preset. */
export interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** Where the demand comes from. */
  readonly source: string;
  readonly todo?: string;
}

const STRANGER = 'birthmark-doctor';
/** Where demands come from that every preset has. */
const SOURCE = {
  clientAuth: 'MQTT 3.1.1 §5.4.1, MQTT 5 §5.4.2',
  server: 'RFC 5280 §6, RFC 9525 §6; MQTT 3.1.1 §5.4.3',
  latest: 'RFC 9325 §3.1.1',
  status: 'MQTT 3.1.1 §5.4.7',
  resumption: 'RFC 8446 §4.6.1, RFC 9325 §3.4',
} as const;

/**
 * Tries a running broker from outside, as clients see it, and holds what it finds against a preset. Nothing at the broker is
 * changed; what cannot be seen from there (how old a status may be) is not said.
 *
 * @throws BirthmarkError `unavailable` where nobody answers, or not in TLS
 */
export async function probeBroker(probe: BrokerProbe): Promise<readonly Finding[]> {
  const preset = PRESETS[probe.preset];
  const findings: Finding[] = [];
  if (probe.plain) findings.push(plainFinding(preset));
  else {
    const offers = await probeOffers(probe, probe.random);
    if (preset.tls) findings.push(...tlsFindings(offers, preset, preset.tls));
  }
  const as = ({ clientId, ...client }: CanaryClient, session?: Buffer) =>
    knock({ ...probe, client, clientId, ...(session && { session }) });
  const stranger = await knock({ ...probe, clientId: STRANGER });
  const welcome = probe.allowed && (await as(probe.allowed));
  if (!probe.plain) findings.push(...serverFindings(stranger.shown ?? welcome?.shown, probe, preset));
  findings.push(strangerFinding(stranger, preset));
  if (probe.allowed && welcome) findings.push(welcomeFinding(probe.allowed, welcome));
  for (const client of probe.refused) {
    const first = await as(client);
    findings.push(refusal(`refused ${client.name}`, client, first, SOURCE.status));
    // Where the handshake itself went well, a ticket came with it.
    const again = first.session && (await as(client, first.session));
    if (again?.isResumed)
      findings.push(refusal(`refused again ${client.name}`, client, again, SOURCE.resumption));
  }
  if (preset.status === 'hard' && probe.refused.length === 0)
    findings.push(
      warning(
        'refused',
        'whether it refuses who was revoked was not tried',
        SOURCE.status,
        'give --refused with a revoked certificate',
      ),
    );
  return findings;
}

function plainFinding({ tls, source }: Preset): Finding {
  return tls
    ? failed('tls', 'it speaks without TLS', source, 'give it a TLS listener and close this one')
    : ok('tls', 'it speaks without TLS, which this preset allows', source);
}

function tlsFindings(
  offers: TlsOffers,
  { source }: Preset,
  { minVersion, cipherSuites, groups }: NonNullable<Preset['tls']>,
): readonly Finding[] {
  const { versions } = offers;
  const older = versions.filter((one) => one < minVersion);
  const odd = (found: readonly string[], known: readonly string[]) =>
    found.filter((one) => !known.includes(one));
  const [badSuites, badGroups] = [odd(offers.suites, cipherSuites), odd(offers.groups, groups)];
  return [
    older.length === 0
      ? ok('versions', `it speaks ${versions.join(', ') || 'none that is known here'}`, source)
      : failed(
          'versions',
          `it speaks ${older.join(', ')}, and ${minVersion} is the least`,
          source,
          'switch them off',
        ),
    versions.includes('TLSv1.3')
      ? ok('tls-1.3', 'it speaks TLSv1.3', SOURCE.latest)
      : warning('tls-1.3', 'it does not speak TLSv1.3', SOURCE.latest, 'switch it on'),
    judged('suites', offers.suites, badSuites, source),
    judged('groups', offers.groups, badGroups, source),
  ];
}

function judged(name: string, found: readonly string[], bad: readonly string[], source: string): Finding {
  if (bad.length > 0)
    return failed(name, `it takes ${bad.join(', ')}`, source, `leave no others than those of the preset`);
  return found.length > 0
    ? ok(name, `it takes ${found.join(', ')}`, source)
    : failed(name, 'it takes none that is known here', source, 'look at its configuration');
}

function serverFindings(shown: Answer['shown'], probe: BrokerProbe, preset: Preset): readonly Finding[] {
  if (!shown)
    return [
      // A handshake in which it wants to see a certificate first ends before it is known whose it is.
      warning(
        'server',
        'it shows its certificate to no stranger',
        SOURCE.server,
        'give --allowed: its handshake ends well',
      ),
    ];
  const { host, serverName = host } = probe;
  const isAddress = /^[\d.]+$|:/.test(serverName);
  const verdict = validatePath(shown.leaf, {
    trust: openTrust({ anchors: probe.anchors }),
    untrusted: shown.chain,
    at: probe.at,
    purpose: 'serverAuth',
    peer: { kind: isAddress ? 'ip' : 'dns', value: serverName },
    possessionProven: true,
  });
  const trusted =
    verdict.reason === 'ok'
      ? ok('server', `its certificate is good for ${serverName}`, SOURCE.server)
      : failed(
          'server',
          `${verdict.reason}: ${verdict.detail}`,
          SOURCE.server,
          'renew it, or give the --ca that issued it',
        );
  const fault = preset.keys && keyFault(verdict.path ?? [shown.leaf, ...shown.chain], preset.keys);
  if (!preset.keys) return [trusted];
  return [
    trusted,
    fault === undefined
      ? ok('server-keys', 'the keys of its path are such as the preset takes', preset.source)
      : failed('server-keys', fault, preset.source, 'have it issued under keys that the preset takes'),
  ];
}

function strangerFinding({ accepted, how }: Answer, { evidence, source }: Preset): Finding {
  const name = 'client-certificate';
  if (!accepted) return ok(name, `a client without one is refused (${how})`, SOURCE.clientAuth);
  return evidence === 'none'
    ? ok(name, 'a client without one is let in, which this preset allows', source)
    : failed(
        name,
        'A CLIENT WITHOUT ONE IS LET IN',
        `${source}; ${SOURCE.clientAuth}`,
        'make it ask for one, and the gate for it',
      );
}

function welcomeFinding({ clientId }: CanaryClient, { accepted, how }: Answer): Finding {
  return accepted
    ? ok('allowed', `${clientId} is let in`, SOURCE.clientAuth)
    : failed(
        'allowed',
        `${clientId} is refused (${how})`,
        SOURCE.clientAuth,
        'see what broker-auth explain says of its certificate',
      );
}

function refusal(
  name: string,
  { clientId }: CanaryClient,
  { accepted, how, isResumed }: Answer,
  source: string,
): Finding {
  const by = isResumed ? 'on a resumed session ' : '';
  return accepted
    ? failed(
        name,
        `${clientId} IS LET IN ${by}`.trim(),
        source,
        'the broker does not ask the gate, or knows nothing of it: see its page',
      )
    : ok(name, `${clientId} is refused ${by}(${how})`, source);
}

function ok(name: string, detail: string, source: string): Finding {
  return { name, state: 'ok', detail, source };
}

function warning(name: string, detail: string, source: string, todo: string): Finding {
  return { name, state: 'warning', detail, source, todo };
}

function failed(name: string, detail: string, source: string, todo: string): Finding {
  return { name, state: 'failed', detail, source, todo };
}
