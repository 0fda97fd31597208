import type { FastifyRequest } from 'fastify';
import type { Actor } from '../core/audit.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { Ledger, Role, TokenRecord } from '../enroll/ports.ts';
import { readSecret } from '../enroll/secret.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { PeerReader } from './peer.ts';

/** Who is asking. */
export interface Caller {
  readonly actor: Actor;
  readonly role: Role;
  /** The token that says so, if one does. */
  readonly token?: TokenRecord;
  /** Whether the caller is the home's owner on this machine, on the Unix socket. */
  readonly local: boolean;
}

/** Finds out who is asking, or throws `unauthenticated`. */
export type Authenticate = (request: FastifyRequest) => Promise<Caller>;

/** Who reaches the Unix socket owns the home, keys and all: there is nothing to keep from them. */
export const authenticateLocal: Authenticate = () =>
  Promise.resolve({ actor: 'local', role: 'admin', local: true });

export interface RemoteOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Whether an authority's own certificate counts, see `IssuingRoom`. */
  readonly stands: (authority: string) => boolean;
  /** On the connection itself: nobody signs in through a proxy. */
  readonly shownBy: PeerReader['shownBy'];
}

/** A bearer token, or a registered operator's certificate that nobody took back. */
export function authenticateRemote({ ledger, clock, stands, shownBy }: RemoteOptions): Authenticate {
  return async (request) => {
    const bearer = bearerOf(request);
    const caller =
      bearer === undefined
        ? await byCertificate(shownBy(request)?.leaf, ledger, stands, clock())
        : await byToken(bearer, ledger, clock());
    if (caller) return caller;
    throw new BirthmarkError(
      'unauthenticated',
      'sign in with a token (Authorization: Bearer …) that is neither revoked nor expired, or with a registered operator certificate',
    );
  };
}

/** The credentials of `Authorization: Bearer`, if there are any (RFC 6750 §2.1). */
export function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer +([A-Za-z0-9_\-.~+/]+=*)$/i.exec(request.headers.authorization ?? '')?.[1];
}

async function byToken(bearer: string, ledger: Ledger, now: number): Promise<Caller | undefined> {
  const secret = readSecret(bearer);
  const token = secret?.kind === 'bmk' ? await ledger.read.findToken(secret.id) : undefined;
  if (!token || !secret?.matches(token.secretHash) || token.revokedAt !== undefined || token.expiresAt <= now)
    return undefined;
  return { actor: `token:${token.name}`, role: token.role, token, local: false };
}

/**
 * A certificate signs in because the ledger lists it, not because of its chain: the octets that the ledger signed must be
 * the octets that came, and the handshake proved the key.
 */
async function byCertificate(
  leaf: Uint8Array | undefined,
  ledger: Ledger,
  stands: RemoteOptions['stands'],
  now: number,
): Promise<Caller | undefined> {
  if (!leaf) return undefined;
  const { tbs } = parseCertificate(leaf);
  const operator = await ledger.read.findOperator(tbs.serial);
  const issued = operator && (await ledger.read.findBySerial(tbs.serial));
  if (!operator || !issued?.signature || operator.revokedAt !== undefined || !equalBytes(issued.tbs, tbs.raw))
    return undefined;
  const [takenBack] = await ledger.read.findRevocations([issued.id]);
  if (takenBack || !stands(issued.authority)) return undefined;
  if (now < tbs.notBefore.at || now > tbs.notAfter.at) return undefined;
  return { actor: `operator:${operator.name}`, role: operator.role, local: false };
}

/**
 * Refuses a caller whose role is not among those.
 *
 * @throws BirthmarkError `forbidden`
 */
export function assertRole(caller: Caller, ...roles: readonly Role[]): void {
  if (roles.includes(caller.role)) return;
  throw new BirthmarkError('forbidden', `this needs role ${roles.join(' or ')}; you have ${caller.role}`);
}
