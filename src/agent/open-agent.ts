import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Monotonic } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { readSecretFile } from '../core/secret-file.ts';
import { readCertificate } from '../x509/certificate.ts';
import { parsePemBlocks } from '../x509/pem.ts';
import { createEstAuthority } from './est/est-authority.ts';
import { serialNumberOf } from './est/make-csr.ts';
import { fileKeys, readFileKey } from './key/file-key.ts';
import { openToken, type Token } from './key/token-key.ts';
import { type ProxyServer, parseProxy } from './net/proxy.ts';
import { createServerLink, parseServerUrl } from './net/server-link.ts';
import type { AgentParts, Probe } from './parts.ts';
import type { Credential, Tell, Voucher } from './ports.ts';
import { probeMqtt } from './probe/mqtt-probe.ts';
import { runCommand } from './run-command.ts';
import type { Settings } from './settings.ts';
import type { Disk } from './state/disk.ts';
import { openStateFolder } from './state/state-folder.ts';
import { createTimekeeper } from './timekeeper.ts';

export interface OpenOptions {
  readonly folder: string;
  readonly settings: Settings;
  readonly disk: Disk;
  readonly clock: Clock;
  /** Goes on while the machine sleeps too, as `os.uptime()` does; in milliseconds. */
  readonly elapsed: Monotonic;
  readonly random: RandomBytes;
  readonly tell: Tell;
  /** What commands of the user inherit. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface OpenAgent extends AgentParts {
  readonly proxy: ProxyServer | undefined;
  readonly close: () => void;
}

const MINUTE_MS = 60_000;
const ANSWER_WITHIN_MS = 30_000;
const COMMAND_WITHIN_MS = 60_000;
/** Of sysexits.h: a command that verifies ends with it where nobody answered it. */
const EX_TEMPFAIL = 75;
const SEEN_FILE = 'seen';

/**
 * Puts an agent together from what was written down. Nobody is asked anything yet.
 *
 * @throws BirthmarkError `config-invalid`, `key-store-failed`, `key-file-permissions`, `key-file-unreadable`
 */
export async function openAgent(options: OpenOptions): Promise<OpenAgent> {
  const { folder, settings, disk, clock, elapsed, random, tell, environment } = options;
  const state = openStateFolder(folder, disk, random);
  const time = createTimekeeper({
    clock,
    elapsed,
    seen: Number(state.readText(SEEN_FILE) ?? 0) || 0,
    save: (seen) => state.writeText(SEEN_FILE, `${seen}\n`),
    onWrong: (offsetMs) =>
      tell({
        level: 'warn',
        event: 'clock',
        detail: `this machine's clock is ${Math.round(Math.abs(offsetMs) / 1000)} s ${offsetMs > 0 ? 'behind' : 'ahead of'} the server's, whose time is used`,
      }),
  });
  const proxy = proxyOf(settings);
  const anchors = () => state.readCertificates('trust.pem');
  const ask = createServerLink({
    url: parseServerUrl(settings.url),
    anchors,
    time,
    timeoutMs: ANSWER_WITHIN_MS,
    ...(proxy && { proxy }),
  });
  const authority = createEstAuthority({
    ask,
    bind: settings.channelBinding !== false,
    ...(settings.label !== undefined && { label: settings.label }),
  });
  const token = settings.token && (await openToken(tokenOptions(settings.token)));
  const command = { environment, timeoutMs: COMMAND_WITHIN_MS };
  return {
    state,
    time,
    random,
    tell,
    authority,
    proxy,
    keys: token ? token.keys() : fileKeys(disk),
    keyType: settings.keyType,
    lookEveryMs: settings.lookEveryMinutes && settings.lookEveryMinutes * MINUTE_MS,
    keysAreFiles: token === undefined,
    acceptUnlinkedRoots: settings.acceptUnlinkedRoots === true,
    vouchers: () => vouchersOf(settings, token),
    probes: probesOf(settings, { proxy, anchors, now: time.now, command }),
    announce: async (paths) => {
      if (settings.afterChange === undefined) return true;
      const outcome = await runCommand(settings.afterChange, paths, command);
      if (outcome.kind === 'done') return true;
      tell({ level: 'warn', event: 'hook-failed', detail: `the command after a change ${outcome.detail}` });
      return false;
    },
    close: () => token?.close(),
  };
}

/** @throws BirthmarkError `config-invalid`, `key-file-permissions`, `key-file-unreadable` */
export function proxyOf({ proxy }: Settings): ProxyServer | undefined {
  if (!proxy) return undefined;
  const { passwordFile } = proxy;
  return parseProxy(proxy.url, passwordFile === undefined ? undefined : readSecretLine(passwordFile));
}

function tokenOptions({ module, label, pinFile, engine }: NonNullable<Settings['token']>) {
  return {
    module,
    token: label,
    pinFile,
    pin: () => readSecretLine(pinFile),
    ...(engine !== undefined && { engine }),
  };
}

/** An IDevID lasts, a ticket is used up. */
function vouchersOf(settings: Settings, token: Token | undefined): readonly Voucher[] {
  const { idevid, ticketFile, serialNumber } = settings;
  const vouchers: Voucher[] = [];
  if (idevid) vouchers.push({ kind: 'idevid', credential: readIdevid(idevid, token) });
  if (ticketFile !== undefined && existsSync(ticketFile)) {
    if (serialNumber === undefined)
      throw new BirthmarkError('config-invalid', 'a ticket needs the serial number of its device', {
        field: 'serialNumber',
      });
    const ticket = readSecretLine(ticketFile);
    if (ticket !== '') vouchers.push({ kind: 'ticket', serialNumber, ticket });
  }
  return vouchers;
}

function readIdevid(
  { certificateFile, keyFile, keyLabel }: NonNullable<Settings['idevid']>,
  token: Token | undefined,
): Credential {
  const [leaf, ...rest] = parsePemBlocks(
    readFileSync(certificateFile, 'latin1'),
    ['CERTIFICATE'],
    certificateFile,
  );
  if (keyFile !== undefined && leaf) return { key: readFileKey(keyFile), chain: [leaf, ...rest] };
  if (keyLabel !== undefined && token && leaf) return { key: token.find(keyLabel), chain: [leaf, ...rest] };
  throw new BirthmarkError('config-invalid', 'an IDevID needs its key: a file, or its label in the token', {
    field: 'idevid',
  });
}

interface ProbeOptions {
  readonly proxy: ProxyServer | undefined;
  readonly anchors: () => readonly Uint8Array[];
  readonly now: () => number;
  readonly command: Parameters<typeof runCommand>[2];
}

function probesOf(
  { verifyCommand, verifyMqtt }: Settings,
  { proxy, anchors, now, command }: ProbeOptions,
): readonly Probe[] {
  const probes: Probe[] = [];
  if (verifyCommand !== undefined)
    probes.push(async (_credential, paths) => {
      const outcome = await runCommand(verifyCommand, paths, command);
      if (outcome.kind === 'done') return { kind: 'accepted' };
      const detail = `the command that verifies ${outcome.detail}`;
      const isRefusal = outcome.kind === 'failed' && outcome.status !== EX_TEMPFAIL;
      return { kind: isRefusal ? 'refused' : 'unclear', detail };
    });
  if (verifyMqtt)
    probes.push((credential) => {
      const { subject } = readCertificate(credential.chain[0]).tbs;
      return probeMqtt(verifyMqtt.clientId ?? serialNumberOf(subject), {
        url: verifyMqtt.url,
        credential,
        anchors: anchors(),
        at: now(),
        timeoutMs: ANSWER_WITHIN_MS,
        ...(proxy && { proxy }),
      });
    });
  return probes;
}

/** @throws BirthmarkError `key-file-permissions`, `key-file-unreadable` */
function readSecretLine(path: string): string {
  return readSecretFile(path).trimEnd().split('\n').at(-1)?.trim() ?? '';
}

const SETTINGS_FILE = 'agent.json';

/** Where the settings of a state folder are. */
export function settingsPath(folder: string): string {
  return join(folder, SETTINGS_FILE);
}
