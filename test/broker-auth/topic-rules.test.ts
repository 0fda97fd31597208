import { describe, expect, test } from 'vitest';
import {
  fillTopicRules,
  mayPublish,
  mayReceive,
  maySubscribe,
  type Permissions,
} from '../../src/broker-auth/topic-rules.ts';
import { parseTemplate, type Variable } from '../../src/broker-auth/variables.ts';

const template = (text: string) => parseTemplate(text, 'rule');
const rules = {
  publish: [template('devices/${id}/#')],
  subscribe: [template('devices/${id}/#'), template('all/+')],
  deny: [template('devices/${id}/secret'), template('all/private')],
};

function permissions(id: string): Permissions {
  const filled = fillTopicRules(rules, new Map<Variable, string>([['id', id]]));
  if ('fault' in filled) throw new Error(filled.fault);
  return filled;
}

const own = permissions('dev1');

describe('publishing', () => {
  test.each(['devices/dev1', 'devices/dev1/a/b'])('to %s is allowed', (topic) => {
    expect(mayPublish(own, topic)).toBe(true);
  });
  test.each([
    'devices/dev10/a',
    'devices/dev2/a',
    'devices/dev1/secret',
    'all/x',
    '$SYS/x',
    'devices/dev1/#',
    'devices/dev1/+',
    '',
    'devices',
  ])('to %j is denied', (topic) => {
    expect(mayPublish(own, topic)).toBe(false);
  });
});

describe('subscribing', () => {
  test.each(['devices/dev1/a', 'devices/dev1/a/#', 'all/x', '$share/g/devices/dev1/a'])(
    'to %s is allowed',
    (filter) => {
      expect(maySubscribe(own, filter)).toBe(true);
    },
  );
  test.each([
    '#',
    'devices/#',
    'devices/+/a',
    '$share/g/#',
    '$share/g/devices/dev2/a',
    'devices/dev1/#',
    'devices/dev1/+',
    'all/+',
    'all/#',
    'devices/dev1/a#',
    '$SYS/#',
  ])('to %s is denied', (filter) => {
    expect(maySubscribe(own, filter)).toBe(false);
  });
});

test('what is kept from before reaches the client only where it may subscribe', () => {
  expect(mayReceive(own, 'all/x')).toBe(true);
  expect(mayReceive(own, 'all/private')).toBe(false);
  expect(mayReceive(own, 'devices/dev2/a')).toBe(false);
});

test('a rule that cannot be filled leaves the client without any', () => {
  expect(fillTopicRules(rules, new Map())).toHaveProperty('fault');
  expect(fillTopicRules(rules, new Map<Variable, string>([['id', 'a/#']]))).toHaveProperty('fault');
});
