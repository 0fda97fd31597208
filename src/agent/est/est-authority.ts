import { toBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { channelBinding } from '../net/channel-binding.ts';
import type { Ask } from '../net/server-link.ts';
import type { Authority, Voucher } from '../ports.ts';
import { confirmCredential, rehearseCredential } from '../probe/confirm-credential.ts';
import { askRenewalInfo } from '../renewal-info.ts';
import { makeCsr } from './make-csr.ts';
import { readCertificates, readEnrollAnswer } from './read-answer.ts';
import { wantedKey } from './wanted-key.ts';

export interface EstOptions {
  readonly ask: Ask;
  /** The label in the path (RFC 7030 §3.2.2). */
  readonly label?: string;
  /** Whether CSRs are bound to their connection; not through a proxy that ends TLS, where that cannot work. */
  readonly bind: boolean;
}

/** An authority that speaks EST (RFC 7030, RFC 8951), and what of Birthmark's own API a device uses where it is there. */
export function createEstAuthority({ ask, label, bind }: EstOptions): Authority {
  const est = `/.well-known/est${label === undefined ? '' : `/${encodeURIComponent(label)}`}`;
  return {
    wantedKey: async () => wantedKey(await ask({ method: 'GET', path: `${est}/csrattrs` })),
    caCertificates: async () => {
      const reply = await ask({ method: 'GET', path: `${est}/cacerts` });
      return { certificates: readCertificates(reply), serverChain: reply.server.chain };
    },
    enroll: async ({ by, key }) => {
      const operation = by.kind === 'current' ? 'simplereenroll' : 'simpleenroll';
      const reply = await ask(
        {
          method: 'POST',
          path: `${est}/${operation}`,
          headers: { 'content-type': 'application/pkcs10', ...basicAuth(by) },
          body: (socket) => {
            const binding = bind ? channelBinding(socket) : undefined;
            return Buffer.from(`${toBase64(makeCsr(key, by, binding))}\n`);
          },
        },
        by.kind === 'ticket' ? undefined : by.credential,
      );
      return readEnrollAnswer(reply);
    },
    renewalInfo: (certificate) => askRenewalInfo(ask, certificate),
    rehearse: (credential) => rehearseCredential(ask, est, credential),
    confirm: (credential) => confirmCredential(ask, est, credential),
  };
}

/** A ticket is the password, its device the user (RFC 7030 §3.2.3). */
function basicAuth(by: Voucher): Readonly<Record<string, string>> {
  if (by.kind !== 'ticket') return {};
  const text = `${by.serialNumber}:${by.ticket}`;
  if (/\p{Cc}/u.test(text))
    throw new BirthmarkError('config-invalid', 'the ticket or the serial number has control characters');
  return { authorization: `Basic ${toBase64(Buffer.from(text))}` };
}
