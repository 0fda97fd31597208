import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent, request } from 'node:https';
import { createCsr } from '../src/x509/create-csr.ts';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { makeLines } from './lines.ts';
import { sendBatches } from './load.ts';
import { percentile } from './statistics.ts';

const WORKERS = 2;
const CONNECTIONS = 4;
const LINES = 40_000;
const ENROLLMENTS = 300;

export interface DoorsResult {
  /** POST /enroll over a kept connection, nothing else going on. */
  readonly enrollIdleP50Ms: number;
  readonly enrollIdleP99Ms: number;
  /** The same, and reads, while the batch door runs at full speed. */
  readonly enrollBusyP50Ms: number;
  readonly enrollBusyP99Ms: number;
  readonly readBusyP50Ms: number;
  readonly readBusyP99Ms: number;
  readonly samples: number;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly milliseconds: number;
}

/** How long single requests take, alone and beside a batch. */
export async function benchDoors(say: (text: string) => void): Promise<DoorsResult> {
  const home = makeHome();
  await command(home, 'init');
  const house = await startHouse(home, WORKERS);
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(house.ca) });
  const plain = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  try {
    const token = async (role: string) =>
      (await house.command('token', 'create', '--role', role, '--name', role)).split('\n').at(-1) ?? '';
    const admin = await token('admin');
    const factory = await token('factory');
    const tickets: string[] = [];
    for (let at = 0; at < 2 * ENROLLMENTS; at += 1)
      tickets.push(await makeTicket(house, agent, admin, `DOOR-${at}`));
    const bodies = tickets.map((ticket) => ({ ticket, csr: freshCsr() }));
    const idle: number[] = [];
    for (const body of bodies.slice(0, ENROLLMENTS)) idle.push(await enroll(house, agent, body));
    say(`idle: p99 ${percentile(idle, 99).toFixed(1)} ms`);

    const files = await makeLines(home, 0, LINES, CONNECTIONS);
    const batch = sendBatches(house, factory, files);
    let running = true;
    void batch.finally(() => {
      running = false;
    });
    const busy: number[] = [];
    const reads: number[] = [];
    for (const body of bodies.slice(ENROLLMENTS)) {
      if (!running) break;
      busy.push(await enroll(house, agent, body));
      for (const path of ['/healthz', '/crl/idevid.crl', '/crl/idevid/3.crl']) {
        reads.push((await send(httpRequest, plain, `${house.public}${path}`, 'GET')).milliseconds);
      }
    }
    await batch;
    return {
      enrollIdleP50Ms: round(percentile(idle, 50)),
      enrollIdleP99Ms: round(percentile(idle, 99)),
      enrollBusyP50Ms: round(percentile(busy, 50)),
      enrollBusyP99Ms: round(percentile(busy, 99)),
      readBusyP50Ms: round(percentile(reads, 50)),
      readBusyP99Ms: round(percentile(reads, 99)),
      samples: busy.length,
    };
  } finally {
    agent.destroy();
    plain.destroy();
    await house.stop();
    removeHome(home);
  }
}

async function makeTicket(
  house: BenchHouse,
  agent: Agent,
  admin: string,
  serialNumber: string,
): Promise<string> {
  const answer = await send(request, agent, `${house.tls}/api/v1/tickets`, 'POST', admin, { serialNumber });
  const { ticket }: { ticket: string } = JSON.parse(answer.body);
  return ticket;
}

async function enroll(
  house: BenchHouse,
  agent: Agent,
  { ticket, csr }: { ticket: string; csr: string },
): Promise<number> {
  const answer = await send(request, agent, `${house.tls}/api/v1/enroll`, 'POST', ticket, { csr });
  if (answer.status !== 200)
    throw new Error(`an enrollment was answered with ${answer.status}: ${answer.body}`);
  return answer.milliseconds;
}

function send(
  by: typeof request,
  agent: HttpAgent,
  url: string,
  method: string,
  bearer?: string,
  body?: object,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const startedAt = performance.now();
    const sent = by(
      url,
      {
        method,
        agent,
        headers: {
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
          ...(payload === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: text,
            milliseconds: performance.now() - startedAt,
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(payload);
  });
}

function freshCsr(): string {
  return createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).toString('base64');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
