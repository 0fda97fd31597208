import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Application } from '../admit-device.ts';
import type { DeviceDoor } from '../device-door.ts';
import type { EnrollmentResult } from '../enroller.ts';
import type { KeyLimits } from '../examine.ts';
import { findLabel, type Label, type Labels } from '../label.ts';
import type { Peer } from '../peer.ts';
import type { Ledger, TicketRecord } from '../ports.ts';
import { presentTicket } from '../ticket.ts';
import { parseBasicAuth } from './basic-auth.ts';
import { decodeBody } from './body.ts';
import { certificatesAnswer, csrAttributesAnswer, type EstAnswer, keyAnswer } from './codec.ts';
import { assertMediaType } from './media-type.ts';
import { authorityCertificates, makeKey, requiredAttributes } from './operations.ts';
import { pendingAnswer, refuse, type ToldError } from './refusal.ts';
import type { EstSettings } from './settings.ts';

/** What the door needs of the server. */
export interface EstDoor {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly labels: Labels;
  readonly devices: DeviceDoor;
  readonly est: EstSettings;
  readonly keyLimits: KeyLimits;
  readonly clock: Clock;
  /** @throws BirthmarkError where what the connection shows cannot be believed */
  readonly peerOf: (request: FastifyRequest) => Peer;
  /** Runs what checks a secret; wrong ones from one address are slowed down. */
  readonly limitFailures: <T>(request: FastifyRequest, check: () => Promise<T>) => Promise<T>;
  /** An error as a client may read it. */
  readonly tell: (error: unknown) => ToldError;
}

const EST_PREFIX = '/.well-known/est';

interface Call {
  readonly request: FastifyRequest;
  readonly label: Label;
}

interface Operation {
  readonly method: 'GET' | 'POST';
  /** Whether a ticket opens it, so that a client without credentials is told of HTTP Basic. */
  readonly takesTicket: boolean;
  readonly answer: (call: Call, door: EstDoor) => Promise<EstAnswer> | EstAnswer;
}

/** RFC 7030 §3.2.2. fullcmc is optional, and not here. */
const OPERATIONS = new Map<string, Operation>([
  [
    'cacerts',
    {
      method: 'GET',
      takesTicket: false,
      answer: ({ label }, { issuing, est }) =>
        certificatesAnswer(authorityCertificates(label, issuing), { wrap: est.wrapBase64 }),
    },
  ],
  [
    'csrattrs',
    {
      method: 'GET',
      takesTicket: false,
      answer: ({ label }, { issuing, est, keyLimits }) =>
        csrAttributesAnswer(requiredAttributes(label, issuing, keyLimits.minRsaBits), {
          wrap: est.wrapBase64,
        }),
    },
  ],
  [
    'simpleenroll',
    { method: 'POST', takesTicket: true, answer: (call, door) => enroll(call, door, 'enroll') },
  ],
  [
    'simplereenroll',
    { method: 'POST', takesTicket: false, answer: (call, door) => enroll(call, door, 'reenroll') },
  ],
  ['serverkeygen', { method: 'POST', takesTicket: true, answer: enrollWithMadeKey }],
]);

/** EST (RFC 7030, 8951, 9908), with and without a label in the path. */
export function mountEstDoor(app: FastifyInstance, door: EstDoor): void {
  // In a scope of its own: errors are texts here, and bodies of any type are looked at before they are refused.
  app.register(
    (scope, _, done) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
      scope.setErrorHandler((error, request, reply) => send(reply, tellRefusal(error, request, door)));
      // Whatever is below: what is not there is told in text too.
      scope.all<{ Params: { '*': string } }>('/*', { schema: { hide: true } }, (request, reply) =>
        answer(request, reply, door),
      );
      done();
    },
    { prefix: EST_PREFIX },
  );
}

async function answer(
  request: FastifyRequest<{ Params: { '*': string } }>,
  reply: FastifyReply,
  door: EstDoor,
): Promise<FastifyReply> {
  const [name = '', labelName, ...more] = request.params['*'].split('/').reverse();
  // A slash that is written as %2F parts nothing (RFC 3986 §2.2): a proxy with rules for labels reads it so.
  const plain = more.length === 0 && !/^[^?]*%2f/i.test(request.url);
  const operation = plain ? OPERATIONS.get(name) : undefined;
  let label: Label | undefined;
  try {
    if (!operation)
      throw new BirthmarkError(
        'not-found',
        `there is no operation ${JSON.stringify(name).slice(0, 80)} here`,
      );
    label = findLabel(door.labels, labelName);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    if (method !== operation.method)
      throw new BirthmarkError('method-not-allowed', `${name} takes ${operation.method}`);
    return await send(reply, await operation.answer({ request, label }, door));
  } catch (error) {
    return send(reply, tellRefusal(error, request, door, { operation, label }));
  }
}

function tellRefusal(
  error: unknown,
  request: FastifyRequest,
  { est, tell }: EstDoor,
  {
    operation,
    label,
  }: { readonly operation?: Operation | undefined; readonly label?: Label | undefined } = {},
): EstAnswer {
  const told = tell(error);
  if (told.code === 'approval-waiting') return pendingAnswer(est.retryAfterSeconds);
  if (told.status >= 500)
    request.log.error({ err: error, method: request.method, route: EST_PREFIX }, 'a request failed');
  return refuse(told, {
    retryAfterSeconds: est.retryAfterSeconds,
    ...(operation?.takesTicket && label?.admits.has('ticket') && { realm: est.realm }),
    ...(operation && { allow: operation.method === 'GET' ? ['GET', 'HEAD'] : [operation.method] }),
  });
}

function send(reply: FastifyReply, { status, headers, body }: EstAnswer): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

async function enroll(call: Call, door: EstDoor, operation: 'enroll' | 'reenroll'): Promise<EstAnswer> {
  const csr = readBody(call, door);
  const { certificate } = await apply(call, door, { operation, csr });
  return certificatesAnswer([certificate], { wrap: door.est.wrapBase64 });
}

async function enrollWithMadeKey(call: Call, door: EstDoor): Promise<EstAnswer> {
  const csr = readBody(call, door);
  const made = makeKey(call.label, csr);
  const { certificate } = await apply(call, door, { operation: 'serverkeygen', csr, madeCsr: made.csr });
  return keyAnswer(made.privateKey, certificate, { wrap: door.est.wrapBase64 });
}

function readBody({ request }: Call, { est }: EstDoor): Buffer {
  assertMediaType(request.headers['content-type'], 'application/pkcs10');
  const { body } = request;
  return decodeBody(Buffer.isBuffer(body) ? body : Buffer.alloc(0), { pem: est.acceptPem });
}

async function apply(
  { request, label }: Call,
  door: EstDoor,
  what: Pick<Application, 'operation' | 'csr' | 'madeCsr'>,
): Promise<EnrollmentResult> {
  const peer = door.peerOf(request);
  const ticket =
    what.operation === 'reenroll'
      ? undefined
      : await door.limitFailures(request, () => presented(request, door));
  return door.devices.enroll({ ...what, label, peer, door: 'est', bound: true, ...(ticket && { ticket }) });
}

/** The ticket behind HTTP Basic: it is the password, and its device the user (RFC 7030 §3.2.3). */
async function presented(
  request: FastifyRequest,
  { ledger, clock }: EstDoor,
): Promise<TicketRecord | undefined> {
  const basic = parseBasicAuth(request.headers.authorization);
  if (!basic) return undefined;
  const ticket = await presentTicket(basic.password, ledger, clock);
  if (ticket.serialNumber === basic.user) return ticket;
  throw new BirthmarkError(
    'unauthenticated',
    'send the serial number of the device as user and its ticket as password (birthmark ticket create makes one)',
  );
}
