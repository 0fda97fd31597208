import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Position, parsePosition } from '../../broker-auth/status/position.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Role } from '../../enroll/ports.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import type { ChangePages } from '../status/change-pages.ts';
import { feedEvents } from '../status/feed-events.ts';
import { pacedStream } from '../status/paced-stream.ts';
import { openSnapshot, type SnapshotOptions } from '../status/snapshot.ts';
import type { StatusTail } from '../status/status-tail.ts';

/** What gates are served from; one for each process. */
export interface StatusDesk {
  readonly tail: StatusTail;
  readonly pages: ChangePages;
  readonly snapshot: SnapshotOptions;
  readonly limits: StatusLimits;
}

export interface StatusLimits {
  /** Who may follow the feed at once, and who may fetch a snapshot, at each listener of a process. */
  readonly readers: number;
  readonly snapshots: number;
  /** Who takes nothing for so long is dropped. */
  readonly slowMs: number;
}

export const STATUS_LIMITS: StatusLimits = { readers: 500, snapshots: 4, slowMs: 30_000 };

export interface StatusRoutes {
  readonly status: StatusDesk;
  readonly authenticate: Authenticate;
}

const MAY_READ: readonly Role[] = ['gate', 'operator', 'auditor', 'admin'];

export function mountStatus(app: FastifyInstance, { status, authenticate }: StatusRoutes): void {
  const { tail, limits } = status;
  const feeds = createPlaces(limits.readers, 'follow the status feed');
  const snapshots = createPlaces(limits.snapshots, 'fetch a snapshot');
  app.addHook('preClose', () => {
    feeds.leaveAll();
    snapshots.leaveAll();
  });
  const send = (
    request: FastifyRequest,
    reply: FastifyReply,
    type: string,
    pieces: AsyncIterable<string>,
    onSlow: string,
  ) => {
    const drop = () => {
      request.log.warn({ address: request.ip }, onSlow);
      request.raw.destroy();
    };
    return reply
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .type(type)
      .send(pacedStream(pieces, limits.slowMs, drop));
  };

  app.get<{ Querystring: { since?: string } }>(
    '/status-feed',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Follow every change of a status',
        description:
          'Server-sent events, in order, none lost, none twice. `status`: what a certificate is from then on. `position`: the ledger ' +
          'was looked at then, and had no more. `reset`: the place to begin from is of another epoch, or ahead of this ledger; fetch ' +
          'a snapshot and follow from there. A header Last-Event-ID goes before `since`. A reader that takes nothing for 30 seconds is ' +
          'dropped, and goes on from the last id that it has. docs/status-feed.md has the format.',
        tags: ['status'],
        produces: ['text/event-stream'],
        querystring: Type.Object(
          {
            since: Type.Optional(
              Type.String({
                maxLength: 100,
                description: 'EPOCH.N: changes behind that one. Left out: from now on.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.String({ description: 'Events, for as long as both sides like.' }) },
      },
    },
    async (request, reply) => {
      assertRole(await authenticate(request), ...MAY_READ);
      const since = sinceOf(request);
      const gone = feeds.take(reply);
      if (gone.aborted) return reply;
      endWithReader(request);
      const unlisten = tail.listen();
      gone.addEventListener('abort', unlisten, { once: true });
      const mayRead = () => stillMay(authenticate, request);
      const events = feedEvents(status, { since, gone, mayRead });
      return send(request, reply, 'text/event-stream', events, 'a reader of the status feed was too slow');
    },
  );

  app.get<{ Querystring: { holders?: 'true' | 'false' } }>(
    '/status-snapshot',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'All that is not good, signed',
        description:
          'NDJSON, streamed: a header with epoch, sequence number and end of validity; a line for each certificate that is revoked or ' +
          'held, and for each blocked key that no certificate tells; a seal with the SHA-256 of all before it, a signature by an OCSP ' +
          'signer of ours, and its chain. The status feed goes on from EPOCH.N of the header. docs/status-feed.md has the format.',
        tags: ['status'],
        produces: ['application/x-ndjson'],
        querystring: Type.Object(
          {
            holders: Type.Optional(
              Type.Enum(['true', 'false'], {
                description: 'Tell the device of each certificate too: for brokers that show a name only.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.String({ description: 'One JSON object a line.' }) },
      },
    },
    async (request, reply) => {
      assertRole(await authenticate(request), ...MAY_READ);
      const holders = request.query.holders === 'true';
      const gone = snapshots.take(reply);
      if (gone.aborted) return reply;
      const lines = untilGone(await openSnapshot({ ...status.snapshot, holders }), gone);
      return send(request, reply, 'application/x-ndjson', lines, 'a reader of a snapshot was too slow');
    },
  );
}

/** @throws BirthmarkError `bad-request` */
function sinceOf({
  headers,
  query,
}: FastifyRequest<{ Querystring: { since?: string } }>): Position | undefined {
  // An EventSource that comes again says it, and still has the address that it began with.
  const last = headers['last-event-id'];
  if (typeof last === 'string' && last !== '') return parsePosition(last, 'Last-Event-ID');
  return query.since === undefined ? undefined : parsePosition(query.since, 'since');
}

/** Who closed its side of the connection would be fed for ever: what waits for an end of the answer never comes. */
function endWithReader({ raw }: FastifyRequest): void {
  const { socket } = raw;
  if (socket.readableEnded) raw.destroy();
  else socket.once('end', () => raw.destroy());
}

/** A ledger that cannot be asked at the moment ends nothing. */
async function stillMay(authenticate: Authenticate, request: FastifyRequest): Promise<boolean> {
  try {
    const { role } = await authenticate(request);
    return MAY_READ.includes(role);
  } catch (error) {
    return !(
      error instanceof BirthmarkError && ['unauthenticated', 'too-many-requests'].includes(error.code)
    );
  }
}

async function* untilGone(pieces: AsyncIterable<string>, gone: AbortSignal): AsyncGenerator<string> {
  for await (const piece of pieces) {
    if (gone.aborted) throw new BirthmarkError('unavailable', 'the snapshot is cut short: this server stops');
    yield piece;
  }
}

interface Places {
  /**
   * Takes a place until the answer's connection is over; aborted then. Aborted at once, with no place taken, where it is over.
   *
   * @throws BirthmarkError `unavailable`
   */
  take(reply: FastifyReply): AbortSignal;
  leaveAll(): void;
}

function createPlaces(most: number, what: string): Places {
  const taken = new Set<AbortController>();
  return {
    take: (reply) => {
      // Whoever left while it was found out who they are: nothing would tell that they did.
      if (reply.raw.destroyed) return AbortSignal.abort();
      if (taken.size >= most)
        throw new BirthmarkError('unavailable', `${most} readers ${what} already; try again later`);
      const place = new AbortController();
      taken.add(place);
      reply.raw.once('close', () => {
        taken.delete(place);
        place.abort();
      });
      return place.signal;
    },
    leaveAll: () => {
      for (const place of taken) place.abort();
    },
  };
}
