import { expect, test } from 'vitest';
import { updateTrust } from '../../src/agent/trust-update.ts';
import { encodeName } from '../../src/x509/name.ts';
import { makeAuthority, makeCertificate, NOW, type Party } from '../x509/path/make-certificate.ts';

const oldRoot = makeAuthority({ cn: 'Root' });
const newRoot = makeAuthority({ cn: 'Root' });
const renamed = makeAuthority({ cn: 'Root 2' });
const issuing = makeAuthority({ cn: 'Issuing', issuer: oldRoot });
const leaf = makeCertificate({ cn: 'device', issuer: issuing });
/** `by` vouches for the key of `of`. */
const link = (of: Party, by: Party) =>
  makeAuthority({ key: of.key, issuer: by, fields: { subject: of.name } }).der;

function update(told: readonly Uint8Array[], more: Partial<Parameters<typeof updateTrust>[1]> = {}) {
  const rules = { anchors: [oldRoot.der], at: NOW, acceptUnlinked: false, mustHold: [], ...more };
  const { anchors, refused } = updateTrust(told, rules);
  const name = (der: Uint8Array) =>
    Object.entries({ oldRoot, newRoot, renamed }).find(([, party]) => party.der.equals(der))?.[0] ?? '?';
  return { anchors: anchors.map(name).toSorted(), refused: refused.map(name) };
}

test('a new root is taken that ours vouches for (NewWithOld), of the same name or of another', () => {
  for (const root of [newRoot, renamed])
    expect(update([oldRoot.der, root.der, link(root, oldRoot), link(oldRoot, root)]).anchors).toHaveLength(2);
});

test('a new root is refused without such a certificate, and with one that somebody else made', () => {
  const stranger = makeAuthority({ cn: 'Root' });
  expect(update([oldRoot.der, newRoot.der])).toEqual({ anchors: ['oldRoot'], refused: ['newRoot'] });
  expect(update([oldRoot.der, newRoot.der, link(newRoot, stranger)]).refused).toEqual(['newRoot']);
  expect(update([oldRoot.der, newRoot.der, link(renamed, oldRoot)]).refused).toEqual(['newRoot']);
});

test('a new root is refused when the certificate that vouches for it is over', () => {
  const told = [newRoot.der, link(newRoot, oldRoot)];
  expect(update(told).refused).toEqual([]);
  expect(update(told, { at: NOW + 40 * 86_400_000 }).refused).toEqual(['newRoot']);
});

test('a new root is taken for the channel alone only where that was allowed', () => {
  expect(update([newRoot.der], { acceptUnlinked: true, mustHold: [] }).anchors).toEqual(['newRoot']);
});

test('a root that is not told any more goes, but not while something of ours stands on it', () => {
  const told = [renamed.der, link(renamed, oldRoot)];
  expect(update(told).anchors).toEqual(['renamed']);
  expect(update(told, { mustHold: [[leaf.der, issuing.der]] }).anchors).toEqual(['oldRoot', 'renamed']);
  const moved = makeAuthority({ cn: 'Issuing', issuer: renamed });
  const after = makeCertificate({ cn: 'device', issuer: moved });
  expect(update(told, { mustHold: [[after.der, moved.der]] }).anchors).toEqual(['renamed']);
});

test('nothing is lost to an answer without roots, and nothing is gained from one that cannot be read', () => {
  const mustHold = [[leaf.der, issuing.der]];
  expect(update([issuing.der], { mustHold }).anchors).toEqual(['oldRoot']);
  expect(update([oldRoot.der, Uint8Array.of(0x30, 0)], { mustHold }).anchors).toEqual(['oldRoot']);
  const forged = makeCertificate({
    issuer: { ...newRoot, key: oldRoot.key },
    fields: { subject: encodeName([{ type: 'CN', value: 'Root' }]) },
  });
  expect(update([oldRoot.der, forged.der], { mustHold }).anchors).toEqual(['oldRoot']);
});
