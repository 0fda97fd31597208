import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const Path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });
const Issuers = (what: string) =>
  Type.Array(Path('A PEM file.'), {
    minItems: 1,
    maxItems: 256,
    description: `The CAs ${what}, PEM: with cRLSign where they sign lists.`,
  });
const EverySeconds = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: 604_800, description }));

const ListsConfigSchema = Type.Object(
  {
    issuerFiles: Issuers('whose lists these are'),
    urls: Type.Optional(
      Type.Array(Type.String({ pattern: '^https?://[^\\s?#@]+$' }), {
        minItems: 1,
        maxItems: 256,
        description:
          'Where lists are: full ones, deltas, shards; "{0-63}" in one stands for 64 of them. They are signed, so plain HTTP will do.',
      }),
    ),
    files: Type.Optional(
      Type.Array(Path('A file, DER or PEM.'), {
        minItems: 1,
        maxItems: 256,
        description: 'Files that somebody else keeps up to date, DER, or PEM with any number of lists.',
      }),
    ),
    everySeconds: EverySeconds('They are looked at each so many seconds: 300 where it is not given.'),
  },
  closed,
);

const ResponderConfigSchema = Type.Object(
  {
    issuerFiles: Issuers('for whose certificates it answers'),
    url: Type.String({
      pattern: '^https?://[^\\s?#@]+$',
      description: 'Where it is. Its answers are signed, so plain HTTP will do.',
    }),
    hash: Type.Optional(
      Type.Enum(['sha256', 'sha1'], {
        description:
          'How requests name a CA: sha256 (RFC 9919) where it is not given; old responders know sha1 only.',
      }),
    ),
    everySeconds: EverySeconds(
      'The status of a certificate is asked for again after so long, and sooner where its answer is half over: 300 where it is not given.',
    ),
  },
  closed,
);

/** Where a gate's statuses come from beside the feed. */
export const StatusConfigSchema = Type.Object(
  {
    folder: Path(
      'A folder of the gate’s own, where it keeps what it has for its next start: lists, answers, and what time it was.',
    ),
    crls: Type.Optional(
      Type.Array(ListsConfigSchema, {
        minItems: 1,
        maxItems: 64,
        description: 'Revocation lists, a table a CA.',
      }),
    ),
    ocsp: Type.Optional(
      Type.Array(ResponderConfigSchema, {
        minItems: 1,
        maxItems: 64,
        description:
          'OCSP responders. They are asked ahead, for each certificate that came once; who comes for the first time is judged by what is known then.',
      }),
    ),
  },
  closed,
);
export type StatusConfig = Static<typeof StatusConfigSchema>;

const RANGE = /\{(\d{1,6})-(\d{1,6})\}/;
/** More shards than a gate keeps. */
const MOST_URLS = 4096;

/**
 * The URLs that one with a range stands for.
 *
 * @returns undefined where the range is none, or too long
 */
export function expandUrl(url: string): readonly string[] | undefined {
  const found = RANGE.exec(url);
  if (!found) return /[{}]/.test(url) ? undefined : [url];
  const [whole, from, to] = found;
  const [first, last] = [Number(from), Number(to)];
  const expanded = Array.from(
    { length: Math.max(0, Math.min(last - first + 1, MOST_URLS + 1)) },
    (_none, at) => url.replace(whole, String(first + at)),
  );
  return expanded.length === 0 || expanded.length > MOST_URLS || /[{}]/.test(expanded[0] ?? '')
    ? undefined
    : expanded;
}
