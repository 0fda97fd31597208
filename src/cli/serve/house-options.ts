import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createOcspResponder, type OcspResponder } from '../../ca/ocsp/responder.ts';
import { renewResponderCertificates } from '../../ca/ocsp/responder-certificate.ts';
import { type ResponderHome, readResponderSigners } from '../../ca/ocsp/responder-signer.ts';
import { DEFAULT_OCSP, parseOcspPolicy } from '../../ca/ocsp/settings.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { createChallenges } from '../../enroll/challenge.ts';
import { type CompromiseDesk, createCompromiseDesk } from '../../enroll/compromise/compromise-desk.ts';
import { DEFAULT_KEY_COMPROMISE } from '../../enroll/compromise/settings.ts';
import { type ConfirmationDesk, createConfirmationDesk } from '../../enroll/confirm.ts';
import { DEFAULT_EST } from '../../enroll/est/settings.ts';
import { createQuarantineDesk } from '../../fleet/quarantine-desk.ts';
import { deriveSecret } from '../../keys/derive-secret.ts';
import { readKeyFile } from '../../keys/file-signer.ts';
import type { ApiAppOptions } from '../../server/api-app.ts';
import {
  type GivenCertificateOptions,
  givenTlsIdentity,
  readGivenCertificate,
} from '../../server/given-certificate.ts';
import { STATUS_LIMITS, type StatusDesk } from '../../server/routes/status.ts';
import { createChangePages } from '../../server/status/change-pages.ts';
import { DEFAULT_STATUS } from '../../server/status/settings.ts';
import {
  ownTlsIdentity,
  renewTlsCertificate,
  type TlsCertificateOptions,
} from '../../server/tls-certificate.ts';
import type { TlsIdentity } from '../../server/tls-identity.ts';
import type { House } from '../wire.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

/** What the listeners need of a house. */
export function apiOptions(house: House): ApiAppOptions {
  const { config, labels } = house.loaded;
  const { bodyOctets, bodySeconds, idleSeconds } = config.limits;
  return {
    ...house,
    labels,
    status: statusDesk(house),
    compromise: compromiseDesk(house),
    confirmations: confirmationDesk(house),
    quarantine: createQuarantineDesk({ ...house, clock: house.wallClock }),
    keyLimits: config.keyPolicy,
    est: config.est ?? DEFAULT_EST,
    limits: {
      bodyOctets,
      bodyMs: bodySeconds * SECOND_MS,
      idleMs: idleSeconds * SECOND_MS,
      ocspSignaturesPerSecond: config.ocsp?.signaturesPerSecond ?? DEFAULT_OCSP.signaturesPerSecond,
    },
    proxies: house.loaded.proxies,
  };
}

function compromiseDesk(house: House): CompromiseDesk {
  const { home, passphrase, loaded, metrics, wallClock } = house;
  const { keyPolicy, keyCompromise = DEFAULT_KEY_COMPROMISE } = loaded.config;
  return createCompromiseDesk({
    ...house,
    ...keyCompromise,
    keyLimits: keyPolicy,
    clock: wallClock,
    // A key that every process has, and that only ever certifies: what is derived from it is worth nothing elsewhere.
    secret: deriveSecret(readKeyFile(home.key('service'), passphrase), 'key-compromise challenge'),
    onReport: metrics.countReport,
  });
}

function confirmationDesk(house: House): ConfirmationDesk {
  const { home, passphrase, loaded, ledger, uses, issuing, wallClock } = house;
  const secret = deriveSecret(readKeyFile(home.key('service'), passphrase), 'confirmation challenge');
  return createConfirmationDesk({
    ...{ ledger, uses, idevidProfiles: issuing.idevidProfiles, keyLimits: loaded.config.keyPolicy },
    challenges: createChallenges(secret, wallClock, 'confirmation'),
    clock: wallClock,
  });
}

function statusDesk(house: House): StatusDesk {
  const { authorities, roster, tail, wallClock, logger, loaded } = house;
  const ledger = house.ledger.read;
  const { snapshotValidMinutes } = loaded.config.status ?? DEFAULT_STATUS;
  return {
    tail,
    pages: createChangePages({ ledger, authorities, clock: wallClock }),
    snapshot: {
      ledger,
      authorities,
      look: () => roster.look(),
      current: roster.current,
      signerOf: readResponderSigners(responderHome(house), wallClock, (error) =>
        logger.error({ err: error }, 'the signer of status snapshots cannot be read'),
      ),
      clock: wallClock,
      validMs: snapshotValidMinutes * MINUTE_MS,
    },
    limits: STATUS_LIMITS,
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
    await renewOwn(house);
    return;
  }
  const { missingNames } = readGivenCertificate(given);
  if (missingNames.length > 0)
    house.logger.warn({ missingNames }, 'the TLS certificate does not have all names of listen.tlsNames');
}

/**
 * Where the service authority can issue nothing more, the listener goes on with what it has: people need the house to set
 * that right, and lists and OCSP answers must go out meanwhile.
 */
async function renewOwn(house: House): Promise<void> {
  const options = tlsCertificateOptions(house);
  try {
    await renewTlsCertificate(options);
  } catch (error) {
    const isOver =
      error instanceof BirthmarkError &&
      (error.code === 'authority-revoked' || error.code === 'authority-expired');
    if (!isOver || !existsSync(options.certificatePath)) throw error;
    house.logger.error(
      { err: error },
      'the TLS certificate cannot be replaced; the listener goes on with it',
    );
  }
}

function tlsCertificateOptions(house: House): TlsCertificateOptions {
  const { home, passphrase, loaded, ledger, issuing, issueService, clock } = house;
  return {
    keyPath: home.key('tls-listener'),
    certificatePath: home.pem('tls-listener'),
    passphrase,
    names: loaded.config.listen.tlsNames,
    reads: ledger.read,
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

/** The OCSP responder of this process. */
export function ocspResponder(house: House): OcspResponder {
  const { authorities, ledger, wallClock, logger, loaded } = house;
  const onFault = (error: unknown) => logger.error({ err: error }, 'an OCSP answer could not be given');
  return createOcspResponder({
    authorities,
    ledger: ledger.read,
    signerOf: readResponderSigners(responderHome(house), wallClock, onFault),
    policy: parseOcspPolicy(loaded.config.ocsp ?? DEFAULT_OCSP),
    clock: wallClock,
    onFault,
    tally: house.metrics.ocsp,
  });
}

/** Renews the certificates of the OCSP signers where it is due. What fails here must not keep the house from serving. */
export async function prepareOcspSigners(house: House): Promise<void> {
  const { urls } = house.crls;
  try {
    const renewed = await renewResponderCertificates({ ...house, ...responderHome(house), urls });
    if (renewed.length > 0) house.logger.info({ renewed }, 'issued certificates to the OCSP signers');
  } catch (error) {
    house.logger.error({ err: error }, 'an OCSP signer has no new certificate; it is tried again');
  }
}

function responderHome({ home, passphrase }: House): ResponderHome {
  return {
    files: (authority) => ({
      key: home.key(`ocsp-${authority}`),
      certificate: home.pem(`ocsp-${authority}`),
    }),
    passphrase,
  };
}
