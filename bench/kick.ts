import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { missingForMosquitto, openMosquittoPlace } from './mosquitto-place.ts';
import { connectAll, enroll, type MqttPlace, open, post } from './mqtt-devices.ts';
import { percentile } from './statistics.ts';

const SESSIONS = 1000;
const NOT_AUTHORIZED = 5;

export interface BrokerResult {
  readonly sessions: number;
  /** Of these so many were revoked one after another. */
  readonly single: number;
  /** From the request that revokes to the end of the session, one certificate after another. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly limitMs: number;
  /** All of another thousand in one request. */
  readonly allAtOnce: { readonly p50Ms: number; readonly p99Ms: number; readonly lastMs: number };
  /** All of the first thousand come again at the same moment, some of them revoked. */
  readonly storm: {
    readonly allowed: number;
    readonly denied: number;
    readonly wronglyRefused: number;
    readonly wronglyAdmitted: number;
    readonly seconds: number;
  };
}

export interface KickResult {
  readonly aedes: BrokerResult;
  /** Absent where there is no Mosquitto to measure. */
  readonly mosquitto?: BrokerResult;
}

interface Trial {
  readonly name: string;
  readonly serveWords: readonly string[];
  readonly single: number;
  readonly limitMs: number;
  /** Opens the broker of that house. */
  openPlace(house: BenchHouse): Promise<{ readonly place: MqttPlace; close(): Promise<void> }>;
}

const AEDES: Trial = {
  name: 'aedes',
  serveWords: ['--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0'],
  single: 500,
  limitMs: 250,
  openPlace: async ({ mqtt = '', ca }) => {
    const { hostname, port } = new URL(mqtt);
    const place = { host: hostname, port: Number(port), ca: readFileSync(ca, 'latin1') };
    return { place, close: async () => {} };
  },
};

const MOSQUITTO: Trial = {
  name: 'mosquitto',
  serveWords: [],
  single: 300,
  limitMs: 1200,
  openPlace: openMosquittoPlace,
};

/**
 * How long a session outlives the revocation of its certificate, over real connections: at `serve --broker`, and at a Mosquitto
 * with our plugin beside `broker-auth serve`, which follows the authority.
 */
export async function benchKick(say: (text: string) => void): Promise<KickResult> {
  const aedes = await run(AEDES, say);
  const missing = missingForMosquitto();
  if (missing !== undefined) {
    say(`mosquitto is not measured: ${missing}`);
    return { aedes };
  }
  return { aedes, mosquitto: await run(MOSQUITTO, say) };
}

async function run(trial: Trial, sayAll: (text: string) => void): Promise<BrokerResult> {
  const say = (text: string) => sayAll(`${trial.name}: ${text}`);
  const home = makeHome();
  await command(home, 'init');
  const house = await startHouse(home, 1, trial.serveWords);
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(house.ca) });
  let close = async () => {};
  try {
    const opened = await trial.openPlace(house);
    close = opened.close;
    return await measure(trial, house, opened.place, agent, say);
  } finally {
    agent.destroy();
    await close();
    await house.stop();
    removeHome(home);
  }
}

async function measure(
  { single: count, limitMs }: Trial,
  house: BenchHouse,
  place: MqttPlace,
  agent: Agent,
  say: (text: string) => void,
): Promise<BrokerResult> {
  const token = async (role: string, ...words: readonly string[]) =>
    (await house.command('token', 'create', '--role', role, '--name', role, ...words)).split('\n').at(-1) ??
    '';
  const factory = await token('factory', '--profile', 'ldevid');
  const operator = await token('operator');
  const revoke = (by: object) =>
    post(house, agent, '/revocations', operator, JSON.stringify({ by, reason: 'cessationOfOperation' }));
  const first = await enroll(house, agent, factory, 'first', SESSIONS);
  const second = await enroll(house, agent, factory, 'second', SESSIONS);

  const live = await connectAll(place, first);
  say(`${SESSIONS} sessions are live`);
  const single: number[] = [];
  for (const [at, device] of first.slice(0, count).entries()) {
    const begun = performance.now();
    const answered = revoke({ serial: device.serial });
    const ended = await live[at]?.ended;
    single.push((ended ?? Number.NaN) - begun);
    await answered;
  }
  say(`one after another: p99 ${percentile(single, 99).toFixed(1)} ms`);

  const others = await connectAll(place, second);
  const begun = performance.now();
  const [, ...times] = await Promise.all([
    revoke({ batch: 'second' }),
    ...others.map(async ({ ended }) => (await ended) - begun),
  ]);
  say(`all at once: the last after ${Math.max(...times).toFixed(0)} ms`);

  for (const { socket } of live) socket.destroy();
  const stormBegun = performance.now();
  const codes = await Promise.all(first.map((device) => open(place, device).then(({ code }) => code)));
  const seconds = (performance.now() - stormBegun) / 1000;
  const [revoked, good] = [codes.slice(0, count), codes.slice(count)];
  return {
    sessions: SESSIONS,
    single: count,
    p50Ms: round(percentile(single, 50)),
    p99Ms: round(percentile(single, 99)),
    limitMs,
    allAtOnce: {
      p50Ms: round(percentile(times, 50)),
      p99Ms: round(percentile(times, 99)),
      lastMs: round(Math.max(...times)),
    },
    storm: {
      allowed: good.filter((code) => code === 0).length,
      denied: revoked.filter((code) => code === NOT_AUTHORIZED).length,
      wronglyRefused: good.filter((code) => code !== 0).length,
      wronglyAdmitted: revoked.filter((code) => code === 0).length,
      seconds: round(seconds),
    },
  };
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
