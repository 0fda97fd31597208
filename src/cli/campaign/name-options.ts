import { BirthmarkError } from '../../core/errors.ts';

/** What the API calls that which the options of `campaign plan` say. */
const OPTIONS: Readonly<Record<string, string>> = {
  selection: 'the selection',
  'selection.key': '--spki',
  'selection.issuer': '--issuer',
  'selection.profile': '--profile',
  'selection.batch': '--batch',
  'selection.model': '--model',
  'selection.namespace': '--namespace',
  'selection.device': '--query',
  'selection.issuedFrom': '--issued-from',
  'selection.issuedBefore': '--issued-before',
  'selection.lineage': '--lineage',
  'selection.notSeenSince': '--not-seen-since',
  'selection.keyAlgorithms': '--key-algorithm',
  'selection.finding': '--finding',
  'wanted.keyAlgorithms': '--to',
  'wanted.issuer': '--to-issuer',
  reason: '--reason',
  firstWave: '--first-wave',
  waveSize: '--wave-size',
  ratePerMinute: '--rate',
  gatePercent: '--gate',
  gateWaitSeconds: '--gate-wait',
  deadlineSeconds: '--deadline',
};

/** A member of a plan as refusals write it: by its way, or, where the API's schema speaks, as their first word. */
const MEMBER = /\b(?:plan\.)?((?:selection|wanted)\.[a-zA-Z]+)|\bplan\.([a-zA-Z]+)|^([a-zA-Z]+)(?= must )/g;

/** The refusal of a plan, in the words of who gave options. */
export function nameOptions({ code, message, field }: BirthmarkError): BirthmarkError {
  const named = message.replace(MEMBER, (whole, ...found: unknown[]) => {
    const member = found.slice(0, 3).find((one) => typeof one === 'string');
    return OPTIONS[String(member)] ?? whole;
  });
  return new BirthmarkError(code, named, field === undefined ? {} : { field });
}
