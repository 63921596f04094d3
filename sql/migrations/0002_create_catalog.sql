CREATE TABLE IF NOT EXISTS tax_rate (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(60) NOT NULL,
  rate_bp INT UNSIGNED NOT NULL COMMENT 'basis points: 500 is 5 %',
  is_inclusive BOOLEAN NOT NULL DEFAULT FALSE,
  effective_on DATE NOT NULL,
  UNIQUE KEY tax_rate_name (name, effective_on)
);

-- When an unpaid invoice bites, and how.
CREATE TABLE IF NOT EXISTS billing_profile (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  name VARCHAR(80) NOT NULL,
  due_days SMALLINT UNSIGNED NOT NULL COMMENT 'days from issue to due day',
  grace_days SMALLINT UNSIGNED NOT NULL COMMENT 'days after the due day before the overdue run acts',
  overdue_effect ENUM('block','throttle','walled_garden') NOT NULL,
  throttle_rate VARCHAR(120) NULL COMMENT 'Mikrotik-Rate-Limit text, upload first; needed by throttle',
  is_overdue_run_on BOOLEAN NOT NULL DEFAULT TRUE,
  UNIQUE KEY billing_profile_name (reseller_id, name)
);

CREATE TABLE IF NOT EXISTS ipv4_pool (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  name VARCHAR(60) NOT NULL COMMENT 'the pool''s name on the routers, exact case',
  suspended_name VARCHAR(60) NOT NULL COMMENT 'its suspended twin''s name on the routers',
  UNIQUE KEY ipv4_pool_name (name)
);

CREATE TABLE IF NOT EXISTS ipv4_pool_range (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  pool_id BIGINT UNSIGNED NOT NULL,
  router_id BIGINT UNSIGNED NOT NULL,
  first_address INT UNSIGNED NOT NULL,
  last_address INT UNSIGNED NOT NULL,
  suspended_first_address INT UNSIGNED NOT NULL,
  suspended_last_address INT UNSIGNED NOT NULL,
  UNIQUE KEY pool_range (pool_id, router_id, first_address),
  CONSTRAINT pool_range_pool FOREIGN KEY (pool_id) REFERENCES ipv4_pool (id)
);

CREATE TABLE IF NOT EXISTS ppp_profile (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  name VARCHAR(60) NOT NULL COMMENT 'Mikrotik-Group, exact case',
  pool_id BIGINT UNSIGNED NULL,
  local_address VARCHAR(45) NULL,
  dns_servers VARCHAR(120) NULL,
  session_timeout_seconds INT UNSIGNED NULL,
  idle_timeout_seconds INT UNSIGNED NULL,
  UNIQUE KEY ppp_profile_name (name),
  CONSTRAINT ppp_profile_pool FOREIGN KEY (pool_id) REFERENCES ipv4_pool (id)
);

-- The technical specification behind packages.
CREATE TABLE IF NOT EXISTS master_package (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(80) NOT NULL,
  customer_type ENUM('pppoe','hotspot','static_ip','other') NOT NULL,
  billing_type ENUM('daily','monthly') NOT NULL,
  rate_limit VARCHAR(120) NULL COMMENT 'Mikrotik-Rate-Limit text, upload first; NULL is unlimited',
  ppp_profile_id BIGINT UNSIGNED NULL,
  pool_id BIGINT UNSIGNED NULL,
  ipv6_pool VARCHAR(60) NULL COMMENT 'Framed-IPv6-Pool on the routers',
  delegated_ipv6_pool VARCHAR(60) NULL COMMENT 'Mikrotik-Delegated-IPv6-Pool on the routers',
  session_timeout_seconds INT UNSIGNED NULL,
  idle_timeout_seconds INT UNSIGNED NULL,
  interim_seconds INT UNSIGNED NOT NULL DEFAULT 300,
  address_list VARCHAR(60) NULL,
  UNIQUE KEY master_package_name (name),
  CONSTRAINT master_package_profile FOREIGN KEY (ppp_profile_id) REFERENCES ppp_profile (id),
  CONSTRAINT master_package_pool FOREIGN KEY (pool_id) REFERENCES ipv4_pool (id)
);

CREATE TABLE IF NOT EXISTS package (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  reseller_id BIGINT UNSIGNED NOT NULL DEFAULT 1,
  master_package_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(80) NOT NULL,
  customers_price_minor BIGINT NOT NULL,
  operators_price_minor BIGINT NOT NULL,
  tax_rate_id BIGINT UNSIGNED NULL,
  visibility ENUM('public','private') NOT NULL DEFAULT 'public',
  retired_at DATETIME(3) NULL,
  UNIQUE KEY package_name (reseller_id, name),
  CONSTRAINT package_master FOREIGN KEY (master_package_id) REFERENCES master_package (id),
  CONSTRAINT package_tax FOREIGN KEY (tax_rate_id) REFERENCES tax_rate (id)
);
