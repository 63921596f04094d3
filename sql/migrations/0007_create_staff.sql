CREATE TABLE IF NOT EXISTS staff (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  username VARCHAR(64) NOT NULL,
  name VARCHAR(120) COLLATE utf8mb4_unicode_ci NOT NULL,
  role ENUM('owner','noc','finance','read_only') NOT NULL,
  password_hash VARCHAR(200) NOT NULL COMMENT 'scrypt with its parameters',
  totp_secret VARBINARY(512) NULL COMMENT 'sealed; NULL: not used',
  totp_confirmed_at DATETIME(3) NULL,
  totp_last_step BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'a code is good once',
  failed_count SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  locked_until DATETIME(3) NULL,
  disabled_at DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY staff_username (username)
);

-- The cookie's value is not here, only its hash: a copy of this table signs nobody in.
CREATE TABLE IF NOT EXISTS staff_session (
  id_hash CHAR(64) NOT NULL PRIMARY KEY,
  staff_id BIGINT UNSIGNED NOT NULL,
  created_at DATETIME(3) NOT NULL,
  seen_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  address VARCHAR(45) NOT NULL,
  agent VARCHAR(190) NOT NULL,
  KEY staff_session_staff (staff_id, seen_at),
  KEY staff_session_expires (expires_at),
  CONSTRAINT staff_session_staff FOREIGN KEY (staff_id) REFERENCES staff (id)
);
