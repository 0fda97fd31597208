import { expect, test } from 'vitest';
import { parseFeedEvent, type RawEvent, readFeedEvents } from '../../../src/broker-auth/index.ts';
import { codeOfAsync } from '../../house.ts';
import { inPieces } from './snapshots.ts';

const AT = '2026-01-02T03:04:05.678Z';
const change = {
  sequence: 7,
  authority: 'idevid',
  issuerKeyId: 'aa'.repeat(20),
  serial: '01ff',
  keyHash: 'bb'.repeat(32),
  status: 'revoked',
  reason: 'superseded',
  at: AT,
};
const status = (data: object = change, id = 'e.7'): RawEvent => ({
  id,
  event: 'status',
  data: JSON.stringify(data),
});
const toText = ({ id, event, data }: RawEvent) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;

test('reads what the feed says, whatever it says besides', () => {
  expect(parseFeedEvent(status({ ...change, more: 1 }))).toMatchObject({
    kind: 'change',
    position: { epoch: 'e', sequence: 7 },
    change,
  });
  const here = { epoch: 'e', sequence: 7 };
  const position = { id: 'e.7', event: 'position', data: JSON.stringify({ ...here, at: AT }) };
  expect(parseFeedEvent(position)).toEqual({ kind: 'position', position: here, at: Date.parse(AT) });
  const reset = { event: 'reset', data: JSON.stringify({ ...here, why: 'epoch' }) };
  expect(parseFeedEvent(reset)).toEqual({ kind: 'reset', position: here });
  expect(parseFeedEvent({ event: 'of-another-day', data: '{}' })).toBeUndefined();
});

test.each([
  ['no JSON', { ...status(), data: '{' }],
  ['no id', { event: 'status', data: JSON.stringify(change) }],
  ['the id of another change', status(change, 'e.8')],
  ['an id that is no position', status(change, '7')],
  ['a status that does not exist', status({ ...change, status: 'gone' })],
  ['a serial number in capitals', status({ ...change, serial: '01FF' })],
  ['half an octet', status({ ...change, serial: '1ff' })],
  ['a key hash that is too short', status({ ...change, keyHash: 'bb' })],
  ['no issuer', status({ ...change, issuerKeyId: undefined })],
  ['a time that is none', status({ ...change, at: 'today' })],
  ['a negative number', status({ ...change, sequence: -1 }, 'e.-1')],
  [
    'a position of another place',
    { id: 'e.7', event: 'position', data: JSON.stringify({ epoch: 'e', sequence: 8, at: AT }) },
  ],
])('refuses %s', async (_title, event) => {
  expect(await codeOfAsync(Promise.resolve().then(() => parseFeedEvent(event)))).toBe('feed-broken');
});

test.each([1, 5, 10_000])(
  'reads a stream in pieces of %i octets, with comments and line ends of all kinds',
  async (size) => {
    const text = `: hello\nretry: 1000\n\n${toText(status())}${toText(status()).replaceAll('\n', '\r\n')}: alive\n\nid: e.7\n`;
    const events: unknown[] = [];
    for await (const event of readFeedEvents(inPieces(Buffer.from(text), size))) events.push(event?.kind);
    expect(events).toEqual([undefined, 'change', 'change', undefined]);
  },
);

test('does not keep a line that never ends', async () => {
  async function* endless() {
    for (;;) yield Buffer.alloc(10_000, 0x61);
  }
  const read = async () => {
    for await (const _event of readFeedEvents(endless()));
  };
  expect(await codeOfAsync(read())).toBe('line-too-long');
});
