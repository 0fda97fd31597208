import { existsSync, readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import Type from 'typebox';
import type { Block } from '../../broker-auth/guard/block-list.ts';
import { BEHAVIOURS } from '../../broker-auth/guard/guard-config.ts';
import { replaceFile } from '../../broker-auth/replace-file.ts';
import { schemaParser } from '../../core/schema.ts';

/** Who is restrained, over a restart of the gate. */
export interface BlockFile {
  readonly kept: readonly Block[];
  /** The list is another one: it is written soon. */
  changed(): void;
  /** Writes what was not written yet. */
  close(): Promise<void>;
}

const Text = Type.String({ maxLength: 2048 });
const Time = Type.Integer({ minimum: 0 });
const parseBlocks = schemaParser(
  Type.Object({
    v: Type.Literal(1),
    blocks: Type.Array(
      Type.Object({
        who: Text,
        rule: Text,
        behaviour: Type.Enum([...BEHAVIOURS]),
        reaction: Type.Enum(['throttle', 'block', 'quarantine']),
        listeners: Type.Optional(Type.Array(Text)),
        since: Time,
        until: Type.Optional(Time),
        stepMs: Type.Optional(Time),
        count: Time,
        listener: Text,
        identity: Type.Optional(Type.Object({ namespace: Text, id: Text })),
        credential: Type.Optional(Type.Object({ issuerKeyId: Text, serial: Text, keyHash: Text })),
        told: Type.Optional(Type.Literal(true)),
      }),
    ),
  }),
  'home-unreadable',
);

const WRITE_AFTER_MS = 200;
const MODE = 0o600;

/**
 * Keeps the list of blocks in a file, so that a restart sets nobody free whom a person was to look at. What is counted is not
 * kept: a restart begins to count anew.
 *
 * @param blocks those in force
 */
export function openBlockFile(path: string, blocks: () => readonly Block[], logger: Logger): BlockFile {
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    timer = undefined;
    try {
      await replaceFile(path, Buffer.from(`${JSON.stringify({ v: 1, blocks: blocks() })}\n`), MODE);
    } catch (error) {
      logger.error(
        { err: error },
        'the list of blocks could not be written; a restart would forget the last of them',
      );
    }
  }
  const writeNext = () => {
    writing = writing.then(write);
    return writing;
  };

  return {
    kept: read(path, logger),
    changed() {
      timer ??= setTimeout(() => void writeNext(), WRITE_AFTER_MS);
    },
    async close() {
      if (timer !== undefined) {
        clearTimeout(timer);
        await writeNext();
      }
      await writing;
    },
  };
}

function read(path: string, logger: Logger): readonly Block[] {
  if (!existsSync(path)) return [];
  try {
    return parseBlocks(JSON.parse(readFileSync(path, 'utf8')), '').blocks;
  } catch (error) {
    logger.error({ err: error, path }, 'the list of blocks cannot be read, and the gate begins with none');
    return [];
  }
}
