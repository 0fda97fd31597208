import { createHash } from 'node:crypto';
import {
  createGateHttp,
  type IsClient,
  type MountedDialect,
  type Readiness,
} from '../../broker-auth/http.ts';
import type { ListenConfig } from '../../broker-auth/service-config.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { TLS_POLICY } from '../../server/tls-policy.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';

export interface ListenGateOptions {
  readonly listen: ListenConfig;
  readonly dialects: readonly MountedDialect[];
  readonly readiness: Readiness;
  readonly metrics: Parameters<typeof createGateHttp>[0]['metrics'];
  readonly logger: Parameters<typeof createGateHttp>[0]['logger'];
  readonly clock: Clock;
  readonly at: (file: string) => string;
}

export interface GateListener {
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Opens the listener where brokers ask.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid`, `key-file-permissions`, `key-file-unreadable`
 */
export async function listenGate(options: ListenGateOptions): Promise<GateListener> {
  const { listen, dialects, readiness, metrics, logger } = options;
  const { host, port } = listen;
  const tls = tlsOf(options);
  const app = createGateHttp({
    dialects,
    readiness,
    metrics,
    logger,
    ...(tls && { tls }),
  });
  try {
    const listening: Promise<string> = app.listen({ host, port });
    return { address: await listening, close: async () => void (await app.close()) };
  } catch (cause) {
    await app.close();
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new BirthmarkError(
      'listen-failed',
      `the listener for brokers cannot open ${host}:${port}: ${reason}; choose another port (0 takes a free one)`,
      { cause },
    );
  }
}

function tlsOf({ listen, clock, at }: ListenGateOptions) {
  const { certificateFile, keyFile, clientCaFile, clientSha256 } = listen;
  if (certificateFile === undefined || keyFile === undefined || clientCaFile === undefined) return undefined;
  const read = (file: string) => readInput(at(file), { code: 'config-invalid' }).toString('latin1');
  const anchors = parsePemBlocks(read(clientCaFile), ['CERTIFICATE'], 'listen.clientCaFile');
  const pins = clientSha256 && new Set(clientSha256.map((one) => one.replaceAll(':', '').toLowerCase()));
  return {
    context: { ...TLS_POLICY, cert: read(certificateFile), key: readSecretFile(at(keyFile)) },
    isClient: clientJudge(anchors, pins, clock),
  };
}

/** Any CA may be the anchor, an issuing one too; pins narrow it down to single certificates. */
function clientJudge(
  anchors: readonly Uint8Array[],
  pins: ReadonlySet<string> | undefined,
  clock: Clock,
): IsClient {
  const trust = openTrust({ anchors });
  return (leaf, untrusted) => {
    const at = clock();
    const path = {
      trust,
      untrusted,
      at,
      purpose: 'clientAuth',
      strictPurpose: true,
      possessionProven: true,
    } as const;
    if (validatePath(leaf, path).reason !== 'ok') return false;
    return pins?.has(createHash('sha256').update(leaf).digest('hex')) ?? true;
  };
}
