import { webcrypto } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type CrlFrame, openCrl } from '../../x509/crl-frame.ts';
import { readIssuingDistributionPoint } from '../../x509/distribution-point.ts';
import { signatureFaultLater } from '../../x509/path/check-signature.ts';
import {
  dateEvidence,
  EVIDENCE_SKEW_MS,
  type EvidenceClock,
  type EvidenceDates,
  isClockBack,
} from './date-evidence.ts';
import type { ListIssuer } from './list-issuer.ts';
import { type ListTable, readListTable } from './list-table.ts';

/** A list that was verified, and what was read of it. */
export interface HeldList extends EvidenceDates {
  readonly frame: Omit<CrlFrame, 'raw' | 'signedOctets' | 'signature' | 'verifiedBy'>;
  readonly table: ListTable;
  /** SHA-256 of the whole, hexadecimal. */
  readonly sha256: string;
}

/** The lists of one CA and scope: the complete one, and what changed since. */
export interface ListSlot {
  readonly issuer: ListIssuer;
  /** The octets of issuingDistributionPoint, as text: lists are of one scope where they are the same. */
  readonly scope: string;
  base: HeldList | undefined;
  delta: HeldList | undefined;
}

export type ListOutcome =
  | { readonly outcome: 'taken'; readonly slot: ListSlot; readonly list: HeldList }
  /** It is there already. */
  | { readonly outcome: 'known'; readonly slot: ListSlot; readonly list: HeldList }
  /** What was there stays. */
  | { readonly outcome: 'refused'; readonly why: string };

export interface ListStoreOptions extends EvidenceClock {
  readonly issuers: readonly ListIssuer[];
  /** Told of each list that was taken, once it is in its place. */
  readonly onTaken?: (slot: ListSlot, list: HeldList, der: Uint8Array) => void;
}

/** Lists that were verified, in memory. */
export interface ListStore {
  /**
   * Takes a list in the place of the one before it, as a whole, once it was found to be good: signed by its CA, of a form that may be
   * used, not of the future, and not older than what is held of its scope. Never throws for what the octets are.
   *
   * @param der one CertificateList
   * @param kept it was taken once, by a clock that was right: now it may seem to come from the future
   */
  offer(der: Uint8Array, kept?: boolean): Promise<ListOutcome>;
  /** By the key identifier of the CA, hexadecimal; undefined for a CA whose lists are not looked for. */
  slotsOf(issuerKeyId: string): readonly ListSlot[] | undefined;
  readonly slots: Iterable<ListSlot>;
  /** Another number whenever a scope was added. */
  readonly generation: number;
  readonly issuers: readonly ListIssuer[];
}

/** Far above any list that a gate can hold. */
export const MOST_LIST_OCTETS = 64 * 1024 * 1024;
/** Of all CAs together: who names more scopes than that is not believed. */
const MOST_SLOTS = 4096;

export function createListStore(options: ListStoreOptions): ListStore {
  const { issuers, onTaken } = options;
  const byIssuer = new Map<string, ListSlot[]>(issuers.map(({ keyIdText }) => [keyIdText, []]));
  let generation = 0;
  let count = 0;
  let before: Promise<unknown> = Promise.resolve();

  async function take(der: Uint8Array, isKept: boolean): Promise<ListOutcome> {
    if (der.length > MOST_LIST_OCTETS) return refused(`it has more than ${MOST_LIST_OCTETS} octets`);
    const sha256 = toHex(new Uint8Array(await webcrypto.subtle.digest('SHA-256', new Uint8Array(der))));
    const opened = openCrl(der);
    const { frame, defects } = opened;
    const { distributionPoint: idp, thisUpdate, nextUpdate } = frame;
    const [defect] = defects;
    if (defect !== undefined) return refused(`it must not be used: ${defect}`);
    if (nextUpdate === undefined) return refused('it has no nextUpdate');
    if (idp?.indirectCrl) return refused('it is indirect, and the gate takes a CA’s own lists only');
    if (idp?.onlyContainsAttributeCerts) return refused('it is of attribute certificates');
    if (!isKept && thisUpdate > options.clock() + EVIDENCE_SKEW_MS) return refused('it is from the future');
    const issuer = await signerOf(frame);
    if (typeof issuer === 'string') return refused(issuer);
    const slots = byIssuer.get(issuer.keyIdText) ?? [];
    const found = slots.find(({ scope }) => scope === frame.scope);
    const held = frame.baseNumber === undefined ? found?.base : found?.delta;
    if (found && held?.sha256 === sha256) return { outcome: 'known', slot: found, list: redate(found, held) };
    const older = held && olderFault(frame, held.frame);
    if (older !== undefined) return refused(older);
    const { table, unusable } = await readListTable(opened, issuer.keyId);
    if (unusable !== undefined) return refused(`it must not be used: ${unusable}`);
    const { raw: _raw, signedOctets: _signed, signature: _signature, verifiedBy: _by, ...kept } = frame;
    const list = { frame: detach(kept), table, sha256, ...dateEvidence(thisUpdate, nextUpdate, options) };
    const slot = found ?? add(issuer, slots, frame.scope);
    if (!slot) return refused(`there are more than ${MOST_SLOTS} scopes`);
    if (frame.baseNumber === undefined) slot.base = list;
    else slot.delta = list;
    onTaken?.(slot, list, der);
    return { outcome: 'taken', slot, list };
  }

  /** What was read while the clock stood too early gets its dates once that is mended; nothing else gets younger. */
  function redate(slot: ListSlot, held: HeldList): HeldList {
    if (held.until !== Number.NEGATIVE_INFINITY || isClockBack(options)) return held;
    const { thisUpdate, nextUpdate = thisUpdate } = held.frame;
    const list = { ...held, ...dateEvidence(thisUpdate, nextUpdate, options) };
    if (held === slot.base) slot.base = list;
    else slot.delta = list;
    return list;
  }

  function add(issuer: ListIssuer, slots: ListSlot[], scope: string): ListSlot | undefined {
    if (count >= MOST_SLOTS) return undefined;
    const slot = { issuer, scope, base: undefined, delta: undefined };
    slots.push(slot);
    byIssuer.set(issuer.keyIdText, slots);
    count += 1;
    generation += 1;
    return slot;
  }

  /** A CA may have had several keys under one name. */
  async function signerOf(frame: CrlFrame): Promise<ListIssuer | string> {
    const named = issuers.filter(({ certificate }) => certificate.subjectKey === frame.issuerKey);
    let why = 'it is of a CA whose lists are not looked for';
    for (const issuer of named) {
      const fault = await signatureFaultLater(frame, issuer.certificate);
      if (!fault) return issuer;
      why = fault.detail;
    }
    return why;
  }

  return {
    offer(der, isKept = false) {
      const next = before.then(() =>
        take(der, isKept).catch((error: unknown) => {
          if (error instanceof BirthmarkError) return refused(`it cannot be read: ${error.message}`);
          throw error;
        }),
      );
      // One after the other: what is older than another one must be found to be so.
      before = next.catch(() => undefined);
      return next;
    },
    slotsOf: (issuerKeyId) => byIssuer.get(issuerKeyId),
    get slots() {
      return [...byIssuer.values()].flat();
    },
    get generation() {
      return generation;
    },
    issuers,
  };
}

/** RFC 5280 §5.2.3: numbers of one CA and scope only grow. */
function olderFault(frame: CrlFrame, held: HeldList['frame']): string | undefined {
  const { number = -1n, thisUpdate } = frame;
  const { number: heldNumber = -1n } = held;
  if (number < heldNumber) return `its number ${number} is below ${heldNumber}, which is held`;
  if (thisUpdate < held.thisUpdate) return 'it is older than the one that is held';
  if (number === heldNumber && thisUpdate === held.thisUpdate)
    return `another list with number ${number} of the same time is held`;
  return undefined;
}

/** Views into a list would keep all of it in memory. */
function detach<T extends Pick<CrlFrame, 'issuer' | 'scope' | 'distributionPoint'>>(frame: T): T {
  const { issuer, scope } = frame;
  const distributionPoint =
    scope === '' ? undefined : readIssuingDistributionPoint(new Uint8Array(Buffer.from(scope, 'latin1')));
  return { ...frame, issuer: Uint8Array.from(issuer), distributionPoint };
}

function refused(why: string): ListOutcome {
  return { outcome: 'refused', why };
}
