import { join } from 'node:path';
import { KEY_FILE } from './key/file-key.ts';
import { Later } from './obtain.ts';
import { type AgentParts, credentialOf } from './parts.ts';
import type { ProbeVerdict } from './ports.ts';
import type { CredentialPaths } from './run-command.ts';
import type { Slot } from './state/state-folder.ts';

const REFUSED = ['refused-1', 'refused-2'] as const;

/** Somebody may have seen the new credential, and we do not know. */
export class Unheard extends Later {}

/** Where what is in a slot lies. */
function pathsOf({ state, keysAreFiles }: AgentParts, folder: string): CredentialPaths {
  return {
    ...(keysAreFiles && { key: join(folder, KEY_FILE) }),
    certificate: join(folder, 'certificate.pem'),
    trust: state.trustFile,
  };
}

/**
 * Puts a credential that was obtained on trial, if TLS with the authority takes it. It is current before anybody can have seen
 * it in use: a device that goes on with its old credential long after the new one was seen is taken for two (docs/rotation.md),
 * and nobody can say whether this agent will still be there, or the authority be reached, to change it in time.
 *
 * @throws Later where it is not current: it is `next` still, or given up after three refusals
 */
export async function beginTrial(parts: AgentParts, next: Slot): Promise<void> {
  const { state, authority } = parts;
  const verdict = await authority.rehearse(credentialIn(parts, next));
  if (verdict.kind !== 'accepted') {
    if (verdict.kind === 'refused' && !countRefusal(parts, next)) state.dropNext();
    throw failed(parts, verdict);
  }
  state.switchTo(next);
}

/**
 * Uses the current credential where it must work: at who verifies it, then at the authority. Refused, the device goes back to the
 * one before, three times at most; while nobody answers it stays where it is, since it may have been seen. Whoever keeps a credential
 * in memory is told before the authority is, and told again when it goes back.
 *
 * Where it was let in and only the authority's word on that is missing, it works: asking again would use it again.
 *
 * @throws Later after it was refused, Unheard while nobody answers
 */
export async function endTrial(parts: AgentParts, current: Slot): Promise<void> {
  const { state, probes, authority, tell } = parts;
  const before = state.previous();
  const credential = credentialIn(parts, current);
  const paths = pathsOf(parts, current.folder);
  let verdict: ProbeVerdict = { kind: 'accepted' };
  for (const probe of probes) {
    verdict = await probe(credential, paths);
    if (verdict.kind !== 'accepted') break;
  }
  if (verdict.kind !== 'refused') await announce(parts);
  if (verdict.kind === 'accepted') {
    const word = await authority.confirm(credential);
    if (word.kind === 'refused' || probes.length === 0) verdict = word;
  }
  if (verdict.kind === 'accepted') {
    state.prove(current);
    const detail = `the credential is in ${join(state.path, 'current')}`;
    tell({ level: 'info', event: before ? 'renewed' : 'enrolled', detail });
    return;
  }
  const failure = failed(parts, verdict);
  if (verdict.kind === 'unclear') throw new Unheard(failure.message);
  state.goBack(current, { tryAgain: countRefusal(parts, current) });
  if (before) tell({ level: 'warn', event: 'went-back', detail: 'the credential before is current again' });
  await announce(parts);
  throw failure;
}

/** Tells who uses the credential, until that worked once. */
export async function announce(parts: AgentParts): Promise<void> {
  const { state } = parts;
  const current = state.current();
  if (!current || current.has('announced')) return;
  if (await parts.announce(pathsOf(parts, join(state.path, 'current')))) state.mark(current, 'announced');
}

/** Whether it may be tried again; that is written before anything else becomes of it. */
function countRefusal({ state, tell }: AgentParts, slot: Slot): boolean {
  const mark = REFUSED.find((one) => !slot.has(one));
  if (mark) state.mark(slot, mark);
  else tell({ level: 'warn', event: 'dropped', detail: 'the new credential was refused three times' });
  return mark !== undefined;
}

function failed({ tell }: AgentParts, { detail }: Exclude<ProbeVerdict, { kind: 'accepted' }>): Later {
  tell({ level: 'warn', event: 'probe-failed', detail });
  return new Later(`the new credential does not work yet: ${detail}`);
}

function credentialIn(parts: AgentParts, slot: Slot) {
  const credential = credentialOf(parts, slot);
  if (!credential) throw new Error('a credential without a certificate cannot be tried');
  return credential;
}
