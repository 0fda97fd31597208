import type { Client } from 'aedes';

// What only Aedes knows of a client, and its types do not say.

/** Whether a DISCONNECT came (MQTT 3.1.1 §3.14). */
export function isClean(client: Client): boolean {
  return Reflect.get(client, '_disconnected') === true;
}

/** Octets of a packet that is not whole yet. */
export function unfinishedOctets(client: Client): number {
  const parser: unknown = Reflect.get(client, '_parser');
  const octets: unknown = parser instanceof Object ? Reflect.get(parser, '_list') : undefined;
  const length: unknown = octets instanceof Object ? Reflect.get(octets, 'length') : undefined;
  return typeof length === 'number' ? length : 0;
}
