-- What is asked about a session before each packet: was a CoA refused, is a Disconnect under way? Speed changes that were
-- obeyed are most of a long session's evidence and answer neither, so they are not in this index.
ALTER TABLE enforcement
  ADD COLUMN IF NOT EXISTS of_note BIGINT UNSIGNED AS (IF(action = 'disconnect' OR outcome = 'nak', radacctid, NULL))
    PERSISTENT INVISIBLE COMMENT 'the session of a Disconnect, or of a CoA that was refused';
CREATE INDEX IF NOT EXISTS enforcement_of_note ON enforcement (of_note, id);
