-- A wish that something be looked at: no payload, the reconciler reads the newest facts.
CREATE TABLE IF NOT EXISTS reconcile_queue (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  kind ENUM('login','session','router') NOT NULL,
  `key` BIGINT UNSIGNED NOT NULL COMMENT 'login id, radacctid or router id',
  version BIGINT UNSIGNED NOT NULL COMMENT 'random; a newer wish has another one',
  priority TINYINT UNSIGNED NOT NULL DEFAULT 50 COMMENT 'higher first',
  not_before DATETIME(3) NOT NULL,
  attempts SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  is_parked BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'given up on; under Needs attention',
  claim_token CHAR(32) NULL,
  locked_until DATETIME(3) NULL,
  router_id BIGINT UNSIGNED NULL,
  requested_by VARCHAR(64) NOT NULL COMMENT 'correlation id',
  requested_at DATETIME(3) NOT NULL,
  last_error VARCHAR(190) NULL,
  UNIQUE KEY queue_key (kind, `key`),
  KEY queue_due (kind, is_parked, priority DESC, not_before),
  KEY queue_router (router_id, kind, is_parked, priority DESC, not_before)
);

-- What each login should have now, why, and when that can change by itself.
CREATE TABLE IF NOT EXISTS access_decision (
  login_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  access ENUM('full','throttled','walled_garden','denied') NOT NULL,
  reason VARCHAR(40) NOT NULL,
  rate_limit VARCHAR(120) NULL,
  review_at DATETIME(3) NULL,
  generation BIGINT UNSIGNED NOT NULL COMMENT 'rises when the access or a fingerprint changes',
  access_fingerprint CHAR(12) NOT NULL COMMENT 'what a CoA can change',
  redial_fingerprint CHAR(12) NOT NULL COMMENT 'what only a redial can change',
  coa_attributes TEXT NOT NULL COMMENT 'JSON pairs for a CoA-Request',
  decided_at DATETIME(3) NOT NULL,
  requested_by VARCHAR(64) NOT NULL,
  KEY decision_review (review_at),
  KEY decision_access (access, reason, login_id)
);

-- Each change of a decision, append-only: the subscriber's timeline reads it.
CREATE TABLE IF NOT EXISTS access_change (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  login_id BIGINT UNSIGNED NOT NULL,
  at DATETIME(3) NOT NULL,
  from_access VARCHAR(16) NULL,
  to_access VARCHAR(16) NOT NULL,
  reason VARCHAR(40) NOT NULL,
  generation BIGINT UNSIGNED NOT NULL,
  requested_by VARCHAR(64) NOT NULL,
  KEY access_change_login (login_id, id),
  KEY access_change_timeline (login_id, at),
  KEY access_change_at (at)
);

-- What a live session has by its last acknowledged CoA; where there is no row, its Class says. Fingerprints are empty
-- where neither says.
CREATE TABLE IF NOT EXISTS session_access (
  radacctid BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  login_id BIGINT UNSIGNED NOT NULL,
  access_fingerprint CHAR(12) NOT NULL,
  redial_fingerprint CHAR(12) NOT NULL,
  generation BIGINT UNSIGNED NOT NULL,
  acknowledged_at DATETIME(3) NULL,
  unanswered_at DATETIME(3) NULL COMMENT 'a CoA was sent and not answered: it may have worked, or may yet',
  unanswered_generation BIGINT UNSIGNED NULL COMMENT 'of the oldest such CoA',
  claimed_gone_at DATETIME(3) NULL COMMENT 'the router said 503; a later interim re-opens the question'
);

-- Staff want this session ended, whatever its access.
CREATE TABLE IF NOT EXISTS kick (
  radacctid BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  requested_by VARCHAR(80) NOT NULL,
  requested_at DATETIME(3) NOT NULL
);

-- Evidence: one row for each CoA or Disconnect that was sent: sent -> acknowledged -> confirmed.
CREATE TABLE IF NOT EXISTS enforcement (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  radacctid BIGINT UNSIGNED NOT NULL,
  login_id BIGINT UNSIGNED NOT NULL,
  router_id BIGINT UNSIGNED NOT NULL,
  action ENUM('coa','disconnect') NOT NULL,
  why VARCHAR(40) NOT NULL COMMENT 'the decision''s reason, or kick',
  because VARCHAR(20) NOT NULL DEFAULT '' COMMENT 'what made it necessary: access_changed, redial_needed, denied, ...',
  generation BIGINT UNSIGNED NOT NULL,
  access_fingerprint CHAR(12) NOT NULL,
  redial_fingerprint CHAR(12) NOT NULL,
  attributes TEXT NOT NULL COMMENT 'JSON pairs as sent, without secrets',
  requested_by VARCHAR(64) NOT NULL,
  requested_at DATETIME(3) NOT NULL,
  sent_at DATETIME(3) NOT NULL,
  outcome ENUM('pending','ack','nak','timeout','superseded','abandoned','unsent') NOT NULL DEFAULT 'pending'
    COMMENT 'superseded: something newer was wanted; abandoned: the sender ended; in both the router may have obeyed',
  detail VARCHAR(120) NULL COMMENT 'why nothing was sent, or what became of it after the answer',
  answered_at DATETIME(3) NULL,
  error_cause SMALLINT UNSIGNED NULL,
  round_trip_us INT UNSIGNED NULL,
  attempts TINYINT UNSIGNED NOT NULL DEFAULT 0,
  confirmed_at DATETIME(3) NULL,
  confirmed_by ENUM('stop','rate') NULL,
  next_check_at DATETIME(3) NULL,
  checks TINYINT UNSIGNED NOT NULL DEFAULT 0,
  KEY enforcement_session (radacctid, id),
  KEY enforcement_login (login_id, id),
  KEY enforcement_timeline (login_id, sent_at),
  KEY enforcement_check (next_check_at),
  KEY enforcement_router (router_id, id)
);

-- How far accounting rows have been read, and which process reads them now.
CREATE TABLE IF NOT EXISTS accounting_tail (
  name VARCHAR(40) NOT NULL PRIMARY KEY,
  radacctid BIGINT UNSIGNED NOT NULL,
  read_at DATETIME(3) NOT NULL,
  owner CHAR(36) NULL,
  locked_until DATETIME(3) NULL
);
