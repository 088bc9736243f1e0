-- Version 2: roles instead of a flag, and which devices a viewer may see. Admins
-- stay admins, everyone else becomes a viewer; nobody gains a right.

ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'viewer';
UPDATE users SET role = 'admin' WHERE admin = 1;
ALTER TABLE users DROP COLUMN admin;

CREATE TABLE IF NOT EXISTS user_devices (
    user_id       INTEGER NOT NULL,
    device        INTEGER NOT NULL,
    granted_at_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS claims (
    name          TEXT    NOT NULL PRIMARY KEY,
    claimed_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Where there are accounts, the first one was made long ago.
INSERT INTO claims (name, claimed_at_ms) SELECT 'first_account', 0 FROM users LIMIT 1;
