import { sign } from 'node:crypto';
import { judgeIssued } from '../../../src/agent/judge-issued.ts';
import { judgeServer } from '../../../src/agent/net/judge-server.ts';
import type { Place } from '../../../src/agent/net/place.ts';
import type { Voucher } from '../../../src/agent/ports.ts';
import { type TrustUpdate, updateTrust } from '../../../src/agent/trust-update.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { SIGNATURE_DIGESTS } from '../../../src/core/signature-algorithm.ts';
import type { SampleKey } from '../../x509/samples.ts';
import type { Credential } from './credential.ts';
import { isWithin } from './spans.ts';
import type { Issued, ShownServer } from './world.ts';

/** What a device believes: roots, and the CAs below them that it was told of. Devices that were told the same share one. */
export type DeviceTrust = Pick<TrustUpdate, 'anchors' | 'intermediates'>;

/** What a fleet makes of CA certificates that it is told, by the agent's own rules; the same of the same is made once. */
export interface TrustRoom {
  refresh(before: DeviceTrust, told: readonly Uint8Array[], at: number): DeviceTrust;
  /** Whether a device takes what it was answered: judged for each trust and each issuer once, since the path is what costs. */
  takes(answer: Issued, by: Credential, trust: DeviceTrust, at: number): boolean;
  /** Whether a device believes the server, by its own time. */
  believes(server: ShownServer, trust: DeviceTrust, at: number): boolean;
}

export function openTrustRoom(place: Place): TrustRoom {
  const judged = new WeakMap<readonly Uint8Array[], { from: number; until: number; refusedFrom: number }>();
  const taken = new WeakMap<DeviceTrust, Set<string>>();
  const made = new WeakMap<DeviceTrust, WeakMap<readonly Uint8Array[], DeviceTrust>>();
  return {
    refresh(before, told, at) {
      const ofBefore = made.get(before) ?? new WeakMap<readonly Uint8Array[], DeviceTrust>();
      made.set(before, ofBefore);
      const known = ofBefore.get(told);
      if (known) return known;
      const { anchors } = before;
      const after = updateTrust(told, { anchors, at, acceptUnlinked: false, mustHold: [] });
      const isSame =
        sameSet(before.anchors, after.anchors) && sameSet(before.intermediates, after.intermediates);
      ofBefore.set(told, isSame ? before : after);
      return isSame ? before : after;
    },
    takes({ credential: { certificate, key }, issuer }, by, trust, at) {
      const names = taken.get(trust) ?? new Set<string>();
      taken.set(trust, names);
      const name = toHex(issuer);
      if (names.has(name)) return true;
      const { anchors, intermediates } = trust;
      const voucher: Voucher = {
        kind: 'idevid',
        credential: { key: deviceKey(by.key), chain: [by.certificate] },
      };
      const isRefused = refuses('answer-refused', () =>
        judgeIssued(certificate, { key: deviceKey(key), by: voucher, anchors, intermediates, at }),
      );
      if (!isRefused) names.add(name);
      return !isRefused;
    },
    believes(server, { anchors }, at) {
      const known = judged.get(anchors) ?? {
        from: Number.POSITIVE_INFINITY,
        until: 0,
        refusedFrom: Number.POSITIVE_INFINITY,
      };
      judged.set(anchors, known);
      // What was believed is so until the end of its path, and what has ended has ended.
      if (isWithin(at, [known])) return true;
      if (at >= known.refusedFrom) return false;
      const refused = refuses('server-untrusted', () => {
        known.until = judgeServer(server, place, { anchors, at }).goodUntil;
        known.from = Math.min(known.from, at);
      });
      if (refused) known.refusedFrom = at;
      return !refused;
    },
  };
}

/** Whether an act is refused with this code; any other error is a fault. */
function refuses(code: BirthmarkError['code'], act: () => void): boolean {
  try {
    act();
    return false;
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === code) return true;
    throw error;
  }
}

function deviceKey({ spki, algorithm, privateKey }: SampleKey) {
  const { name } = algorithm;
  return {
    spki,
    algorithm: name,
    sign: (tbs: Uint8Array) => sign(SIGNATURE_DIGESTS[name], tbs, privateKey),
    tls: () => ({ key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() }),
  };
}

function sameSet(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((one) => b.some((other) => Buffer.compare(one, other) === 0));
}
