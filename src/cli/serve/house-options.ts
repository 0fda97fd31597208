import { DEFAULT_EST } from '../../enroll/est/settings.ts';
import type { ApiAppOptions } from '../../server/api-app.ts';
import type { TlsCertificateOptions } from '../../server/tls-certificate.ts';
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

/** Where the TLS listener's own key and certificate are, and who issues it. */
export function tlsCertificateOptions(house: House): TlsCertificateOptions {
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
