// A real RabbitMQ on loopback, with files and ports of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { opensslCsr } from '../csr-makers.ts';
import { freePort } from '../free-port.ts';
import type { House } from '../house.ts';

/** Where Debian has it; the one in the path would change to a user of its own. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const READY_WITHIN_MS = 60_000;

export const hasRabbitmq = existsSync(SERVER);

export interface Rabbitmq {
  readonly mqttPort: number;
  /** Of the management API. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** What `GET /api/connections` says of clients. */
  clients(): Promise<readonly string[]>;
  stop(): Promise<void>;
  log(): string;
}

/**
 * Starts one that asks the gate at that address about every client.
 *
 * @param more PEM of another CA whose clients it takes
 */
export async function startRabbitmq(house: House, gateUrl: string, more = ''): Promise<Rabbitmq> {
  const folder = path.join(house.folder, 'rabbitmq');
  mkdirSync(folder);
  const [mqttPort, managementPort, epmdPort, distPort] = await Promise.all(
    [1, 2, 3, 4].map(() => freePort()),
  );
  const csr = house.write('broker.csr', await opensslCsr(house.folder, 'broker', 'P-256', 'BROKER'));
  const certificate = path.join(house.folder, 'broker.pem');
  const names = ['--dns', 'localhost', '--ip', '127.0.0.1'];
  await house.must('issue', '--profile', 'server', ...names, '--csr', csr, '--out', certificate, '--chain');
  const trusted = house.write(
    'devices-ca.pem',
    house.read(house.pem('ldevid')) + house.read(house.pem('root')) + more,
  );
  const [user, password] = ['management', 'm'.repeat(24)];
  writeFileSync(
    path.join(folder, 'rabbitmq.conf'),
    `listeners.tcp = none
mqtt.listeners.tcp = none
mqtt.listeners.ssl.1 = 127.0.0.1:${mqttPort}
mqtt.ssl_cert_login = true
mqtt.allow_anonymous = false
ssl_options.cacertfile = ${trusted}
ssl_options.certfile = ${certificate}
ssl_options.keyfile = ${path.join(house.folder, 'broker.key')}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_cert_login_from = common_name
auth_backends.1 = http
auth_backends.2 = internal
auth_http.http_method = post
auth_http.user_path = ${gateUrl}/rabbitmq/user
auth_http.vhost_path = ${gateUrl}/rabbitmq/vhost
auth_http.resource_path = ${gateUrl}/rabbitmq/resource
auth_http.topic_path = ${gateUrl}/rabbitmq/topic
management.tcp.ip = 127.0.0.1
management.tcp.port = ${managementPort}
default_user = ${user}
default_pass = ${password}
default_user_tags.administrator = true
`,
  );
  const plugins = ['mqtt', 'auth_backend_http', 'auth_mechanism_ssl', 'management'].map(
    (name) => `rabbitmq_${name}`,
  );
  writeFileSync(path.join(folder, 'plugins'), `[${plugins.join(',')}].\n`);
  const env = {
    ...process.env,
    HOME: folder,
    RABBITMQ_NODENAME: `gate${process.pid}@localhost`,
    RABBITMQ_MNESIA_BASE: path.join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: path.join(folder, 'log'),
    RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'plugins'),
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_LOGS: '-',
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
  };
  // Erlang's name server, which it would leave running otherwise.
  const epmd = spawn('epmd', ['-address', '127.0.0.1', '-port', String(epmdPort)], { stdio: 'ignore' });
  // A process group of its own: what the start script runs ends with it.
  const child = spawn(SERVER, [], { env, cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      log += part.toString();
    });
  const stop = async () => {
    await endGroup(child);
    epmd.kill('SIGKILL');
  };
  const url = `http://127.0.0.1:${managementPort}`;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const ask = (target: string) => fetch(url + target, { headers: { authorization } });
  const deadline = performance.now() + READY_WITHIN_MS;
  const isUp = async () => log.includes('Server startup complete') && (await ask('/api/overview')).ok;
  while (!(await isUp().catch(() => false))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`RabbitMQ did not get ready:\n${log}`);
    }
    await sleep(200);
  }
  return {
    mqttPort: mqttPort ?? 0,
    url,
    user,
    password,
    clients: async () => {
      const connections: unknown = await (await ask('/api/connections')).json();
      if (!Array.isArray(connections)) throw new Error(`no list: ${JSON.stringify(connections)}`);
      return connections.map((one) => String(one.client_properties?.client_id ?? one.name));
    },
    stop,
    log: () => log,
  };
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  process.kill(-child.pid, 'SIGKILL');
  await gone;
}
