import { chainBelowRoot } from '../ca/authority.ts';
import { type Decision, type Outcome, signAndCommit } from '../ca/issue.ts';
import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { Profile } from '../ca/profile.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { DeviceKey, HardwareModule } from '../fleet/ports.ts';
import { type IdentityRequest, registerIdentities } from '../fleet/register-identities.ts';
import type { CertificateRequest } from '../x509/csr.ts';
import type { Admission } from './admission.ts';
import { deviceHolder, examineCsr, type KeyLimits, refuseOtherDevice } from './examine.ts';
import { notGranted } from './not-granted.ts';
import type { Ledger } from './ports.ts';

/** What every door makes of its own message. */
export interface EnrollmentRequest {
  readonly device: DeviceKey;
  readonly model?: string;
  readonly batch?: string;
  readonly hardware?: HardwareModule;
  readonly profile: Profile;
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
}

/** What every door makes its own answer of. */
export interface EnrollmentResult {
  readonly serialNumber: string;
  readonly serial: Uint8Array;
  /** Certificate, DER. */
  readonly certificate: Buffer;
  /** DER, the issuing authority first, without the root. */
  readonly chain: readonly Uint8Array[];
  /** What the CSR asked for and did not get. */
  readonly notGranted: readonly string[];
}

export interface EnrollerOptions {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly keyLimits: KeyLimits;
  /** Guarded against going back. */
  readonly clock: Clock;
}

/** Takes many requests under one admission; answers each with its result or with what was wrong with it, in order. */
export type Enroller = (
  requests: readonly EnrollmentRequest[],
  admission: Admission,
) => Promise<readonly (EnrollmentResult | BirthmarkError)[]>;

interface Candidate extends IdentityRequest {
  readonly csr: CertificateRequest;
}

/** Requests between two breaths: the event loop must not wait longer than some milliseconds for a batch. */
const BREATH = 16;

/**
 * The way from a request to a certificate, the same for every door: examine, prepare and lint; decide and reserve in one
 * unit of work; sign; commit; answer.
 */
export function createEnroller({ ledger, issuing, keyLimits, clock }: EnrollerOptions): Enroller {
  return async (requests, admission) => {
    const examined: (Candidate | BirthmarkError)[] = [];
    for (const [at, request] of requests.entries()) {
      if (at % BREATH === BREATH - 1) await breathe();
      examined.push(attempt(() => examine(request, issuing, keyLimits, clock())));
    }
    const candidates = examined.filter((one): one is Candidate => !(one instanceof BirthmarkError));
    const outcomes = candidates.length === 0 ? [] : await issue(candidates, admission);
    let next = 0;
    return examined.map((one) => {
      if (one instanceof BirthmarkError) return one;
      const outcome = outcomes[next];
      next += 1;
      return outcome === undefined || outcome instanceof BirthmarkError
        ? (outcome ?? unanswered())
        : toResult(one, outcome);
    });
  };

  async function issue(candidates: readonly Candidate[], admission: Admission): Promise<readonly Outcome[]> {
    try {
      const decisions = await ledger.write(async (tx): Promise<Decision[]> => {
        const quota = await admission.redeem(
          tx,
          candidates.map(({ keyHash }) => keyHash),
        );
        const { actor, vouchedBy } = admission;
        const now = clock();
        const decided = await registerIdentities(tx, candidates, {
          actor,
          vouchedBy,
          quota,
          idevidProfiles: issuing.idevidProfiles,
          now,
        });
        await admission.settle(tx, decided.filter(({ kind }) => kind === 'reserved').length);
        return decided;
      });
      return await signAndCommit(ledger, issuing.authorities, decisions);
    } catch (error) {
      // The whole work failed (ledger full, token revoked): the same is true of each of its requests.
      if (error instanceof BirthmarkError) return candidates.map(() => error);
      throw error;
    }
  }
}

function examine(
  request: EnrollmentRequest,
  issuing: IssuingRoom,
  keyLimits: KeyLimits,
  now: number,
): Candidate {
  const { profile, device, model, batch } = request;
  const { prepare, authority } = issuing.preparer(profile.name);
  const { csr, keyHash } = examineCsr(request.csr, profile, keyLimits, authority.signer.spki);
  refuseOtherDevice(csr, device.serialNumber);
  const hardware = request.hardware ?? impliedHardware(profile, device.serialNumber);
  const known = {
    ...(model === undefined ? {} : { model }),
    ...(batch === undefined ? {} : { batch }),
    ...(hardware === undefined ? {} : { hardware }),
  };
  const prepared = prepare(deviceHolder(profile, csr, { serialNumber: device.serialNumber, ...known }), now);
  return { device, ...known, keyHash, prepared, csr };
}

/** A maker whose devices are all of one type need not say so on every line. */
function impliedHardware(profile: Profile, serialNumber: string): HardwareModule | undefined {
  return profile.hwType === undefined
    ? undefined
    : { hwType: profile.hwType, hwSerialNum: Buffer.from(serialNumber, 'latin1') };
}

function toResult(candidate: Candidate, outcome: Exclude<Outcome, BirthmarkError>): EnrollmentResult {
  return {
    serialNumber: candidate.device.serialNumber,
    serial: outcome.serial,
    certificate: outcome.certificate,
    chain: chainBelowRoot(outcome.authority),
    notGranted: notGranted(candidate.csr, outcome.certificate),
  };
}

function attempt<T>(work: () => T): T | BirthmarkError {
  try {
    return work();
  } catch (error) {
    if (error instanceof BirthmarkError) return error;
    throw error;
  }
}

function unanswered(): BirthmarkError {
  return new BirthmarkError('internal', 'a request was left without an outcome');
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
