import type { Logger } from 'pino';
import type { PluginEvent } from '../../broker-auth/adapters/mosquitto/plugin-event.ts';
import type { CredentialId } from '../../broker-auth/credential.ts';
import type { MosquittoMetrics } from '../../broker-auth/mosquitto-metrics.ts';
import type { Session } from '../../broker-auth/sessions.ts';
import type { OpenGate } from './open-gate.ts';

export interface PluginTellerOptions {
  readonly broker: string;
  readonly listener: string;
  readonly open: Pick<OpenGate, 'metrics' | 'reporter'>;
  readonly numbers: MosquittoMetrics;
  /** Who is denied each time that it is tried. */
  readonly canary?: CredentialId;
  readonly logger: Logger;
}

/** Ends that come together are told together. */
const TELL_MS = 50;

/** Brings what Mosquitto's plugin says to where other brokers' verdicts and sessions go: log, numbers, the authority. */
export function tellPluginEvents(
  options: PluginTellerOptions,
): (event: PluginEvent, session: Session | undefined) => void {
  const { broker, listener, open, numbers, canary, logger } = options;
  const { metrics, reporter } = open;
  let isTelling = false;

  function tellSoon(): void {
    if (isTelling) return;
    isTelling = true;
    setTimeout(() => {
      isTelling = false;
      reporter.tick();
    }, TELL_MS).unref();
  }

  /** The canary is there to be denied. */
  function tellRefused({ reason, issuerKeyId, serial }: Extract<PluginEvent, { event: 'denied' }>): void {
    if (reason !== 'revoked' || issuerKeyId === undefined || serial === undefined) return;
    if (serial !== canary?.serial) reporter.refused({ issuerKeyId, serial }, listener);
  }

  return (event, session) => {
    const facts = { broker, listener, ...clientOf(event) };
    switch (event.event) {
      case 'connected':
        metrics.told(listener, 'ok');
        logger.debug(facts, 'let in');
        break;
      case 'denied': {
        const level = canary && event.serial === canary.serial ? 'debug' : 'info';
        metrics.told(listener, event.reason);
        tellRefused(event);
        logger[level]({ ...facts, reason: event.reason, rule: event.detail }, 'denied');
        break;
      }
      case 'kicked':
        numbers.kicked(event.cause);
        logger.info({ ...facts, cause: event.cause }, 'Mosquitto ended a session');
        tellSoon();
        break;
      case 'topicDenied':
        logger.debug({ ...facts, act: event.act, topic: event.topic }, 'a topic was denied');
        break;
      case 'refused':
        logger.error({ broker, why: event.why }, 'Mosquitto does not take the snapshot');
        break;
      case 'hello':
        logger.debug({ broker, why: event.why }, "Mosquitto's plugin tells who is live");
        break;
      default:
    }
    // Who was let in while we were away is live when the plugin comes.
    if (session && (event.event === 'connected' || event.event === 'live')) reporter.seen(session);
  };
}

function clientOf(event: PluginEvent) {
  if (!('clientId' in event)) return {};
  const { clientId, address, namespace, id, issuerKeyId, serial } = event;
  return {
    ...{ clientId, address },
    ...(namespace !== undefined && id !== undefined && { device: `${namespace}:${id}` }),
    ...(serial !== undefined && { issuerKeyId, serial }),
  };
}
