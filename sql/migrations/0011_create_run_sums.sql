-- What the page of a big run would have to sum up at each look: written once a minute while something moves.
CREATE TABLE IF NOT EXISTS overdue_run_sums (
  run_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  made_at DATETIME(3) NOT NULL,
  sums MEDIUMTEXT NOT NULL COMMENT 'JSON, see db/run-sums.ts'
);
