-- One wish that stands for the logins of a master package, or for all: a worker asks for them, five hundred at a time.
ALTER TABLE reconcile_queue
  MODIFY kind ENUM('login','session','router','many_logins') NOT NULL,
  MODIFY `key` BIGINT UNSIGNED NOT NULL COMMENT 'login id, radacctid or router id; many_logins: master package id, 0 for every login';
