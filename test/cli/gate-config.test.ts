import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import { checkService } from '../../src/cli/broker-auth/check-service.ts';
import { type GateConfig, GateConfigSchema } from '../../src/cli/broker-auth/gate-config.ts';
import { renderExample } from '../../src/cli/broker-auth/render-example.ts';
import { parseToml } from '../../src/cli/config/parse-toml.ts';
import { schemaParser } from '../../src/core/schema.ts';

const parse = schemaParser(GateConfigSchema, 'config-invalid');
const example = renderExample();

function check(toml: string): GateConfig {
  const config = parse(parseToml(toml), '');
  const { identity = 'serialNumber', listeners, roles } = config;
  checkService(
    config,
    parsePolicy({ identity, listeners, roles }, [{ namespace: 'own', anchors: [], intermediates: [] }]),
  );
  return config;
}

describe('gate.toml', () => {
  test('is read as the example has it, with a word over each key', () => {
    const { mosquitto, crlFiles } = check(example);
    expect(mosquitto?.canaries?.denied.clientId).toBe('CANARY-1');
    expect(crlFiles).toHaveLength(1);
    const lines = example.split('\n');
    for (const key of ['folder', 'eventsSocket', 'issuerFiles', 'pidFile', '#command', '#keyFile'])
      expect([
        key,
        lines[lines.findIndex((line) => line.startsWith(`${key} =`)) - 1]?.startsWith('# '),
      ]).toEqual([key, true]);
  });

  test.each([
    ['a key of [mosquitto] that is not known', 'eventsSocket =', 'eventSocket =', 'mosquitto.event'],
    ['a key of [[crlFiles]] that is not known', 'pidFile =', 'pid =', 'crlFiles.0.pid'],
    ['a key of canaries that is not known', 'everySeconds = 60', 'every = 60', 'mosquitto.canaries.every'],
    [
      'a listener that the policy has not',
      'listener = "devices"\n# A',
      'listener = "others"\n# A',
      'mosquitto.listener',
    ],
    ['CRL files that nobody reads again', 'pidFile =', '#pidFile =', 'crlFiles.0'],
    ['CRL files with two ways to be read again', '#command =', 'command =', 'crlFiles.0'],
    [
      'a list that is no URL',
      '"http://pki.example.com:8080/crl/root.crl"',
      '"root.crl"',
      'crlFiles.0.urls.0',
    ],
    ['the name of another broker', 'folder = "/var', 'broker = "emqx"\nfolder = "/var', 'mosquitto.broker'],
    ['a topic of RabbitMQ that # would get', 'publish = [', 'publish = [ "$x/y", ', 'roles.0.publish'],
    ['an EMQX where nothing could end a session', '[brokers.emqx]', '[brokers.elsewhere]', 'http.emqx'],
    ['a RabbitMQ where nothing could end a session', '[brokers.rabbitmq]', '[brokers.r]', 'http.rabbitmq'],
    [
      'a word against kicks where there are some',
      '[http.emqx]',
      '[http.emqx]\nwithoutKicks = true',
      'http.emqx.withoutKicks',
    ],
  ])('is refused with %s', (_, from, to, field) => {
    expect(example).toContain(from);
    expect(() => check(example.replace(from, to))).toThrow(field);
  });

  test('may say that nothing ends a session at a broker', () => {
    const without = example.replace('[brokers.emqx]', '[brokers.elsewhere]');
    expect(() => check(without)).toThrow('[brokers.emqx], or say withoutKicks = true');
    const said = without.replace('[http.emqx]', '[http.emqx]\nwithoutKicks = true');
    expect(check(said).http?.emqx?.withoutKicks).toBe(true);
  });
});
