import { isAbsolute, resolve } from 'node:path';
import { parseSettings, type Settings } from '../../agent/index.ts';
import { BirthmarkError } from '../../core/errors.ts';

/** What `birthmark agent enroll` takes. */
export interface EnrollOptions {
  readonly state: string;
  readonly url: string;
  readonly label?: string;
  readonly ca?: string;
  readonly caFingerprint?: string;
  readonly serialNumber?: string;
  readonly ticketFile?: string;
  readonly idevidCert?: string;
  readonly idevidKey?: string;
  readonly idevidKeyLabel?: string;
  readonly keyType?: Settings['keyType'];
  readonly pkcs11Module?: string;
  readonly pkcs11Token?: string;
  readonly pkcs11PinFile?: string;
  readonly pkcs11Engine?: string;
  readonly proxy?: string;
  readonly proxyPasswordFile?: string;
  readonly channelBinding: boolean;
  readonly verifyCommand?: string;
  readonly verifyMqtt?: string;
  readonly verifyClientId?: string;
  readonly lookEvery?: number;
  readonly afterChange?: string;
  readonly acceptUnlinkedRoots?: boolean;
  readonly again?: boolean;
  readonly wait?: number;
  readonly json?: boolean;
}

/** What is written down of it: paths are made absolute, since `run` starts somewhere else. */
export function settingsOf(options: EnrollOptions): Settings {
  const { pkcs11Module, pkcs11Token, pkcs11PinFile, idevidCert, idevidKey, idevidKeyLabel } = options;
  if (idevidCert === undefined && (idevidKey !== undefined || idevidKeyLabel !== undefined))
    throw missing('--idevid-cert', 'belongs to the IDevID whose key is given');
  const given = [pkcs11Module, pkcs11Token, pkcs11PinFile].filter((one) => one !== undefined).length;
  if (given !== 0 && given !== 3)
    throw missing('--pkcs11-module, --pkcs11-token, --pkcs11-pin-file', 'belong together');
  const written = {
    url: options.url,
    label: options.label,
    serialNumber: options.serialNumber,
    ticketFile: absolute(options.ticketFile),
    idevid:
      idevidCert === undefined
        ? undefined
        : {
            certificateFile: absolute(idevidCert),
            keyFile: absolute(idevidKey),
            keyLabel: idevidKeyLabel,
          },
    keyType: options.keyType,
    token:
      pkcs11Module === undefined
        ? undefined
        : {
            module: absolute(pkcs11Module),
            label: pkcs11Token,
            pinFile: absolute(pkcs11PinFile),
            engine: absolute(options.pkcs11Engine),
          },
    proxy:
      options.proxy === undefined
        ? undefined
        : {
            url: options.proxy,
            passwordFile: absolute(options.proxyPasswordFile),
          },
    channelBinding: options.channelBinding ? undefined : false,
    verifyCommand: options.verifyCommand,
    verifyMqtt:
      options.verifyMqtt === undefined
        ? undefined
        : { url: options.verifyMqtt, clientId: options.verifyClientId },
    lookEveryMinutes: options.lookEvery === undefined ? undefined : Math.ceil(options.lookEvery / 60),
    afterChange: options.afterChange,
    acceptUnlinkedRoots: options.acceptUnlinkedRoots,
  };
  // What is not given is left out, as the schema wants it.
  return parseSettings(JSON.parse(JSON.stringify(written)), 'agent');
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined || isAbsolute(path) ? path : resolve(path);
}

function missing(option: string, why: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${option} ${why}`, { field: option });
}
