import type { AedesDoor } from '../../broker-auth/adapters/aedes/aedes-door.ts';
import type { Session, Sessions } from '../../broker-auth/sessions.ts';
import type { CertificateRecord } from '../../ca/ports.ts';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { readRenewals } from '../../fleet/renewal/read-renewal.ts';
import type { RenewalDesk } from '../../fleet/renewal/renewal-desk.ts';
import { renewalId } from '../../fleet/renewal/renewal-id.ts';
import { toRenewalInfo } from '../../server/renewal-routes.ts';
import { repeat } from '../serve/repeat.ts';

export interface RenewalTellerOptions {
  readonly desk: RenewalDesk;
  readonly door: Pick<AedesDoor, 'retain'>;
  readonly sessions: () => Sessions;
  /** Of the message, with `${id}` and `${namespace}`. */
  readonly topic: string;
  readonly onFault: (error: unknown) => void;
}

/** Tells devices on our own broker when to renew, as a retained message each. */
export interface RenewalTeller {
  /** A device was let in. */
  met(session: Session): void;
  close(): Promise<void>;
}

/** How late a call for renewal reaches a device that is connected. */
const LOOK_EVERY_MS = 10_000;
/** What parts topics, or stands for several. */
const HOSTILE = /[/+#\u0000]/;

/** What is told, by session: it is told again when it changes. */
interface Told {
  readonly certificate: CertificateRecord;
  readonly topic: string;
  payload?: string;
}

export function createRenewalTeller(options: RenewalTellerOptions): RenewalTeller {
  const { desk, door, sessions, topic, onFault } = options;
  const told = new Map<Session, Told>();

  async function meet(session: Session): Promise<void> {
    const [leaf] = session.credentials;
    const name = topicOf(topic, session);
    const record = leaf && (await desk.reads.findBySerial(Buffer.from(leaf.serial, 'hex')));
    const keyId = record && desk.authorities.get(record.authority)?.keyId;
    if (!record || !keyId || name === undefined || !equalBytes(keyId, Buffer.from(leaf.issuerKeyId, 'hex')))
      return;
    told.set(session, { certificate: record, topic: name });
    await tell([session]);
  }

  async function tell(some: readonly Session[]): Promise<void> {
    const known = some.flatMap((session) => told.get(session) ?? []);
    const renewals = await readRenewals(
      desk,
      known.map(({ certificate }) => certificate),
    );
    for (const [at, one] of known.entries()) {
      const { serial, authority } = one.certificate;
      const [renewal, issuer] = [renewals[at], desk.authorities.get(authority)];
      if (!renewal || !issuer) continue;
      const info = toRenewalInfo({ id: renewalId({ issuerKeyId: issuer.keyId, serial }), ...renewal });
      const payload = JSON.stringify({ serial: toHex(serial), ...info });
      if (payload === one.payload) continue;
      one.payload = payload;
      await door.retain(one.topic, payload);
    }
  }

  const stop = repeat(
    async () => {
      const live = sessions();
      for (const session of told.keys()) if (live.get(session) !== session) told.delete(session);
      await tell([...told.keys()]);
    },
    LOOK_EVERY_MS,
    onFault,
  );
  return {
    met: (session) => {
      meet(session).catch(onFault);
    },
    close: stop,
  };
}

/** Undefined where the device could not be told apart by it, or could not subscribe to it. */
function topicOf(template: string, { identity: { namespace, id } }: Session): string | undefined {
  const namesNamespace = template.includes('${namespace}');
  if (HOSTILE.test(id) || HOSTILE.test(namespace)) return undefined;
  if (namespace !== OWN_NAMESPACE && !namesNamespace) return undefined;
  return template.replaceAll('${namespace}', () => namespace).replaceAll('${id}', () => id);
}
