import { ALL_KINDS, type LintRule } from '../rule.ts';
import { IOT_PROFILE, rfc5280 } from '../sources.ts';
import { isPositive } from '../view/key.ts';
import { hexOf, lengthOf } from '../view/tlv.ts';

const MIN_OCTETS = 8;
const MAX_OCTETS = 20;

export const serialRules: readonly LintRule[] = [
  {
    id: 'serial.not-positive',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.2'),
    what: 'The serial number is a positive integer.',
    check: ({ serial }) =>
      isPositive(serial) ? undefined : `the serial number ${hexOf(serial)} is zero or negative`,
  },
  {
    id: 'serial.too-long',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.2'),
    what: 'The serial number has at most 20 octets as it is encoded.',
    check: ({ serial }) =>
      lengthOf(serial) <= MAX_OCTETS
        ? undefined
        : `the serial number has ${lengthOf(serial)} octets (20 random octets with the highest bit set become 21)`,
  },
  {
    id: 'serial.too-short',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.1.2.2')}; ${IOT_PROFILE}`,
    what: 'The serial number has at least 8 octets, room for 64 random bits.',
    check: ({ serial }) => {
      const pad = serial.bytes[serial.content] === 0 ? 1 : 0;
      const octets = lengthOf(serial) - pad;
      return octets >= MIN_OCTETS
        ? undefined
        : `the serial number has ${octets} octets, which cannot hold 64 random bits`;
    },
  },
];
