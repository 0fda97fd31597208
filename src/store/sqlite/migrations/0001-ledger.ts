/**
 * The ledger's first shape. Rows of `certificates`, `signatures`, `audit` and `incidents` are only ever appended, so
 * that what a certificate costs does not grow with the fleet; `keys` is the one index in random order.
 */
export const ledger = `
CREATE TABLE authorities (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  certificate BLOB NOT NULL,
  issuer TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
  id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  model TEXT,
  batch TEXT,
  hw_type TEXT,
  hw_serial_num BLOB,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  rebirth_allowed INTEGER NOT NULL DEFAULT 0,
  UNIQUE (namespace, serial_number)
) STRICT;

-- Every model and batch that a device was ever added with: tells a search whether it has to look for one at all.
CREATE TABLE device_labels (
  label TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  key_hash BLOB PRIMARY KEY,
  device_id INTEGER REFERENCES devices (id),
  holder TEXT,
  blocked TEXT,
  blocked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Serials begin with the time, so that this table's indexes grow at their end too.
CREATE TABLE certificates (
  id INTEGER PRIMARY KEY,
  serial BLOB NOT NULL,
  authority TEXT NOT NULL,
  device_id INTEGER REFERENCES devices (id),
  profile TEXT NOT NULL,
  key_hash BLOB NOT NULL,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  vouched_by TEXT NOT NULL,
  holder TEXT NOT NULL,
  reserved_at INTEGER NOT NULL,
  tbs BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX certificates_serial ON certificates (serial);
CREATE INDEX certificates_device ON certificates (device_id) WHERE device_id IS NOT NULL;

-- Apart from its certificate, so that signing rewrites no row.
CREATE TABLE signatures (
  id INTEGER PRIMARY KEY REFERENCES certificates (id),
  signature BLOB NOT NULL
) STRICT;

-- Reservations without a signature.
CREATE TABLE pending (
  id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE latest_reservation (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  at INTEGER NOT NULL
) STRICT;
INSERT INTO latest_reservation (only, at) VALUES (1, 0);

CREATE TABLE crl_numbers (
  authority TEXT NOT NULL,
  scope TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (authority, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE crls (
  id INTEGER PRIMARY KEY,
  authority TEXT NOT NULL,
  scope TEXT NOT NULL,
  number INTEGER NOT NULL,
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  crl BLOB NOT NULL,
  UNIQUE (authority, scope)
) STRICT;

CREATE TABLE tokens (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  secret_hash BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  profiles TEXT,
  serial_pattern TEXT,
  batch TEXT,
  count INTEGER,
  used INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE tickets (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  secret_hash BLOB NOT NULL,
  namespace TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  profile TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  bound_key_hash BLOB
) STRICT;

CREATE TABLE operators (
  seq INTEGER PRIMARY KEY,
  serial BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  registered_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  outcome TEXT NOT NULL,
  facts TEXT
) STRICT;

CREATE TABLE incidents (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  facts TEXT NOT NULL
) STRICT;
`;
