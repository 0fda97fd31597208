import { DEFAULT_OCSP } from '../../ca/ocsp/settings.ts';
import { defaultProfiles } from '../../ca/profile-config.ts';
import { DEFAULT_KEY_COMPROMISE } from '../../enroll/compromise/settings.ts';
import { DEFAULT_EST } from '../../enroll/est/settings.ts';
import { DEFAULT_LABELS } from '../../enroll/label-config.ts';
import { DEFAULT_ROTATION } from '../../fleet/rotation/settings.ts';
import type { AuthorityKeyAlgorithm } from '../../keys/key-algorithm.ts';
import { DEFAULT_STATUS } from '../../server/status/settings.ts';
import { DEFAULT_BROKER_AUTH } from './broker-auth-config.ts';
import { DEFAULT_BROKER } from './broker-config.ts';
import type { Config } from './schema.ts';

/** What `crl.coalesceSeconds` is where a configuration does not say it. */
export const DEFAULT_COALESCE_SECONDS = 60;
/** What `crl.idp` is where a configuration does not say it. */
export const DEFAULT_IDP = 'partitionedOnly';

/** What `rollover.publishedHours` is where a configuration does not say it. */
export const DEFAULT_PUBLISHED_HOURS = 24;

const YEAR_DAYS = 365;
/** ub-common-name of RFC 5280 Appendix A.1, in characters. */
const MAX_NAME = 64;

export interface DefaultConfigOptions {
  readonly publicUrl: string;
  readonly tlsNames: readonly string[];
  readonly organization: string;
  readonly algorithm: AuthorityKeyAlgorithm;
}

/** The configuration that `init` writes. */
export function defaultConfig({
  publicUrl,
  tlsNames,
  organization,
  algorithm,
}: DefaultConfigOptions): Config {
  const authority = (name: string, years: number) => ({
    organization,
    // What tells the authorities apart must not be cut off.
    commonName: `${[...organization]
      .slice(0, MAX_NAME - 1 - name.length)
      .join('')
      .trimEnd()} ${name}`,
    algorithm,
    validityDays: years * YEAR_DAYS,
  });
  return {
    publicUrl,
    listen: {
      publicHost: '127.0.0.1',
      publicPort: 8080,
      tlsHost: '127.0.0.1',
      tlsPort: 8443,
      tlsNames: [...tlsNames],
    },
    workers: 1,
    keys: { passphraseFile: 'keys/passphrase' },
    authorities: {
      root: authority('Root CA', 50),
      idevid: authority('IDevID CA', 40),
      ldevid: authority('LDevID CA', 20),
      service: authority('Service CA', 20),
    },
    crl: { shards: 64, validityHours: 168 },
    ocsp: DEFAULT_OCSP,
    status: DEFAULT_STATUS,
    keyCompromise: DEFAULT_KEY_COMPROMISE,
    keyPolicy: { minRsaBits: 2048, maxRsaBits: 8192, fermatRounds: 100 },
    limits: { bodyOctets: 131_072, bodySeconds: 15, idleSeconds: 120 },
    log: { level: 'info' },
    broker: DEFAULT_BROKER,
    brokerAuth: DEFAULT_BROKER_AUTH,
    est: DEFAULT_EST,
    rotation: DEFAULT_ROTATION,
    recovery: { secondApproval: false },
    labels: { ...DEFAULT_LABELS },
    profiles: defaultProfiles(organization),
  };
}
