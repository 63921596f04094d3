-- A lane that prepares a packet writes here, so that on Galera it and a new decision of the same login cannot both commit.
ALTER TABLE access_decision
  ADD COLUMN IF NOT EXISTS looks INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'rises with each look of a lane';
