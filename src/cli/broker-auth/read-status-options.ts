import { readListIssuer } from '../../broker-auth/crl/list-issuer.ts';
import type { ListsOptions, ResponderOptions } from '../../broker-auth/open-statuses.ts';
import { expandUrl, type StatusConfig } from '../../broker-auth/status-config.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { readInput } from '../input-file.ts';

/** [status] with its files read. */
export interface ReadStatusOptions {
  readonly folder: string;
  readonly lists: readonly ListsOptions[];
  readonly responders: readonly ResponderOptions[];
}

const EVERY_SECONDS = 300;

/**
 * Holds `[status]` to what a schema cannot say, and reads the CAs that it names.
 *
 * @param at a file that the configuration names, from its own folder
 * @throws BirthmarkError `config-invalid`
 */
export function readStatusOptions(config: StatusConfig, at: (file: string) => string): ReadStatusOptions {
  const { folder, crls = [], ocsp = [] } = config;
  if (crls.length === 0 && ocsp.length === 0)
    throw invalid('status', 'give [[status.crls]] or [[status.ocsp]], or leave it out');
  const lists = crls.map(({ issuerFiles, urls = [], files = [], everySeconds = EVERY_SECONDS }, index) => {
    const field = `status.crls.${index}`;
    if (urls.length === 0 && files.length === 0) throw invalid(field, 'give urls or files, or both');
    const issuers = readIssuers(issuerFiles, at, `${field}.issuerFiles`);
    for (const der of issuers) checked(`${field}.issuerFiles`, () => readListIssuer(der));
    const expanded = urls.flatMap((url, place) => {
      const found = expandUrl(url);
      if (!found) throw invalid(`${field}.urls.${place}`, `${url} has a range that is none, like {0-63}`);
      return found;
    });
    return { issuers, urls: expanded, files: files.map(at), everyMs: everySeconds * 1000 };
  });
  const taken = new Set<string>();
  const responders = ocsp.map(
    ({ issuerFiles, url, hash = 'sha256', everySeconds = EVERY_SECONDS }, index) => {
      const field = `status.ocsp.${index}.issuerFiles`;
      const issuers = readIssuers(issuerFiles, at, field);
      for (const der of issuers) {
        const text = Buffer.from(der).toString('base64');
        if (taken.has(text)) throw invalid(field, 'another responder answers for one of these CAs already');
        taken.add(text);
      }
      return { issuers, url, hash, everyMs: everySeconds * 1000 };
    },
  );
  return { folder: at(folder), lists, responders };
}

function readIssuers(files: readonly string[], at: (file: string) => string, field: string): Uint8Array[] {
  return files.flatMap((file) =>
    parsePemBlocks(
      readInput(at(file), { code: 'config-invalid' }).toString('latin1'),
      ['CERTIFICATE'],
      field,
    ),
  );
}

function checked(field: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (error instanceof BirthmarkError) throw invalid(field, error.message);
    throw error;
  }
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field });
}
