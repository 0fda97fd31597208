import { BirthmarkError } from '../../../core/errors.ts';
import { type Before, decodeFrame, type Frame, hashMember } from './frame.ts';
import type { RecordHead } from './head.ts';
import type { RecordFile } from './record-file.ts';

/** A frame of the chain, or that the record's end is torn: begun when the power went, never synced, never committed. */
export type Step = { readonly frame: Frame; readonly head: RecordHead } | { readonly torn: number };

/**
 * Goes through the frames behind a point of the chain, in order, each held to the one before it.
 *
 * @throws BirthmarkError `record-broken` where a frame is damaged that others follow
 */
export function* walkFrames(
  file: RecordFile,
  from: Before & { readonly end: number },
  size: number,
): Generator<Step> {
  let before = from;
  while (before.end < size) {
    const begin = before.end;
    const member = file.memberAt(begin, size);
    const frame = typeof member === 'string' ? `is ${member}` : decodeFrame(member, before);
    if (typeof member === 'string' || typeof frame === 'string') {
      const end = typeof member === 'string' ? size : begin + member.length;
      if (member === 'torn' || (end === size && isUnwritten(member))) {
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
