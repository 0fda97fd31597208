/** If-None-Match of RFC 9110 §13.1.2: any of several tags, and one that a cache on the way made a weak one. */
export function isKnownTag(etag: string, ifNoneMatch: string | undefined): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
