import type { Gate } from '../gate.ts';

/** A request of a broker, as far as dialects look at it. */
export interface DialectRequest {
  /** What the JSON or the form says. */
  readonly body: unknown;
  /** Header `vernemq-hook`. */
  readonly hook?: string;
}

export interface DialectAnswer {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain';
  readonly body: string;
}

/** One address of a dialect. */
export interface DialectRoute {
  readonly path: string;
  /** Decides from memory. Throws BirthmarkError for what it cannot read: then `denial` is the answer. */
  readonly answer: (request: DialectRequest) => DialectAnswer;
  /** A denial that the broker cannot take for anything else. */
  readonly denial: DialectAnswer;
}

/** How one broker asks over HTTP. */
export type Dialect = readonly DialectRoute[];

export interface DialectOptions {
  readonly gate: Gate;
  /** As kick drivers name it. */
  readonly broker: string;
  /** Whose rules of the policy apply. */
  readonly listener: string;
  /** The policy's listener by what the broker calls its own: a request from any other is denied. Instead of `listener`. */
  readonly listeners?: ReadonlyMap<string, string>;
}

/** The listener whose rules apply; undefined where the broker names one that nobody told us of. */
export function listenerOf(options: DialectOptions, named: string | undefined): string | undefined {
  return options.listeners ? options.listeners.get(named ?? '') : options.listener;
}

export function json(value: unknown, status = 200): DialectAnswer {
  return { status, type: 'application/json', body: JSON.stringify(value) };
}

export function text(body: string, status = 200): DialectAnswer {
  return { status, type: 'text/plain', body };
}
