-- Words by which a subscriber is found: of the name, the usernames, the phone's digits; folded, so that a prefix is an
-- index range. Written with what they come from; db/subscriber-terms.ts makes them.
CREATE TABLE IF NOT EXISTS subscriber_term (
  term VARCHAR(64) NOT NULL,
  subscriber_id BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (term, subscriber_id),
  KEY subscriber_term_of (subscriber_id, term)
);

-- One act on many subscribers. The draft is what the preview shows; starting it acts on those and nobody else.
CREATE TABLE IF NOT EXISTS bulk_job (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  kind ENUM('hold','lift','kick','reconcile','change_package') NOT NULL,
  state ENUM('draft','working','done','cancelled') NOT NULL DEFAULT 'draft',
  chosen VARCHAR(255) NOT NULL COMMENT 'how they were chosen, in words',
  input TEXT NOT NULL COMMENT 'JSON: note, effect, package ...',
  requested_by VARCHAR(80) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  started_at DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  total INT UNSIGNED NOT NULL DEFAULT 0,
  done_count INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'reached, whatever came of it',
  changed_count INT UNSIGNED NOT NULL DEFAULT 0,
  unchanged_count INT UNSIGNED NOT NULL DEFAULT 0,
  failed_count INT UNSIGNED NOT NULL DEFAULT 0,
  claim_token CHAR(32) NULL COMMENT 'one process works at it at a time',
  locked_until DATETIME(3) NULL,
  KEY bulk_job_state (state, id)
);

CREATE TABLE IF NOT EXISTS bulk_item (
  job_id BIGINT UNSIGNED NOT NULL,
  subscriber_id BIGINT UNSIGNED NOT NULL,
  state ENUM('waiting','changed','unchanged','failed') NOT NULL DEFAULT 'waiting',
  result VARCHAR(190) NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, subscriber_id),
  KEY bulk_item_state (job_id, state, subscriber_id),
  CONSTRAINT bulk_item_job FOREIGN KEY (job_id) REFERENCES bulk_job (id) ON DELETE CASCADE
);

-- A file of new subscribers: read whole, reviewed by a person, then imported row by row.
CREATE TABLE IF NOT EXISTS import_job (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  state ENUM('review','working','done','cancelled') NOT NULL DEFAULT 'review',
  file_name VARCHAR(190) COLLATE utf8mb4_unicode_ci NOT NULL,
  requested_by VARCHAR(80) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  started_at DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  total INT UNSIGNED NOT NULL DEFAULT 0,
  good_count INT UNSIGNED NOT NULL DEFAULT 0,
  bad_count INT UNSIGNED NOT NULL DEFAULT 0,
  done_count INT UNSIGNED NOT NULL DEFAULT 0,
  imported_count INT UNSIGNED NOT NULL DEFAULT 0,
  failed_count INT UNSIGNED NOT NULL DEFAULT 0,
  forgotten_at DATETIME(3) NULL COMMENT 'when what was typed was forgotten, the passwords with it',
  claim_token CHAR(32) NULL,
  locked_until DATETIME(3) NULL,
  KEY import_job_state (state, id),
  KEY import_job_kept (forgotten_at, id)
);

CREATE TABLE IF NOT EXISTS import_row (
  job_id BIGINT UNSIGNED NOT NULL,
  line_no INT UNSIGNED NOT NULL COMMENT 'of the file, the header is 1',
  state ENUM('good','bad','imported','failed') NOT NULL,
  typed VARBINARY(8000) NOT NULL COMMENT 'sealed: the fields as they were typed, with the password',
  faults TEXT NOT NULL COMMENT 'JSON: [{field, rule}]',
  username VARCHAR(64) NULL,
  subscriber_id BIGINT UNSIGNED NULL COMMENT 'once it is imported',
  PRIMARY KEY (job_id, line_no),
  KEY import_row_state (job_id, state, line_no),
  CONSTRAINT import_row_job FOREIGN KEY (job_id) REFERENCES import_job (id) ON DELETE CASCADE
);
