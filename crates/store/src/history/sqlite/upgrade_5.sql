-- Version 5.

-- From which recorded second on a link shows the past; those of before show all of it.
ALTER TABLE scoped_tokens ADD COLUMN history_from INTEGER NOT NULL DEFAULT 0;

-- Which rows are the devices' newest is noted when they fall quiet, in the order of
-- live entries, for which their arrival counts.
ALTER TABLE device_last ADD COLUMN newest_received_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device_last ADD COLUMN fix_received_ms INTEGER;
ALTER TABLE device_last ADD COLUMN noted_slot INTEGER NOT NULL DEFAULT 0;

UPDATE device_last SET newest_received_ms = COALESCE((
    SELECT p.received_at_ms FROM positions p WHERE p.bucket = newest_at / 300
    AND p.device = device_last.device AND p.recorded_at = newest_at
    AND p.frame_hash = newest_hash), 0);
UPDATE device_last SET fix_received_ms = (
    SELECT p.received_at_ms FROM positions p WHERE p.bucket = fix_at / 300
    AND p.device = device_last.device AND p.recorded_at = fix_at AND p.frame_hash = fix_hash);

-- Sums of days bear the version of the rules that made them, and what it takes to go
-- on by them; see schema.sql. Old ones stay as they were, in whole metres, until they
-- are made anew.
ALTER TABLE daily ADD COLUMN rules INTEGER NOT NULL DEFAULT 0;
ALTER TABLE daily ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
ALTER TABLE daily ADD COLUMN state BLOB NOT NULL DEFAULT X'';
ALTER TABLE daily ADD COLUMN gps_sum_m INTEGER NOT NULL DEFAULT 0;
UPDATE daily SET gps_sum_m =
    CASE WHEN odometer_sum_m > 0 THEN unmetered_sum_mm ELSE gps_sum_mm END / 1000;
ALTER TABLE daily DROP COLUMN before_at;
ALTER TABLE daily DROP COLUMN before_hash;
ALTER TABLE daily DROP COLUMN gps_sum_mm;
ALTER TABLE daily DROP COLUMN unmetered_sum_mm;

-- Commands for devices, see schema.sql at the top.
CREATE TABLE IF NOT EXISTS device_commands (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    device        INTEGER NOT NULL,
    payload       BLOB    NOT NULL,
    state         TEXT    NOT NULL,
    is_open       INTEGER NOT NULL,
    reason        TEXT    NOT NULL DEFAULT '',
    answer        BLOB,
    user_id       INTEGER NOT NULL,
    asked_by      TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    sent_at_ms    INTEGER,
    closed_at_ms  INTEGER,
    attempts      INTEGER NOT NULL DEFAULT 0,
    holder        TEXT    NOT NULL DEFAULT '',
    held_until_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS device_commands_device ON device_commands (device, id);
CREATE INDEX IF NOT EXISTS device_commands_open ON device_commands (is_open, device, id);
CREATE INDEX IF NOT EXISTS device_commands_time ON device_commands (created_at_ms);
