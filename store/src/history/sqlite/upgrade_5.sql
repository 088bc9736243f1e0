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
