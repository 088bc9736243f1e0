-- Version 3: sessions, tokens, groups and what else people need to work with devices.

CREATE TABLE IF NOT EXISTS devices (
    device INTEGER NOT NULL,
    name TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    tags TEXT NOT NULL,
    live_ttl_s INTEGER,
    motion_kmh INTEGER,
    stop_s INTEGER,
    retention TEXT NOT NULL DEFAULT 'default',
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS device_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS group_devices (
    group_id INTEGER NOT NULL,
    device INTEGER NOT NULL,
    added_at_ms INTEGER NOT NULL,
    PRIMARY KEY (group_id, device)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_devices_device ON group_devices (device);

CREATE TABLE IF NOT EXISTS user_groups (
    user_id INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    granted_at_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, group_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_groups_group ON user_groups (group_id);

CREATE TABLE IF NOT EXISTS daily_marks (
    slot INTEGER NOT NULL,
    device INTEGER NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (slot, device, day)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS daily_marks_device ON daily_marks (device, day);

CREATE TABLE IF NOT EXISTS daily (
    device INTEGER NOT NULL,
    day INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    before_at INTEGER,
    before_hash INTEGER,
    first_at INTEGER NOT NULL,
    first_odometer_m INTEGER NOT NULL,
    first_hour_min INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_hash INTEGER NOT NULL,
    last_odometer_m INTEGER NOT NULL,
    last_hour_min INTEGER NOT NULL,
    last_speed_kmh INTEGER,
    last_ignition INTEGER NOT NULL,
    place_at INTEGER,
    place_latitude_udeg INTEGER NOT NULL,
    place_longitude_udeg INTEGER NOT NULL,
    odometer_sum_m INTEGER NOT NULL,
    gps_sum_mm INTEGER NOT NULL,
    unmetered_sum_mm INTEGER NOT NULL,
    moving_s INTEGER NOT NULL,
    idle_s INTEGER NOT NULL,
    engine_s INTEGER NOT NULL,
    silent_s INTEGER NOT NULL,
    engine_legs INTEGER NOT NULL,
    max_speed_kmh INTEGER,
    PRIMARY KEY (device, day)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS device_last (
    device INTEGER NOT NULL,
    day INTEGER NOT NULL,
    newest_at INTEGER NOT NULL,
    newest_hash INTEGER NOT NULL,
    fix_at INTEGER,
    fix_hash INTEGER,
    interval_on_s INTEGER,
    interval_off_s INTEGER,
    PRIMARY KEY (device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leases (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID;

-- All there is has to be taken in by daily; the newest days first.
INSERT OR IGNORE INTO daily_marks (slot, device, day) SELECT 0, device, day FROM device_days;

-- Dead letters are found by their bytes through an index that new ones do not
-- scatter over: see schema.sql.
ALTER TABLE dead_letters ADD COLUMN bytes_group INTEGER NOT NULL DEFAULT 0;
UPDATE dead_letters
SET bytes_group = instr('0123456789ABCDEF', substr(hex(bytes_hash), 1, 1)) - 1;
DROP INDEX IF EXISTS dead_letters_bytes;
CREATE INDEX dead_letters_bytes ON dead_letters (bytes_group, id, bytes_hash);

-- The devices that wait in quarantine, and their letters.
CREATE INDEX IF NOT EXISTS dead_letters_reason ON dead_letters (reason, device);

ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS sessions (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL,
    family_hash   BLOB    NOT NULL UNIQUE,
    secret_hash   BLOB    NOT NULL,
    previous_hash BLOB,
    nonce         BLOB,
    created_at_ms INTEGER NOT NULL,
    used_at_ms    INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    user_agent    TEXT    NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_user ON sessions (user_id);

CREATE TABLE IF NOT EXISTS scoped_tokens (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    devices       TEXT    NOT NULL,
    scopes        TEXT    NOT NULL,
    secret_hash   BLOB UNIQUE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS scoped_tokens_user ON scoped_tokens (user_id);

CREATE TABLE IF NOT EXISTS setup_tokens (
    secret_hash   BLOB    NOT NULL PRIMARY KEY,
    offered_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS retention_classes (
    name TEXT NOT NULL,
    keep_s INTEGER,
    PRIMARY KEY (name)
) WITHOUT ROWID;
