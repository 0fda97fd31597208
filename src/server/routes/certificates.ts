import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { chainBelowRoot } from '../../ca/authority.ts';
import { certificateOf } from '../../ca/issue.ts';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import { isDeviceKind, type Profile } from '../../ca/profile.ts';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import {
  OWN_NAMESPACE,
  PLAIN_TEXT,
  parseCertificateSerial,
  parseSerialNumber,
} from '../../core/identifiers.ts';
import { operatorAdmission } from '../../enroll/admission.ts';
import { parseCsrText } from '../../enroll/csr-text.ts';
import type { Enroller } from '../../enroll/enroller.ts';
import { parseHardware } from '../../enroll/factory/codec.ts';
import { type Ledger, ROLES } from '../../enroll/ports.ts';
import type { ServiceIssuer } from '../../enroll/service-issuer.ts';
import { toPem } from '../../x509/pem.ts';
import { type Authenticate, assertRole, type Caller } from '../caller.ts';
import { CertificateSummary, summarize } from './certificate-summary.ts';
import { PageQuery, pageOf } from './schemas.ts';

const ListQuery = Type.Object(
  {
    ...PageQuery,
    query: Type.Optional(
      Type.String({
        maxLength: 64,
        description: "A part of the holder's name, or the beginning of the serial.",
      }),
    ),
    profile: Type.Optional(Type.String({ maxLength: 64 })),
  },
  { additionalProperties: false },
);

const IssueBody = Type.Object(
  {
    profile: Type.String(),
    csr: Type.String({ description: 'PKCS#10, as PEM or as base64 of the DER.' }),
    serialNumber: Type.Optional(Type.String({ description: 'Of the device; for device profiles.' })),
    hwType: Type.Optional(Type.String()),
    hwSerialNum: Type.Optional(Type.String({ description: 'base64' })),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        pattern: PLAIN_TEXT,
        description: 'Of the server or operator.',
      }),
    ),
    dns: Type.Optional(Type.Array(Type.String(), { maxItems: 100 })),
    ip: Type.Optional(Type.Array(Type.String(), { maxItems: 100 })),
    role: Type.Optional(Type.Enum([...ROLES], { description: 'What an operator certificate signs in as.' })),
  },
  { additionalProperties: false },
);

const Issued = Type.Object({
  serial: Type.String(),
  certificate: Type.String({ description: 'PEM.' }),
  chain: Type.Array(Type.String(), { description: 'PEM, without the root.' }),
  notGranted: Type.Array(Type.String()),
});

export interface CertificateRoutes {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly enroll: Enroller;
  readonly issueService: ServiceIssuer;
  readonly authenticate: Authenticate;
}

export function mountCertificates(app: FastifyInstance, routes: CertificateRoutes): void {
  const { ledger, issuing, authenticate } = routes;

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/certificates',
    {
      schema: {
        summary: 'List certificates, newest first',
        tags: ['certificates'],
        querystring: ListQuery,
        response: { 200: pageOf(CertificateSummary) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const page = await ledger.read.searchCertificates(request.query);
      return { ...page, items: await summarize(ledger.read, page.items) };
    },
  );

  app.get<{ Params: { serial: string } }>(
    '/certificates/:serial',
    {
      schema: {
        summary: 'One certificate with its chain',
        tags: ['certificates'],
        params: Type.Object({ serial: Type.String({ maxLength: 64 }) }),
        response: {
          200: Type.Object({
            ...CertificateSummary.properties,
            certificate: Type.String(),
            chain: Type.Array(Type.String()),
          }),
        },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const serial = parseCertificateSerial(request.params.serial);
      const record = await ledger.read.findBySerial(Buffer.from(serial, 'hex'));
      const certificate = record && certificateOf(record, issuing.authorities);
      const authority = record && issuing.authorities.get(record.authority);
      if (!record || !certificate || !authority)
        throw new BirthmarkError('not-found', `no certificate here has serial ${serial}`);
      const [summary] = await summarize(ledger.read, [record]);
      if (!summary) throw new BirthmarkError('internal', 'a certificate has no summary');
      return {
        ...summary,
        certificate: toPem('CERTIFICATE', certificate),
        chain: chainBelowRoot(authority).map(toCertificatePem),
      };
    },
  );

  app.post<{ Body: Static<typeof IssueBody> }>(
    '/certificates',
    {
      schema: {
        summary: 'Issue a certificate by hand',
        description:
          "Role admin. Operator certificates only on the authority's own machine (birthmark issue).",
        tags: ['certificates'],
        body: IssueBody,
        response: { 201: Issued },
      },
    },
    async (request, reply) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      return reply.code(201).send(await issueByHand(request.body, caller, routes));
    },
  );
}

async function issueByHand(
  body: Static<typeof IssueBody>,
  caller: Caller,
  { issuing, enroll, issueService }: CertificateRoutes,
): Promise<Static<typeof Issued>> {
  const profile = issuing.profile(body.profile);
  refuseIdleMembers(body, profile);
  const csr = parseCsrText(body.csr);
  if (isDeviceKind(profile.kind)) {
    if (body.serialNumber === undefined) {
      throw new BirthmarkError('bad-request', 'serialNumber is missing: which device is it?', {
        field: 'serialNumber',
      });
    }
    const serialNumber = parseSerialNumber(body.serialNumber);
    const hardware = parseHardware(body.hwType, body.hwSerialNum, profile);
    const [outcome] = await enroll(
      [{ device: { namespace: OWN_NAMESPACE, serialNumber }, profile, csr, ...(hardware && { hardware }) }],
      operatorAdmission(caller.actor),
    );
    if (outcome === undefined || outcome instanceof BirthmarkError)
      throw outcome ?? new BirthmarkError('internal', 'no outcome');
    return toIssued(outcome);
  }
  if (profile.kind === 'operator' && !caller.local) {
    throw new BirthmarkError(
      'profile-not-allowed',
      "operator certificates are issued on the authority's own machine only (birthmark issue)",
      {
        field: 'profile',
      },
    );
  }
  const { dns = [], ip = [], role } = body;
  const name = body.name ?? dns[0] ?? ip[0];
  if (name === undefined) {
    throw profile.kind === 'server'
      ? new BirthmarkError(
          'name-invalid',
          'a server certificate needs a DNS name or an IP address: give dns or ip',
          {
            field: 'dns',
          },
        )
      : new BirthmarkError('bad-request', 'name is missing: who holds the certificate?', { field: 'name' });
  }
  return toIssued(await issueService({ profile, csr, name, dns, ip, ...(role && { role }) }, caller.actor));
}

/** What a profile makes nothing of is refused: who gave it would think that the certificate has it. */
function refuseIdleMembers(body: Static<typeof IssueBody>, { name, kind }: Profile): void {
  const device = ['serialNumber', 'hwType', 'hwSerialNum'] as const;
  const service = ['name', 'dns', 'ip', 'role'] as const;
  for (const field of isDeviceKind(kind) ? service : device) {
    if (body[field] === undefined) continue;
    throw new BirthmarkError('bad-request', `${field} means nothing for profile ${name}; leave it out`, {
      field,
    });
  }
  if (kind !== 'operator' && body.role !== undefined)
    throw new BirthmarkError('bad-request', 'role is for operators only; leave it out', { field: 'role' });
}

function toIssued(answer: {
  readonly serial: Uint8Array;
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];
  readonly notGranted: readonly string[];
}): Static<typeof Issued> {
  return {
    serial: toHex(answer.serial),
    certificate: toCertificatePem(answer.certificate),
    chain: answer.chain.map(toCertificatePem),
    notGranted: [...answer.notGranted],
  };
}

function toCertificatePem(der: Uint8Array): string {
  return toPem('CERTIFICATE', der);
}
