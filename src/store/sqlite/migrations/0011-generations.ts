/** Generations of authorities: what was there before is the first, and current. Roots certify each other's keys. */
export const generations = `
ALTER TABLE authorities ADD COLUMN family TEXT NOT NULL DEFAULT '';
ALTER TABLE authorities ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE authorities ADD COLUMN state TEXT NOT NULL DEFAULT 'current'
  CHECK (state IN ('prepared', 'current', 'former', 'retired'));
ALTER TABLE authorities ADD COLUMN published_at INTEGER;
ALTER TABLE authorities ADD COLUMN activated_at INTEGER;
ALTER TABLE authorities ADD COLUMN former_at INTEGER;
ALTER TABLE authorities ADD COLUMN retired_at INTEGER;
UPDATE authorities SET family = name, published_at = created_at, activated_at = created_at;
CREATE UNIQUE INDEX authorities_generation ON authorities (family, generation);
CREATE UNIQUE INDEX authorities_current ON authorities (family) WHERE state = 'current';
CREATE UNIQUE INDEX authorities_prepared ON authorities (family) WHERE state = 'prepared';

CREATE TABLE cross_certificates (
  subject TEXT NOT NULL,
  issuer TEXT NOT NULL,
  certificate BLOB NOT NULL,
  PRIMARY KEY (subject, issuer)
) STRICT, WITHOUT ROWID;
`;
