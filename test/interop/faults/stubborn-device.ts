// A device that asks until it is answered, and then asks again: what it has must not change by that.
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { type SampleKey, sampleCsr, sampleKey } from '../../x509/samples.ts';
import { askDoor, certificateOf, type Door, type DoorRequest, estRequest, shown } from './ask-door.ts';

/** A certificate, PEM, and its key. */
export interface Held {
  readonly key: SampleKey;
  readonly cert: string;
}

export interface StubbornDevice {
  readonly serialNumber: string;
  readonly idevid: Held;
  /** It says so when it uses a new credential; who does not is seen when it renews with it. */
  readonly confirms: boolean;
}

export interface Life {
  /** How often it renews after it enrolled. */
  readonly renewals: number;
  /** Told of each answer, and of each request without one. */
  readonly onAnswer: () => void;
  readonly onLost: () => void;
}

const TRY_AGAIN_MS = 40;
/** Too short for a slow machine, and then one more answer is lost. */
const SILENCE_MS = 1500;
const EMPTY = encodeName([]);

/** Enrolls with its IDevID, renews again and again, and uses what it got. Gives all LDevIDs that it had, in order. */
export async function live(device: StubbornDevice, door: Door, life: Life): Promise<readonly Held[]> {
  const had: Held[] = [];
  for (let at = 0; at <= life.renewals; at += 1) {
    const next = await obtain(device, had.at(-1), door, life);
    had.push(next);
    // The last one is used by all: nothing follows by which it would be seen.
    if (device.confirms || at === life.renewals) await confirm(next, door, life);
  }
  return had;
}

/** A new credential, by the one before. */
async function obtain(
  { idevid }: StubbornDevice,
  old: Held | undefined,
  door: Door,
  life: Life,
): Promise<Held> {
  const key = sampleKey('P-256');
  const subject = old ? parseCertificate(new X509Certificate(old.cert).raw).tbs.subject : EMPTY;
  const by = old ?? idevid;
  const shows = shown(by.key.privateKey, by.cert);
  // A new CSR each time, as of a device that kept its key over a restart and nothing else.
  const ask = async () => {
    const request = () =>
      estRequest(old ? 'simplereenroll' : 'simpleenroll', sampleCsr(key, { subject }), { shows });
    return certificateOf(await insist(door, request, life));
  };
  const cert = await ask();
  expect(cert).toContain('BEGIN CERTIFICATE');
  expect(await ask()).toBe(cert);
  return { key, cert };
}

async function confirm({ key }: Held, door: Door, life: Life): Promise<void> {
  const path = '/api/v1/confirmations';
  const { body } = await insist(door, () => ({ path }), life);
  const { challenge }: { challenge: string } = JSON.parse(body);
  const subject = encodeName([{ type: 'CN', value: challenge }]);
  const csr = toPem('CERTIFICATE REQUEST', sampleCsr(key, { subject }));
  const headers = { 'content-type': 'application/json' };
  const answer = await insist(door, () => ({ path, headers, body: JSON.stringify({ csr }) }), life);
  expect([answer.status, answer.body]).toEqual([200, expect.stringContaining('serial')]);
}

async function insist(door: Door, request: () => DoorRequest, { onAnswer, onLost }: Life) {
  for (;;) {
    const answer = await askDoor(door, { ...request(), silenceMs: SILENCE_MS });
    if (answer) {
      onAnswer();
      return answer;
    }
    onLost();
    await sleep(TRY_AGAIN_MS);
  }
}
