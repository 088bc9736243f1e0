-- The history in SQLite: the tables of schema.sql with SQLite's types. Numbers
-- that use all 64 bits (frame_hash, run, sequence) are kept with their top bit
-- flipped, so that signed order is their order.

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
    bytes_group    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (worker, run, sequence, item)
);
CREATE INDEX IF NOT EXISTS dead_letters_device ON dead_letters (device, recorded_at);
CREATE INDEX IF NOT EXISTS dead_letters_time ON dead_letters (received_at_ms);
CREATE INDEX IF NOT EXISTS dead_letters_reason ON dead_letters (reason, device);
CREATE INDEX IF NOT EXISTS dead_letters_bytes ON dead_letters (bytes_group, id, bytes_hash);

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
    values_received  INTEGER NOT NULL DEFAULT 0,
    values_stored    INTEGER NOT NULL DEFAULT 0,
    values_duplicate INTEGER NOT NULL DEFAULT 0,
    values_refused   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (worker, run, sequence, minute)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS books_minute ON books (minute);

-- The journal: batches whose rows are not in positions yet, and how far the group
-- that moves there is (up to which batch, how many of its rows).
CREATE TABLE IF NOT EXISTS pending (
    id      INTEGER NOT NULL PRIMARY KEY,
    records BLOB    NOT NULL
);

CREATE TABLE IF NOT EXISTS pending_group (
    id    INTEGER NOT NULL PRIMARY KEY,
    up_to INTEGER NOT NULL,
    done  INTEGER NOT NULL
);

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

CREATE TABLE IF NOT EXISTS derived_channels (
    device        INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    calibration   TEXT    NOT NULL,
    unit          TEXT,
    kind          TEXT    NOT NULL,
    label         TEXT,
    decimals      INTEGER,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (device, name)
) WITHOUT ROWID;

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
    created_at_ms INTEGER NOT NULL,
    role          TEXT    NOT NULL DEFAULT 'viewer',
    disabled      INTEGER NOT NULL DEFAULT 0
);

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
    rules INTEGER NOT NULL DEFAULT 0,
    began INTEGER NOT NULL DEFAULT 0,
    state BLOB NOT NULL DEFAULT X'',
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
    gps_sum_m INTEGER NOT NULL DEFAULT 0,
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
    newest_received_ms INTEGER NOT NULL DEFAULT 0,
    fix_at INTEGER,
    fix_hash INTEGER,
    fix_received_ms INTEGER,
    interval_on_s INTEGER,
    interval_off_s INTEGER,
    noted_slot INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS leases (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID;

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
    history_from  INTEGER NOT NULL DEFAULT 0,
    secret_hash   BLOB UNIQUE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS scoped_tokens_user ON scoped_tokens (user_id);

CREATE TABLE IF NOT EXISTS setup_tokens (
    secret_hash   BLOB    NOT NULL PRIMARY KEY,
    offered_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

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

CREATE TABLE IF NOT EXISTS retention_classes (
    name TEXT NOT NULL,
    keep_s INTEGER,
    PRIMARY KEY (name)
) WITHOUT ROWID;

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

INSERT OR IGNORE INTO rule_changes (id, number) VALUES (1, 1);

CREATE TABLE IF NOT EXISTS schema_version (
    version       INTEGER NOT NULL PRIMARY KEY,
    applied_at_ms INTEGER NOT NULL
);
