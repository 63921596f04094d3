-- The device. `nas` is its RADIUS face and is written by reconcile alone.
CREATE TABLE IF NOT EXISTS router (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  name VARCHAR(60) NOT NULL,
  address VARCHAR(45) NOT NULL COMMENT 'the source address of its RADIUS packets, IPv4 or IPv6',
  secret VARBINARY(512) NOT NULL COMMENT 'sealed',
  coa_port SMALLINT UNSIGNED NOT NULL DEFAULT 3799,
  rate_change ENUM('coa','disconnect') NOT NULL DEFAULT 'coa' COMMENT 'disconnect for routers that ignore a rate CoA',
  needs_message_authenticator BOOLEAN NOT NULL DEFAULT FALSE,
  pace_per_second SMALLINT UNSIGNED NOT NULL DEFAULT 50,
  changed_at DATETIME(3) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  removed_at DATETIME(3) NULL,
  live_name VARCHAR(60) AS (IF(removed_at IS NULL, name, NULL)) PERSISTENT,
  live_address VARCHAR(45) AS (IF(removed_at IS NULL, address, NULL)) PERSISTENT,
  UNIQUE KEY router_name (live_name),
  UNIQUE KEY router_address (live_address)
);

-- Who may send to the router now, and whether it answers.
CREATE TABLE IF NOT EXISTS router_lane (
  router_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  owner CHAR(36) NULL,
  locked_until DATETIME(3) NULL,
  breaker ENUM('closed','open') NOT NULL DEFAULT 'closed',
  breaker_opened_at DATETIME(3) NULL,
  probe_at DATETIME(3) NULL COMMENT 'when an open breaker lets one packet through',
  failures SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'timeouts in a row',
  last_answer_at DATETIME(3) NULL,
  last_accounting_at DATETIME(3) NULL,
  last_error VARCHAR(120) NULL
);

-- What each FreeRADIUS host has taken of each router: in place -> loaded -> heard.
CREATE TABLE IF NOT EXISTS radius_client (
  host VARCHAR(120) NOT NULL,
  router_id BIGINT UNSIGNED NOT NULL,
  wanted_hash CHAR(64) NULL COMMENT 'NULL: no file wanted',
  wanted_at DATETIME(3) NOT NULL,
  in_place_hash CHAR(64) NULL,
  in_place_at DATETIME(3) NULL,
  loaded_hash CHAR(64) NULL,
  loaded_at DATETIME(3) NULL,
  heard_at DATETIME(3) NULL,
  error VARCHAR(190) NULL,
  PRIMARY KEY (host, router_id),
  KEY radius_client_router (router_id)
);

-- Who asked a FreeRADIUS host without being a router of ours. At most some hundred a host are kept.
CREATE TABLE IF NOT EXISTS unknown_client (
  host VARCHAR(120) NOT NULL,
  address VARCHAR(45) NOT NULL,
  first_seen_at DATETIME(3) NOT NULL,
  last_seen_at DATETIME(3) NOT NULL,
  packets BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (host, address),
  KEY unknown_client_seen (host, last_seen_at)
);
