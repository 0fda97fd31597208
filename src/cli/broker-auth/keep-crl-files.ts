import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CanaryFinding } from '../../broker-auth/canary.ts';
import { publishCrlFile, runCommand, signalProcess } from '../../broker-auth/crl-files.ts';
import { fetchList } from '../../broker-auth/fetch-list.ts';
import type { CrlFileConfig } from '../../broker-auth/mosquitto-config.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';
import { canaryProbe } from './read-canaries.ts';

export interface KeptCrlFiles {
  /** For `/readyz`: what each file is, with a `fault` where one is not what it should be. */
  facts(): { readonly fault?: string; readonly [file: string]: unknown };
  close(): Promise<void>;
}

export interface KeepCrlFilesOptions {
  readonly files: readonly CrlFileConfig[];
  readonly at: (file: string) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const EVERY_MS = 300_000;
/** What went wrong is tried again after so long at the latest. */
const RETRY_MS = 30_000;

interface Kept {
  /** Of the lists that the broker was proven to have. */
  digest?: string;
  proof?: CanaryFinding;
  publishedAt?: number;
  fault?: string;
}

/**
 * Fetches revocation lists for brokers that read them from files, and puts them there when they have changed. All of it beside
 * the connections of devices: none waits for it.
 *
 * @throws BirthmarkError `config-invalid`, `bad-pem`, `key-file-permissions`, `key-file-unreadable`
 */
export function keepCrlFiles({ files, at, clock, logger }: KeepCrlFilesOptions): KeptCrlFiles {
  const stopping = new AbortController();
  const all = files.map((config) => {
    const kept: Kept = { fault: 'it was not published yet' };
    const refresh = openCrlFile(config, kept, { at, clock, logger, signal: stopping.signal });
    return { file: config.file, kept, done: repeatUntil(stopping.signal, config, kept, refresh) };
  });
  return {
    facts() {
      const bad = all.find(({ kept }) => kept.fault !== undefined);
      const each = all.map(({ file, kept: { proof, publishedAt, fault } }) => [
        file,
        {
          ...(proof && { proof }),
          ...(publishedAt !== undefined && { publishedAt: new Date(publishedAt).toISOString() }),
          ...(fault !== undefined && { fault }),
        },
      ]);
      return {
        ...Object.fromEntries(each),
        ...(bad && { fault: `CRL file ${bad.file}: ${bad.kept.fault}` }),
      };
    },
    async close() {
      stopping.abort();
      await Promise.all(all.map(({ done }) => done));
    },
  };
}

function openCrlFile(
  config: CrlFileConfig,
  kept: Kept,
  { at, clock, logger, signal }: Omit<KeepCrlFilesOptions, 'files'> & { readonly signal: AbortSignal },
): () => Promise<void> {
  const { urls, issuerFiles, pidFile, command } = config;
  const file = at(config.file);
  const issuers = issuerFiles.flatMap((one) =>
    parsePemBlocks(
      readInput(at(one), { code: 'config-invalid' }).toString('latin1'),
      ['CERTIFICATE'],
      'crlFiles.issuerFiles',
    ),
  );
  const { run: prove } = canaryProbe(config.canaries, at);
  const [program, ...words] = command ?? [];
  const reload = () =>
    program === undefined ? signalProcess(at(pidFile ?? '')) : runCommand([program, ...words]);

  async function publish(): Promise<string | undefined> {
    const lists = await Promise.all(urls.map((url) => fetchList(url, signal)));
    const digest = createHash('sha256').update(Buffer.concat(lists)).digest('hex');
    if (digest === kept.digest) return undefined;
    const found = await publishCrlFile({ file, issuers, clock, reload, prove }, lists);
    if (found.outcome === 'refused') return found.detail;
    kept.proof = found.proof;
    kept.publishedAt = clock();
    if (found.proof !== 'good') return `the canaries found the broker ${found.proof} behind it`;
    kept.digest = digest;
    logger.info({ file, lists: lists.length }, 'a broker has new revocation lists');
    return undefined;
  }

  return async () => {
    try {
      const fault = await publish();
      if (fault === undefined) delete kept.fault;
      else {
        kept.fault = fault;
        logger.error({ file, fault }, 'the revocation lists of a broker are not what they should be');
      }
    } catch (error) {
      if (signal.aborted) return;
      kept.fault = error instanceof BirthmarkError ? error.message : 'it could not be published';
      logger.error({ err: error, file }, 'the revocation lists of a broker could not be renewed');
    }
  };
}

async function repeatUntil(
  signal: AbortSignal,
  { everySeconds }: CrlFileConfig,
  kept: Kept,
  refresh: () => Promise<void>,
): Promise<void> {
  const everyMs = everySeconds === undefined ? EVERY_MS : everySeconds * 1000;
  while (!signal.aborted) {
    await refresh();
    const pauseMs = kept.fault === undefined ? everyMs : Math.min(everyMs, RETRY_MS);
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
