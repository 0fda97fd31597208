import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compilePolicy } from '../../../src/broker-auth/adapters/mosquitto/compile-policy.ts';
import { SnapshotWriter } from '../../../src/broker-auth/adapters/mosquitto/snapshot-writer.ts';
import { createDecider } from '../../../src/broker-auth/decide.ts';
import { createCredentialJudge } from '../../../src/broker-auth/judge-credential.ts';
import type { GatePolicy } from '../../../src/broker-auth/policy.ts';
import {
  coversFilter,
  isTopicName,
  overlapsFilter,
  parseSubscription,
  parseTopicFilter,
} from '../../../src/broker-auth/topic-filter.ts';
import { mayPublish, mayReceive, maySubscribe } from '../../../src/broker-auth/topic-rules.ts';
import { sequence } from '../../../src/x509/der/encode.ts';
import { NO_EXPIRY } from '../../../src/x509/der/time.ts';
import { oid } from '../../../src/x509/der/values.ts';
import { extension, keyUsage } from '../../../src/x509/extensions.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { toPem } from '../../../src/x509/pem.ts';
import type { Party } from '../../x509/path/make-certificate.ts';
import { certificateOf, DeniedList, keyEntry } from './denied-list.ts';
import { idOf, makeAuthorities, makeDevice, makePolicy, NOW, ROLE } from './party.ts';
import { askCheck, buildPart, canBuild, hex } from './plugin-parts.ts';

// The plugin's parts, in C, against the same parts in TypeScript: whatever is asked, both say the same.

const ROOT = { name: 'root', issuers: ['Root'], publish: ['#'], subscribe: ['#'] };

describe.skipIf(!canBuild)("Mosquitto's plugin", () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-plugin-'));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const keyFile = path.join(folder, 'key.pub');
  const authorities = makeAuthorities();
  let check = '';
  let checkSanitized = '';

  beforeAll(() => {
    check = buildPart('check');
    checkSanitized = buildPart('check-sanitized');
    writeFileSync(keyFile, publicKey.export({ format: 'pem', type: 'spki' }));
    writeFileSync(path.join(folder, 'key'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function writeSnapshot(name: string, policy: GatePolicy, source: DeniedList): Promise<string> {
    const file = path.join(folder, name);
    const compiled = compilePolicy(policy, 'mqtt');
    const writer = new SnapshotWriter({
      file,
      key: privateKey,
      policy: () => compiled,
      source,
      clock: Date.now,
      permanent: [],
      onError: (error) => {
        throw error;
      },
    });
    await writer.start();
    await writer.stop();
    return file;
  }

  function pem(name: string, { der }: { readonly der: Uint8Array }): string {
    const file = path.join(folder, `${name}.pem`);
    writeFileSync(file, toPem('CERTIFICATE', der));
    return file;
  }

  const level = fc.constantFrom('', 'a', 'b', '+', '#', '$a', '$share', 'a+', '#b', 'é', '+');
  const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));

  test('reads, covers and overlaps topics as the gate does', () => {
    const said: string[] = [];
    const asked: string[] = [];
    const ask = (act: string, answer: boolean, ...texts: string[]) => {
      asked.push([act, ...texts.map(hex)].join('\t'));
      said.push(answer ? 'yes' : 'no');
    };
    const one = (text: string) => {
      ask('name', isTopicName(text), text);
      ask('filter', parseTopicFilter(text) !== undefined, text);
      ask('subscription', parseSubscription(text) !== undefined, text);
    };
    for (const text of ['', '/', '$share/g/a', '$share//a', '$share/g', '$share/g/', '$share/+/a', 'a\0b'])
      one(text);
    one('x'.repeat(65_535));
    one('x'.repeat(65_536));
    const pair = (a: string, b: string) => {
      const [outer, inner] = [parseTopicFilter(a), parseTopicFilter(b)];
      if (!outer || !inner) return;
      ask('covers', coversFilter(outer, inner), a, b);
      ask('overlaps', overlapsFilter(outer, inner), a, b);
    };
    for (const [a, b] of fc.sample(fc.tuple(topic, topic), { numRuns: 5000, seed: 5 })) {
      one(a);
      pair(a, b);
    }
    expect(said.filter((answer) => answer === 'yes').length).toBeGreaterThan(1000);
    expect(askCheck(check, ['topics'], asked)).toEqual(said);
  });

  test.each(['transport', 'fips-140'] as const)(
    'judges certificates, ClientIds and topics as the gate does, by preset %s',
    async (preset) => {
      const { issuing, other, root } = authorities;
      const policyOid = '1.3.6.1.4.1.99999.1';
      const marked = extension('2.5.29.32', false, sequence(sequence(oid(policyOid))));
      const policy = makePolicy(authorities, {
        withoutUsage: 'idevid',
        preset,
        roles: [
          {
            ...ROLE,
            name: 'marked',
            policies: [policyOid],
            clientId: { bind: 'prefix', to: ['${id}', 'x-${organization}'] },
            publish: ['${issuer.commonName}/${certificate.serial}/${namespace}/${clientId}/#'],
          },
          // A ClientId of anybody's choice and guests do not go together.
          ...(preset === 'transport'
            ? [{ ...ROOT, clientId: { bind: 'any' as const } }, ROLE]
            : [
                { ...ROOT, clientId: { to: ['root/${commonName}'], bind: 'equal' as const } },
                {
                  ...ROLE,
                  name: 'guest',
                  namespaces: ['acme'],
                  clientId: { bind: 'equal' as const, to: ['acme/${id}'] },
                },
                ROLE,
              ]),
        ],
      });
      const inUnits = (...units: string[]) =>
        makeDevice('dev1', issuing, {
          fields: {
            subject: encodeName([
              ...units.map((value) => ({ type: 'OU', value }) as const),
              { type: 'serialNumber', value: 'dev1' },
            ]),
          },
        });
      const good = makeDevice('dev1', issuing);
      const revoked = makeDevice('dev1', issuing);
      const blocked = makeDevice('dev1', issuing);
      const source = new DeniedList(NOW);
      source.apply(certificateOf(idOf(revoked, issuing)), true);
      source.apply(keyEntry(idOf(blocked, issuing)), true);
      const named = (...values: string[]) =>
        encodeName(values.map((value) => ({ type: 'serialNumber', value })));
      const certificates: Record<string, Party> = {
        good,
        revoked,
        blocked,
        'same key, other certificate': makeDevice('dev1', issuing, { key: blocked.key }),
        'other CA': makeDevice('dev1', other),
        'marked by policy': makeDevice('dev1', issuing, { extra: [marked] }),
        'of the root': makeDevice('dev1', root),
        'of a device that may not issue': makeDevice('dev1', { ...good, name: issuing.name }),
        expired: makeDevice('dev1', issuing, { fields: { notAfter: NOW - 5000 } }),
        'not yet valid': makeDevice('dev1', issuing, { fields: { notBefore: NOW + 60_000 } }),
        'for servers': makeDevice('dev1', issuing, { purposes: ['1.3.6.1.5.5.7.3.1'] }),
        'for clients and code': makeDevice('dev1', issuing, {
          purposes: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.3'],
        }),
        'for anything': makeDevice('dev1', issuing, { purposes: ['2.5.29.37.0'] }),
        'without purpose': makeDevice('dev1', issuing, { only: [keyUsage(['digitalSignature'])] }),
        'a CA': makeDevice('dev1', issuing, { ca: true }),
        'may not sign': makeDevice('dev1', issuing, { keyUsage: ['keyAgreement'] }),
        'no keyUsage': makeDevice('dev1', issuing, { keyUsage: 'absent' }),
        RSA: makeDevice('dev1', issuing, { key: 'RSA-2048' }),
        Ed25519: makeDevice('dev1', issuing, { key: 'Ed25519' }),
        'no id': makeDevice('dev1', issuing, {
          fields: { subject: encodeName([{ type: 'CN', value: 'dev1' }]) },
        }),
        'two ids': makeDevice('dev1', issuing, { fields: { subject: named('dev1', 'dev2') } }),
        'an id with a slash': makeDevice('dev/1', issuing),
        'an id with a plus': makeDevice('+', issuing),
        'P-384': makeDevice('dev1', issuing, { key: 'P-384' }),
        'of a unit of ours': inUnits('ours'),
        'a guest': inUnits('acme'),
        'a guest in a unit of ours': inUnits('ours', 'acme'),
        'a guest without a role': inUnits('globex'),
        'a guest of two': inUnits('acme', 'globex'),
        'a separator in an id': makeDevice('dev1-a', issuing, { extra: [marked] }),
        'a serial with a high first bit': makeDevice('dev1', issuing, {
          fields: { serial: Buffer.from('80aa', 'hex') },
        }),
      };
      const only = [keyUsage(['digitalSignature'])];
      certificates['an IDevID'] = makeDevice('dev1', issuing, { only, fields: { notAfter: NO_EXPIRY } });
      certificates['no end and no device'] = makeDevice('dev1', issuing, {
        only,
        fields: { notAfter: NO_EXPIRY, subject: encodeName([{ type: 'CN', value: 'dev1' }]) },
      });
      const clientIds = [
        'dev1',
        'dev10',
        'dev1-a',
        'dev1-a-b',
        'x-Lab-1',
        'acme/dev1',
        'root/dev1',
        '',
        'dev/1',
        'dev1\u0001',
        'x'.repeat(513),
      ];
      const topics = [
        'devices/dev1/a',
        'devices/dev1',
        'devices/dev1/#',
        'devices/dev1/secret/x',
        'devices/dev1/secret',
      ];
      topics.push(
        'devices/+/a',
        '$share/g/devices/dev1/a',
        'shared/no/up',
        'shared/1/up',
        'news/+',
        'news/#',
        '#',
      );
      topics.push('acme/dev1');
      topics.push(`Devices/80aa/own/dev1/x`, '$SYS/x', 'a\u{1f600}/b', '+');

      const decide = createDecider({
        policy,
        judge: createCredentialJudge({
          trust: policy.trust,
          sources: [
            {
              name: 'feed',
              statusOf: (id) => ({ status: source.isDenied(id) ? 'revoked' : 'good', ageMs: 0 }),
            },
          ],
        }),
        hasOtherSession: () => false,
        random: (size) => new Uint8Array(size),
      });
      const file = await writeSnapshot('judge', policy, source);
      const lines: string[] = [];
      const expected: string[] = [];
      const titles: string[] = [];
      for (const [name, party] of Object.entries(certificates)) {
        for (const clientId of clientIds) {
          const evidence = { level: 'certificate', leaf: party.der, chain: [] } as const;
          const verdict = decide({ listener: 'mqtt', clientId, evidence }, Date.now());
          const acts = topics.flatMap((one) => [
            `publish:${hex(one)}`,
            `subscribe:${hex(one)}`,
            `receive:${hex(one)}`,
          ]);
          lines.push([pem(`c${titles.length}`, party), hex(clientId), ...acts].join('\t'));
          titles.push(`${name}, ClientId ${clientId}`);
          if (!verdict.allow) {
            expected.push(`deny\t${verdict.reason}`);
            continue;
          }
          const { permissions } = verdict;
          const may = topics.flatMap((one) => [
            mayPublish(permissions, one),
            maySubscribe(permissions, one),
            mayReceive(permissions, one),
          ]);
          expected.push(
            [
              'allow',
              verdict.identity.namespace,
              verdict.identity.id,
              verdict.role,
              ...may.map((yes) => (yes ? 'yes' : 'no')),
            ].join('\t'),
          );
        }
      }
      const answers = askCheck(check, ['judge', file, keyFile], lines);
      const withTitles = (all: readonly string[]) => all.map((answer, at) => `${titles[at]}: ${answer}`);
      expect(withTitles(answers)).toEqual(withTitles(expected));
      expect(expected.filter((answer) => answer.startsWith('allow')).length).toBeGreaterThan(10);
    },
  );

  test('falls over nothing and takes nothing that was changed, under the sanitizers', async () => {
    const source = new DeniedList(NOW);
    const device = makeDevice('device', authorities.issuing);
    for (let at = 0; at < 20; at += 1)
      source.apply(certificateOf(idOf(makeDevice(`d${at}`, authorities.issuing), authorities.issuing)), true);
    const file = await writeSnapshot('fuzzed', makePolicy(authorities, { maxStatusAgeSeconds: 300 }), source);
    const words = ['fuzz', file, keyFile, pem('fuzzed', device), '500', path.join(folder, 'key')];
    const [answer] = askCheck(checkSanitized, words, []);
    expect(answer).toMatch(/^0 taken; of those signed again [1-9][0-9]* could be read$/);
  });

  test('refuses a snapshot that another key signed', async () => {
    const file = await writeSnapshot('stranger', makePolicy(authorities), new DeniedList(NOW));
    const strangers = path.join(folder, 'stranger.pub');
    const other = createPublicKey(generateKeyPairSync('ed25519').privateKey);
    writeFileSync(strangers, other.export({ format: 'pem', type: 'spki' }));
    expect(() => askCheck(check, ['judge', file, strangers], [])).toThrow(
      'its signature is not one of the key',
    );
  });

  test('refuses a snapshot that has run out', async () => {
    const source = new DeniedList(Date.now() - 301_000);
    const file = await writeSnapshot('over', makePolicy(authorities), source);
    expect(() => askCheck(check, ['judge', file, keyFile], [])).toThrow('it has run out');
  });

  test.each([
    ['use_identity_as_username true', 'use_identity_as_username switches this plugin off'],
    ['use_subject_as_username true', 'use_subject_as_username switches this plugin off'],
    ['use_username_as_clientid 1', 'use_username_as_clientid changes the ClientId'],
    ['per_listener_settings true', 'per_listener_settings would leave'],
    ['allow_anonymous true', 'allow_anonymous must be false'],
    ['password_file /x', 'password_file lets clients in'],
    ['acl_file /x', 'acl_file may allow'],
    ['psk_file /x', 'psk_file lets clients in'],
    ['plugin /other.so', 'a second plugin'],
    ['listener 1\ncafile /x\nrequire_certificate false', 'TLS without require_certificate'],
    ['listener 1\n\tcafile /x\nlistener 2', 'TLS without require_certificate'],
    ['include_dir INCLUDED', 'use_identity_as_username switches this plugin off'],
  ])('refuses a broker with %j', (line, why) => {
    const config = path.join(folder, 'bad.conf');
    const included = path.join(folder, 'included');
    mkdirSync(included, { recursive: true });
    writeFileSync(path.join(included, 'more.conf'), 'use_identity_as_username true\n');
    const text = `plugin /birthmark.so\nlistener 8883\ncafile /x\nrequire_certificate true\n${line}\n`;
    writeFileSync(config, text.replace('INCLUDED', included));
    expect(askCheck(check, ['config'], [config])[0]).toContain(why);
  });

  test('takes a broker that has none of that', () => {
    const config = path.join(folder, 'good.conf');
    writeFileSync(
      config,
      '# use_identity_as_username true\nallow_anonymous false\nuse_identity_as_username false\nplugin /birthmark.so\n' +
        'listener 8883\ncafile /x\nrequire_certificate true\nlistener 1883\n',
    );
    expect(askCheck(check, ['config'], [config])).toEqual(['good']);
  });
});
