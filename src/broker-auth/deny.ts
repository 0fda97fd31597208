import type { DenialReason, Denied } from './decide.ts';

/**
 * A denial.
 *
 * @param detail for people who run the broker: names the rule
 * @param told what is known of the client by then
 */
export function deny(reason: DenialReason, detail: string, told: Partial<Denied> = {}): Denied {
  return { allow: false, reason, detail, ...told };
}
