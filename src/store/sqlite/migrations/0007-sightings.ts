/** Which certificates a gate saw in use first, and when; and which listeners a gate's token may speak for. */
export const sightings = `
CREATE TABLE sightings (
  id INTEGER PRIMARY KEY REFERENCES certificates (id),
  seen_at INTEGER NOT NULL,
  listener TEXT NOT NULL,
  told_by TEXT NOT NULL
) STRICT;

ALTER TABLE tokens ADD COLUMN listeners TEXT;
`;
