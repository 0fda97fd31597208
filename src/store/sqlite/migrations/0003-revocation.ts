/**
 * Which certificates were taken back or are held, and every change of a status there ever was. What a list needs is kept
 * beside it, so that listing one shard reads its entries and nothing else.
 */
export const revocation = `
CREATE TABLE revocations (
  id INTEGER PRIMARY KEY REFERENCES certificates (id),
  serial BLOB NOT NULL,
  authority TEXT NOT NULL,
  shard INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  reason TEXT,
  held INTEGER NOT NULL,
  revoked_at INTEGER NOT NULL,
  invalidity_at INTEGER,
  discovered_at INTEGER NOT NULL,
  decided_at INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  published_at INTEGER,
  enforced_at INTEGER,
  revoked_by TEXT NOT NULL
) STRICT;
CREATE INDEX revocations_shard ON revocations (authority, shard, id);
CREATE INDEX revocations_authority ON revocations (authority, id);

-- AUTOINCREMENT: a number once told is never another change's.
CREATE TABLE status_changes (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  serial BLOB NOT NULL,
  authority TEXT NOT NULL,
  shard INTEGER NOT NULL,
  key_hash BLOB NOT NULL,
  status TEXT NOT NULL,
  reason TEXT,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX status_changes_shard ON status_changes (authority, shard, sequence);
CREATE INDEX status_changes_authority ON status_changes (authority, sequence);

-- With the last change that a list tells: before the list itself, since what stands behind a large value is dear to read.
CREATE TABLE told_crls (
  id INTEGER PRIMARY KEY,
  authority TEXT NOT NULL,
  scope TEXT NOT NULL,
  number INTEGER NOT NULL,
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  crl BLOB NOT NULL,
  UNIQUE (authority, scope)
) STRICT;
INSERT INTO told_crls (id, authority, scope, number, this_update, next_update, changes, crl)
  SELECT id, authority, scope, number, this_update, next_update, 0, crl FROM crls;
DROP TABLE crls;
ALTER TABLE told_crls RENAME TO crls;

-- Few: a device's keys are found by the device.
CREATE INDEX certificates_service_key ON certificates (key_hash) WHERE device_id IS NULL;
`;
