import { BirthmarkError } from '../../core/errors.ts';
import { cutLines } from './cut-lines.ts';
import { type Position, parsePosition, positionToText } from './position.ts';
import { type Change, parseChange, parsePositionData, parseResetData } from './wire.ts';

/** What the feed says. */
export type FeedEvent =
  | { readonly kind: 'change'; readonly position: Position; readonly change: Change }
  /** There was nothing behind that position at that time, in milliseconds since the epoch. */
  | { readonly kind: 'position'; readonly position: Position; readonly at: number }
  /** The place to begin from is not of this ledger: a snapshot is needed. */
  | { readonly kind: 'reset'; readonly position: Position };

/** Fields of one event, as server-sent events have them. */
export interface RawEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

const LINE_OCTETS = 64 * 1024;

/**
 * Reads one event strictly.
 *
 * @returns undefined for an event of a kind that is not known here
 * @throws BirthmarkError `feed-broken`
 */
export function parseFeedEvent({ id = '', event, data }: RawEvent): FeedEvent | undefined {
  try {
    const value: unknown = JSON.parse(data);
    switch (event) {
      case 'status': {
        const position = parsePosition(id, 'id');
        const change = parseChange(value, 'data');
        if (change.sequence !== position.sequence)
          throw new BirthmarkError('feed-broken', `event ${id} tells of change ${change.sequence}`);
        return { kind: 'change', position, change };
      }
      case 'position': {
        const { epoch, sequence, at } = parsePositionData(value, 'data');
        if (positionToText({ epoch, sequence }) !== id)
          throw new BirthmarkError('feed-broken', `event ${id} tells of another position`);
        return { kind: 'position', position: { epoch, sequence }, at: Date.parse(at) };
      }
      case 'reset': {
        const { epoch, sequence } = parseResetData(value, 'data');
        return { kind: 'reset', position: { epoch, sequence } };
      }
      default:
        return undefined;
    }
  } catch (cause) {
    if (cause instanceof BirthmarkError && cause.code === 'feed-broken') throw cause;
    throw new BirthmarkError(
      'feed-broken',
      `an event of the feed cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/**
 * The events of a stream (HTML Living Standard §9.2.6), and an undefined for whatever else shows that it lives.
 *
 * @throws BirthmarkError `feed-broken`, `line-too-long`; what the source throws
 */
export async function* readFeedEvents(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<FeedEvent | undefined> {
  let fields: { id?: string; event?: string; data?: string } = {};
  for await (const line of cutLines(source, LINE_OCTETS)) {
    const text = line.toString('utf8').replace(/\r$/, '');
    if (text === '') {
      const { data, ...rest } = fields;
      fields = {};
      yield data === undefined ? undefined : parseFeedEvent({ ...rest, data });
      continue;
    }
    const [, name, value = ''] = /^([^:]+)(?:: ?(.*))?$/.exec(text) ?? [];
    if (name === 'data') fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
    else if (name === 'id' || name === 'event') fields[name] = value;
  }
}
