-- FreeRADIUS's table and column names, our own definitions. Read by FreeRADIUS, written by db/radius-rows.ts alone
-- (radacct and radpostauth: by FreeRADIUS). Names match exactly: case, accents and trailing spaces count.
CREATE TABLE IF NOT EXISTS radcheck (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  username VARCHAR(64) NOT NULL,
  attribute VARCHAR(64) NOT NULL,
  op CHAR(2) NOT NULL DEFAULT ':=',
  value VARCHAR(253) NOT NULL,
  ordinal TINYINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (username, attribute, ordinal),
  KEY radcheck_id (id)
);

CREATE TABLE IF NOT EXISTS radreply (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  username VARCHAR(64) NOT NULL,
  attribute VARCHAR(64) NOT NULL,
  op CHAR(2) NOT NULL DEFAULT ':=',
  value VARCHAR(253) NOT NULL,
  ordinal TINYINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (username, attribute, ordinal),
  KEY radreply_id (id)
);

CREATE TABLE IF NOT EXISTS radusergroup (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  username VARCHAR(64) NOT NULL,
  groupname VARCHAR(64) NOT NULL,
  priority INT NOT NULL DEFAULT 1,
  UNIQUE KEY radusergroup_user (username, groupname)
);

CREATE TABLE IF NOT EXISTS radgroupcheck (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  groupname VARCHAR(64) NOT NULL,
  attribute VARCHAR(64) NOT NULL,
  op CHAR(2) NOT NULL DEFAULT '==',
  value VARCHAR(253) NOT NULL,
  KEY radgroupcheck_group (groupname)
);

CREATE TABLE IF NOT EXISTS radgroupreply (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  groupname VARCHAR(64) NOT NULL,
  attribute VARCHAR(64) NOT NULL,
  op CHAR(2) NOT NULL DEFAULT '=',
  value VARCHAR(253) NOT NULL,
  KEY radgroupreply_group (groupname)
);

-- The table of record for RADIUS clients; the radius-agent makes FreeRADIUS's client files from it.
CREATE TABLE IF NOT EXISTS nas (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  nasname VARCHAR(128) NOT NULL COMMENT 'address',
  shortname VARCHAR(32) NOT NULL COMMENT 'r and the router id: accounting and rejects carry it',
  type VARCHAR(30) NOT NULL DEFAULT 'mikrotik',
  ports INT NULL,
  secret VARCHAR(128) NOT NULL,
  server VARCHAR(64) NULL,
  community VARCHAR(50) NULL,
  description VARCHAR(200) NOT NULL DEFAULT '',
  router_id BIGINT UNSIGNED NOT NULL,
  require_message_authenticator BOOLEAN NOT NULL DEFAULT FALSE,
  changed_at DATETIME(3) NOT NULL,
  UNIQUE KEY nas_name (nasname),
  UNIQUE KEY nas_router (router_id),
  KEY nas_changed (changed_at)
);

CREATE TABLE IF NOT EXISTS radacct (
  radacctid BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  acctsessionid VARCHAR(64) NOT NULL DEFAULT '',
  acctuniqueid CHAR(32) NOT NULL,
  username VARCHAR(64) NOT NULL DEFAULT '',
  realm VARCHAR(64) NULL,
  nasipaddress VARCHAR(45) NOT NULL DEFAULT '' COMMENT 'the packet''s source, not what the router claims',
  nasportid VARCHAR(64) NULL,
  nasporttype VARCHAR(32) NULL,
  acctstarttime DATETIME NULL,
  acctupdatetime DATETIME NULL,
  acctstoptime DATETIME NULL,
  acctinterval INT NULL,
  acctsessiontime INT UNSIGNED NULL,
  acctauthentic VARCHAR(32) NULL,
  connectinfo_start VARCHAR(128) NULL,
  connectinfo_stop VARCHAR(128) NULL,
  acctinputoctets BIGINT NULL,
  acctoutputoctets BIGINT NULL,
  calledstationid VARCHAR(64) NOT NULL DEFAULT '',
  callingstationid VARCHAR(50) NOT NULL DEFAULT '',
  acctterminatecause VARCHAR(32) NOT NULL DEFAULT '',
  servicetype VARCHAR(32) NULL,
  framedprotocol VARCHAR(32) NULL,
  framedipaddress VARCHAR(15) NOT NULL DEFAULT '',
  framedipv6address VARCHAR(45) NOT NULL DEFAULT '',
  framedipv6prefix VARCHAR(45) NOT NULL DEFAULT '',
  framedinterfaceid VARCHAR(44) NOT NULL DEFAULT '',
  delegatedipv6prefix VARCHAR(45) NOT NULL DEFAULT '',
  class VARCHAR(128) NULL COMMENT 'S1.login.access.redial.nonce, as text',
  router_id BIGINT UNSIGNED NULL,
  claimed_nas_address VARCHAR(45) NULL,
  stop_seen BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'a Stop came: nothing opens this row again. Closed without one, an interim opens it',
  UNIQUE KEY radacct_unique (acctuniqueid),
  KEY radacct_user (username, acctstoptime),
  KEY radacct_user_start (username, acctstarttime),
  KEY radacct_router (router_id, acctstoptime),
  KEY radacct_open (acctstoptime, radacctid),
  KEY radacct_address (framedipaddress, acctstarttime),
  KEY radacct_device (callingstationid, acctstarttime),
  KEY radacct_session (acctsessionid),
  KEY radacct_prefix (framedipv6prefix, acctstarttime),
  KEY radacct_delegated (delegatedipv6prefix, acctstarttime)
);

-- Rejects only, at most one a minute for a (user, reason), never the password.
CREATE TABLE IF NOT EXISTS radpostauth (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  username VARCHAR(64) NOT NULL DEFAULT '',
  pass VARCHAR(1) NOT NULL DEFAULT '' COMMENT 'a stock column, always empty',
  reply VARCHAR(32) NOT NULL DEFAULT '',
  authdate DATETIME(3) NOT NULL,
  class VARCHAR(128) NULL,
  reason VARCHAR(40) NOT NULL DEFAULT '',
  callingstationid VARCHAR(50) NOT NULL DEFAULT '',
  router_id BIGINT UNSIGNED NULL,
  nasipaddress VARCHAR(45) NOT NULL DEFAULT '',
  minute BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'minutes since 1970, of the server',
  slot VARCHAR(64) NULL COMMENT 'the name; for names that are no login''s, the source and one of 256',
  UNIQUE KEY radpostauth_once (slot, reason, minute),
  KEY radpostauth_user (username, authdate),
  KEY radpostauth_date (authdate),
  KEY radpostauth_router (router_id, authdate)
);
