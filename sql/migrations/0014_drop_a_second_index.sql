-- access_change_timeline (login_id, at) finds a login's changes as well, and each index is paid for with each change.
ALTER TABLE access_change
  DROP KEY IF EXISTS access_change_login;
