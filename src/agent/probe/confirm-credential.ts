import Type from 'typebox';
import { toBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { SIGNATURE_ALGORITHMS } from '../../x509/algorithms.ts';
import { assembleSigned } from '../../x509/certificate.ts';
import { encodeName } from '../../x509/name.ts';
import { encodeRequestInfo } from '../../x509/request-info.ts';
import type { Reply } from '../net/exchange.ts';
import type { Ask } from '../net/server-link.ts';
import type { Credential, DeviceKey, ProbeVerdict } from '../ports.ts';
import { verdictOfError } from './verdict-of-error.ts';

const PATH = '/api/v1/confirmations';
const parseChallenge = schemaParser(Type.Object({ challenge: Type.String() }), 'answer-refused');
const MAX_DETAIL = 300;

/**
 * Shows a credential at the authority without using it: in the handshake of a question that the authority does not take for a use
 * (`GET /confirmations`), or where there is no such address, of another one. That it is refused later is possible; that a key and a
 * certificate that TLS does not take come into use is not.
 *
 * @param est where EST is, in case that there is nothing else to ask
 * @throws BirthmarkError `key-store-failed`
 */
export async function rehearseCredential(
  ask: Ask,
  est: string,
  credential: Credential,
): Promise<ProbeVerdict> {
  return hearing(async () => {
    const told = await askChallenge(ask, credential);
    return told.status === 404 ? askOverIt(ask, est, credential) : verdictOf(told);
  });
}

/**
 * Uses a credential at the authority, which then knows that we have it: in the handshake, and by a challenge that is signed with
 * its key. Where a token's key cannot be used in TLS, the signature alone says it; where the authority has no such address, the
 * handshake and a question over it.
 *
 * @param est as above
 * @throws BirthmarkError `key-store-failed`
 */
export async function confirmCredential(
  ask: Ask,
  est: string,
  credential: Credential,
): Promise<ProbeVerdict> {
  return hearing(async () => {
    const told = await askChallenge(ask, credential);
    if (told.status === 404) return askOverIt(ask, est, credential);
    if (told.status !== 200) return verdictOf(told);
    const { challenge } = parseChallenge(parseJson(told.body), 'confirmations');
    const csr = toBase64(signChallenge(credential.key, challenge));
    const word = {
      method: 'POST',
      path: PATH,
      headers: { 'content-type': 'application/json' },
      body: () => Buffer.from(JSON.stringify({ csr })),
    } as const;
    return verdictOf(await ask(word, shownIn(credential)));
  });
}

const askChallenge = (ask: Ask, credential: Credential) =>
  ask({ method: 'GET', path: PATH }, shownIn(credential));

/** Without the handshake this would prove nothing; that the key does not work there is told by it. */
async function askOverIt(ask: Ask, est: string, credential: Credential): Promise<ProbeVerdict> {
  return verdictOf(await ask({ method: 'GET', path: `${est}/cacerts` }, credential));
}

/** What was heard, also where that is an error: only alerts that are about the certificate speak against it. */
async function hearing(work: () => Promise<ProbeVerdict>): Promise<ProbeVerdict> {
  try {
    return await work();
  } catch (error) {
    return verdictOfError(error);
  }
}

/** A CSR whose subject is the challenge and nothing else. */
function signChallenge(key: DeviceKey, challenge: string): Buffer {
  const info = encodeRequestInfo({ subject: encodeName([{ type: 'CN', value: challenge }]), spki: key.spki });
  return assembleSigned(info, SIGNATURE_ALGORITHMS[key.algorithm].der, key.sign(info));
}

/** What to show in a handshake: nothing where TLS cannot get at the key. */
function shownIn(credential: Credential): Credential | undefined {
  try {
    credential.key.tls();
    return credential;
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === 'key-store-failed') return undefined;
    throw error;
  }
}

function verdictOf({ status, body }: Reply): ProbeVerdict {
  if (status === 200) return { kind: 'accepted' };
  const text = body
    .toString('utf8')
    .replace(/\p{C}+/gu, ' ')
    .slice(0, MAX_DETAIL);
  const passes = status === 408 || status === 429 || status >= 500;
  return {
    kind: passes ? 'unclear' : 'refused',
    detail: `the server answers ${status} to the new certificate: ${text}`,
  };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new BirthmarkError('answer-refused', 'the challenge is not JSON', { cause });
  }
}
