import { connect } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { encodeClientHello, type Offer } from './client-hello.ts';
import { type Chosen, type HelloAnswer, readServerFlight } from './server-hello.ts';
import { GROUPS, SUITES_12, SUITES_13, VERSIONS, type VersionName } from './tls-names.ts';

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  /** The name that a client asks for, where it is not the host. */
  readonly serverName?: string;
}

/** What a listener would agree to, by names as OpenSSL has them: of those that are known here. */
export interface TlsOffers {
  readonly versions: readonly VersionName[];
  readonly suites: readonly string[];
  readonly groups: readonly string[];
  /** In TLS 1.2; undefined where it does not speak that. */
  readonly asksForCertificate?: boolean;
  readonly givesTicket?: boolean;
}

const WITHIN_MS = 5000;
const MAX_FLIGHT = 256 * 1024;

/**
 * Finds out what a TLS listener would agree to, by ClientHellos that leave it fewer and fewer choices. No handshake is
 * finished, so no certificate is needed.
 *
 * @throws BirthmarkError `unavailable` where nobody answers, or not in TLS
 */
export async function probeOffers(target: ProbeTarget, random: RandomBytes): Promise<TlsOffers> {
  const ask = (offer: Omit<Offer, 'serverName'>) => sayHello(target, { ...offer, ...nameOf(target) }, random);
  const groups = [...GROUPS.keys()];
  const found: Chosen[] = [];
  const versions: VersionName[] = [];
  const names = new Map<number, VersionName>();
  for (const name of Object.keys(VERSIONS) as VersionName[]) names.set(VERSIONS[name], name);
  for (const [version, name] of names) {
    const all = version === VERSIONS['TLSv1.3'] ? SUITES_13 : SUITES_12;
    const some = await askUntilNone(all.keys(), (suites) => ask({ version, suites, groups }), version);
    if (some.length > 0) versions.push(name);
    found.push(...some);
  }
  const [sample] = found.filter(({ version }) => version === VERSIONS['TLSv1.2']);
  const suiteNames = new Map([...SUITES_12, ...SUITES_13]);
  const chosenGroups = new Set<string>();
  for (const version of [VERSIONS['TLSv1.2'], VERSIONS['TLSv1.3']]) {
    const suites = found.filter((one) => one.version === version && one.group !== undefined);
    if (suites.length === 0) continue;
    const some = await askUntilNone(
      groups,
      (left) => ask({ version, suites: suites.map(({ suite }) => suite), groups: left }),
      version,
      ({ group }) => group,
    );
    for (const { group } of some)
      if (group !== undefined) chosenGroups.add(GROUPS.get(group) ?? String(group));
  }
  return {
    versions,
    suites: [...new Set(found.map(({ suite }) => suiteNames.get(suite) ?? String(suite)))],
    groups: [...chosenGroups],
    ...(sample?.asksForCertificate !== undefined && { asksForCertificate: sample.asksForCertificate }),
    ...(sample?.givesTicket !== undefined && { givesTicket: sample.givesTicket }),
  };
}

/** Takes away what the server chose, until it has no more to choose. */
async function askUntilNone(
  all: Iterable<number>,
  ask: (left: readonly number[]) => Promise<HelloAnswer>,
  version: number,
  pick: (chosen: Chosen) => number | undefined = ({ suite }) => suite,
): Promise<readonly Chosen[]> {
  const left = new Set(all);
  const found: Chosen[] = [];
  while (left.size > 0) {
    const answer = await ask([...left]);
    if ('alert' in answer || answer.version !== version) break;
    const picked = pick(answer);
    // A choice that was not offered would go on for ever.
    if (picked === undefined || !left.delete(picked)) break;
    found.push(answer);
  }
  return found;
}

function sayHello({ host, port }: ProbeTarget, offer: Offer, random: RandomBytes): Promise<HelloAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let flight: Buffer = Buffer.alloc(0);
    let isConnected = false;
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
    };
    const fail = (why: string, cause?: unknown) => {
      end();
      reject(new BirthmarkError('unavailable', `the broker at ${host}:${port}: ${why}`, { cause }));
    };
    const timer = setTimeout(() => fail(`it does not answer within ${WITHIN_MS / 1000} s`), WITHIN_MS);
    socket.once('connect', () => {
      isConnected = true;
      socket.write(encodeClientHello(offer, random));
    });
    socket.on('data', (octets: Buffer) => {
      flight = Buffer.concat([flight, octets]);
      try {
        const answer = readServerFlight(flight);
        if (!answer && flight.length <= MAX_FLIGHT) return;
        if (!answer) throw new RangeError('its first flight does not end');
        end();
        resolve(answer);
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error), error);
      }
    });
    // Some close without a word where others send an alert.
    socket.once('close', () => {
      end();
      resolve({ alert: 0 });
    });
    socket.once('error', (error) => {
      if (!isConnected) fail(error.message, error);
    });
  });
}

function nameOf({ host, serverName = host }: ProbeTarget): { readonly serverName?: string } {
  return /^[\d.]+$|:/.test(serverName) ? {} : { serverName };
}
