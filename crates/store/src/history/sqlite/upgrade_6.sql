-- Version 6.

-- The books count the values of channels, too.
ALTER TABLE books ADD COLUMN values_received INTEGER NOT NULL DEFAULT 0;
ALTER TABLE books ADD COLUMN values_stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE books ADD COLUMN values_duplicate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE books ADD COLUMN values_refused INTEGER NOT NULL DEFAULT 0;

-- Devices with names, channels and readings, see schema.sql at the top.
CREATE TABLE IF NOT EXISTS device_identities (
    device        INTEGER NOT NULL PRIMARY KEY,
    kind          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS device_identities_name ON device_identities (kind, name);

CREATE TABLE IF NOT EXISTS channels (
    device        INTEGER NOT NULL,
    channel       INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    unit          TEXT,
    kind          TEXT    NOT NULL,
    label         TEXT,
    decimals      INTEGER,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (device, channel)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS channels_name ON channels (device, name);

CREATE TABLE IF NOT EXISTS readings (
    bucket         INTEGER NOT NULL,
    device         INTEGER NOT NULL,
    recorded_at_ms INTEGER NOT NULL,
    content_hash   INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    timeless       INTEGER NOT NULL,
    value_count    INTEGER NOT NULL,
    packed         BLOB    NOT NULL,
    PRIMARY KEY (bucket, device, recorded_at_ms, content_hash)
) WITHOUT ROWID;
