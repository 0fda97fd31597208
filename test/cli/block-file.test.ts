import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { expect, test } from 'vitest';
import type { Block } from '../../src/broker-auth/guard/block-list.ts';
import { openBlockFile } from '../../src/cli/broker-auth/block-file.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';

const silent = pino({ level: 'silent' });
const BLOCK: Block = {
  ...{ who: 'device:own/SN-1', rule: 'scanning', behaviour: 'topicDenied', reaction: 'quarantine' },
  ...{ since: 1000, count: 21, listener: 'mqtt', identity: { namespace: 'own', id: 'SN-1' }, told: true },
  credential: { issuerKeyId: 'aa', serial: '01', keyHash: 'bb' },
};

test('blocks that were written are there after a restart, for nobody else to read', async () => {
  const path = join(temporaryFolder(), 'blocks.json');
  const first = openBlockFile(path, () => [BLOCK], silent);
  expect(first.kept).toEqual([]);
  first.changed();
  await first.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(openBlockFile(path, () => [], silent).kept).toEqual([BLOCK]);
});

test('nothing is written where nothing changed', async () => {
  const path = join(temporaryFolder(), 'blocks.json');
  await openBlockFile(path, () => [BLOCK], silent).close();
  expect(() => readFileSync(path)).toThrow('ENOENT');
});

test.each(['{"v":1,"blocks":[{"who":1}]}', '{"v":2,"blocks":[]}', 'cut o'])(
  'a list that cannot be read keeps no gate from its start: %s',
  (text) => {
    const path = join(temporaryFolder(), 'blocks.json');
    writeFileSync(path, text);
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
    expect(openBlockFile(path, () => [], logger).kept).toEqual([]);
    expect(lines.join('')).toContain('cannot be read');
  },
);
