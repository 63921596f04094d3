-- A router said that it knows no such session, and then accounts for it all the same: looked for each second.
CREATE INDEX IF NOT EXISTS session_access_claimed ON session_access (claimed_gone_at);
