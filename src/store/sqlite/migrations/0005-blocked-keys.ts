/** Keys that nobody may have any more, among all keys there are: few among many, and a status snapshot tells them all. */
export const blockedKeys = `
CREATE INDEX keys_blocked ON keys (key_hash) WHERE blocked IS NOT NULL;
`;
