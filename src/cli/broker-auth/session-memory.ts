import type { Logger } from 'pino';
import { type KeptSession, rulesDigest } from '../../broker-auth/kept-session.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import {
  createSessionJournal,
  type RememberedSessions,
  readSessions,
  type SessionJournal,
} from '../../broker-auth/session-journal.ts';
import { openSessionFiles } from './session-files.ts';

export interface OpenMemory {
  readonly journal: SessionJournal;
  readonly remembered: RememberedSessions;
}

/**
 * What a gate knows of sessions from the process before it, and where it keeps those of this one: brokers outlive the gate, and
 * so do their connections.
 *
 * @throws what the file system throws where the file is there and cannot be read
 */
export async function openSessionMemory(
  path: string,
  policy: GatePolicy,
  logger: Logger,
): Promise<OpenMemory> {
  const store = openSessionFiles(path);
  const rules = rulesDigest(policy);
  const remembered = await readSessions(store, rules);
  const { sessions, sameRules, unread } = remembered;
  if (unread > 0)
    logger.warn({ path, unread }, 'lines about sessions cannot be read: what a crash cut short');
  if (sessions.length > 0)
    logger.info(
      { sessions: sessions.length },
      sameRules
        ? 'goes on with the sessions from before'
        : 'the rules have changed: ends the sessions from before, which are judged anew',
    );
  const journal = createSessionJournal({
    ...{ store, rules },
    onFault: (error) =>
      logger.error({ err: error, path }, 'sessions cannot be kept on disk; it is tried again'),
  });
  return { journal, remembered };
}

/** A session as it goes on; its time is over where other rules allowed it. */
export function resumed({ session, ...kept }: KeptSession, sameRules: boolean, at: number): KeptSession {
  return { ...kept, session: sameRules ? session : { ...session, until: at - 1, untilBy: 'sessionAge' } };
}
