-- Subscriber and reseller accounts keep their balance; house accounts are summed from postings.
CREATE TABLE IF NOT EXISTS ledger_account (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  code VARCHAR(40) NOT NULL COMMENT 'see domain/chart-of-accounts.ts',
  owner_key VARCHAR(40) NOT NULL COMMENT 'house, subscriber:ID or reseller:ID',
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  subscriber_id BIGINT UNSIGNED NULL,
  currency CHAR(3) NOT NULL,
  exponent TINYINT UNSIGNED NOT NULL,
  balance_minor BIGINT NULL COMMENT 'debits less credits; NULL for house accounts',
  UNIQUE KEY ledger_account_owner (owner_key, code, currency),
  KEY ledger_account_subscriber (subscriber_id)
);

CREATE TABLE IF NOT EXISTS ledger_entry (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  once_key VARCHAR(100) NOT NULL COMMENT 'what makes a repeated posting the same one',
  request_id CHAR(32) NOT NULL COMMENT 'the call that posted it: its own repetition after a lost COMMIT finds it',
  kind VARCHAR(40) NOT NULL,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  subscriber_id BIGINT UNSIGNED NULL,
  effective_on DATE NOT NULL,
  posted_at DATETIME(3) NOT NULL,
  actor VARCHAR(80) NOT NULL,
  memo VARCHAR(190) NOT NULL DEFAULT '',
  reverses_id BIGINT UNSIGNED NULL,
  UNIQUE KEY ledger_entry_once (once_key),
  UNIQUE KEY ledger_entry_reverses (reverses_id),
  KEY ledger_entry_subscriber (subscriber_id, id),
  KEY ledger_entry_timeline (subscriber_id, posted_at),
  KEY ledger_entry_posted (posted_at),
  KEY ledger_entry_kind (kind, posted_at)
);

CREATE TABLE IF NOT EXISTS ledger_posting (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  entry_id BIGINT UNSIGNED NOT NULL,
  account_id BIGINT UNSIGNED NOT NULL,
  amount_minor BIGINT NOT NULL COMMENT 'debit positive, credit negative; an entry sums to zero',
  KEY ledger_posting_entry (entry_id, account_id, amount_minor),
  KEY ledger_posting_account (account_id, id, amount_minor),
  CONSTRAINT ledger_posting_entry FOREIGN KEY (entry_id) REFERENCES ledger_entry (id),
  CONSTRAINT ledger_posting_account FOREIGN KEY (account_id) REFERENCES ledger_account (id)
);

-- House accounts by day of posting, sealed once the day is over. The instants are kept, because a zone can change.
CREATE TABLE IF NOT EXISTS ledger_rollup (
  account_id BIGINT UNSIGNED NOT NULL,
  day DATE NOT NULL,
  from_at DATETIME(3) NOT NULL,
  until_at DATETIME(3) NOT NULL COMMENT 'not included; the next day begins here',
  debit_minor BIGINT NOT NULL,
  credit_minor BIGINT NOT NULL,
  sealed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (account_id, day),
  KEY ledger_rollup_until (until_at)
);

CREATE TABLE IF NOT EXISTS ledger_check (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  checked_at DATETIME(3) NOT NULL,
  verdict ENUM('ok','broken') NOT NULL,
  entry_count BIGINT UNSIGNED NOT NULL,
  posting_count BIGINT UNSIGNED NOT NULL,
  findings TEXT NOT NULL COMMENT 'JSON'
);

-- Gap-free numbers: locked last, in the transaction that finalises the document.
CREATE TABLE IF NOT EXISTS document_counter (
  reseller_id BIGINT UNSIGNED NOT NULL,
  kind ENUM('invoice','credit_note') NOT NULL,
  series VARCHAR(16) NOT NULL,
  last_number BIGINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (reseller_id, kind, series)
);

CREATE TABLE IF NOT EXISTS invoice (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  series VARCHAR(16) NOT NULL,
  number BIGINT UNSIGNED NULL COMMENT 'NULL only inside the transaction that issues it: it is given last',
  subscriber_id BIGINT UNSIGNED NOT NULL,
  subscription_id BIGINT UNSIGNED NOT NULL,
  period_start DATE NOT NULL,
  period_end DATE NOT NULL COMMENT 'first day after the period',
  zone VARCHAR(60) NOT NULL COMMENT 'the operator''s zone when it was issued',
  issued_on DATE NOT NULL,
  due_on DATE NOT NULL,
  currency CHAR(3) NOT NULL,
  exponent TINYINT UNSIGNED NOT NULL,
  net_minor BIGINT NOT NULL,
  tax_minor BIGINT NOT NULL,
  total_minor BIGINT NOT NULL,
  open_minor BIGINT NOT NULL,
  state ENUM('open','paid','void','written_off') NOT NULL,
  run_id BIGINT UNSIGNED NULL,
  live_period DATE AS (IF(state = 'void', NULL, period_start)) PERSISTENT,
  UNIQUE KEY invoice_number (reseller_id, series, number),
  UNIQUE KEY invoice_once (subscription_id, live_period),
  KEY invoice_subscriber (subscriber_id, state, due_on),
  KEY invoice_due (state, due_on, subscriber_id),
  KEY invoice_period (period_start),
  KEY invoice_state (state, period_start, id, due_on) COMMENT 'the list of a state, newest period first',
  KEY invoice_overdue (state, subscriber_id, due_on, open_minor) COMMENT 'the overdue plan walks it in order',
  CONSTRAINT invoice_subscriber FOREIGN KEY (subscriber_id) REFERENCES subscriber (id),
  CONSTRAINT invoice_open CHECK (open_minor >= 0 AND open_minor <= total_minor)
);

-- Tax is kept on the line, also at 0 %.
CREATE TABLE IF NOT EXISTS invoice_line (
  invoice_id BIGINT UNSIGNED NOT NULL,
  line_no SMALLINT UNSIGNED NOT NULL,
  description VARCHAR(190) NOT NULL,
  package_id BIGINT UNSIGNED NULL,
  net_minor BIGINT NOT NULL,
  tax_name VARCHAR(60) NOT NULL,
  tax_rate_bp INT UNSIGNED NOT NULL,
  tax_minor BIGINT NOT NULL,
  PRIMARY KEY (invoice_id, line_no),
  CONSTRAINT invoice_line_invoice FOREIGN KEY (invoice_id) REFERENCES invoice (id)
);

CREATE TABLE IF NOT EXISTS credit_note (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  series VARCHAR(16) NOT NULL,
  number BIGINT UNSIGNED NULL COMMENT 'as an invoice''s',
  invoice_id BIGINT UNSIGNED NOT NULL,
  subscriber_id BIGINT UNSIGNED NOT NULL,
  issued_on DATE NOT NULL,
  currency CHAR(3) NOT NULL,
  exponent TINYINT UNSIGNED NOT NULL,
  net_minor BIGINT NOT NULL,
  tax_minor BIGINT NOT NULL,
  total_minor BIGINT NOT NULL,
  note VARCHAR(190) NOT NULL,
  once_key VARCHAR(64) NOT NULL,
  UNIQUE KEY credit_note_number (reseller_id, series, number),
  UNIQUE KEY credit_note_once (once_key),
  KEY credit_note_invoice (invoice_id),
  KEY credit_note_subscriber (subscriber_id, id)
);

CREATE TABLE IF NOT EXISTS payment (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  subscriber_id BIGINT UNSIGNED NOT NULL,
  channel ENUM('cash','bank') NOT NULL,
  reference VARCHAR(64) NOT NULL,
  amount_minor BIGINT NOT NULL,
  currency CHAR(3) NOT NULL,
  exponent TINYINT UNSIGNED NOT NULL,
  received_on DATE NOT NULL,
  recorded_at DATETIME(3) NOT NULL,
  recorded_by VARCHAR(80) NOT NULL,
  reversed_at DATETIME(3) NULL,
  reversed_by VARCHAR(80) NULL,
  reversal_note VARCHAR(190) NULL,
  UNIQUE KEY payment_reference (channel, reference),
  KEY payment_subscriber (subscriber_id, id),
  KEY payment_received (received_on),
  KEY payment_channel (channel, received_on),
  KEY payment_reversed (reversed_at),
  CONSTRAINT payment_subscriber FOREIGN KEY (subscriber_id) REFERENCES subscriber (id),
  CONSTRAINT payment_positive CHECK (amount_minor > 0)
);

-- Part of a payment, of the wallet, of a credit note or of what was given up, set against an invoice.
CREATE TABLE IF NOT EXISTS allocation (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  invoice_id BIGINT UNSIGNED NOT NULL,
  payment_id BIGINT UNSIGNED NULL,
  credit_note_id BIGINT UNSIGNED NULL,
  source ENUM('payment','wallet','credit_note','write_off') NOT NULL,
  once_key VARCHAR(100) NOT NULL COMMENT 'for wallet and write_off also the once_key of its ledger entry',
  amount_minor BIGINT NOT NULL,
  allocated_at DATETIME(3) NOT NULL,
  reversed_at DATETIME(3) NULL,
  UNIQUE KEY allocation_once (once_key),
  KEY allocation_invoice (invoice_id),
  KEY allocation_payment (payment_id),
  CONSTRAINT allocation_invoice FOREIGN KEY (invoice_id) REFERENCES invoice (id),
  CONSTRAINT allocation_positive CHECK (amount_minor > 0)
);

CREATE TABLE IF NOT EXISTS invoice_run (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  as_of DATE NOT NULL,
  requested_by VARCHAR(80) NOT NULL,
  started_at DATETIME(3) NOT NULL,
  finished_at DATETIME(3) NULL,
  due_count INT UNSIGNED NOT NULL DEFAULT 0,
  done_count INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'subscriptions that were dealt with; counted in each batch',
  issued_count INT UNSIGNED NOT NULL DEFAULT 0,
  parked_count INT UNSIGNED NOT NULL DEFAULT 0,
  total_minor BIGINT NOT NULL DEFAULT 0
);

-- A subscriber whose invoicing or overdue action fails is set aside and listed; the run goes on.
CREATE TABLE IF NOT EXISTS parked (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  run_kind ENUM('invoice','overdue') NOT NULL,
  run_id BIGINT UNSIGNED NOT NULL,
  subscription_id BIGINT UNSIGNED NOT NULL,
  reason VARCHAR(190) NOT NULL,
  parked_at DATETIME(3) NOT NULL,
  settled_at DATETIME(3) NULL,
  UNIQUE KEY parked_once (run_kind, run_id, subscription_id),
  KEY parked_open (settled_at, id)
);

CREATE TABLE IF NOT EXISTS overdue_run (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  as_of DATE NOT NULL,
  once_key VARCHAR(40) NULL COMMENT 'scheduled:DAY, so that a doubled tick is one run',
  state ENUM('planning','planned','held','approved','applying','applied','rolling_back','rolled_back','cancelled') NOT NULL,
  requested_by VARCHAR(80) NOT NULL,
  requested_at DATETIME(3) NOT NULL,
  approved_by VARCHAR(80) NULL,
  approved_at DATETIME(3) NULL,
  held_because VARCHAR(190) NULL,
  subject_count INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'active subscriptions when it was planned',
  planned_count INT UNSIGNED NOT NULL DEFAULT 0,
  planned_open_minor BIGINT NOT NULL DEFAULT 0,
  started_at DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  rolled_back_at DATETIME(3) NULL,
  rolled_back_by VARCHAR(80) NULL,
  rollback_note VARCHAR(255) NULL COMMENT 'kept here, so that a killed rollback goes on with it',
  version BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'each batch writes it: the lock between apply, rollback and cancel',
  UNIQUE KEY overdue_run_once (once_key),
  KEY overdue_run_state (state, id)
);

CREATE TABLE IF NOT EXISTS overdue_run_action (
  run_id BIGINT UNSIGNED NOT NULL,
  subscription_id BIGINT UNSIGNED NOT NULL,
  subscriber_id BIGINT UNSIGNED NOT NULL,
  effect ENUM('block','throttle','walled_garden') NOT NULL,
  throttle_rate VARCHAR(120) NULL,
  open_minor BIGINT NOT NULL,
  invoice_count SMALLINT UNSIGNED NOT NULL,
  oldest_due_on DATE NOT NULL,
  router_reachable ENUM('yes','no','no_session','unknown') NOT NULL,
  state ENUM('planned','excluded','applied','changed','parked','rolled_back','kept') NOT NULL DEFAULT 'planned',
  why VARCHAR(190) NOT NULL DEFAULT '',
  suspension_id BIGINT UNSIGNED NULL,
  settled_at DATETIME(3) NULL,
  PRIMARY KEY (run_id, subscription_id),
  KEY overdue_action_state (run_id, state, subscriber_id, subscription_id),
  KEY overdue_action_order (run_id, subscriber_id, subscription_id) COMMENT 'the run''s page lists it in this order',
  KEY overdue_action_subscriber (subscriber_id, run_id)
);
