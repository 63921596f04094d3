-- Small sums for charts, so that no page reads a big table for a picture. A job writes them from index ranges and may write
-- them again; `subject` is 0 for the whole installation, else a router.
CREATE TABLE IF NOT EXISTS figure_minute (
  kind VARCHAR(40) NOT NULL,
  subject BIGINT UNSIGNED NOT NULL DEFAULT 0,
  minute DATETIME NOT NULL COMMENT 'its beginning in UTC; for sums of a day, the day',
  value BIGINT NOT NULL,
  PRIMARY KEY (kind, subject, minute),
  KEY figure_old (minute)
);
