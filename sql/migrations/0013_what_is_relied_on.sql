-- What a transaction relies on and no row of its own stands for: it is written here, so that two of them conflict on Galera
-- too (docs/decisions/0013). See db/rules.ts.
CREATE TABLE IF NOT EXISTS rule_hold (
  rule VARCHAR(20) NOT NULL PRIMARY KEY,
  version BIGINT UNSIGNED NOT NULL DEFAULT 0
);

-- Which process works at a run; without a row nobody does. See db/run-leases.ts.
CREATE TABLE IF NOT EXISTS run_lease (
  kind ENUM('invoice','overdue') NOT NULL,
  run_id BIGINT UNSIGNED NOT NULL,
  owner CHAR(32) NOT NULL,
  locked_until DATETIME(3) NOT NULL COMMENT 'database time',
  PRIMARY KEY (kind, run_id)
);
