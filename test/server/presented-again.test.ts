import { expect, test } from 'vitest';
import type { BirthmarkError } from '../../src/core/errors.ts';
import type { EnrollmentResult } from '../../src/enroll/enroller.ts';
import { findLabel } from '../../src/enroll/label.ts';
import { living } from '../fleet/rotation/living.ts';
import { newCsr } from '../house.ts';
import { startTestServer, type TestServer } from './test-server.ts';

const GRACE_MS = 3_600_000;

const come = ({ options: { devices, labels } }: TestServer, { certificate }: EnrollmentResult) =>
  devices
    .enroll({
      label: findLabel(labels),
      operation: 'enroll',
      csr: newCsr(),
      peer: { certificate: { leaf: certificate, chain: [], via: 'tls' } },
      door: 'api',
      bound: false,
    })
    .then(() => 'granted')
    .catch(({ code }: BirthmarkError) => code);

test('a certificate that was retired and comes to a door again is refused and tells that two hold the identity, once', async () => {
  await using server = await startTestServer();
  const life = living(server.house);
  const { ldevid: a } = await life.enrolled('SN-1');
  const b = await life.come(a, { renews: true });
  await life.see(b);
  server.house.clock.pass(GRACE_MS);
  await life.retire();
  expect(await come(server, a)).toBe('certificate-revoked');
  expect([await life.status(b), await life.state('SN-1')]).toEqual(['held', 'quarantined']);
  expect(await come(server, a)).toBe('certificate-revoked');
  expect(await life.incidents()).toEqual(['two-holders device:own/SN-1']);
});

test('one that was revoked for another reason is refused and tells nothing', async () => {
  await using server = await startTestServer();
  const life = living(server.house);
  const { idevid, ldevid: a } = await life.enrolled('SN-1');
  const b = await life.come(idevid);
  await server.house.revoker({ by: { kind: 'serial', serial: a.serial }, act: 'revoke' }, 'operator:anna');
  expect(await come(server, a)).toBe('certificate-revoked');
  expect([await life.status(b), await life.incidents()]).toEqual(['good', []]);
});

test('an explanation of an admission changes nothing', async () => {
  await using server = await startTestServer();
  const life = living(server.house);
  const { ldevid: a } = await life.enrolled('SN-1');
  const b = await life.come(a, { renews: true });
  const { devices, labels } = server.options;
  const peer = { certificate: { leaf: b.certificate, chain: [], via: 'tls' } } as const;
  const asked = {
    label: findLabel(labels),
    operation: 'enroll',
    csr: newCsr(),
    peer,
    door: 'api',
    bound: false,
  } as const;
  expect((await devices.explain(asked)).refused).toBeUndefined();
  expect(await life.rotations('SN-1')).toEqual(['open']);
  await devices.enroll(asked);
  expect(await life.rotations('SN-1')).toEqual(['used', 'open']);
});
