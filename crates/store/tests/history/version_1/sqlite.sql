-- The schema as version 1 made it, for the test of the upgrade.

CREATE TABLE IF NOT EXISTS positions (
    bucket         INTEGER NOT NULL,
    device         INTEGER NOT NULL,
    recorded_at    INTEGER NOT NULL,
    frame_hash     INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    direction_cdeg INTEGER NOT NULL,
    odometer_m     INTEGER NOT NULL,
    hour_meter_min INTEGER NOT NULL,
    composition    INTEGER NOT NULL,
    extension      INTEGER,
    speed_kmh      INTEGER NOT NULL,
    latitude_udeg  INTEGER NOT NULL,
    longitude_udeg INTEGER NOT NULL,
    raw            BLOB,
    PRIMARY KEY (bucket, device, recorded_at, frame_hash)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS device_days (
    device INTEGER NOT NULL,
    day    INTEGER NOT NULL,
    PRIMARY KEY (device, day)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS duplicates (
    device              INTEGER NOT NULL,
    recorded_at         INTEGER NOT NULL,
    frame_hash          INTEGER NOT NULL,
    times               INTEGER NOT NULL,
    last_received_at_ms INTEGER NOT NULL,
    PRIMARY KEY (device, recorded_at, frame_hash)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dead_letters (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at_ms INTEGER NOT NULL,
    topic          TEXT    NOT NULL,
    byte_offset    INTEGER NOT NULL,
    reason         TEXT    NOT NULL,
    device         INTEGER,
    recorded_at    INTEGER,
    bytes          BLOB    NOT NULL,
    bytes_hash     BLOB    NOT NULL,
    worker         TEXT    NOT NULL,
    run            INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    item           INTEGER NOT NULL,
    UNIQUE (worker, run, sequence, item)
);
CREATE INDEX IF NOT EXISTS dead_letters_device ON dead_letters (device, recorded_at);
CREATE INDEX IF NOT EXISTS dead_letters_time ON dead_letters (received_at_ms);
CREATE INDEX IF NOT EXISTS dead_letters_bytes ON dead_letters (bytes_hash);

CREATE TABLE IF NOT EXISTS books (
    worker       TEXT    NOT NULL,
    run          INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    minute       INTEGER NOT NULL,
    exporter     TEXT    NOT NULL,
    received     INTEGER NOT NULL,
    stored       INTEGER NOT NULL,
    duplicates   INTEGER NOT NULL,
    dead_letters INTEGER NOT NULL,
    pings        INTEGER NOT NULL,
    PRIMARY KEY (worker, run, sequence, minute)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS books_minute ON books (minute);

CREATE TABLE IF NOT EXISTS removals (
    kind    TEXT    NOT NULL,
    minute  INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (kind, minute)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS logins (
    name          TEXT    NOT NULL PRIMARY KEY,
    role          TEXT    NOT NULL,
    device        INTEGER,
    salt          TEXT    NOT NULL,
    iterations    INTEGER NOT NULL,
    hash          TEXT    NOT NULL,
    enabled       INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS logins_device ON logins (device);

CREATE TABLE IF NOT EXISTS users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    admin         INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS schema_version (
    version       INTEGER NOT NULL PRIMARY KEY,
    applied_at_ms INTEGER NOT NULL
);

INSERT INTO schema_version (version, applied_at_ms) VALUES (1, 0);
