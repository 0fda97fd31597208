import { hash, timingSafeEqual } from 'node:crypto';
import { asBuffer, toHex } from '../core/bytes.ts';
import type { RandomBytes } from '../core/random.ts';

/** `bmk_`: a token, for people and scripts. `bmt_`: a ticket, for one device. A prefix lets secret scanners find leaks. */
export type SecretKind = 'bmk' | 'bmt';

export interface NewSecret {
  readonly id: string;
  /** What the owner gets to see, once. */
  readonly text: string;
  /** What is kept. */
  readonly secretHash: Uint8Array;
}

const FORM = /^(bmk|bmt)_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** A new bearer secret of 256 random bits with a public id to find it by. */
export function newSecret(kind: SecretKind, random: RandomBytes): NewSecret {
  const id = toHex(random(8));
  const secret = asBuffer(random(32)).toString('base64url');
  return { id, text: `${kind}_${id}_${secret}`, secretHash: hashSecret(secret) };
}

export interface PresentedSecret {
  readonly kind: SecretKind;
  readonly id: string;
  /** Whether it is the secret behind that hash; takes the same time for every wrong one. */
  matches(secretHash: Uint8Array): boolean;
}

/** Reads what a client presented; undefined where it has not the form of a secret of ours. */
export function readSecret(text: string): PresentedSecret | undefined {
  const [, kind, id, secret] = FORM.exec(text) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const presented = hashSecret(secret);
  return {
    kind: kind === 'bmk' ? 'bmk' : 'bmt',
    id,
    matches: (secretHash) => secretHash.length === presented.length && timingSafeEqual(presented, secretHash),
  };
}

/** One SHA-256 is enough: 256 random bits cannot be guessed, so there is nothing to slow down. */
function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
