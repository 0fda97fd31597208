import { appendFileSync, createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../src/core/bytes.ts';
import { followLedger } from '../src/server/mqtt/ledger-status.ts';
import { openInjected } from './campaign-house.ts';
import { percentile } from './statistics.ts';

/**
 * `node campaign-run.ts STAGE HOME FOLDER BATCH FROM COUNT [WAY] [KILL] [WAVES]`: one stage of the bench in a process of its own, so that its memory
 * is the house's and a kill is one. Prints one line of JSON.
 *
 * - `birth`: COUNT devices from line FROM on get their first LDevIDs, of that batch, through the batch door; a gate sees them in use after.
 * - `replace`: a campaign over the batch, WAVES waves with a gate. WAY `devices`: each by itself, by `POST /enroll` with its old
 *   certificate; `lines`: by the batch door, as a line that has them back does. With KILL the process kills itself when so many were answered.
 * - `resume`: goes on with it.
 * - `single`: revokes the batch's certificates one after another; `leak`: by one campaign, at once.
 */
const [stage = '', home = '', folder = '', batch = '', from = '0', many = '0', ...how] =
  process.argv.slice(2);
const [way = '', kill = '0', waves = '10'] = how;
const [first, count] = [Number(from), Number(many)];
/** Requests under way at once. */
const TOGETHER = 512;
/** Lines in one request of the batch door, of which two are under way. */
const LINES = 2000;
const SIGHTINGS = 250;
const name = `campaign-${batch}`;

const openedAt = performance.now();
const injected = await openInjected(home);
const { send, house, advance, carry } = injected;
const openMs = performance.now() - openedAt;
const issuerKeyId = toHex(house.authorities.get('ldevid')?.keyId ?? new Uint8Array());
const stages: Readonly<Record<string, () => Promise<object>>> = { birth, replace, resume, single, leak };
console.log(JSON.stringify(await stages[stage]?.()));
await injected.close();

/** The lines of a kind (`first`: the CSRs of births, `second`: of renewals, `old`: what births answered) from FROM on. */
async function* linesOf(kind: string): AsyncGenerator<string> {
  let at = 0;
  const files = readdirSync(folder).filter((file) => file.startsWith(`${kind}-`));
  for (const file of files.sort()) {
    for await (const line of createInterface({ input: createReadStream(join(folder, file)) })) {
      if (at >= first && at < first + count) yield line;
      at += 1;
    }
  }
}

async function birth(): Promise<object> {
  const answers: Promise<string>[] = [];
  let idleMs = 0;
  const keep = async () => {
    const text = await answers.shift();
    const at = performance.now();
    appendFileSync(join(folder, 'old-0'), text ?? '');
    idleMs += performance.now() - at;
  };
  const sendLines = (body: string) =>
    answers.push(send('POST', '/factory/batch?profile=ldevid', { body, role: 'factory' }));
  const cpu = process.cpuUsage();
  const begun = performance.now();
  let [body, lines] = ['', 0];
  for await (const line of linesOf('first')) {
    body += `${line.replace('{', `{"batch":"${batch}",`)}\n`;
    lines += 1;
    if (lines % LINES > 0) continue;
    sendLines(body);
    body = '';
    if (answers.length === 2) await keep();
  }
  if (body !== '') sendLines(body);
  while (answers.length > 0) await keep();
  const told = {
    rate: count / ((performance.now() - begun - idleMs) / 1000),
    cpuMs: cpuMsSince(cpu) / count,
  };
  await putInUse();
  return told;
}

/** What a campaign replaces is in use: a gate has seen each. */
async function putInUse(): Promise<void> {
  const seen: object[] = [];
  const tell = () => send('POST', '/sightings', { role: 'gate', body: { seen: seen.splice(0) } });
  for await (const line of linesOf('old')) {
    seen.push(sightingOf(JSON.parse(line).serial));
    if (seen.length === SIGHTINGS) await tell();
  }
  if (seen.length > 0) await tell();
}

function sightingOf(serial: string): object {
  return { issuerKeyId, serial, at: new Date().toISOString(), listener: 'bench' };
}

async function replace(): Promise<object> {
  const planAt = performance.now();
  const plan = { selection: { batch }, waveSize: Math.ceil(count / Number(waves)), gatePercent: 90 };
  let planned = JSON.parse(await send('POST', '/campaigns', { body: { name, ...plan } }));
  while (planned.state === 'planning') planned = JSON.parse(await send('POST', `/campaigns/${name}/plan`));
  const planMs = performance.now() - planAt;
  await send('POST', `/campaigns/${name}/start`);
  const memory: number[] = [];
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await follow(new Map(), (answered) => {
    if (Number(kill) > 0 && answered >= Number(kill)) process.kill(process.pid, 'SIGKILL');
    if (answered % Math.ceil(count / 20) === 0) memory.push(process.memoryUsage.rss() / 1024 / 1024);
  });
  const seconds = (performance.now() - begun) / 1000;
  const cpuMs = cpuMsSince(cpu) / count;
  return { planMs, seconds, rate: count / seconds, cpuMs, predicted: planned.prediction, memory };
}

/** Processor time, all threads. */
function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function resume(): Promise<object> {
  const stepAt = performance.now();
  await advance();
  const resumeMs = openMs + performance.now() - stepAt;
  const states = new Map<string, string>();
  for (let cursor = ''; ; ) {
    const page = JSON.parse(await send('GET', `/campaigns/${name}/members?limit=1000${cursor}`));
    for (const { serialNumber, state } of page.items) states.set(serialNumber, state);
    if (page.cursor === undefined) break;
    cursor = `&cursor=${page.cursor}`;
  }
  const before = [...states.values()].filter((state) => state === 'replaced' || state === 'renewed').length;
  await follow(states, () => undefined);
  const { members } = JSON.parse(await send('GET', `/campaigns/${name}`));
  const { items } = JSON.parse(await send('GET', `/campaigns/${name}/members?limit=1000&state=replaced`));
  const [device] = await house.ledger.read.findDevices([
    { namespace: 'own', serialNumber: items[0]?.serialNumber ?? '' },
  ]);
  const issued = device ? (await house.ledger.read.findByDevices([device.id])).length : 0;
  return { openMs, resumeMs, before, replaced: members.replaced, certificatesOfOne: issued };
}

/** Devices that renew when they were called, and are seen with what they got; until the campaign is done. */
async function follow(
  states: ReadonlyMap<string, string>,
  onAnswer: (answered: number) => void,
): Promise<void> {
  const { read } = house.ledger;
  const { id = 0 } = (await read.findCampaign(name)) ?? {};
  let [answered, at, called] = [0, 0, 0];
  let ended = false;
  const engine = carry();
  const seen: object[] = [];
  const gate = run(100, async () => {
    while (seen.length > 0)
      await send('POST', '/sightings', { role: 'gate', body: { seen: seen.splice(0, SIGHTINGS) } });
  });
  const ear = run(20, async () => {
    const tally = await read.tallyCampaign(id);
    called = tally.reduce((sum, { state, members }) => sum + (state === 'waiting' ? 0 : members), 0);
  });
  const under = new Set<Promise<void>>();
  const take = (answer: { readonly serial?: string; readonly error?: object }) => {
    if (answer.serial === undefined) throw new Error(JSON.stringify(answer));
    seen.push(sightingOf(answer.serial));
    answered += 1;
    onAnswer(answered);
  };
  const renew = async (leaf: Uint8Array, csr: string) => {
    take(JSON.parse(await send('POST', '/enroll', { body: { csr, profile: 'ldevid' }, leaf })));
  };
  const begin = async (work: Promise<void>, most: number) => {
    const job = work.finally(() => under.delete(job));
    under.add(job);
    if (under.size >= most) await Promise.race(under);
  };
  const renewLines = async (body: string) => {
    const text = await send('POST', '/factory/batch?profile=ldevid', { body, role: 'factory' });
    for (const line of text.trimEnd().split('\n')) take(JSON.parse(line));
  };
  const csrs = linesOf('second');
  let body = '';
  for await (const line of way === 'lines' ? csrs : []) {
    at += 1;
    // Who is called goes on the way; the line waits for nobody who is not.
    while (called < at) {
      if (body !== '') await begin(renewLines(body), 2);
      body = '';
      await sleep(5);
    }
    body += `${line}\n`;
    if (at % LINES > 0 && at < count) continue;
    await begin(renewLines(body), 2);
    body = '';
  }
  for await (const old of way === 'lines' ? [] : linesOf('old')) {
    const { csr, serialNumber } = JSON.parse((await csrs.next()).value ?? '');
    at += 1;
    if (states.get(serialNumber) === 'replaced') continue;
    while (called < at) await sleep(5);
    const { certificate } = JSON.parse(old);
    const leaf = Buffer.from(certificate.replace(/-----[A-Z ]+-----|\n/g, ''), 'base64');
    await begin(renew(leaf, csr), TOGETHER);
  }
  await Promise.all(under);
  while (!ended) {
    await sleep(20);
    ended = (await read.findCampaign(name))?.state === 'done';
  }
  await Promise.all([engine(), gate(), ear()]);
}

/** Does it again and again, with a rest; gives what ends it. */
function run(restMs: number, work: () => Promise<unknown>): () => Promise<void> {
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      await work();
      await sleep(restMs);
    }
  })();
  return async () => {
    stopped = true;
    await running;
  };
}

/** When a gate in this process heard of each revocation. */
async function listen(): Promise<{
  readonly heard: Map<string, number>;
  stop(): Promise<void>;
}> {
  const heard = new Map<string, number>();
  const status = await followLedger({
    ...house,
    ledger: house.ledger.read,
    clock: house.wallClock,
    onChange: (change) => heard.set(change.serial, performance.now()),
    onReplaced: () => undefined,
    onFault: (error) => {
      throw error;
    },
  });
  return { heard, stop: () => status.stop() };
}

async function serials(): Promise<string[]> {
  const all: string[] = [];
  for await (const line of linesOf('old')) all.push(JSON.parse(line).serial);
  return all;
}

async function single(): Promise<object> {
  const { heard, stop } = await listen();
  const times: number[] = [];
  for (const serial of await serials()) {
    const begun = performance.now();
    await send('POST', '/revocations', { body: { by: { serial }, reason: 'keyCompromise' } });
    while (!heard.has(serial)) await sleep(1);
    times.push((heard.get(serial) ?? 0) - begun);
  }
  await stop();
  return { p50Ms: percentile(times, 50), p99Ms: percentile(times, 99) };
}

/** From "this batch is compromised", a plan and its start, to a gate that takes none of its credentials. */
async function leak(): Promise<object> {
  const { heard, stop } = await listen();
  const begun = performance.now();
  const body = { name: `${name}-leak`, preset: 'firmware-key-leak', selection: { batch } };
  await send('POST', '/campaigns', { body });
  const plannedMs = performance.now() - begun;
  const startedAt = performance.now();
  const started = send('POST', `/campaigns/${name}-leak/start`);
  const all = (await house.ledger.read.findCampaign(`${name}-leak`)) ? await serials() : [];
  await started;
  const answeredMs = performance.now() - startedAt;
  while (heard.size < all.length) await sleep(5);
  const times = [...heard.values()].map((at) => at - startedAt);
  await stop();
  return {
    devices: heard.size,
    plannedMs,
    answeredMs,
    p50Ms: percentile(times, 50),
    p99Ms: percentile(times, 99),
    lastMs: Math.max(...times),
  };
}
