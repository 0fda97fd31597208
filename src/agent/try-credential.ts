import { join } from 'node:path';
import { KEY_FILE } from './key/file-key.ts';
import { Later } from './obtain.ts';
import { type AgentParts, credentialOf } from './parts.ts';
import type { ProbeVerdict } from './ports.ts';
import type { CredentialPaths } from './run-command.ts';
import type { Slot } from './state/state-folder.ts';

const REFUSED = ['refused-1', 'refused-2'] as const;

/** The authority may have heard of the new credential, and we do not know. */
export class Unheard extends Later {}

/** Where what is in a slot lies. */
export function pathsOf({ state, keysAreFiles }: AgentParts, folder: string): CredentialPaths {
  return {
    ...(keysAreFiles && { key: join(folder, KEY_FILE) }),
    certificate: join(folder, 'certificate.pem'),
    trust: state.trustFile,
  };
}

/**
 * Makes a new credential the current one if it works. That it is about to be shown is written first: from then on the authority
 * may take the old one for retired, whatever becomes of us. Silence changes nothing; after three refusals the new credential is
 * given up, and the old one, which was never let go, is current still.
 *
 * Where it was let in and only the authority's word on that is missing, it is current: it was seen in use, and the old one,
 * if the device came with it much later, would be taken for somebody else's (docs/rotation.md).
 *
 * @throws Later, Unheard
 */
export async function tryCredential(parts: AgentParts, slot: Slot): Promise<void> {
  const { state, probes, authority } = parts;
  const credential = credentialOf(parts, slot);
  if (!credential) throw new Error('a credential without a certificate cannot be tried');
  state.mark(slot, 'offered');
  const paths = pathsOf(parts, slot.folder);
  for (const probe of probes) insistOn(await probe(credential, paths), parts, slot);
  const word = await authority.confirm(credential);
  if (word.kind === 'unclear' && probes.length === 0) throw new Unheard(notYet(word));
  if (word.kind === 'refused') insistOn(word, parts, slot);
  state.promote(slot);
}

/** @throws Later where it was not accepted */
function insistOn(verdict: ProbeVerdict, { state, tell }: AgentParts, slot: Slot): void {
  if (verdict.kind === 'accepted') return;
  tell({ level: 'warn', event: 'probe-failed', detail: verdict.detail });
  if (verdict.kind === 'refused') {
    const mark = REFUSED.find((one) => !slot.has(one));
    if (mark) state.mark(slot, mark);
    else {
      state.dropNext();
      tell({ level: 'warn', event: 'dropped', detail: 'the new credential was refused three times' });
    }
  }
  throw new Later(notYet(verdict));
}

function notYet({ detail }: { readonly detail: string }): string {
  return `the new credential does not work yet: ${detail}`;
}
