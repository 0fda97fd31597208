/** Where certificates say that things are. All of it under the configured public URL, never under a listener's. */
export interface PublishedUrls {
  certificate(authority: string): string;
  ocsp(): string;
  crl(authority: string): string;
  delta(authority: string): string;
  shard(authority: string, shard: number): string;
}

/** @param publicUrl without a slash at its end */
export function publishedUrls(publicUrl: string): PublishedUrls {
  return {
    certificate: (authority) => `${publicUrl}/ca/${authority}.cer`,
    ocsp: () => `${publicUrl}/ocsp`,
    crl: (authority) => `${publicUrl}/crl/${authority}.crl`,
    delta: (authority) => `${publicUrl}/crl/${authority}/delta.crl`,
    shard: (authority, shard) => `${publicUrl}/crl/${authority}/${shard}.crl`,
  };
}
