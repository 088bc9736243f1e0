-- Version 8: rules, geofences, alarms and notifications, see schema.sql at the top.

CREATE TABLE IF NOT EXISTS rules (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    owner         INTEGER,
    severity      TEXT    NOT NULL,
    spec          TEXT    NOT NULL,
    scope_all     INTEGER NOT NULL,
    scope_group   INTEGER,
    enabled       INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS rule_devices (
    rule_id INTEGER NOT NULL,
    device  INTEGER NOT NULL,
    PRIMARY KEY (rule_id, device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS geofences (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    owner         INTEGER,
    geojson       TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS rule_changes (
    id     INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS rule_marks (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    packed BLOB    NOT NULL
);

CREATE TABLE IF NOT EXISTS rule_states (
    device    INTEGER NOT NULL,
    due_at_ms INTEGER,
    state     BLOB    NOT NULL,
    PRIMARY KEY (device)
);

CREATE INDEX IF NOT EXISTS rule_states_due ON rule_states (due_at_ms);

CREATE TABLE IF NOT EXISTS alarms (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id            INTEGER NOT NULL,
    rule_version       INTEGER NOT NULL,
    device             INTEGER NOT NULL,
    episode            INTEGER NOT NULL,
    rule_name          TEXT    NOT NULL,
    owner              INTEGER,
    severity           TEXT    NOT NULL,
    late               INTEGER NOT NULL,
    notified           INTEGER NOT NULL,
    opened_at_ms       INTEGER NOT NULL,
    raised_at_ms       INTEGER NOT NULL,
    cleared_at_ms      INTEGER,
    withdrawn          INTEGER NOT NULL,
    value_text         TEXT,
    latitude_udeg      INTEGER,
    longitude_udeg     INTEGER,
    acknowledged_at_ms INTEGER,
    acknowledged_by    TEXT,
    note               TEXT,
    silenced_until_ms  INTEGER,
    silenced_by        TEXT,
    silence_reason     TEXT
);

CREATE UNIQUE INDEX IF NOT EXISTS alarms_episode ON alarms (rule_id, rule_version, device, episode);

CREATE INDEX IF NOT EXISTS alarms_device ON alarms (device, id);

CREATE INDEX IF NOT EXISTS alarms_open ON alarms (cleared_at_ms, id);

CREATE TABLE IF NOT EXISTS ways (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    owner         INTEGER,
    kind          TEXT    NOT NULL,
    target        TEXT    NOT NULL,
    enabled       INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS rule_ways (
    rule_id INTEGER NOT NULL,
    way_id  INTEGER NOT NULL,
    PRIMARY KEY (rule_id, way_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm_key        TEXT    NOT NULL,
    transition       TEXT    NOT NULL,
    way_id           INTEGER NOT NULL,
    body             TEXT    NOT NULL,
    state            INTEGER NOT NULL,
    attempts         INTEGER NOT NULL,
    next_at_ms       INTEGER NOT NULL,
    claimed_by       TEXT    NOT NULL,
    claimed_until_ms INTEGER NOT NULL,
    last_error       TEXT,
    reason           TEXT,
    created_at_ms    INTEGER NOT NULL,
    done_at_ms       INTEGER
);

CREATE UNIQUE INDEX IF NOT EXISTS outbox_key ON outbox (alarm_key, transition, way_id);

CREATE INDEX IF NOT EXISTS outbox_due ON outbox (state, next_at_ms);

INSERT OR IGNORE INTO rule_changes (id, number) VALUES (1, 1);
