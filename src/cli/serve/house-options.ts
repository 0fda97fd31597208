import { resolve } from 'node:path';
import { DEFAULT_EST } from '../../enroll/est/settings.ts';
import type { ApiAppOptions } from '../../server/api-app.ts';
import {
  type GivenCertificateOptions,
  givenTlsIdentity,
  readGivenCertificate,
} from '../../server/given-certificate.ts';
import {
  ownTlsIdentity,
  renewTlsCertificate,
  type TlsCertificateOptions,
} from '../../server/tls-certificate.ts';
import type { TlsIdentity } from '../../server/tls-identity.ts';
import type { House } from '../wire.ts';

const SECOND_MS = 1000;

/** What the listeners need of a house. */
export function apiOptions(house: House): ApiAppOptions {
  const { config, labels } = house.loaded;
  const { bodyOctets, bodySeconds, idleSeconds } = config.limits;
  return {
    ...house,
    labels,
    keyLimits: config.keyPolicy,
    est: config.est ?? DEFAULT_EST,
    limits: { bodyOctets, bodyMs: bodySeconds * SECOND_MS, idleMs: idleSeconds * SECOND_MS },
    proxies: house.loaded.proxies,
  };
}

/** The TLS listener's key and certificate: the user's own where the configuration names one, otherwise ours. */
export function tlsIdentity(house: House): TlsIdentity {
  const given = givenCertificateOptions(house);
  return given ? givenTlsIdentity(given) : ownTlsIdentity(tlsCertificateOptions(house));
}

/**
 * Renews our certificate for the TLS listener where it is due; looks at the user's own where there is one.
 *
 * @throws BirthmarkError as `readGivenCertificate`
 */
export async function prepareTlsCertificate(house: House): Promise<void> {
  const given = givenCertificateOptions(house);
  if (!given) {
    await renewTlsCertificate(tlsCertificateOptions(house));
    return;
  }
  const { missingNames } = readGivenCertificate(given);
  if (missingNames.length > 0)
    house.logger.warn({ missingNames }, 'the TLS certificate does not have all names of listen.tlsNames');
}

function tlsCertificateOptions(house: House): TlsCertificateOptions {
  const { home, passphrase, loaded, issuing, issueService, clock } = house;
  return {
    keyPath: home.key('tls-listener'),
    certificatePath: home.pem('tls-listener'),
    passphrase,
    names: loaded.config.listen.tlsNames,
    issuing,
    issueService,
    clock,
  };
}

function givenCertificateOptions(house: House): GivenCertificateOptions | undefined {
  const { home, passphrase, loaded, wallClock } = house;
  const { tlsCertificateFile, tlsKeyFile, tlsNames } = loaded.config.listen;
  if (tlsCertificateFile === undefined || tlsKeyFile === undefined) return undefined;
  return {
    certificatePath: resolve(home.path, tlsCertificateFile),
    keyPath: resolve(home.path, tlsKeyFile),
    passphrase,
    names: tlsNames,
    clock: wallClock,
  };
}
