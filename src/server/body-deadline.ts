import type { FastifyInstance } from 'fastify';
import { BirthmarkError } from '../core/errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A body that may take as long as it likes while it keeps coming. */
    readonly streams?: boolean;
  }
}

/**
 * Answers 408 to a body that is not there in time, and closes: a trickle of octets must not hold a connection for ever.
 * Routes whose bodies are streams are left to the listener's idle timeout.
 */
export function addBodyDeadline(app: FastifyInstance, deadlineMs: number): void {
  app.addHook('preParsing', async (request, reply, payload) => {
    if (request.routeOptions.config.streams) return payload;
    const timer = setTimeout(() => {
      if (request.raw.complete) return;
      // Nobody waits for this body: it was refused before it came, and only holds the connection.
      if (reply.sent || payload.listenerCount('error') === 0) {
        payload.destroy();
        return;
      }
      reply.header('connection', 'close');
      // Told to its reader and not destroyed: that would take the connection, and the answer with it.
      payload.emit(
        'error',
        new BirthmarkError('body-too-slow', `the body was not there within ${deadlineMs / 1000} seconds`),
      );
    }, deadlineMs);
    // An injected request never closes; a command that runs without a server must not wait for its deadline.
    timer.unref();
    request.raw.once('close', () => clearTimeout(timer));
    request.raw.once('end', () => clearTimeout(timer));
    return payload;
  });
}
