import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { CrlReads, PublishedCrl } from '../ca/crl/ports.ts';
import { DELTA, FULL } from '../ca/crl/scope.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { pemOf, pemSize } from '../x509/pem-stream.ts';
import { acceptsGzip } from './accepts-gzip.ts';
import { type Compressible, createGzipCache } from './gzip-cache.ts';
import { isKnownTag } from './known-tag.ts';

export interface CrlRoutesOptions {
  readonly crls: CrlReads;
  readonly clock: Clock;
}

/** How long others may keep what they fetched: it bounds how late they hear of a new list. */
const MAX_AGE_SECONDS = 300;
/** Sent in one piece; larger ones are streamed. */
const WHOLE = 1024 * 1024;
const LABEL = 'X509 CRL';

type Form = 'der' | 'pem';
const TYPES = { der: 'application/pkix-crl', pem: 'application/x-pem-file' } as const;

interface Params {
  readonly name: string;
  readonly scope?: string;
}

/** Every published list by GET and HEAD: `/crl/NAME.crl`, `/crl/NAME/delta.crl`, `/crl/NAME/SHARD.crl`, and as `.pem`. */
export function addCrlRoutes(app: FastifyInstance, { crls, clock }: CrlRoutesOptions): void {
  const gzip = createGzipCache();

  for (const form of ['der', 'pem'] as const) {
    const ending = form === 'der' ? 'crl' : 'pem';
    for (const url of [`/crl/:name.${ending}`, `/crl/:name/:scope.${ending}`])
      app.route<{ Params: Params }>({
        method: ['GET', 'HEAD'],
        url,
        handler: (request, reply) => send(request, reply, form),
      });
  }

  async function send(
    request: FastifyRequest<{ Params: Params }>,
    reply: FastifyReply,
    form: Form,
  ): Promise<FastifyReply> {
    const { name, scope } = request.params;
    // Replaced between the look at it and the reading: once more. Twice in that time is a coincidence too many.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const crl = await crls.findCrlFacts(name, scope === undefined ? FULL : scopeIn(scope));
      if (!crl)
        throw new BirthmarkError(
          'not-found',
          `authority ${JSON.stringify(name).slice(0, 80)} publishes no such list`,
        );
      if (isUnchanged(request, reply, crl, form)) return reply.code(304).send();
      const source = inForm(crl, form);
      const packed = acceptsGzip(request.headers['accept-encoding']) ? await gzip.get(source) : undefined;
      if (packed) reply.header('content-encoding', 'gzip').header('etag', tagOf(crl, form, true));
      reply.type(TYPES[form]).header('content-length', packed?.length ?? source.size);
      if (request.method === 'HEAD') return reply.send();
      if (packed) return reply.send(packed);
      if (source.size > WHOLE) return reply.send(Readable.from(source.read()));
      const whole = await collect(source);
      if (whole) return reply.send(whole);
    }
    throw new BirthmarkError('unavailable', 'the list was replaced while it was read; ask again');
  }

  /** Sets what a 304 has too (RFC 9110 §15.4.5). If-Modified-Since counts where there is no If-None-Match (§13.1.3). */
  function isUnchanged(
    { headers }: FastifyRequest,
    reply: FastifyReply,
    crl: PublishedCrl,
    form: Form,
  ): boolean {
    const now = clock();
    const maxAge = Math.max(0, Math.min(MAX_AGE_SECONDS, Math.floor((crl.nextUpdate - now) / 1000)));
    const tags = [tagOf(crl, form, false), tagOf(crl, form, true)];
    const known = tags.find((tag) => isKnownTag(tag, headers['if-none-match']));
    reply
      .header('etag', known ?? tags[0])
      .header('cache-control', `public, max-age=${maxAge}`)
      .header('vary', 'accept-encoding');
    // One of the time to come says nothing (§8.8.2.1).
    if (crl.modifiedAt <= now) reply.header('last-modified', new Date(crl.modifiedAt).toUTCString());
    if (headers['if-none-match'] !== undefined) return known !== undefined;
    return crl.modifiedAt <= Date.parse(headers['if-modified-since'] ?? '');
  }

  function inForm(crl: PublishedCrl, form: Form): Compressible {
    const key = tagOf(crl, form, false);
    const octets = () => pieces(crl);
    if (form === 'der') return { key, size: crl.size, read: octets };
    return { key, size: pemSize(LABEL, crl.size), read: () => pemOf(LABEL, octets()) };
  }

  async function* pieces(crl: PublishedCrl): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for (let at = 0; sent < crl.size; at += 1) {
      const piece = await crls.readCrlPiece(crl, at);
      if (!piece)
        throw new BirthmarkError('unavailable', 'the list was replaced while it was read; ask again');
      sent += piece.length;
      yield piece;
    }
  }
}

/** Undefined where the list was replaced meanwhile. */
async function collect({ read }: Compressible): Promise<Buffer | undefined> {
  const all: Uint8Array[] = [];
  try {
    for await (const piece of read()) all.push(piece);
    return Buffer.concat(all);
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === 'unavailable') return undefined;
    throw error;
  }
}

function tagOf({ authority, scope, number }: PublishedCrl, form: Form, packed: boolean): string {
  return `"${authority}-${scope}-${number}-${form}${packed ? '-gzip' : ''}"`;
}

/** @throws BirthmarkError `not-found` where it is neither the delta nor a shard's number */
function scopeIn(text: string): string {
  if (text === DELTA || /^(?:0|[1-9][0-9]{0,5})$/.test(text)) return text;
  throw new BirthmarkError('not-found', 'there is no such list');
}
