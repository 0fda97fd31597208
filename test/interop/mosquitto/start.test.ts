import { appendFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { findCanary } from '../../../src/broker-auth/adapters/mosquitto/find-canary.ts';
import {
  type MosquittoGate,
  type MosquittoGateOptions,
  openMosquittoGate,
} from '../../../src/broker-auth/adapters/mosquitto/mosquitto-gate.ts';
import { probeCanaries } from '../../../src/broker-auth/canary.ts';
import { createGuard } from '../../../src/broker-auth/guard/behaviour-guard.ts';
import { parseGuard } from '../../../src/broker-auth/guard/parse-guard.ts';
import type { RoleConfig } from '../../../src/broker-auth/policy-config.ts';
import { Sessions } from '../../../src/broker-auth/sessions.ts';
import { watchCanaries } from '../../../src/broker-auth/watch-canaries.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { certificateOf, DeniedList } from '../../broker-auth/mosquitto/denied-list.ts';
import { idOf, makeDevice, makePolicy, ROLE } from '../../broker-auth/mosquitto/party.ts';
import { buildPart, canBuild } from '../../broker-auth/mosquitto/plugin-parts.ts';
import type { Party } from '../../x509/path/make-certificate.ts';
import { hasProgram, mustRun } from '../run-program.ts';
import { type Broker, type BrokerOptions, hasMosquitto, startBroker } from './broker.ts';
import { until } from './until.ts';

// Brokers that must not start, that are started under other eyes, and that do not ask.

const NOT_AUTHORIZED = 0x87;

describe.skipIf(!canBuild || !hasMosquitto)('a Mosquitto', () => {
  let broker: Broker;
  let gate: MosquittoGate | undefined;

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(broker.log());
    await gate?.stop();
    gate = undefined;
    await broker.stop();
  });

  async function start(options: BrokerOptions, roles: readonly RoleConfig[] = [ROLE]) {
    broker = await startBroker(options);
    const source = new DeniedList(Date.now());
    gate = await openGate(roles, source);
    return source;
  }

  function openGate(
    roles: readonly RoleConfig[],
    source = new DeniedList(Date.now()),
    more: Partial<MosquittoGateOptions> = {},
  ): Promise<MosquittoGate> {
    return openMosquittoGate({
      broker: 'mosquitto',
      listener: 'mqtt',
      policy: makePolicy(broker.authorities, { maxStatusAgeSeconds: 300, roles }),
      snapshotFile: broker.snapshot,
      keyFile: broker.keyFile,
      eventsPath: broker.events,
      source,
      sessions: new Sessions(),
      clock: Date.now,
      onError: (error) => console.log(error),
      ...more,
    });
  }

  async function codeOf(party: Party, clientId: string): Promise<number | string> {
    const attempt = await broker.connect(party, clientId);
    if ('refused' in attempt) return attempt.refused;
    await attempt.client.endAsync();
    return 0;
  }

  const plugin = canBuild ? buildPart('birthmark.so') : '';

  test.each([
    ['use_identity_as_username true', 'use_identity_as_username switches this plugin off'],
    ['allow_anonymous true', 'allow_anonymous must be false'],
    ['listener 0 127.0.0.1\ncafile /x\ncertfile /x\nkeyfile /x', 'TLS without require_certificate'],
  ])('with %j does not start', async (config, why) => {
    broker = await startBroker({ plugin, config });
    expect(await broker.exited).not.toBe(0);
    expect(broker.log()).toContain(why);
  });

  test.each([
    [{ config: '/etc/hostname' }, 'is not the file that this Mosquitto was started with'],
    [{ key: '/nowhere' }, '/nowhere cannot be read'],
    [{ kick_when_stale: 'perhaps' }, 'plugin_opt_kick_when_stale must be true or false'],
    [{ kick_when_old: 'true' }, 'there is no plugin_opt_kick_when_old'],
  ])('whose plugin is told %j does not start', async (pluginOptions, why) => {
    broker = await startBroker({ plugin, pluginOptions });
    expect(await broker.exited).not.toBe(0);
    expect(broker.log()).toContain(why);
  });

  test('that was never told anything denies everybody', async () => {
    broker = await startBroker({ plugin });
    expect(await codeOf(makeDevice('early', broker.authorities.issuing), 'early')).toBe(NOT_AUTHORIZED);
    expect(broker.log()).toContain('everybody is denied until there is');
  });

  test('whose configuration is changed into one that must not be used denies everybody', async () => {
    await start({ plugin });
    await until(() => gate?.health().taken !== undefined);
    const device = makeDevice('mine', broker.authorities.issuing);
    expect(await codeOf(device, 'mine')).toBe(0);
    appendFileSync(`${broker.folder}/mosquitto.conf`, '\npassword_file /dev/null\n');
    broker.signal('SIGHUP');
    await broker.logged('everybody is denied until this is mended');
    expect(await codeOf(device, 'mine')).toBe(NOT_AUTHORIZED);
  });

  test('ends everybody when it is told nothing, where it is asked to', async () => {
    const source = await start({ plugin, pluginOptions: { kick_when_stale: 'true' } });
    await until(() => gate?.health().taken !== undefined);
    const attempt = await broker.connect(makeDevice('mine', broker.authorities.issuing), 'mine');
    if ('refused' in attempt) throw new Error(`refused: ${attempt.refused}`);
    source.asOf = Date.now() - 299_000;
    gate?.reloaded();
    expect(await attempt.ended).toBe(0x98);
    expect(broker.log()).toContain('ending the session of mine: stale');
  });

  test('keeps what waits for a device that is away when it reads its configuration again', async () => {
    await start({ plugin }, [{ ...ROLE, subscribe: ['shared/1/up'] }]);
    await until(() => gate?.health().taken !== undefined);
    const { issuing } = broker.authorities;
    const words = (id: string) => {
      const { cert, key } = broker.files(id, makeDevice(id, issuing));
      const ca = `${broker.folder}/ca.pem`;
      const server = [
        '-h',
        '127.0.0.1',
        '-p',
        String(broker.port),
        '--cafile',
        ca,
        '--cert',
        cert,
        '--key',
        key,
      ];
      return [...server, '-i', id, '-q', '1', '-t', 'shared/1/up'];
    };
    const listener = words('away');
    await mustRun('mosquitto_sub', [...listener, '-c', '-E']);
    broker.signal('SIGHUP');
    await broker.logged('Reloading config');
    await mustRun('mosquitto_pub', [...words('sender'), '-m', 'hello']);
    expect(await mustRun('mosquitto_sub', [...listener, '-c', '-C', '1', '-W', '5'])).toBe('hello\n');
    expect(broker.log()).not.toContain('denied a client');
  });

  test('gives nothing that waited to a device whose role no longer allows it', async () => {
    await start({ plugin }, [{ ...ROLE, subscribe: ['shared/1/up'] }]);
    await until(() => gate?.health().taken !== undefined);
    const { issuing } = broker.authorities;
    const party = makeDevice('away', issuing);
    const kept = { clean: false, properties: { sessionExpiryInterval: 1000 } } as const;
    const first = await broker.connect(party, 'away', kept);
    if ('refused' in first) throw new Error(`refused: ${first.refused}`);
    await first.client.subscribeAsync('shared/1/up', { qos: 1 });
    await first.client.endAsync();
    const sender = await broker.connect(makeDevice('sender', issuing), 'sender');
    if ('refused' in sender) throw new Error(`refused: ${sender.refused}`);
    await sender.client.publishAsync('shared/1/up', 'old', { qos: 1 });
    await gate?.stop();
    gate = await openGate([{ ...ROLE, subscribe: ['news/+'] }]);
    await until(() => gate?.health().taken !== undefined);
    await until(() => broker.log().includes("u'sender'"));
    const got: string[] = [];
    const second = await broker.connect(party, 'away', kept);
    if ('refused' in second) throw new Error(`refused: ${second.refused}`);
    second.client.on('message', (topic) => got.push(topic));
    await second.client.publishAsync('devices/away/up', 'x', { qos: 1 });
    await sleep(300);
    expect(got).toEqual([]);
  });

  test('keeps out a device that the behaviour guard blocks, until the guard lets it go', async () => {
    broker = await startBroker({ plugin });
    const { issuing } = broker.authorities;
    const scanning = {
      name: 'scanning',
      behaviour: 'topicDenied',
      moreThan: 2,
      withinSeconds: 60,
      reaction: 'block',
    } as const;
    const guard = createGuard({
      rules: parseGuard({ rules: [scanning] }, ['mqtt']),
      onReaction: () => undefined,
    });
    const sessions = new Sessions();
    gate = await openGate([ROLE], new DeniedList(Date.now()), { guard, sessions });
    await until(() => gate?.health().taken !== undefined);
    const device = makeDevice('curious', issuing);
    const attempt = await broker.connect(device, 'curious');
    if ('refused' in attempt) throw new Error(`refused: ${attempt.refused}`);
    for (const topic of ['one', 'two', 'three'])
      await expect(attempt.client.publishAsync(topic, 'x', { qos: 1 })).rejects.toMatchObject({
        code: NOT_AUTHORIZED,
      });
    expect(await attempt.ended).toBe(0x98);
    expect(await codeOf(device, 'curious')).toBe(NOT_AUTHORIZED);
    // Nobody is blocked for what another says with its name.
    expect(await codeOf(makeDevice('victim', issuing), 'victim')).toBe(0);
    expect(guard.lift('device:own/curious')).toMatchObject([{ who: 'device:own/curious', rule: 'scanning' }]);
    const begun = Date.now();
    gate.tick();
    await gate.written();
    await until(() => (gate?.health().taken?.issuedAt ?? 0) >= begun);
    expect(await codeOf(device, 'curious')).toBe(0);
  });

  test('tells an adapter that reads late all that is live, however much that is', async () => {
    await start({ plugin });
    await until(() => gate?.health().taken !== undefined);
    const names = Array.from({ length: 100 }, (_, at) => `d${at}`);
    for (const name of names) await broker.connect(makeDevice(name, broker.authorities.issuing), name);
    await gate?.stop();
    gate = undefined;
    const connections: Socket[] = [];
    const server = createServer((socket) => {
      // Not one octet is read for now.
      socket.pause();
      connections.push(socket);
    });
    server.listen(broker.events);
    await until(() => connections.length === 1);
    for (let asked = 0; asked < 45; asked += 1) {
      connections[0]?.write('?');
      await sleep(110);
    }
    let text = '';
    connections[0]?.on('data', (part: Buffer) => {
      text += part.toString();
    });
    connections[0]?.resume();
    await until(() => text.length > 1_500_000 && text.endsWith('\n'));
    const lists = text.split('"event":"hello"').slice(1, -1);
    expect(lists.length).toBeGreaterThan(30);
    expect(new Set(lists.map((list) => list.split('"event":"live"').length - 1))).toEqual(new Set([100]));
    expect(connections).toHaveLength(1);
    for (const socket of connections) socket.destroy();
    server.close();
  });

  test('is found to ask, not to ask, or to let nobody in, by two canaries', async () => {
    const make = async (options: BrokerOptions) => {
      broker = await startBroker(options);
      const { issuing, root } = broker.authorities;
      const target = { host: '127.0.0.1', port: broker.port, ca: toPem('CERTIFICATE', root.der) };
      const client = (id: string) => {
        const party = makeDevice(id, issuing);
        const certificate = toPem('CERTIFICATE', party.der);
        return {
          clientId: id,
          certificate,
          key: party.key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        };
      };
      return { target, bad: client('canary-bad'), good: client('canary-good') };
    };
    const open = await make({ config: 'use_subject_as_username true' });
    expect(await probeCanaries(open.target, open.bad, open.good)).toBe('open');
    await broker.stop();
    expect(await probeCanaries(open.target, open.bad, open.good)).toBe('unreachable');

    const shut = await make({ plugin });
    const probe = () => probeCanaries(shut.target, shut.bad, shut.good);
    const findings: string[] = [];
    const onFinding = (finding: string) => findings.push(finding);
    const watch = watchCanaries({ probe, everyMs: 50, onFinding, onError: (error) => console.log(error) });
    await until(() => watch.finding === 'shut');
    const canaries = [findCanary(shut.bad.certificate, makePolicy(broker.authorities).trust)];
    gate = await openGate([ROLE], new DeniedList(Date.now()), { canaries });
    await until(() => gate?.health().taken !== undefined);
    await until(() => watch.finding === 'good');
    expect(new Set(findings)).toEqual(new Set(['shut', 'good']));
    watch.stop();
  });

  /** What a device's life does to the plugin: in, out, denied, revoked, other rules, gone. */
  async function exercise(source: DeniedList): Promise<void> {
    const { issuing, other } = broker.authorities;
    await until(() => gate?.health().taken !== undefined, 60_000);
    const device = makeDevice('mine', issuing);
    expect(await codeOf(device, 'mine')).toBe(0);
    expect(await codeOf(device, 'yours')).toBe(NOT_AUTHORIZED);
    expect(await codeOf(makeDevice('mine', other), 'mine')).toBe(NOT_AUTHORIZED);
    const attempt = await broker.connect(device, 'mine');
    if ('refused' in attempt) throw new Error(`refused: ${attempt.refused}`);
    await attempt.client.subscribeAsync('devices/mine/in/#', { qos: 1 });
    await attempt.client.publishAsync('devices/mine/in/x', 'x', { qos: 1 });
    broker.signal('SIGHUP');
    await broker.logged('Reloading config');
    gate?.changed(source.apply(certificateOf(idOf(device, issuing)), true));
    expect(await attempt.ended).toBe(0x98);
    expect(await codeOf(device, 'mine')).toBe(NOT_AUTHORIZED);
    const another = await broker.connect(makeDevice('other', issuing), 'other');
    if ('refused' in another) throw new Error(`refused: ${another.refused}`);
    // The CA above them: the rules have another issuer list, and everybody is judged anew.
    const ca = idOf(issuing, broker.authorities.root);
    gate?.changed(source.apply(certificateOf(ca), true));
    expect(await another.ended).toBe(0x98);
    gate?.reloaded();
    await gate?.written();
  }

  test('under AddressSanitizer and UndefinedBehaviorSanitizer finds nothing wrong', async () => {
    const library = (await mustRun('cc', ['-print-file-name=libasan.so'])).trim();
    const source = await start({
      plugin: buildPart('birthmark-sanitized.so'),
      // Mosquitto's own memory is its own matter, and it has no sanitizer in it.
      env: { LD_PRELOAD: library, ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1' },
    });
    await exercise(source);
    await gate?.stop();
    gate = undefined;
    expect(await broker.stop()).toBe(0);
    expect(broker.log()).not.toContain('runtime error');
  });

  test.skipIf(!hasProgram('valgrind'))('under valgrind loses no memory of the plugin', async () => {
    const source = await start({
      plugin,
      under: ['valgrind', '--error-exitcode=99', '--leak-check=full', '--num-callers=20'],
    });
    await exercise(source);
    await gate?.stop();
    gate = undefined;
    broker.signal('SIGTERM');
    expect(await broker.exited).toBe(0);
    const lost = broker.log().split('definitely lost in loss record').slice(1);
    expect(lost.filter((record) => record.includes('plugin.c'))).toEqual([]);
  });
});
