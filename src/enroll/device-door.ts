import type { CertificateRecord } from '../ca/ports.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { UseNoter } from '../fleet/rotation/note-use.ts';
import type { Admission } from './admission.ts';
import { type AdmissionStep, type AdmitOptions, type Application, admitDevice } from './admit-device.ts';
import type { Enroller, EnrollmentRequest, EnrollmentResult } from './enroller.ts';
import type { Identify } from './identify.ts';
import type { Ledger } from './ports.ts';
import { refusedRequest } from './refused-act.ts';

/** Enrolls one device by what vouches for it: the way of EST and of `POST /enroll`. */
export interface DeviceDoor {
  /** @throws BirthmarkError as `admitDevice` and as the outcomes of `Enroller` */
  enroll(application: Application): Promise<EnrollmentResult>;
  /** What `enroll` would look at, and where it would stop. Changes nothing. */
  explain(application: Application): Promise<Explanation>;
}

export interface Explanation {
  readonly steps: readonly AdmissionStep[];
  /** Why it would be refused; absent where the ledger alone decides what is left. */
  readonly refused?: BirthmarkError;
}

export interface DeviceDoorOptions {
  readonly ledger: Ledger;
  readonly enroll: Enroller;
  readonly identify: Identify;
  readonly uses: UseNoter;
  /** Guarded against going back. */
  readonly clock: Clock;
}

export function createDeviceDoor({ ledger, enroll, identify, uses, clock }: DeviceDoorOptions): DeviceDoor {
  return {
    async enroll(application) {
      const { request, admission } = await admit(application);
      const [outcome] = await enroll([request], admission);
      if (outcome === undefined || outcome instanceof BirthmarkError)
        throw outcome ?? new BirthmarkError('internal', 'a request was left without an outcome');
      return outcome;
    },
    async explain(application) {
      const steps: AdmissionStep[] = [];
      try {
        await admitDevice(application, { identify, clock, uses, onStep: (step) => steps.push(step) });
        return { steps };
      } catch (error) {
        if (error instanceof BirthmarkError) return { steps, refused: error };
        throw error;
      }
    },
  };

  /** Who is refused although something vouched for it leaves a trace; a stranger leaves none, or it could fill the ledger. */
  async function admit(application: Application): ReturnType<typeof admitDevice> {
    let takenBack: CertificateRecord | undefined;
    let asking: Parameters<NonNullable<AdmitOptions['onVoucher']>> | undefined;
    try {
      return await admitDevice(application, {
        identify,
        clock,
        uses,
        onTakenBack: (record) => {
          takenBack = record;
        },
        onVoucher: (...who) => {
          asking = who;
        },
      });
    } catch (error) {
      if (takenBack) await notePresented(takenBack, application.door);
      if (asking && error instanceof BirthmarkError) await auditRefusal(...asking, error);
      throw error;
    }
  }

  /** A certificate that was retired and is presented again tells that another one has its key. */
  async function notePresented({ id }: CertificateRecord, door: string): Promise<void> {
    const now = clock();
    const presented = [{ certificateId: id, at: now, refused: true }];
    try {
      if (!(await uses.isNews(ledger.read, presented, now))) return;
      await ledger.write((tx) => uses.note(tx, presented, { actor: 'system', place: `door:${door}`, now }));
    } catch (error) {
      // The refusal stands; whoever comes again is noted then.
      if (!(error instanceof BirthmarkError)) throw error;
    }
  }

  async function auditRefusal(
    { actor }: Admission,
    request: Omit<EnrollmentRequest, 'csr'>,
    refused: BirthmarkError,
  ): Promise<void> {
    try {
      await ledger.write((tx) => tx.appendAudit([refusedRequest(request, actor, refused, clock())]));
    } catch (error) {
      // A refusal stands even where it cannot be recorded: the clock went back, the disk is full.
      if (!(error instanceof BirthmarkError)) throw error;
    }
  }
}
