import type { FastifyBaseLogger } from 'fastify';
import type { BlockDesk } from '../broker-auth/guard/block-desk.ts';
import { createBaseApp } from './base-app.ts';
import { authenticateLocal } from './caller.ts';
import { openSocket } from './listeners.ts';
import { mountBlocks } from './routes/blocks.ts';

export interface GateSocketOptions {
  readonly blocks: BlockDesk;
  readonly path: string;
  readonly logger: FastifyBaseLogger;
}

const LIMITS = { bodyOctets: 64 * 1024, bodyMs: 5000, idleMs: 60_000, ocspSignaturesPerSecond: 1 };

/**
 * Opens the Unix socket by which commands reach a gate that stands alone; only its owner may (mode 0600).
 *
 * @throws BirthmarkError `listen-failed`
 */
export async function listenForCommands({
  blocks,
  path,
  logger,
}: GateSocketOptions): Promise<{ close(): Promise<void> }> {
  const app = createBaseApp({ logger, limits: LIMITS });
  await app.register(
    (api, _, done) => {
      mountBlocks(api, {
        blocks,
        authenticate: authenticateLocal,
        onLift: async (lifted) => {
          for (const { who, rule, since, gate } of lifted)
            logger.warn({ who, rule, gate, since: new Date(since).toISOString() }, 'a person lifted a block');
        },
      });
      done();
    },
    { prefix: '/api/v1' },
  );
  await openSocket(app, path, 'gate');
  return { close: async () => void (await app.close()) };
}
