import { InvalidArgumentError } from 'commander';

/** Reads a time of the command line; gives it as RFC 3339 writes it. */
export function moment(text: string): string {
  const at = new Date(text);
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw new InvalidArgumentError('It is a time as in 2026-11-22T12:00:00Z.');
}
