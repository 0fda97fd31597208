import { isDeviceKind, type Profile } from '../ca/profile.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { EnrollmentRequest } from './enroller.ts';
import type { Role, TokenRecord } from './ports.ts';
import { matchesPattern } from './serial-pattern.ts';

/**
 * Whether a role may give a certificate of this profile, itself or by a ticket that it makes. An operator's certificate
 * is nobody's to give at a door: it comes from `birthmark issue` on the authority's own machine.
 *
 * @throws BirthmarkError `profile-not-allowed`
 */
export function assertMayGive(role: Role, profile: Profile): void {
  const may =
    isDeviceKind(profile.kind) && (role === 'admin' || (role === 'operator' && profile.kind === 'ldevid'));
  if (may) return;
  throw new BirthmarkError(
    'profile-not-allowed',
    `role ${role} may not give certificates of profile ${profile.name}`,
    { field: 'profile' },
  );
}

/**
 * Whether a factory token opens the batch door for this profile.
 *
 * @throws BirthmarkError `forbidden`, `profile-not-allowed`
 */
export function assertMayRunBatch(role: Role, token: TokenRecord | undefined, profile: Profile): void {
  if (role !== 'factory' && role !== 'admin')
    throw new BirthmarkError('forbidden', `role ${role} may not enroll batches; that is for factory tokens`);
  if (!isDeviceKind(profile.kind)) {
    throw new BirthmarkError('profile-not-allowed', `profile ${profile.name} is not for devices`, {
      field: 'profile',
    });
  }
  if (token?.profiles && !token.profiles.includes(profile.name)) {
    throw new BirthmarkError(
      'profile-not-allowed',
      `this token is for ${token.profiles.join(', ')}, not for ${profile.name}`,
      { field: 'profile' },
    );
  }
}

/**
 * Holds a line to the limits of its token, and gives it the token's batch.
 *
 * @throws BirthmarkError `serial-number-not-allowed`, `batch-not-allowed`
 */
export function admitLine(request: EnrollmentRequest, token: TokenRecord | undefined): EnrollmentRequest {
  if (!token) return request;
  const { serialPattern, batch } = token;
  const { serialNumber } = request.device;
  if (serialPattern !== undefined && !matchesPattern(serialPattern, serialNumber)) {
    throw new BirthmarkError(
      'serial-number-not-allowed',
      `this token is for serial numbers like ${serialPattern}`,
      { field: 'serialNumber' },
    );
  }
  if (batch === undefined) return request;
  if (request.batch !== undefined && request.batch !== batch) {
    throw new BirthmarkError('batch-not-allowed', `this token is for batch ${batch}`, { field: 'batch' });
  }
  return { ...request, batch };
}
