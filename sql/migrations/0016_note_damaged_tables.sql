-- Tables of which the database said that they, or an index of theirs, are damaged: only a person can mend that.
CREATE TABLE IF NOT EXISTS damaged_table (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  code VARCHAR(64) NOT NULL COMMENT 'the database''s name for it',
  said_at DATETIME(3) NOT NULL
);
