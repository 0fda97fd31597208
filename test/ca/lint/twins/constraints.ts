import { type Der, primitive, sequence } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { boolean, integer, oid } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { extend } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const constraints = (...parts: readonly Der[]) =>
  extend({ basicConstraints: x509.extension('2.5.29.19', true, sequence(...parts)) });
const policies = (...oids: readonly string[]) =>
  extend({ certificatePolicies: x509.certificatePolicies(oids) });
const RESIDENCY = '2.23.133.11.1.1';
const FIXED = '2.23.133.11.1.2';
const RESTRICTED = '2.23.133.11.1.3';
const OTHER = '1.3.6.1.4.1.99999.2';

export const constraintTwins: readonly Twin[] = [
  {
    rule: 'basic-constraints.malformed',
    kind: 'ca',
    accepts: constraints(boolean(true), integer(0)),
    refuses: constraints(boolean(true), primitive(TAG.integer, Uint8Array.of(0xff))),
  },
  { rule: 'basic-constraints.ca', kind: 'idevid', refuses: constraints(boolean(true)) },
  {
    rule: 'basic-constraints.path-length-without-ca',
    kind: 'server',
    accepts: constraints(),
    refuses: constraints(integer(0)),
  },
  { rule: 'device.basic-constraints.present', kind: 'idevid', refuses: constraints() },
  { rule: 'ca.basic-constraints.missing', kind: 'ca', refuses: extend({ basicConstraints: undefined }) },
  { rule: 'ca.basic-constraints.missing', kind: 'ca', refuses: constraints() },
  {
    rule: 'ca.basic-constraints.not-critical',
    kind: 'ca',
    refuses: extend({
      basicConstraints: x509.extension('2.5.29.19', false, sequence(boolean(true), integer(0))),
    }),
  },
  {
    rule: 'ca.path-length.missing',
    kind: 'ca',
    accepts: constraints(boolean(true), integer(3)),
    refuses: constraints(boolean(true)),
  },
  { rule: 'certificate-policies.malformed', kind: 'idevid', accepts: policies(OTHER), refuses: policies() },
  {
    rule: 'certificate-policies.malformed',
    kind: 'idevid',
    refuses: extend({ certificatePolicies: x509.extension('2.5.29.32', false, sequence(oid(OTHER))) }),
  },
  {
    rule: 'certificate-policies.duplicate',
    kind: 'idevid',
    accepts: policies(OTHER),
    refuses: policies(OTHER, OTHER),
  },
  {
    rule: 'device.certificate-policies.critical',
    kind: 'idevid',
    accepts: policies(OTHER),
    refuses: extend({
      certificatePolicies: x509.extension('2.5.29.32', true, sequence(sequence(oid(OTHER)))),
    }),
  },
  {
    rule: 'certificate-policies.qualifiers',
    kind: 'idevid',
    accepts: policies(OTHER),
    refuses: extend({
      certificatePolicies: x509.extension(
        '2.5.29.32',
        false,
        sequence(
          sequence(
            oid(OTHER),
            sequence(
              sequence(oid('1.3.6.1.5.5.7.2.1'), primitive(TAG.ia5String, Buffer.from('http://cps.example'))),
            ),
          ),
        ),
      ),
    }),
  },
  ...[FIXED, RESTRICTED].map(
    (binding): Twin => ({
      rule: 'certificate-policies.not-attested',
      kind: 'idevid',
      accepts: policies(RESIDENCY, binding),
      attested: [RESIDENCY, binding],
      refuses: policies(RESIDENCY, binding),
    }),
  ),
  {
    rule: 'device.certificate-policies.tpm-incomplete',
    kind: 'idevid',
    accepts: policies(RESIDENCY, FIXED),
    attested: [RESIDENCY, FIXED],
    refuses: policies(RESIDENCY),
    also: ['certificate-policies.not-attested'],
  },
];
