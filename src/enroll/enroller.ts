import { chainBelowRoot } from '../ca/authority.ts';
import { type Decision, type Outcome, signAndCommit } from '../ca/issue.ts';
import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { CertifiedNames } from '../ca/prepare.ts';
import type { Profile } from '../ca/profile.ts';
import { breathe } from '../core/breathe.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { IdentityRequest } from '../fleet/judge-identities.ts';
import type { DeviceKey, HardwareModule } from '../fleet/ports.ts';
import { registerIdentities } from '../fleet/register-identities.ts';
import type { NewCertificate } from '../fleet/renewal/renewal-desk.ts';
import type { Admission } from './admission.ts';
import {
  acceptKey,
  deviceHolder,
  type KeyLimits,
  proveCsr,
  type ReadCsr,
  readCsr,
  refuseOtherDevice,
} from './examine.ts';
import { notGranted } from './not-granted.ts';
import type { Ledger, LedgerTx } from './ports.ts';
import { refusedAct, refusedRequest } from './refused-act.ts';

/** What every door makes of its own message. */
export interface EnrollmentRequest {
  readonly device: DeviceKey;
  readonly model?: string;
  readonly batch?: string;
  readonly hardware?: HardwareModule;
  readonly profile: Profile;
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  /** The certificate that this one follows: its names stay. */
  readonly renewed?: RenewedCertificate;
  /** What the audit record tells beside the certificate. */
  readonly facts?: Readonly<Record<string, string>>;
}

export interface RenewedCertificate extends CertifiedNames {
  readonly serial: Uint8Array;
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
  /** Where this request made it; absent where the device had it before. */
  readonly fresh?: NewCertificate;
}

export interface EnrollerOptions {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly keyLimits: KeyLimits;
  /** See `RotationPolicy`. */
  readonly maxUnseen: number;
  /** Guarded against going back. */
  readonly clock: Clock;
}

/** Takes many requests under one admission; answers each with its result or with what was wrong with it, in order. */
export type Enroller = (
  requests: readonly EnrollmentRequest[],
  admission: Admission,
) => Promise<readonly (EnrollmentResult | BirthmarkError)[]>;

interface Read extends ReadCsr {
  readonly request: EnrollmentRequest;
}

interface Candidate extends IdentityRequest {
  readonly read: Read;
}

/**
 * Requests that go through each stage together before the event loop breathes: enough that a stage's code stays in the
 * processor's caches (one by one takes a third longer), few enough that others wait some milliseconds only.
 */
const SLICE = 16;

/**
 * The way from a request to a certificate, the same for every door: read, prove, prepare and lint; decide and reserve in
 * one unit of work; sign; commit; answer.
 */
export function createEnroller({ ledger, issuing, keyLimits, maxUnseen, clock }: EnrollerOptions): Enroller {
  return async (requests, admission) => {
    const examined: (Candidate | BirthmarkError)[] = [];
    for (let at = 0; at < requests.length; at += SLICE) {
      if (at > 0) await breathe();
      const slice = requests.slice(at, at + SLICE);
      const read = stage(slice, (request): Read => {
        const csr = readCsr(request.csr, keyLimits);
        refuseOtherDevice(csr.asked, request.device.serialNumber);
        return { request, ...csr };
      });
      const proven = stage(read, (one) => {
        proveCsr(one.csr, one.request.profile, keyLimits);
        return one;
      });
      examined.push(...stage(proven, (one) => prepareCandidate(one, issuing, keyLimits, clock())));
    }
    await auditRefusals(requests, examined, admission);
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

  /** What was refused before the ledger was asked is an act too: somebody who may enroll tried a weak key, or another's CSR. */
  async function auditRefusals(
    requests: readonly EnrollmentRequest[],
    examined: readonly (Candidate | BirthmarkError)[],
    { actor }: Admission,
  ): Promise<void> {
    try {
      const records = examined.flatMap((one, at) => {
        const request = requests[at];
        return one instanceof BirthmarkError && request ? [refusedRequest(request, actor, one, clock())] : [];
      });
      if (records.length > 0) await ledger.write((tx) => tx.appendAudit(records));
    } catch (error) {
      // A refusal stands even where it cannot be recorded: the clock went back, the disk is full.
      if (!(error instanceof BirthmarkError)) throw error;
    }
  }

  async function issue(candidates: readonly Candidate[], admission: Admission): Promise<readonly Outcome[]> {
    try {
      const decisions = await ledger.write(async (tx): Promise<Decision[]> => {
        const { actor, vouchedBy, way, replaces } = admission;
        const now = clock();
        const quota = await redeem(tx, admission, candidates);
        if (quota instanceof BirthmarkError) {
          // What waits asks again and again; that it waits was written down when it began to.
          const [first] = candidates;
          if (first && quota.code !== 'approval-waiting')
            await tx.appendAudit([refusedAct(first.read.request, candidates.length, actor, quota, now)]);
          return candidates.map(() => ({ kind: 'refused', error: quota }));
        }
        const decided = await registerIdentities(tx, candidates, {
          actor,
          vouchedBy,
          way,
          replaces,
          maxUnseen,
          quota,
          idevidProfiles: issuing.idevidProfiles,
          now,
        });
        await admission.settle(tx, {
          reserved: decided.filter(({ kind }) => kind === 'reserved').length,
          keyHashes: candidates.flatMap(({ keyHash }, at) =>
            decided[at]?.kind === 'refused' ? [] : [keyHash],
          ),
        });
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

/** How many certificates the admission may have, or why none. */
async function redeem(
  tx: LedgerTx,
  admission: Admission,
  candidates: readonly Candidate[],
): Promise<number | BirthmarkError> {
  try {
    return await admission.redeem(
      tx,
      candidates.map(({ keyHash }) => keyHash),
    );
  } catch (error) {
    if (error instanceof BirthmarkError) return error;
    throw error;
  }
}

function prepareCandidate(read: Read, issuing: IssuingRoom, keyLimits: KeyLimits, now: number): Candidate {
  const { request, csr } = read;
  const { profile, device, model, batch } = request;
  const { prepare, authority } = issuing.preparer(profile.name);
  const keyHash = acceptKey(csr, profile, keyLimits, authority.signer.spki);
  const hardware = request.hardware ?? impliedHardware(profile, device.serialNumber);
  const known = {
    ...(model === undefined ? {} : { model }),
    ...(batch === undefined ? {} : { batch }),
    ...(hardware === undefined ? {} : { hardware }),
  };
  const holder = deviceHolder(profile, csr, { ...device, ...known });
  const { renewed, facts } = request;
  const prepared = prepare(renewed ? { ...holder, names: renewed } : holder, now);
  return {
    device,
    ...known,
    ...(renewed && { renewed: renewed.serial }),
    ...(facts && { facts }),
    keyHash,
    prepared,
    read,
  };
}

/** A maker whose devices are all of one type need not say so on every line. */
function impliedHardware(profile: Profile, serialNumber: string): HardwareModule | undefined {
  return profile.hwType === undefined
    ? undefined
    : { hwType: profile.hwType, hwSerialNum: Buffer.from(serialNumber, 'latin1') };
}

function toResult(candidate: Candidate, outcome: Exclude<Outcome, BirthmarkError>): EnrollmentResult {
  const { profile, notBefore, notAfter } = candidate.prepared;
  const { serial, authority } = outcome;
  return {
    ...(!outcome.repeated && { fresh: { authority, profile: profile.name, serial, notBefore, notAfter } }),
    serialNumber: candidate.device.serialNumber,
    serial,
    certificate: outcome.certificate,
    chain: chainBelowRoot(authority),
    notGranted: notGranted(candidate.read, outcome.certificate),
  };
}

/** Takes what is still good one stage further; an error of ours stands in its place from then on. */
function stage<T, R>(items: readonly (T | BirthmarkError)[], work: (item: T) => R): (R | BirthmarkError)[] {
  return items.map((item) => {
    if (item instanceof BirthmarkError) return item;
    try {
      return work(item);
    } catch (error) {
      if (error instanceof BirthmarkError) return error;
      throw error;
    }
  });
}

function unanswered(): BirthmarkError {
  return new BirthmarkError('internal', 'a request was left without an outcome');
}
