-- One operator a database. Its zone, currency and limits are settings, changed with a trail in the activity log.
CREATE TABLE IF NOT EXISTS setting (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  value TEXT NOT NULL,
  changed_at DATETIME(3) NOT NULL
);

-- The operator itself is reseller 1, so that every row has an owner from the first day.
CREATE TABLE IF NOT EXISTS reseller (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  parent_id BIGINT UNSIGNED NULL,
  name VARCHAR(120) COLLATE utf8mb4_unicode_ci NOT NULL,
  created_at DATETIME(3) NOT NULL,
  CONSTRAINT reseller_parent FOREIGN KEY (parent_id) REFERENCES reseller (id)
);

-- Who is above whom, itself included at depth 0.
CREATE TABLE IF NOT EXISTS reseller_closure (
  ancestor_id BIGINT UNSIGNED NOT NULL,
  descendant_id BIGINT UNSIGNED NOT NULL,
  depth SMALLINT UNSIGNED NOT NULL,
  PRIMARY KEY (ancestor_id, descendant_id),
  KEY closure_up (descendant_id, depth)
);

-- Append-only: what was done, by whom, to what. `diff` is redacted JSON.
CREATE TABLE IF NOT EXISTS activity (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at DATETIME(3) NOT NULL,
  actor VARCHAR(80) NOT NULL,
  on_behalf_of VARCHAR(80) NULL,
  verb VARCHAR(60) NOT NULL,
  subject_kind VARCHAR(40) NOT NULL,
  subject_id BIGINT UNSIGNED NULL,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  subscriber_id BIGINT UNSIGNED NULL,
  login_id BIGINT UNSIGNED NULL,
  router_id BIGINT UNSIGNED NULL,
  correlation_id VARCHAR(64) NOT NULL,
  diff TEXT NOT NULL,
  outcome VARCHAR(60) NOT NULL,
  KEY activity_subscriber (subscriber_id, id),
  KEY activity_timeline (subscriber_id, at),
  KEY activity_subject (subject_kind, subject_id, id),
  KEY activity_router (router_id, id),
  KEY activity_correlation (correlation_id),
  KEY activity_at (at),
  KEY activity_actor (actor, at),
  KEY activity_verb (verb, at),
  KEY activity_actor_verb (actor, verb, at)
);

-- One row a sealed day: the hash of the day's activity rows, chained to the day before.
CREATE TABLE IF NOT EXISTS activity_seal (
  day DATE NOT NULL PRIMARY KEY,
  first_id BIGINT UNSIGNED NOT NULL,
  last_id BIGINT UNSIGNED NOT NULL,
  row_count INT UNSIGNED NOT NULL,
  sha256 CHAR(64) NOT NULL,
  sealed_at DATETIME(3) NOT NULL
);

-- Cron only ticks; what is due is here.
CREATE TABLE IF NOT EXISTS schedule (
  name VARCHAR(60) NOT NULL PRIMARY KEY,
  next_due_at DATETIME(3) NOT NULL,
  claim_token CHAR(32) NULL,
  locked_until DATETIME(3) NULL,
  last_started_at DATETIME(3) NULL,
  last_finished_at DATETIME(3) NULL,
  last_outcome VARCHAR(255) NULL
);

-- Every Sluice process says here that it lives and where it hears wake-up datagrams.
CREATE TABLE IF NOT EXISTS process_heartbeat (
  id CHAR(36) NOT NULL PRIMARY KEY,
  host VARCHAR(120) NOT NULL,
  role VARCHAR(20) NOT NULL,
  pid INT UNSIGNED NOT NULL,
  wake_address VARCHAR(45) NOT NULL,
  wake_port INT UNSIGNED NOT NULL,
  started_at DATETIME(3) NOT NULL,
  seen_at DATETIME(3) NOT NULL,
  KEY heartbeat_role (role, seen_at)
);
