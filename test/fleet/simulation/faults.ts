/** What went wrong, or was met, how often: a fault that never happens proves nothing. */
export const FAULTS = [
  'answer lost',
  'crash between the new key and the new certificate',
  'key lost',
  'both credentials in use',
  'door out of reach',
  'gate that never reports',
  'clock wrong by a day',
  'clock wrong by a decade',
  'off for a while',
  'off while the authority rolled over',
  'expired without any chance to renew',
  'back by the certificate that ended',
  'back by the IDevID',
  'certificate of a generation that it did not know',
  'new trust taken over',
  'thief who renews first, found',
  'thief who listens, thrown out',
  'thief turned away after the act',
  'campaign killed',
  'operator who came second',
] as const;
export type Fault = (typeof FAULTS)[number];

export type Tally = Map<Fault, number>;

export function count(tally: Tally, fault: Fault): void {
  tally.set(fault, (tally.get(fault) ?? 0) + 1);
}
