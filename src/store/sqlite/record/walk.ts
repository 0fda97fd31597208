import { BirthmarkError } from '../../../core/errors.ts';
import { type Before, decodeFrame, type Frame, hashMember } from './frame.ts';
import { decodeMember } from './gzip-member.ts';
import type { RecordHead } from './head.ts';
import type { RecordFile } from './record-file.ts';

/** A frame of the chain, or that the record's end is torn: begun when the power went, never synced whole, never committed. */
export type Step = { readonly frame: Frame; readonly head: RecordHead } | { readonly torn: number };

export interface WalkOptions {
  /**
   * The point is the head of the ledger that writes this record, and no older copy's. Of such a one the frame right behind
   * its head was never committed, since that comes after the sync: damaged in whatever way, it is torn where it is the last.
   */
  readonly isLatest?: boolean;
}

/**
 * Goes through the frames behind a point of the chain, in order, each held to the one before it.
 *
 * @throws BirthmarkError `record-broken` where a frame is damaged that others follow
 */
export function* walkFrames(
  file: RecordFile,
  from: Before & { readonly end: number },
  size: number,
  { isLatest = false }: WalkOptions = {},
): Generator<Step> {
  let before = from;
  while (before.end < size) {
    const begin = before.end;
    const member = file.memberAt(begin, size);
    const frame = typeof member === 'string' ? `is ${member}` : decodeFrame(member, before);
    if (typeof member === 'string' || typeof frame === 'string') {
      const end = typeof member === 'string' ? size : begin + member.length;
      const isUncommitted = isLatest && before === from && isDamaged(member) && file.isLast(begin, size);
      if (member === 'torn' || (end === size && isUnwritten(member)) || isUncommitted) {
        yield { torn: begin };
        return;
      }
      throw broken(file.path, before.sequence + 1, begin, String(frame));
    }
    const head = { sequence: frame.sequence, hash: hashMember(member), begin, end: begin + member.length };
    yield { frame, head };
    before = head;
  }
}

/** What is whole and follows something else was written as it is, and not by this ledger. */
function isDamaged(member: Buffer | 'torn' | 'damaged'): boolean {
  return typeof member === 'string' || decodeMember(member) === undefined;
}

/** The file had grown, and the octets at its end had not come yet. */
function isUnwritten(member: Buffer | 'damaged'): boolean {
  return member !== 'damaged' && member.subarray(-8).every((octet) => octet === 0);
}

function broken(path: string, sequence: number, offset: number, how: string): BirthmarkError {
  return new BirthmarkError(
    'record-broken',
    `frame ${sequence} of the record ${path}, at octet ${offset}, ${how}: what follows it cannot be trusted; put back a ` +
      'whole copy of the record. If there is none: birthmark restore --begin-record',
  );
}
