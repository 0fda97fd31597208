// What a gate remembers of its sessions after its process is gone.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type KeptSession, rulesDigest } from '../../src/broker-auth/kept-session.ts';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import type { SessionFile, SessionStore } from '../../src/broker-auth/ports.ts';
import { createSessionJournal, readSessions } from '../../src/broker-auth/session-journal.ts';
import { openSessionFiles } from '../../src/cli/broker-auth/session-files.ts';
import { NOW } from '../x509/path/make-certificate.ts';
import { idOf, makeMaker, openLab, policyConfig } from './lab.ts';

const RULES = 'a'.repeat(64);
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newPath(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-sessions-'));
  folders.push(folder);
  return path.join(folder, 'status.ndjson.sessions');
}

function kept(clientId: string, since = NOW): KeptSession {
  return {
    session: {
      ...{ broker: 'emqx', listener: 'devices', clientId, identity: { namespace: 'own', id: clientId } },
      credentials: [
        { issuerKeyId: 'ab'.repeat(20), serial: '01'.repeat(16), keyHash: 'cd'.repeat(32) },
        { issuerKeyId: 'ef'.repeat(20), serial: '02'.repeat(16), keyHash: '12'.repeat(32) },
      ],
      ...{ since, until: NOW + 1000, untilBy: 'credential' as const },
    },
    permissions: { publish: [['devices', clientId, '#']], subscribe: [['', 'a', '+']], deny: [] },
    address: '192.0.2.1',
  };
}

function open(store: SessionStore, onFault: (error: unknown) => void = fail) {
  return createSessionJournal({ store, rules: RULES, onFault, againAfterMs: 20 });
}

function fail(error: unknown): void {
  throw error;
}

describe('the journal of sessions', () => {
  test('gives back who was live, with all that is known of them', async () => {
    const store = openSessionFiles(newPath());
    const journal = open(store);
    const [one, two, forever] = [kept('one'), kept('two'), kept('three')];
    const endless = { ...forever, session: { ...forever.session, until: Number.POSITIVE_INFINITY } };
    for (const each of [one, two, endless]) journal.begun(each);
    await journal.settled();
    journal.ended(two.session);
    await journal.stop();
    expect(await readSessions(store, RULES)).toEqual({
      sessions: [one, endless],
      sameRules: true,
      unread: 0,
    });
  });

  test('tells that other rules allowed them', async () => {
    const store = openSessionFiles(newPath());
    const journal = open(store);
    journal.begun(kept('one'));
    await journal.stop();
    expect(await readSessions(store, 'b'.repeat(64))).toMatchObject({ sameRules: false });
  });

  test('knows of a ClientId that came again its last session only, whatever end is told late', async () => {
    const store = openSessionFiles(newPath());
    const journal = open(store);
    const [before, after] = [kept('one'), kept('one', NOW + 5)];
    journal.begun(before);
    await journal.settled();
    journal.ended(before.session);
    journal.begun(after);
    journal.ended(before.session);
    await journal.stop();
    expect((await readSessions(store, RULES)).sessions).toEqual([after]);
  });

  test('is empty where there is none', async () => {
    expect(await readSessions(openSessionFiles(newPath()), RULES)).toEqual({
      sessions: [],
      sameRules: false,
      unread: 0,
    });
  });

  test('can be read to wherever a crash cut it off', async () => {
    const file = newPath();
    const journal = open(openSessionFiles(file));
    for (const name of ['one', 'two', 'three']) journal.begun(kept(name));
    await journal.stop();
    const whole = readFileSync(file);
    const lineEnds = [...whole.entries()].filter(([, octet]) => octet === 0x0a).map(([at]) => at);
    for (let length = 0; length <= whole.length; length += 1) {
      writeFileSync(file, whole.subarray(0, length));
      const { sessions } = await readSessions(openSessionFiles(file), RULES);
      const lines = lineEnds.filter((at) => at < length).length;
      expect(sessions.map(({ session }) => session.clientId)).toEqual(
        ['one', 'two', 'three'].slice(0, Math.max(0, lines - 1)),
      );
    }
  });

  test('passes over lines that nobody can read, and counts them', async () => {
    const file = newPath();
    const journal = open(openSessionFiles(file));
    journal.begun(kept('one'));
    await journal.stop();
    const [header, line] = readFileSync(file, 'utf8').split('\n');
    const odd = ['\0\0\0', '{"begun":{}}', line?.replace('"serial":"0', '"serial":"x'), '[]'];
    writeFileSync(file, [header, ...odd, line, ''].join('\n'));
    const { sessions, unread } = await readSessions(openSessionFiles(file), RULES);
    expect(sessions).toEqual([kept('one')]);
    expect(unread).toBe(4);
  });

  test('may be read by its owner only', async () => {
    const file = newPath();
    const journal = open(openSessionFiles(file));
    journal.begun(kept('one'));
    await journal.stop();
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('does not grow with what came and went', async () => {
    const file = newPath();
    const journal = open(openSessionFiles(file));
    const stays = kept('stays');
    journal.begun(stays);
    for (let at = 0; at < 40_000; at += 1) {
      const one = kept('comes and goes', NOW + at);
      journal.begun(one);
      journal.ended(one.session);
      if (at % 2000 === 0) await journal.settled();
    }
    await journal.stop();
    const { size } = statSync(file);
    expect(size).toBeLessThan(12_000 * 700);
    expect((await readSessions(openSessionFiles(file), RULES)).sessions).toEqual([stays]);
  });

  test('is whole at any time while it is written anew', async () => {
    const files = openSessionFiles(newPath());
    const first = open(files);
    for (let at = 0; at < 2000; at += 1) first.begun(kept(`dev${at}`));
    await first.stop();
    const counts: number[] = [];
    const look = async () => counts.push((await readSessions(files, RULES)).sessions.length);
    const watched: SessionStore = {
      read: () => files.read(),
      async begin() {
        const file = await files.begin();
        return {
          ...file,
          append: async (lines) => {
            await file.append(lines);
            await look();
          },
        };
      },
    };
    const second = open(watched);
    for (const one of (await readSessions(files, RULES)).sessions) second.begun(one);
    await second.stop();
    expect(counts.length).toBeGreaterThan(4);
    expect(new Set(counts)).toEqual(new Set([2000]));
    expect((await readSessions(files, RULES)).sessions).toHaveLength(2000);
  });

  test.each(['append', 'publish', 'sync', 'begin'] as const)(
    'has all again after %s failed once',
    async (act) => {
      const files = openSessionFiles(newPath());
      let failing = 1;
      const breaking = async (name: string) => {
        if (name === act && failing-- > 0) throw new Error('no space left on device');
      };
      const store: SessionStore = {
        read: () => files.read(),
        async begin() {
          await breaking('begin');
          const file: SessionFile = await files.begin();
          return {
            append: async (lines) => breaking('append').then(() => file.append(lines)),
            sync: async () => breaking('sync').then(() => file.sync()),
            publish: async () => breaking('publish').then(() => file.publish()),
            close: () => file.close(),
          };
        },
      };
      const faults: unknown[] = [];
      const journal = open(store, (error) => faults.push(error));
      journal.begun(kept('one'));
      await journal.settled();
      const gone = kept('gone');
      journal.begun(gone);
      journal.begun(kept('two'));
      await journal.settled();
      journal.ended(gone.session);
      await new Promise((resolve) => setTimeout(resolve, 60));
      await journal.stop();
      expect(faults).toHaveLength(1);
      const { sessions } = await readSessions(files, RULES);
      expect(sessions.map(({ session }) => session.clientId)).toEqual(['one', 'two']);
    },
  );
});

describe('a gate that goes on with sessions from before', () => {
  test('lets them do what they might, and ends what is taken back', async () => {
    const store = openSessionFiles(newPath());
    const journal = open(store);
    using before = openLab({ memory: journal });
    const device = before.maker.device('dev1');
    before.connect(device, 'dev1');
    before.connect(before.maker.device('dev2'), 'dev2');
    before.gate.disconnected({ broker: 'test', clientId: 'dev2' }, 'clean');
    await journal.stop();

    using after = openLab();
    for (const one of (await readSessions(store, RULES)).sessions) after.gate.restore(one);
    expect(after.gate.sessions.size).toBe(1);
    const may = (topic: string) => after.gate.mayAct({ broker: 'test', clientId: 'dev1' }, 'publish', topic);
    expect([may('devices/dev1/a'), may('devices/dev2/a')]).toEqual([true, false]);
    const { issuer } = after.maker;
    expect(after.gate.takenBack({ certificate: idOf(device, issuer) }, 'revoked')).toBe(1);
    await after.enforcer.settled();
    expect(after.ended).toEqual([{ clientIds: ['dev1'], cause: 'revoked' }]);
  });
});

test('rules are told apart by anything that is written in them', () => {
  const maker = makeMaker('own');
  const digest = (changes: Parameters<typeof policyConfig>[0], listener = {}, trust = [maker.trust]) =>
    rulesDigest(parsePolicy(policyConfig(changes, listener), trust));
  const same = digest({});
  expect(digest({})).toBe(same);
  expect(digest({ roles: [{ name: 'device', publish: ['devices/${id}/up'] }] })).not.toBe(same);
  expect(digest({}, { maxSessionSeconds: 60 })).not.toBe(same);
  expect(digest({}, {}, [{ ...maker.trust, intermediates: [] }])).not.toBe(same);
});
