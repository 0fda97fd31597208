import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { type EnrollOptions, settingsOf } from '../../src/cli/agent/agent-options.ts';
import { codeOf } from '../x509/code-of.ts';

const GIVEN: EnrollOptions = { state: 'agent', url: 'https://pki.example.com', channelBinding: true };

test('what an agent is told is written down whole: paths absolute, times in minutes, nothing that was not said', () => {
  expect(settingsOf(GIVEN)).toEqual({ url: GIVEN.url });
  const more = { ticketFile: 'ticket', serialNumber: 'SN-1', lookEvery: 1801, channelBinding: false };
  expect(settingsOf({ ...GIVEN, ...more })).toEqual({
    ...{ url: GIVEN.url, serialNumber: 'SN-1', ticketFile: resolve('ticket') },
    ...{ lookEveryMinutes: 31, channelBinding: false },
  });
});

test.each<[string, Partial<EnrollOptions>]>([
  ['an IDevID’s key without its certificate', { idevidKey: 'idevid.key' }],
  ['a token without its PIN', { pkcs11Module: 'softhsm.so', pkcs11Token: 'device' }],
])('%s is refused', (_what, more) => {
  expect(codeOf(() => settingsOf({ ...GIVEN, ...more }))).toBe('config-invalid');
});
