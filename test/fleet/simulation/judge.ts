import type { Credential } from './credential.ts';
import type { Life, SimDevice } from './sim-device.ts';
import { isCovered, isWithin } from './spans.ts';

/** A healthy device found that its credential does not work. That is excused only by the faults that it met, and by all of them. */
export function judge(device: SimDevice, current: Credential, reason: string, life: Life): void {
  const { world, chronicle } = life;
  const { off, name, vain, failures, renewAt } = device;
  const { serial, issuer, notAfter } = current;
  const { retired } = world;
  if (
    reason === 'expired' &&
    isCovered(Math.min(renewAt, notAfter - 1), notAfter, [...off, ...world.outages, ...vain])
  ) {
    // From the moment at which it was to renew until the end it was off, or nobody was there, or the time had not come at which the
    // agent tries again what met a fault: who is switched off for weeks within hours of an outage's end has had no chance.
    chronicle.count('expired without any chance to renew');
    return;
  }
  if (reason === 'revoked' && retired?.issuer === issuer && isWithin(retired.at, off)) {
    // What was left of the old generation was taken back while it was off.
    chronicle.count('taken back while it was off');
    return;
  }
  const late = vain.filter(({ until }) => until > renewAt);
  const told = JSON.stringify({ renewAt, serial, notAfter, off, late, outages: world.outages, failures });
  chronicle.find(name, `has nothing that works: ${reason} ${told}`);
}
