/**
 * Lists in pieces, so that a large one is written and read without holding others up; deltas and the full lists that they
 * start from; entries in the order of their serial numbers.
 */
export const delta = `
CREATE TABLE crl_pieces (
  id INTEGER PRIMARY KEY,
  authority TEXT NOT NULL,
  scope TEXT NOT NULL,
  number INTEGER NOT NULL,
  piece INTEGER NOT NULL,
  octets BLOB NOT NULL,
  UNIQUE (authority, scope, number, piece)
) STRICT;
INSERT INTO crl_pieces (authority, scope, number, piece, octets) SELECT authority, scope, number, 0, crl FROM crls;

CREATE TABLE published_crls (
  authority TEXT NOT NULL,
  scope TEXT NOT NULL,
  number INTEGER NOT NULL,
  -- The one before: its pieces stay until the next.
  before INTEGER,
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  modified_at INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  ended_before INTEGER NOT NULL,
  idp INTEGER NOT NULL,
  base INTEGER,
  size INTEGER NOT NULL,
  PRIMARY KEY (authority, scope)
) STRICT, WITHOUT ROWID;
INSERT INTO published_crls
  SELECT authority, scope, number, NULL, this_update, next_update, this_update, changes, 0, scope <> 'full', NULL, length(crl)
  FROM crls;
DROP TABLE crls;
ALTER TABLE published_crls RENAME TO crls;

-- Full lists that deltas start from. A ledger without any has its next full list as the first.
CREATE TABLE crl_bases (
  authority TEXT NOT NULL,
  number INTEGER NOT NULL,
  this_update INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  ended_before INTEGER NOT NULL,
  idp INTEGER NOT NULL,
  PRIMARY KEY (authority, number)
) STRICT, WITHOUT ROWID;

DROP INDEX revocations_shard;
CREATE INDEX revocations_shard ON revocations (authority, shard, serial);
DROP INDEX revocations_authority;
CREATE INDEX revocations_authority ON revocations (authority, serial);
CREATE INDEX revocations_end ON revocations (authority, not_after);
`;
