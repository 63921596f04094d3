-- The payer. Every money or suspension transaction updates `version` first: it is the lock, on Galera too.
CREATE TABLE IF NOT EXISTS subscriber (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  name VARCHAR(120) COLLATE utf8mb4_unicode_ci NOT NULL,
  phone VARCHAR(32) NULL,
  email VARCHAR(190) NULL,
  street VARCHAR(190) COLLATE utf8mb4_unicode_ci NULL,
  language VARCHAR(8) NOT NULL DEFAULT 'en',
  billing_profile_id BIGINT UNSIGNED NOT NULL,
  version BIGINT UNSIGNED NOT NULL DEFAULT 0,
  created_at DATETIME(3) NOT NULL,
  KEY subscriber_name (name),
  KEY subscriber_phone (phone),
  KEY subscriber_profile (billing_profile_id, id),
  CONSTRAINT subscriber_profile FOREIGN KEY (billing_profile_id) REFERENCES billing_profile (id),
  CONSTRAINT subscriber_reseller FOREIGN KEY (reseller_id) REFERENCES reseller (id)
);

CREATE TABLE IF NOT EXISTS subscription (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  subscriber_id BIGINT UNSIGNED NOT NULL,
  package_id BIGINT UNSIGNED NOT NULL,
  state ENUM('active','paused','terminated') NOT NULL DEFAULT 'active',
  anchor_on DATE NOT NULL COMMENT 'periods are counted from this day, never from one another',
  next_period INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'index of the first period that has no invoice yet',
  next_invoice_on DATE NULL COMMENT 'start of that period; NULL when nothing more is due',
  price_override_minor BIGINT NULL,
  valid_until DATETIME(3) NULL COMMENT 'prepaid validity; NULL for monthly packages',
  expiry_effect ENUM('block','throttle','walled_garden') NOT NULL DEFAULT 'block',
  started_on DATE NOT NULL,
  ended_on DATE NULL,
  KEY subscription_subscriber (subscriber_id),
  KEY subscription_package (package_id, id, state) COMMENT 'state, so that a count reads no rows',
  KEY subscription_next_invoice (next_invoice_on, id),
  CONSTRAINT subscription_subscriber FOREIGN KEY (subscriber_id) REFERENCES subscriber (id),
  CONSTRAINT subscription_package FOREIGN KEY (package_id) REFERENCES package (id)
);

-- A username stays for ever, also when its login is retired, so that old accounting names nobody else.
CREATE TABLE IF NOT EXISTS login (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  subscription_id BIGINT UNSIGNED NOT NULL,
  username VARCHAR(64) NOT NULL,
  secret VARBINARY(512) NOT NULL COMMENT 'sealed: key id, nonce, tag, ciphertext',
  mac_lock CHAR(17) NULL COMMENT 'AA:BB:CC:DD:EE:FF',
  static_ipv4 VARCHAR(15) NULL,
  delegated_ipv6_prefix VARCHAR(43) NULL,
  simultaneous_use TINYINT UNSIGNED NOT NULL DEFAULT 1 COMMENT '0 is not limited',
  retired_at DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  live_static_ipv4 VARCHAR(15) AS (IF(retired_at IS NULL, static_ipv4, NULL)) PERSISTENT,
  UNIQUE KEY login_username (username),
  UNIQUE KEY login_static_ipv4 (live_static_ipv4),
  KEY login_subscription (subscription_id),
  KEY login_mac (mac_lock),
  KEY login_prefix (delegated_ipv6_prefix),
  CONSTRAINT login_subscription FOREIGN KEY (subscription_id) REFERENCES subscription (id)
);

-- A suspension is a row, opened and closed by somebody; at most one open a (subscription, cause).
CREATE TABLE IF NOT EXISTS suspension (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  subscription_id BIGINT UNSIGNED NOT NULL,
  cause ENUM('overdue','staff','fraud','vacation') NOT NULL,
  effect ENUM('block','throttle','walled_garden') NOT NULL,
  throttle_rate VARCHAR(120) NULL,
  opened_at DATETIME(3) NOT NULL,
  opened_by VARCHAR(80) NOT NULL COMMENT 'actor',
  opened_by_run_id BIGINT UNSIGNED NULL,
  closed_at DATETIME(3) NULL,
  closed_by VARCHAR(80) NULL,
  closed_because ENUM('paid','credited','voided','written_off','promise','lifted','rolled_back','terminated','repaired') NULL,
  closed_by_payment_id BIGINT UNSIGNED NULL,
  note VARCHAR(255) NOT NULL DEFAULT '',
  open_cause VARCHAR(16) AS (IF(closed_at IS NULL, cause, NULL)) PERSISTENT,
  UNIQUE KEY suspension_one_open (subscription_id, open_cause),
  KEY suspension_run (opened_by_run_id, id, closed_at) COMMENT 'closed_at, so that counting those still open reads no rows',
  KEY suspension_open (open_cause, id),
  CONSTRAINT suspension_subscription FOREIGN KEY (subscription_id) REFERENCES subscription (id)
);

-- Until this day the overdue run leaves the subscription alone: after a lift, a rollback, an exclusion, a promise.
CREATE TABLE IF NOT EXISTS deferral (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  subscription_id BIGINT UNSIGNED NOT NULL,
  source ENUM('lift','rollback','exclusion','promise') NOT NULL,
  until_on DATE NOT NULL COMMENT 'first day on which the overdue run may act again',
  run_id BIGINT UNSIGNED NULL,
  opened_at DATETIME(3) NOT NULL,
  opened_by VARCHAR(80) NOT NULL,
  closed_at DATETIME(3) NULL,
  note VARCHAR(255) NOT NULL DEFAULT '',
  once_key VARCHAR(64) NULL COMMENT 'makes a repeated rollback or exclusion the same row',
  UNIQUE KEY deferral_once (once_key),
  KEY deferral_subscription (subscription_id, until_on)
);
