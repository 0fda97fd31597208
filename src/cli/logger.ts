import pino, { type Logger } from 'pino';

/** Log lines are JSON on stderr. What may hold a secret is never put into one. */
export function createLogger(level: string): Logger {
  return pino(
    { level, redact: ['req.headers.authorization', 'headers.authorization'] },
    pino.destination({ fd: 2, sync: true }),
  );
}
