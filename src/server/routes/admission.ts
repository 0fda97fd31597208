import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { parseCsrText } from '../../enroll/csr-text.ts';
import type { DeviceDoor } from '../../enroll/device-door.ts';
import { findLabel, type Labels } from '../../enroll/label.ts';

import { parsePemBlocks } from '../../x509/pem.ts';
import { type Authenticate, assertRole } from '../caller.ts';

/** What the route needs. */
export interface AdmissionRoutes {
  readonly labels: Labels;
  readonly devices: DeviceDoor;
  readonly authenticate: Authenticate;
}

const Body = Type.Object(
  {
    certificate: Type.String({ description: "PEM: the device's certificate, and what came with it." }),
    csr: Type.String({ description: 'PKCS#10, as PEM or as base64 of the DER.' }),
    label: Type.Optional(Type.String({ default: 'default' })),
    operation: Type.Optional(Type.Enum(['enroll', 'reenroll'], { default: 'enroll' })),
  },
  { additionalProperties: false },
);

const Explained = Type.Object({
  admitted: Type.Boolean({ description: 'Whether every rule held that can be looked at beforehand.' }),
  steps: Type.Array(Type.Object({ rule: Type.String(), detail: Type.String() }), {
    description: 'The rules that held, in their order.',
  }),
  refused: Type.Optional(
    Type.Object({ code: Type.String(), detail: Type.String() }, { description: 'The rule that did not.' }),
  ),
});

/** `POST /admission/explain`: would this device be admitted, and why. Nothing is issued or recorded. */
export function mountAdmission(app: FastifyInstance, door: AdmissionRoutes): void {
  app.post<{ Body: Static<typeof Body> }>(
    '/admission/explain',
    {
      schema: {
        summary: 'Explain whether a device would be admitted',
        description: 'Looks at the rules of a label for a certificate and a CSR, as the doors do.',
        tags: ['enrollment'],
        body: Body,
        response: { 200: Explained },
      },
    },
    async (request) => {
      assertRole(await door.authenticate(request), 'admin', 'operator', 'auditor');
      const { certificate, csr, label, operation = 'enroll' } = request.body;
      const [leaf = Buffer.alloc(0), ...chain] = parsePemBlocks(certificate, ['CERTIFICATE'], 'certificate');
      const { steps, refused } = await door.devices.explain({
        label: findLabel(door.labels, label),
        operation,
        csr: parseCsrText(csr),
        peer: { certificate: { leaf, chain, via: 'tls' } },
        door: 'api',
        bound: false,
      });
      return {
        admitted: refused === undefined,
        steps: [...steps],
        ...(refused && { refused: { code: refused.code, detail: refused.message } }),
      };
    },
  );
}
