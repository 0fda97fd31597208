import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { mountDialects } from '../../broker-auth/mount-dialects.ts';
import type { AuthorityClient } from '../../broker-auth/status/authority-client.ts';
import { createAuthorityClient } from '../../broker-auth/status/authority-client.ts';
import { createStatusFollower, type StatusFollower } from '../../broker-auth/status/status-follower.ts';
import { endAllTakenBack, endTakenBack, tableSource } from '../../broker-auth/status/table-source.ts';
import { systemClock } from '../../core/clock.ts';
import { poolRandom } from '../../core/pooled-random.ts';
import { writeDurably } from '../../keys/durable-file.ts';
import { readSecretFile } from '../../keys/secret-file.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';
import { createLogger } from '../logger.ts';
import { listenGate } from './listen-gate.ts';
import type { LoadedGate } from './load-gate.ts';
import { type OpenGate, openGate } from './open-gate.ts';
import { openStatusFiles } from './status-files.ts';

export interface ServeGateOptions {
  readonly loaded: LoadedGate;
  readonly readyFile?: string;
  /** Told once it accepts. */
  readonly onReady: (addresses: { readonly brokerAuth: string }) => void;
}

const random = poolRandom((size) => randomBytes(size));
const clock = systemClock;

/**
 * The gate alone, beside a broker, until SIGINT or SIGTERM. It answers at once, from what is on disk or with denials; that
 * the authority is away ends nothing.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid`, `key-file-permissions`, `key-file-unreadable`
 */
export async function serveGate({ loaded, readyFile, onReady }: ServeGateOptions): Promise<void> {
  const stopped = untilStopped();
  const { config, at } = loaded;
  const logger = createLogger(config.log?.level ?? 'info');
  const authority = authorityOf(loaded);
  let open: OpenGate | undefined;
  const source = tableSource(() => follower.known);
  const follower = followerOf(loaded, authority, logger, {
    onChange: (change) => open && endTakenBack(open.gate, change),
    onReplaced: () => open && endAllTakenBack(open.gate, source),
  });
  open = openGate({
    ...loaded,
    brokers: config.brokers ?? {},
    forgetting: forgettingOf(loaded),
    source,
    statusAgeMs: () => ageOf(follower),
    clock,
    random,
    logger,
    onSeen: () => undefined,
    onEnded: () => undefined,
  });
  const { gate, metrics, close } = open;
  try {
    await follower.start();
    const listener = await listenGate({
      listen: config.listen,
      dialects: mountDialects(config.http, {
        gate,
        clock,
        secretOf: (file) => readSecretFile(at(file)).trim(),
      }),
      readiness: () => readinessOf(loaded, follower),
      metrics: metrics.registry,
      logger,
      at,
    });
    try {
      const addresses = { brokerAuth: listener.address };
      if (readyFile !== undefined) writeDurably(readyFile, `${JSON.stringify(addresses)}\n`, 0o644);
      onReady(addresses);
      await stopped;
      logger.info('stopping');
    } finally {
      await listener.close();
    }
  } finally {
    close();
    await follower.stop();
  }
}

function authorityOf({ config: { authority }, at }: LoadedGate): AuthorityClient {
  const { url, caFile, tokenFile, certificateFile, keyFile } = authority;
  const read = (file: string) => readInput(at(file), { code: 'config-invalid' }).toString('latin1');
  return createAuthorityClient({
    url: new URL(url),
    ca: read(caFile),
    ...(tokenFile !== undefined && { token: readSecretFile(at(tokenFile)).trim() }),
    ...(certificateFile !== undefined && { cert: read(certificateFile) }),
    ...(keyFile !== undefined && { key: readSecretFile(at(keyFile)) }),
  });
}

function followerOf(
  { config: { authority }, at }: LoadedGate,
  client: AuthorityClient,
  logger: Logger,
  on: Pick<Parameters<typeof createStatusFollower>[0], 'onChange' | 'onReplaced'>,
): StatusFollower {
  const file = authority.signerCaFile ?? authority.caFile;
  const pem = readInput(at(file), { code: 'config-invalid' }).toString('latin1');
  const anchors = parsePemBlocks(pem, ['CERTIFICATE'], 'authority.signerCaFile');
  return createStatusFollower({
    authority: client,
    store: openStatusFiles(at(authority.snapshotFile)),
    trust: openTrust({ anchors, intermediates: [] }),
    clock,
    random,
    ...on,
    onFault: (error) =>
      logger.warn({ err: error }, 'the authority cannot be followed at the moment; it is tried again'),
  });
}

function forgettingOf({ config: { http } }: LoadedGate): readonly string[] {
  const goAuth = http['mosquitto-go-auth'];
  return goAuth ? [goAuth.broker ?? 'mosquitto-go-auth'] : [];
}

function ageOf({ known }: StatusFollower): number | undefined {
  return known && Math.max(0, clock() - known.table.asOf);
}

/** Ready where no listener has to deny for what is not known. */
function readinessOf({ policy }: LoadedGate, follower: StatusFollower) {
  const ageMs = ageOf(follower);
  const strictest = Math.min(
    ...[...policy.listeners.values()]
      .filter(({ status }) => status === 'hard')
      .map(({ maxStatusAgeMs }) => maxStatusAgeMs),
  );
  const facts = {
    connected: follower.connected,
    ...(ageMs !== undefined && { statusAgeSeconds: Math.round(ageMs / 1000) }),
  };
  if (strictest === Number.POSITIVE_INFINITY) return facts;
  if (ageMs === undefined) return { ...facts, fault: 'nothing is known of statuses yet' };
  if (ageMs > strictest) return { ...facts, fault: 'what is known of statuses is too old' };
  return facts;
}

/** A signal that comes again must not cut short what the first began. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });
}
