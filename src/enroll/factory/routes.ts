import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import type { Actor } from '../../core/audit.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { operatorAdmission, tokenAdmission } from '../admission.ts';
import { admitLine, assertMayRunBatch } from '../admit.ts';
import type { Enroller } from '../enroller.ts';
import type { Role, TokenRecord } from '../ports.ts';
import { runBatch } from './run-batch.ts';

/** What the door needs of the server. */
export interface FactoryDoor {
  readonly issuing: IssuingRoom;
  readonly enroll: Enroller;
  readonly clock: Clock;
  readonly authenticate: (
    request: FastifyRequest,
  ) => Promise<{ readonly actor: Actor; readonly role: Role; readonly token?: TokenRecord }>;
}

const NDJSON = ['application/x-ndjson', 'application/ndjson', 'application/jsonl'];
/** What is kept for a client that sends much before it reads. */
const UNREAD_OCTETS = 512 * 1024;

/** `POST /factory/batch`: lines in, lines out. */
export function mountFactoryDoor(app: FastifyInstance, door: FactoryDoor): void {
  app.addContentTypeParser(NDJSON, (_request, payload, done) => done(null, payload));
  app.post<{ Querystring: { profile: string } }>(
    '/factory/batch',
    {
      config: { streams: true },
      schema: {
        summary: 'Enroll a batch of devices',
        description:
          'NDJSON in and out, one line for one line and in order, streamed: read while you send. A line: `{"serialNumber","csr",' +
          '"hwType"?,"hwSerialNum"?,"model"?,"batch"?}`, the CSR as PEM or as base64 of its DER, hwSerialNum in base64. An answer: ' +
          '`{"serialNumber","serial","certificate","notGranted"?}` or `{"serialNumber","error":{"code","detail"}}`; a line without a ' +
          'readable serial number gets `{"line":N,"error"}`. A line sent again (same device, key and profile) gets the same certificate.',
        tags: ['factory'],
        consumes: NDJSON,
        produces: ['application/x-ndjson'],
        body: Type.Any({ description: 'One line for each device.' }),
        response: { 200: Type.String({ description: 'One line for each line, in order.' }) },
        querystring: Type.Object(
          {
            profile: Type.String({
              default: 'idevid',
              description: 'The profile of every certificate of this batch.',
            }),
          },
          { additionalProperties: false },
        ),
      },
    },
    async (request, reply) => {
      const { actor, role, token } = await door.authenticate(request);
      const profile = door.issuing.profile(request.query.profile);
      assertMayRunBatch(role, token, profile);
      const { body } = request;
      if (!(body instanceof Readable)) {
        throw body === undefined || body === null
          ? new BirthmarkError('bad-request', 'the body is missing; send one line of JSON for each device')
          : new BirthmarkError('unsupported-media-type', `send the lines as Content-Type ${NDJSON[0]}`);
      }
      const answers = runBatch(body, {
        profile,
        enroll: door.enroll,
        admission: token ? tokenAdmission(token, door.clock) : operatorAdmission(actor),
        admit: (line) => admitLine(line, token),
      });
      // A kept connection's next request may come before all of this answer has drained. Node then pauses its parser, which
      // over TLS fails on the octets that were decrypted already (HPE_PAUSED), and resets the connection.
      return reply
        .header('connection', 'close')
        .type(NDJSON[0] ?? '')
        .send(Readable.from(answers, { objectMode: false, highWaterMark: UNREAD_OCTETS }));
    },
  );
}
