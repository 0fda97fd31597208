import { createGateHttp, type MountedDialect, type Readiness } from '../../broker-auth/http.ts';
import type { ListenConfig } from '../../broker-auth/service-config.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readSecretFile } from '../../keys/secret-file.ts';
import { TLS_POLICY } from '../../server/tls-policy.ts';
import { readInput } from '../input-file.ts';

export interface ListenGateOptions {
  readonly listen: ListenConfig;
  readonly dialects: readonly MountedDialect[];
  readonly readiness: Readiness;
  readonly metrics: Parameters<typeof createGateHttp>[0]['metrics'];
  readonly logger: Parameters<typeof createGateHttp>[0]['logger'];
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
  const { host, port, clientSha256 } = listen;
  const tls = tlsOf(options);
  const app = createGateHttp({
    dialects,
    readiness,
    metrics,
    logger,
    ...(tls && { tls }),
    ...(clientSha256 && {
      clients: new Set(clientSha256.map((one) => one.replaceAll(':', '').toLowerCase())),
    }),
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

function tlsOf({ listen, at }: ListenGateOptions) {
  const { certificateFile, keyFile, clientCaFile } = listen;
  if (certificateFile === undefined || keyFile === undefined || clientCaFile === undefined) return undefined;
  const read = (file: string) => readInput(at(file), { code: 'config-invalid' }).toString('latin1');
  return {
    ...TLS_POLICY,
    cert: read(certificateFile),
    key: readSecretFile(at(keyFile)),
    ca: read(clientCaFile),
    requestCert: true,
    rejectUnauthorized: true,
  };
}
