import { randomBytes } from 'node:crypto';
import { type Finding, probeBroker } from '../../broker-auth/probe/probe-broker.ts';
import { systemClock } from '../../core/clock.ts';
import { type BrokerOptions, parseBrokerOptions } from './probe-options.ts';

/**
 * Looks at a running broker from outside, as its clients see it.
 *
 * @throws BirthmarkError `config-invalid`, `unavailable`, `bad-pem`, `key-file-permissions`, `key-file-unreadable`
 */
export function runBrokerDoctor(options: BrokerOptions): Promise<readonly Finding[]> {
  return probeBroker({ ...parseBrokerOptions(options), at: systemClock(), random: randomBytes });
}
