import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';

/**
 * `node batch-load.ts URL TOKEN CA FILE…`: sends each file through the batch door over a connection of its own, all at
 * once, and prints `{"answers","granted","seconds","cpuSeconds"}`. It does as little as it can with what comes back,
 * since it shares the processors with the server.
 */
const [, , url = '', token = '', ca = '', ...files] = process.argv;
const agent = new Agent({ keepAlive: true, ca: readFileSync(ca), maxSockets: files.length });
const GRANTED = Buffer.from('"certificate":');
const LINE_FEED = 0x0a;

interface Counts {
  answers: number;
  refused: number;
}

async function send(file: string): Promise<Counts> {
  const counts: Counts = { answers: 0, refused: 0 };
  const sent = request(new URL('/api/v1/factory/batch', url), {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
  });
  const answered = once(sent, 'response');
  createReadStream(file, { highWaterMark: 256 * 1024 }).pipe(sent);
  const [response] = await answered;
  if (response.statusCode !== 200) throw new Error(`the batch door answered ${response.statusCode}`);
  response.on('data', (piece: Buffer) => {
    for (let at = piece.indexOf(LINE_FEED); at !== -1; at = piece.indexOf(LINE_FEED, at + 1))
      counts.answers += 1;
    if (piece.indexOf('"error":{') !== -1 && piece.indexOf(GRANTED) === -1) counts.refused += 1;
  });
  await once(response, 'end');
  return counts;
}

const startedAt = process.hrtime.bigint();
const before = process.cpuUsage();
const all = await Promise.all(files.map(send));
const { user, system } = process.cpuUsage(before);
const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
const answers = all.reduce((sum, counts) => sum + counts.answers, 0);
const refused = all.reduce((sum, counts) => sum + counts.refused, 0);
console.log(JSON.stringify({ answers, refused, seconds, cpuSeconds: (user + system) / 1e6 }));
agent.destroy();
