import type { Actor } from '../../core/audit.ts';
import type { Page, PageRequest } from '../../core/unit-of-work.ts';
import type { FindingKind } from '../campaign/selection.ts';

/** One look at every device of the ledger. Times in milliseconds since the epoch. */
export interface HygieneScan {
  readonly id: number;
  /** Which tests, and of which version: another text means that an old scan says less than a new one would. */
  readonly tests: string;
  readonly startedAt: number;
  readonly startedBy: Actor;
  /** Devices up to this row were looked at, of those up to `lastDevice`. */
  readonly through: number;
  readonly lastDevice: number;
  /** What was looked at. */
  readonly devices: number;
  readonly certificates: number;
  readonly rsaKeys: number;
  readonly endedAt?: number;
  /** What became of the search for primes that moduli share. */
  readonly primes?: string;
}

export type ScanMove = Partial<
  Pick<HygieneScan, 'through' | 'devices' | 'certificates' | 'rsaKeys' | 'endedAt' | 'primes'>
>;

/** Something about one certificate that stands. */
export interface Finding {
  readonly kind: FindingKind;
  /** The certificate's row, and its device's. */
  readonly certificateId: number;
  readonly deviceId: number;
  /** For people. Gives no factor of a modulus away. */
  readonly detail: string;
  readonly foundAt: number;
}

export interface FindingCount {
  readonly kind: FindingKind;
  readonly certificates: number;
  readonly devices: number;
}

export interface HygieneReads {
  /** The one that was started last. */
  latestScan(): Promise<HygieneScan | undefined>;
  /** The row of the newest device; 0 where there is none. */
  newestDevice(): Promise<number>;
  /** Those kinds of which there is something. */
  countFindings(): Promise<readonly FindingCount[]>;
  /** In the order of certificates. */
  listFindings(kind: FindingKind, page: PageRequest): Promise<Page<Finding>>;
}

export interface HygieneWrites extends HygieneReads {
  addScan(scan: Pick<HygieneScan, 'tests' | 'startedAt' | 'startedBy' | 'lastDevice'>): Promise<HygieneScan>;
  moveScan(id: number, move: ScanMove): Promise<void>;
  /** Takes away all that was found of these devices before. */
  dropFindings(deviceIds: readonly number[]): Promise<void>;
  /** The newest word on a certificate and kind stays. */
  addFindings(findings: readonly Finding[]): Promise<void>;
}
