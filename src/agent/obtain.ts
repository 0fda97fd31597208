import { BirthmarkError } from '../core/errors.ts';
import { chooseKeyType } from './choose-key-type.ts';
import { judgeIssued } from './judge-issued.ts';
import { type AgentParts, credentialOf } from './parts.ts';
import type { EnrollAnswer, Voucher } from './ports.ts';
import { refreshTrust } from './refresh-trust.ts';
import type { Slot } from './state/state-folder.ts';

/** What may be different when the same is asked again. */
export class Later extends Error {
  readonly retryAfterMs: number | undefined;
  constructor(detail: string, retryAfterMs?: number) {
    super(detail);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Refusals that are about what vouched, or the key that was to be certified: somebody else, or another key, may do. */
const OF_THE_VOUCHER: ReadonlySet<string> = new Set([
  'admission-refused',
  'certificate-refused',
  'certificate-required',
  'certificate-revoked',
  'device-unknown',
  'forbidden',
  'key-blocked',
  'ticket-bound',
  'ticket-expired',
  'unauthenticated',
]);
const OF_THE_KEY: ReadonlySet<string> = new Set(['certificate-revoked', 'key-blocked', 'key-in-use']);

/**
 * Gets a certificate for the key in a slot and keeps it there. Each voucher is asked in turn: the certificate that is to be
 * renewed, then, where the authority does not take it any more, what else the device has. After a refusal another voucher comes
 * with another key, since the old identity may be in somebody else's hands.
 *
 * @param only the vouchers to use, where not all are wanted
 * @returns the slot that has the certificate now, which is another one where another key was made
 * @throws Later, BirthmarkError `renewal-refused`, `not-enrolled`, `answer-refused`
 */
export async function obtain(parts: AgentParts, started: Slot, only?: readonly Voucher[]): Promise<Slot> {
  let slot = started;
  const refusals: string[] = [];
  const vouchers = only ?? allVouchers(parts);
  for (const [at, by] of vouchers.entries()) {
    let refusal: (EnrollAnswer & { kind: 'refused' }) | undefined;
    if (at > 0) slot = another(parts);
    // A key that was begun with long ago may be what is refused; a new one is tried once.
    for (const isSecond of [false, true]) {
      const answer = await ask(parts, slot, by);
      if (answer.kind === 'later') throw new Later(answer.detail, answer.retryAfterMs);
      if (answer.kind === 'issued') {
        await keep(parts, slot, by, answer.certificate);
        return slot;
      }
      refusal = answer;
      refusals.push(`by ${by.kind} ${answer.detail}`);
      parts.tell({ level: 'warn', event: 'refused', detail: `by ${by.kind}: ${answer.detail}` });
      const mayBeKey = answer.code !== undefined && OF_THE_KEY.has(answer.code) && slot === started;
      if (isSecond || !mayBeKey) break;
      slot = another(parts);
    }
    if (refusal && !isAboutVoucher(refusal)) break;
  }
  if (refusals.length > 0) throw new BirthmarkError('renewal-refused', refusals.join('; '));
  throw new BirthmarkError(
    'not-enrolled',
    'there is nothing that vouches for this device: give a ticket, or an IDevID with its key (birthmark agent enroll --help)',
  );
}

function allVouchers(parts: AgentParts): readonly Voucher[] {
  const current = parts.state.current();
  const credential = current && credentialOf(parts, current);
  return [...(credential ? [{ kind: 'current' as const, credential }] : []), ...parts.vouchers()];
}

/** A server that has no codes of ours says it with the status alone. */
function isAboutVoucher({ status, code }: { readonly status: number; readonly code?: string }): boolean {
  return code === undefined ? status === 401 || status === 403 : OF_THE_VOUCHER.has(code);
}

function another({ state }: AgentParts): Slot {
  state.dropNext();
  return state.begin();
}

async function ask(parts: AgentParts, slot: Slot, by: Voucher): Promise<EnrollAnswer> {
  const { authority, keys, tell } = parts;
  if (!keys.has(slot.name, slot.folder)) keys.make(slot.name, slot.folder, await chooseKeyType(parts));
  tell({ level: 'info', event: 'asked', detail: `for a certificate, by ${by.kind}` });
  return authority.enroll({ by, key: keys.open(slot.name, slot.folder) });
}

async function keep(parts: AgentParts, slot: Slot, by: Voucher, certificate: Uint8Array): Promise<void> {
  const { state, keys, time } = parts;
  const judge = () =>
    judgeIssued(certificate, {
      key: keys.open(slot.name, slot.folder),
      by,
      anchors: state.readCertificates('trust.pem'),
      intermediates: state.readCertificates('intermediates.pem'),
      at: time.now(),
    });
  try {
    state.keepChain(slot, judge());
  } catch (error) {
    if (!(error instanceof BirthmarkError) || error.code !== 'answer-refused') throw error;
    // The CA that issued it may be newer than what we know.
    await refreshTrust(parts);
    state.keepChain(slot, judge());
  }
}
