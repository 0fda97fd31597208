import path from 'node:path';
import { PRESET_NAMES, type PresetName } from '../../broker-auth/presets.ts';
import type { BrokerProbe, RefusedClient } from '../../broker-auth/probe/probe-broker.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';

export interface BrokerOptions {
  readonly broker?: string;
  readonly preset?: string;
  readonly ca?: string;
  readonly serverName?: string;
  readonly allowed?: string;
  readonly refused?: readonly string[];
}

const PORTS = { 'mqtts:': 8883, 'mqtt:': 1883 } as const;

/**
 * What `doctor --broker` was told, with what its files hold.
 *
 * @throws BirthmarkError `config-invalid`, `bad-pem`, `key-file-permissions`, `key-file-unreadable`
 */
export function parseBrokerOptions(options: BrokerOptions): Omit<BrokerProbe, 'at' | 'random'> {
  const { broker = '', preset = 'transport', ca, serverName, allowed, refused = [] } = options;
  const url = URL.canParse(broker) ? new URL(broker) : undefined;
  const scheme = (['mqtts:', 'mqtt:'] as const).find((one) => one === url?.protocol);
  if (!url || !scheme || url.hostname === '')
    throw invalid(
      '--broker',
      `${broker} is no address of a broker: mqtts://HOST:PORT, or mqtt:// without TLS`,
    );
  if (ca === undefined && scheme === 'mqtts:')
    throw invalid('--ca', "who issued the broker's certificate is not given");
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? PORTS[scheme] : Number(url.port),
    plain: scheme === 'mqtt:',
    preset: toPreset(preset),
    anchors: ca === undefined ? [] : parsePemBlocks(read('--ca', ca), ['CERTIFICATE'], '--ca'),
    ...(serverName !== undefined && { serverName }),
    ...(allowed !== undefined && { allowed: readClient('--allowed', allowed) }),
    refused: refused.map((one) => readClient('--refused', one)),
  };
}

function toPreset(text: string): PresetName {
  const preset = PRESET_NAMES.find((one) => one === text);
  if (preset) return preset;
  throw invalid('--preset', `${text} is none; there are ${PRESET_NAMES.join(', ')}`);
}

function readClient(option: string, text: string): RefusedClient {
  const [certificateFile, keyFile, clientId, ...more] = text.split(',');
  if (!certificateFile || !keyFile || !clientId || more.length > 0)
    throw invalid(option, `${text}: give CERTIFICATE.pem,KEY.pem,CLIENTID`);
  const certificate = read(option, certificateFile);
  return { name: path.basename(certificateFile), clientId, certificate, key: readSecretFile(keyFile) };
}

function read(option: string, file: string): string {
  return readInput(file, { code: 'config-invalid', option }).toString('latin1');
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field });
}
