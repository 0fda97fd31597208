/**
 * Where the ledger stands in the record beside it, and the epoch that its changes of status are told in.
 *
 * The head is absent until the record is begun. Lists of a scope that the ledger has never heard of are numbered from
 * above the floor, which rises when a record was lost: what was published meanwhile is unknown then.
 */
export const record = `
CREATE TABLE record_head (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL,
  begin_offset INTEGER NOT NULL,
  end_offset INTEGER NOT NULL
) STRICT;

CREATE TABLE status_epoch (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  epoch TEXT NOT NULL,
  begun_at INTEGER NOT NULL
) STRICT;
INSERT INTO status_epoch (only, epoch, begun_at)
  VALUES (1, lower(hex(randomblob(16))), CAST(unixepoch('subsec') * 1000 AS INTEGER));

CREATE TABLE crl_number_floor (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  number INTEGER NOT NULL
) STRICT;
INSERT INTO crl_number_floor (only, number) VALUES (1, 0);
`;
