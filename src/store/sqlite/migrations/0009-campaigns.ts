/**
 * Campaigns, their members (one row a device, made while a campaign is planned) and what each of them is about; and what was found
 * out about keys and devices over the whole ledger. How many members are in which state is counted by the ledger itself, in the
 * transaction that moves them.
 */
export const campaigns = `
CREATE TABLE campaigns (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  plan TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  -- Certificates up to scan_end were there when it was planned; those up to scanned_through were looked at.
  scan_end INTEGER NOT NULL,
  scanned_through INTEGER NOT NULL,
  planned_at INTEGER,
  approved_at INTEGER,
  approved_by TEXT,
  started_at INTEGER,
  started_by TEXT,
  paused_at INTEGER,
  paused_because TEXT,
  -- How long it was paused in all, which its deadline waits for.
  paused_ms INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER,
  wave INTEGER NOT NULL DEFAULT 0,
  wave_size INTEGER NOT NULL DEFAULT 0,
  wave_called INTEGER NOT NULL DEFAULT 0,
  -- When the wave's last member was called, and up to when the rate was used.
  wave_called_at INTEGER,
  credit_at INTEGER,
  -- The last wave whose gate was passed, or waived by a resume.
  gate_passed INTEGER NOT NULL DEFAULT 0,
  -- Certificates issued up to this one were looked at for who followed.
  followed_through INTEGER NOT NULL
) STRICT;
CREATE INDEX campaigns_state ON campaigns (state);

CREATE TABLE campaign_members (
  campaign_id INTEGER NOT NULL REFERENCES campaigns (id),
  device_id INTEGER NOT NULL REFERENCES devices (id),
  state TEXT NOT NULL,
  -- What is to become, or became, of the old credentials at once: keep, due, held, revoked.
  access TEXT NOT NULL,
  wave INTEGER NOT NULL DEFAULT 0,
  called_at INTEGER,
  renewed_at INTEGER,
  ended_at INTEGER,
  PRIMARY KEY (campaign_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_members_state ON campaign_members (campaign_id, state, device_id);
CREATE INDEX campaign_members_due ON campaign_members (campaign_id, device_id) WHERE access = 'due';
CREATE INDEX campaign_members_device ON campaign_members (device_id);

-- old: what is replaced; new: what a member got in its place.
CREATE TABLE campaign_certificates (
  campaign_id INTEGER NOT NULL REFERENCES campaigns (id),
  device_id INTEGER NOT NULL,
  certificate_id INTEGER NOT NULL REFERENCES certificates (id),
  part TEXT NOT NULL,
  -- Whether it is this campaign that holds it.
  held INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign_id, device_id, certificate_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE campaign_tallies (
  campaign_id INTEGER NOT NULL,
  wave INTEGER NOT NULL,
  state TEXT NOT NULL,
  members INTEGER NOT NULL,
  PRIMARY KEY (campaign_id, wave, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER campaign_members_added AFTER INSERT ON campaign_members BEGIN
  INSERT INTO campaign_tallies VALUES (NEW.campaign_id, NEW.wave, NEW.state, 1)
    ON CONFLICT DO UPDATE SET members = members + 1;
END;
CREATE TRIGGER campaign_members_moved AFTER UPDATE OF state, wave ON campaign_members BEGIN
  UPDATE campaign_tallies SET members = members - 1
    WHERE campaign_id = OLD.campaign_id AND wave = OLD.wave AND state = OLD.state;
  INSERT INTO campaign_tallies VALUES (NEW.campaign_id, NEW.wave, NEW.state, 1)
    ON CONFLICT DO UPDATE SET members = members + 1;
END;

-- The blast radius, counted while the members are found.
CREATE TABLE campaign_facts (
  campaign_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (campaign_id, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE hygiene_scans (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tests TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  started_by TEXT NOT NULL,
  -- Devices up to this one were looked at, to the last one of the day of the start.
  through INTEGER NOT NULL,
  last_device INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  certificates INTEGER NOT NULL,
  rsa_keys INTEGER NOT NULL,
  ended_at INTEGER,
  -- What became of the search for primes that moduli share; absent until it was done.
  primes TEXT
) STRICT;

CREATE TABLE hygiene_findings (
  kind TEXT NOT NULL,
  certificate_id INTEGER NOT NULL REFERENCES certificates (id),
  device_id INTEGER NOT NULL,
  detail TEXT NOT NULL,
  found_at INTEGER NOT NULL,
  PRIMARY KEY (kind, certificate_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hygiene_findings_device ON hygiene_findings (device_id);
`;
