import { BirthmarkError } from '../../core/errors.ts';

/** token of RFC 9110 §5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const MEDIA_TYPE = new RegExp(`^(${TOKEN}/${TOKEN})[ \\t]*(?:;.*)?$`, 's');

/**
 * Holds a request's Content-Type to the one that its operation takes (RFC 7030 §3.2.4): in any case, with any parameters.
 *
 * @param expected in lower case
 * @throws BirthmarkError `unsupported-media-type`, also where there is none
 */
export function assertMediaType(contentType: string | undefined, expected: string): void {
  const found = MEDIA_TYPE.exec(contentType?.trim() ?? '')?.[1]?.toLowerCase();
  if (found === expected) return;
  throw new BirthmarkError('unsupported-media-type', `this operation takes Content-Type ${expected}`);
}
