// Other people's CSR attributes answers (DIR/vectors/est-csrattrs.json), each as it would come over the wire.
import { readFileSync } from 'node:fs';
import { BirthmarkError } from '../../src/core/errors.ts';
import { decodeBody } from '../../src/enroll/est/body.ts';
import {
  type CsrAttributes,
  type CsrAttributesFault,
  readCsrAttributes,
} from '../../src/x509/read-csr-attributes.ts';

interface Vector {
  readonly name: string;
  readonly base64: string;
  /** Whether it can be read at all. */
  readonly valid: boolean;
  /** Whether nothing is wrong with its encoding. */
  readonly strict_der: boolean;
  /** Says of one that it is the example of RFC 7030, which is wrong (RFC 9908). */
  readonly note?: string;
}

/** Faults of the encoding; the others are of what it says. */
const ENCODING: ReadonlySet<CsrAttributesFault> = new Set([
  'element-unknown',
  'attribute-empty',
  'values-not-a-set',
]);

export interface CsrAttributesOutcome {
  readonly name: string;
  /** Why our reading is not what the vector says; undefined where it is. */
  readonly disagreement?: string;
}

/** Reads every vector of the file, and tells where our verdict is another. */
export function judgeCsrAttributes(file: string): readonly CsrAttributesOutcome[] {
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[];
  return vectors.map((vector) => {
    const disagreement = judge(vector);
    return disagreement === undefined ? { name: vector.name } : { name: vector.name, disagreement };
  });
}

function judge({ base64, valid, strict_der: strict, note = '' }: Vector): string | undefined {
  const read = tryToRead(base64);
  if (read === undefined) return valid ? 'it cannot be read' : undefined;
  if (!valid) return 'it can be read';
  const wrong = read.faults.filter((fault) => ENCODING.has(fault));
  if (strict && wrong.length > 0) return `its encoding has faults: ${wrong.join(', ')}`;
  if (!strict && wrong.length === 0) return 'its encoding has no fault';
  if (/RFC 7030/.test(note) && read.faults.length === 0)
    return 'nothing is said of what RFC 9908 calls wrong';
  return undefined;
}

function tryToRead(base64: string): CsrAttributes | undefined {
  try {
    return readCsrAttributes(decodeBody(Buffer.from(base64), { pem: false }));
  } catch (error) {
    if (error instanceof BirthmarkError) return undefined;
    throw error;
  }
}
