import { isIPv6 } from 'node:net';

/** Where a connection goes. */
export interface Place {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** As it stands in a URL. */
export function hostAndPort({ host, port }: Place): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Where a URL leads. */
export function placeOf(url: URL, defaultPort: number): Place {
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? defaultPort : Number(url.port),
  };
}
