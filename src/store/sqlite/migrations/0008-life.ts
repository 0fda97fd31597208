/**
 * The life of an identity: which certificate is to follow which, who is called to renew and when, who is shut out, and devices
 * whose state must be looked at again because a record was replayed.
 */
export const life = `
CREATE TABLE rotations (
  id INTEGER PRIMARY KEY,
  device_id INTEGER NOT NULL REFERENCES devices (id),
  old_id INTEGER NOT NULL REFERENCES certificates (id),
  new_id INTEGER NOT NULL UNIQUE REFERENCES certificates (id),
  state TEXT NOT NULL,
  begun_at INTEGER NOT NULL,
  used_at INTEGER,
  due_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX rotations_device ON rotations (device_id);
CREATE INDEX rotations_old ON rotations (old_id);
CREATE INDEX rotations_due ON rotations (due_at, used_at) WHERE ended_at IS NULL;
CREATE INDEX rotations_conflict ON rotations (id) WHERE state = 'conflict';

CREATE TABLE renewal_calls (
  certificate_id INTEGER NOT NULL REFERENCES certificates (id),
  cause TEXT NOT NULL,
  at INTEGER NOT NULL,
  called_at INTEGER NOT NULL,
  called_by TEXT NOT NULL,
  PRIMARY KEY (certificate_id, cause)
) STRICT, WITHOUT ROWID;

-- held: a JSON array of the certificates that the quarantine itself holds.
CREATE TABLE quarantines (
  device_id INTEGER PRIMARY KEY REFERENCES devices (id),
  cause TEXT NOT NULL,
  since INTEGER NOT NULL,
  ordered_by TEXT NOT NULL,
  held TEXT NOT NULL
) STRICT;

CREATE TABLE unsettled_devices (
  id INTEGER PRIMARY KEY
) STRICT;

-- States were fewer before: the next start works them out.
INSERT OR IGNORE INTO unsettled_devices (id)
  SELECT c.device_id FROM revocations r JOIN certificates c ON c.id = r.id WHERE c.device_id IS NOT NULL;
INSERT OR IGNORE INTO unsettled_devices (id)
  SELECT c.device_id FROM sightings s JOIN certificates c ON c.id = s.id WHERE c.device_id IS NOT NULL;

-- Tickets that were made before are dead.
ALTER TABLE devices ADD COLUMN tickets_after INTEGER NOT NULL DEFAULT 0;

ALTER TABLE tickets ADD COLUMN recovery INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tickets ADD COLUMN needs_approval INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tickets ADD COLUMN approved_at INTEGER;
ALTER TABLE tickets ADD COLUMN approved_by TEXT;

-- Kept to about a day, so that who is seen each hour is not written each hour.
ALTER TABLE sightings ADD COLUMN last_seen_at INTEGER;
`;
