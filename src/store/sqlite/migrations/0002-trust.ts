/** Manufacturers' CAs, and enrollments that wait for an operator's word. Both are few beside the certificates. */
export const trust = `
CREATE TABLE trusted_cas (
  id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  certificate BLOB NOT NULL,
  fingerprint BLOB NOT NULL UNIQUE,
  serial_pattern TEXT,
  validity TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  added_by TEXT NOT NULL
) STRICT;

CREATE TABLE trust_version (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  version INTEGER NOT NULL
) STRICT;
INSERT INTO trust_version (only, version) VALUES (1, 0);

-- AUTOINCREMENT: an operator's word is never taken for another's request.
CREATE TABLE approvals (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  key_hash BLOB NOT NULL,
  profile TEXT NOT NULL,
  vouched_by TEXT NOT NULL,
  state TEXT NOT NULL,
  requested_at INTEGER NOT NULL,
  decided_at INTEGER,
  decided_by TEXT,
  UNIQUE (namespace, serial_number, key_hash, profile)
) STRICT;
CREATE INDEX approvals_state ON approvals (state, id);
`;
