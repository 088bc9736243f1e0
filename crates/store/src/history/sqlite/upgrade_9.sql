-- Version 9: what sends notifications, and sealed readings, see schema.sql at the top.

-- Nothing could be stored in these before: no receiver could be added, so that no notification was raised.
DROP TABLE IF EXISTS ways;
DROP TABLE IF EXISTS rule_ways;
DROP TABLE IF EXISTS outbox;

CREATE TABLE IF NOT EXISTS receivers (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    name                 TEXT    NOT NULL,
    owner                INTEGER,
    kind                 TEXT    NOT NULL,
    target               TEXT    NOT NULL,
    delivery             TEXT    NOT NULL,
    enabled              INTEGER NOT NULL,
    confirmed_at_ms      INTEGER,
    confirmation         TEXT,
    failures             INTEGER NOT NULL,
    paused_until_ms      INTEGER NOT NULL,
    last_error           TEXT,
    last_delivered_at_ms INTEGER,
    claimed_by           TEXT    NOT NULL,
    claimed_until_ms     INTEGER NOT NULL,
    created_at_ms        INTEGER NOT NULL,
    updated_at_ms        INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS rule_receivers (
    rule_id     INTEGER NOT NULL,
    receiver_id INTEGER NOT NULL,
    PRIMARY KEY (rule_id, receiver_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    alarm_key     TEXT    NOT NULL,
    alarm_id      INTEGER,
    transition    TEXT    NOT NULL,
    receiver_id   INTEGER NOT NULL,
    body          TEXT    NOT NULL,
    group_key     TEXT,
    state         INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    next_at_ms    INTEGER NOT NULL,
    last_error    TEXT,
    reason        TEXT,
    created_at_ms INTEGER NOT NULL,
    done_at_ms    INTEGER
);

CREATE UNIQUE INDEX IF NOT EXISTS outbox_key ON outbox (alarm_key, transition, receiver_id);

CREATE INDEX IF NOT EXISTS outbox_due ON outbox (receiver_id, state, next_at_ms);

CREATE INDEX IF NOT EXISTS outbox_done ON outbox (state, done_at_ms);

CREATE INDEX IF NOT EXISTS outbox_alarm ON outbox (alarm_id);

CREATE TABLE IF NOT EXISTS sealed_blocks (
    device            INTEGER NOT NULL,
    first_ms          INTEGER NOT NULL,
    last_ms           INTEGER NOT NULL,
    record_count      INTEGER NOT NULL,
    value_count       INTEGER NOT NULL,
    first_received_ms INTEGER NOT NULL,
    last_received_ms  INTEGER NOT NULL,
    bytes             INTEGER NOT NULL,
    record_keys       BLOB    NOT NULL,
    arrivals          BLOB    NOT NULL,
    PRIMARY KEY (device, first_ms)
);
CREATE INDEX IF NOT EXISTS sealed_blocks_last ON sealed_blocks (last_ms);

CREATE TABLE IF NOT EXISTS sealed_chunks (
    device   INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    channel  INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (device, first_ms, channel)
);

CREATE TABLE IF NOT EXISTS seal_state (
    slot         INTEGER NOT NULL PRIMARY KEY,
    sealed_to_ms INTEGER NOT NULL
);
