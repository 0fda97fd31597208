import { BirthmarkError } from '../../src/core/errors.ts';

/** The code with which a call refuses, or `accepted`. Any other error than ours is a fault and goes on. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
  return 'accepted';
}
