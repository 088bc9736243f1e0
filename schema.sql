-- Nemeses on MySQL 8, Percona Server or MariaDB. This file is the contract:
-- `nemeses migrate` and the tests load it as it is; loading it by hand into an
-- empty database does the same. The engine is the server's default.
--
-- Times are Unix seconds (recorded_at, by the device's clock) or milliseconds
-- (received_at_ms, by ours), UTC. Coordinates are 1e-6 degree. There are no
-- foreign keys, and every unique key of `positions` includes the bucket, so that
-- it can be partitioned by it.

-- Every accepted frame, once. bucket = recorded_at / 300 comes first in the key,
-- so that the pages being written are those of the last minutes, whatever the
-- size of the table; frame_hash tells frames of one second apart
-- (docs/decisions/0004-clustered-key.md). raw is NULL, or the frame's bytes where they
-- are kept, or optional fields packed before them, which begin with 0x01
-- (docs/protocol.md, "Optional fields").
CREATE TABLE IF NOT EXISTS `positions` (
    `bucket`         INT UNSIGNED      NOT NULL,
    `device`         INT UNSIGNED      NOT NULL,
    `recorded_at`    INT UNSIGNED      NOT NULL,
    `frame_hash`     BIGINT UNSIGNED   NOT NULL,
    `received_at_ms` BIGINT UNSIGNED   NOT NULL,
    `direction_cdeg` SMALLINT UNSIGNED NOT NULL,
    `odometer_m`     INT UNSIGNED      NOT NULL,
    `hour_meter_min` INT UNSIGNED      NOT NULL,
    `composition`    SMALLINT UNSIGNED NOT NULL,
    `extension`      SMALLINT UNSIGNED NULL,
    `speed_kmh`      TINYINT UNSIGNED  NOT NULL,
    `latitude_udeg`  INT               NOT NULL,
    `longitude_udeg` INT               NOT NULL,
    `raw`            VARBINARY(255)    NULL,
    PRIMARY KEY (`bucket`, `device`, `recorded_at`, `frame_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The days (recorded_at / 86400) that a device has rows for: how reads of one
-- device find its buckets.
CREATE TABLE IF NOT EXISTS `device_days` (
    `device` INT UNSIGNED NOT NULL,
    `day`    INT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`, `day`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Frames that came again, and how often.
CREATE TABLE IF NOT EXISTS `duplicates` (
    `device`              INT UNSIGNED    NOT NULL,
    `recorded_at`         INT UNSIGNED    NOT NULL,
    `frame_hash`          BIGINT UNSIGNED NOT NULL,
    `times`               BIGINT UNSIGNED NOT NULL,
    `last_received_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`, `recorded_at`, `frame_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Bytes that did not become a row. recorded_at is known when they are a whole
-- location frame; item is the record's place in its batch. bytes_group is the first
-- four bits of bytes_hash (SHA-256): hashes alone would scatter new letters over the
-- whole index, and a flood of rubbish would cost a page of it each.
CREATE TABLE IF NOT EXISTS `dead_letters` (
    `id`             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `received_at_ms` BIGINT UNSIGNED NOT NULL,
    `topic`          TEXT            NOT NULL,
    `byte_offset`    INT UNSIGNED    NOT NULL,
    `reason`         VARCHAR(64)     NOT NULL,
    `device`         INT UNSIGNED    NULL,
    `recorded_at`    INT UNSIGNED    NULL,
    `bytes`          MEDIUMBLOB      NOT NULL,
    `bytes_hash`     BINARY(32)      NOT NULL,
    `bytes_group`    TINYINT UNSIGNED NOT NULL DEFAULT 0,
    `worker`         VARCHAR(64)     NOT NULL,
    `run`            BIGINT UNSIGNED NOT NULL,
    `sequence`       BIGINT UNSIGNED NOT NULL,
    `item`           INT UNSIGNED    NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `dead_letters_item` (`worker`, `run`, `sequence`, `item`),
    KEY `dead_letters_device` (`device`, `recorded_at`),
    KEY `dead_letters_time` (`received_at_ms`),
    KEY `dead_letters_reason` (`reason`, `device`),
    KEY `dead_letters_bytes` (`bytes_group`, `id`, `bytes_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The books: what a batch brought, by minute of arrival (Unix seconds / 60),
-- written in the transaction that stores it. A key that is here is committed.
-- received = stored + duplicates + dead_letters + pings in every row, and
-- values_received = values_stored + values_duplicate + values_refused.
CREATE TABLE IF NOT EXISTS `books` (
    `worker`       VARCHAR(64)     NOT NULL,
    `run`          BIGINT UNSIGNED NOT NULL,
    `sequence`     BIGINT UNSIGNED NOT NULL,
    `minute`       INT UNSIGNED    NOT NULL,
    `exporter`     VARCHAR(64)     NOT NULL,
    `received`     BIGINT UNSIGNED NOT NULL,
    `stored`       BIGINT UNSIGNED NOT NULL,
    `duplicates`   BIGINT UNSIGNED NOT NULL,
    `dead_letters` BIGINT UNSIGNED NOT NULL,
    `pings`        BIGINT UNSIGNED NOT NULL,
    `values_received`  BIGINT UNSIGNED NOT NULL DEFAULT 0,
    `values_stored`    BIGINT UNSIGNED NOT NULL DEFAULT 0,
    `values_duplicate` BIGINT UNSIGNED NOT NULL DEFAULT 0,
    `values_refused`   BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (`worker`, `run`, `sequence`, `minute`),
    KEY `books_minute` (`minute`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Devices that are known by a name rather than by a number of their own: a number is given
-- once, from 16777216 on (docs/decisions/0050-channels.md).
CREATE TABLE IF NOT EXISTS `device_identities` (
    `device`        INT UNSIGNED    NOT NULL,
    `kind`          VARCHAR(16)     NOT NULL,
    `name`          VARCHAR(128)    NOT NULL,
    `created_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`),
    UNIQUE KEY `device_identities_name` (`kind`, `name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The channels of each device: a list that only grows, numbered from 0. kind is gauge,
-- counter, total, state, text or event; unit is UCUM.
CREATE TABLE IF NOT EXISTS `channels` (
    `device`        INT UNSIGNED      NOT NULL,
    `channel`       SMALLINT UNSIGNED NOT NULL,
    `name`          VARCHAR(192)      NOT NULL,
    `unit`          VARCHAR(32)       NULL,
    `kind`          VARCHAR(16)       NOT NULL,
    `label`         VARCHAR(255)      NULL,
    `decimals`      TINYINT UNSIGNED  NULL,
    `created_at_ms` BIGINT UNSIGNED   NOT NULL,
    PRIMARY KEY (`device`, `channel`),
    UNIQUE KEY `channels_name` (`device`, `name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Channels that are computed when they are read: another channel's numbers by a calibration
-- (`linear FACTOR OFFSET`, or `table RAW:VALUE ...`).
CREATE TABLE IF NOT EXISTS `derived_channels` (
    `device`        INT UNSIGNED     NOT NULL,
    `name`          VARCHAR(192)     NOT NULL,
    `source`        VARCHAR(192)     NOT NULL,
    `calibration`   TEXT             NOT NULL,
    `unit`          VARCHAR(32)      NULL,
    `kind`          VARCHAR(16)      NOT NULL,
    `label`         VARCHAR(255)     NULL,
    `decimals`      TINYINT UNSIGNED NULL,
    `created_at_ms` BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`device`, `name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Values that were measured together, one row a record. bucket = recorded_at_ms / 300000,
-- as in positions. packed holds a bit for each channel of the device, then the values of
-- those that are there (docs/protocol.md, "Packed values"); value_count is how many.
CREATE TABLE IF NOT EXISTS `readings` (
    `bucket`         INT UNSIGNED      NOT NULL,
    `device`         INT UNSIGNED      NOT NULL,
    `recorded_at_ms` BIGINT UNSIGNED   NOT NULL,
    `content_hash`   BIGINT UNSIGNED   NOT NULL,
    `received_at_ms` BIGINT UNSIGNED   NOT NULL,
    `timeless`       TINYINT UNSIGNED  NOT NULL,
    `value_count`    SMALLINT UNSIGNED NOT NULL,
    `packed`         MEDIUMBLOB        NOT NULL,
    PRIMARY KEY (`bucket`, `device`, `recorded_at_ms`, `content_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Readings that were sealed (docs/decisions/0068-sealed-chunks.md): a device's records in
-- order of time, in blocks that do not overlap and lie within one week each. record_keys and
-- arrivals are columns of all its records: milliseconds with 32 bits of the hash, and when each
-- arrived with how many values. bytes counts these and the chunks.
CREATE TABLE IF NOT EXISTS `sealed_blocks` (
    `device`            INT UNSIGNED    NOT NULL,
    `first_ms`          BIGINT UNSIGNED NOT NULL,
    `last_ms`           BIGINT UNSIGNED NOT NULL,
    `record_count`      INT UNSIGNED    NOT NULL,
    `value_count`       BIGINT UNSIGNED NOT NULL,
    `first_received_ms` BIGINT UNSIGNED NOT NULL,
    `last_received_ms`  BIGINT UNSIGNED NOT NULL,
    `bytes`             BIGINT UNSIGNED NOT NULL,
    `record_keys`       MEDIUMBLOB      NOT NULL,
    `arrivals`          MEDIUMBLOB      NOT NULL,
    PRIMARY KEY (`device`, `first_ms`),
    KEY `sealed_blocks_last` (`last_ms`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The values of one channel of a block: a head with count, least, greatest, sum, first and
-- last value, and the values (crates/series/src/chunk.rs).
CREATE TABLE IF NOT EXISTS `sealed_chunks` (
    `device`   INT UNSIGNED      NOT NULL,
    `first_ms` BIGINT UNSIGNED   NOT NULL,
    `channel`  SMALLINT UNSIGNED NOT NULL,
    `body`     MEDIUMBLOB        NOT NULL,
    PRIMARY KEY (`device`, `first_ms`, `channel`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row once anything was sealed: all sealed records are before sealed_to_ms.
CREATE TABLE IF NOT EXISTS `seal_state` (
    `slot`         TINYINT UNSIGNED NOT NULL,
    `sealed_to_ms` BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`slot`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What was taken out of a table again, by minute of its arrival: kinds are
-- letter_purged, letter_resolved, position_expired, readings_expired and values_expired.
CREATE TABLE IF NOT EXISTS `removals` (
    `kind`    VARCHAR(32)     NOT NULL,
    `minute`  INT UNSIGNED    NOT NULL,
    `removed` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`kind`, `minute`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who may speak to the door. The secret is kept as Mosquitto's dynamic-security
-- keeps it: base64 of 12 bytes of salt and of 64 bytes of PBKDF2-HMAC-SHA512.
CREATE TABLE IF NOT EXISTS `logins` (
    `name`          VARCHAR(64)      NOT NULL,
    `role`          VARCHAR(16)      NOT NULL,
    `device`        INT UNSIGNED     NULL,
    `salt`          VARCHAR(64)      NOT NULL,
    `iterations`    INT UNSIGNED     NOT NULL,
    `hash`          VARCHAR(128)     NOT NULL,
    `enabled`       TINYINT UNSIGNED NOT NULL,
    `created_at_ms` BIGINT UNSIGNED  NOT NULL,
    `updated_at_ms` BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`name`),
    KEY `logins_device` (`device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- People with an account. The e-mail address is kept trimmed and in lower case;
-- role is admin, operator or viewer.
CREATE TABLE IF NOT EXISTS `users` (
    `id`            BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `email`         VARCHAR(320)     NOT NULL,
    `name`          VARCHAR(255)     NOT NULL,
    `password_hash` VARCHAR(255)     NOT NULL,
    `role`          VARCHAR(16)      NOT NULL DEFAULT 'viewer',
    `disabled`      TINYINT UNSIGNED NOT NULL DEFAULT 0,
    `created_at_ms` BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `users_email` (`email`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which devices a viewer may see; the other roles see all.
CREATE TABLE IF NOT EXISTS `user_devices` (
    `user_id`       BIGINT UNSIGNED NOT NULL,
    `device`        INT UNSIGNED    NOT NULL,
    `granted_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`user_id`, `device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What only one can be: the row's name is taken by whoever writes it first. The
-- first account takes first_account, and nobody ever again.
CREATE TABLE IF NOT EXISTS `claims` (
    `name`          VARCHAR(32)     NOT NULL,
    `claimed_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What people say of a device. A device without a row here is as good as any;
-- deleting the row deletes nothing else. tags are separated by line feeds; a
-- threshold that is NULL is the usual one.
CREATE TABLE IF NOT EXISTS `devices` (
    `device`        INT UNSIGNED    NOT NULL,
    `name`          VARCHAR(100)    NOT NULL,
    `vehicle`       VARCHAR(100)    NOT NULL,
    `tags`          TEXT            NOT NULL,
    `live_ttl_s`    INT UNSIGNED    NULL,
    `motion_kmh`    INT UNSIGNED    NULL,
    `stop_s`        INT UNSIGNED    NULL,
    `retention`     VARCHAR(32)     NOT NULL DEFAULT 'default',
    `created_at_ms` BIGINT UNSIGNED NOT NULL,
    `updated_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Groups of devices, and who may see all devices of one.
CREATE TABLE IF NOT EXISTS `device_groups` (
    `id`            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `name`          VARCHAR(100)    NOT NULL,
    `created_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `device_groups_name` (`name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `group_devices` (
    `group_id`    BIGINT UNSIGNED NOT NULL,
    `device`      INT UNSIGNED    NOT NULL,
    `added_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`group_id`, `device`),
    KEY `group_devices_device` (`device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `user_groups` (
    `user_id`       BIGINT UNSIGNED NOT NULL,
    `group_id`      BIGINT UNSIGNED NOT NULL,
    `granted_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`user_id`, `group_id`),
    KEY `user_groups_group` (`group_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Days (recorded_at / 86400) of a device whose rows changed in a slot of arrival
-- (Unix seconds / 600), written in the transaction that stores the rows: what
-- daily has not taken in yet.
CREATE TABLE IF NOT EXISTS `daily_marks` (
    `slot`   INT UNSIGNED NOT NULL,
    `device` INT UNSIGNED NOT NULL,
    `day`    INT UNSIGNED NOT NULL,
    PRIMARY KEY (`slot`, `device`, `day`),
    KEY `daily_marks_device` (`device`, `day`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Sums of a device's day (UTC). A row holds what it takes to go on where it ends:
-- the last_ and place_ columns, and state, what was known of the device by then. began
-- is a hash of what was known before the day's first row. Sums whose rules are not the
-- program's are made anew as long as the day has rows.
CREATE TABLE IF NOT EXISTS `daily` (
    `device`              INT UNSIGNED     NOT NULL,
    `day`                 INT UNSIGNED     NOT NULL,
    `row_count`           BIGINT UNSIGNED  NOT NULL,
    `rules`               INT UNSIGNED     NOT NULL DEFAULT 0,
    `began`               BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    `state`               VARBINARY(255)   NOT NULL DEFAULT '',
    `first_at`            INT UNSIGNED     NOT NULL,
    `first_odometer_m`    INT UNSIGNED     NOT NULL,
    `first_hour_min`      INT UNSIGNED     NOT NULL,
    `last_at`             INT UNSIGNED     NOT NULL,
    `last_hash`           BIGINT UNSIGNED  NOT NULL,
    `last_odometer_m`     INT UNSIGNED     NOT NULL,
    `last_hour_min`       INT UNSIGNED     NOT NULL,
    `last_speed_kmh`      TINYINT UNSIGNED NULL,
    `last_ignition`       TINYINT UNSIGNED NOT NULL,
    `place_at`            INT UNSIGNED     NULL,
    `place_latitude_udeg` INT              NOT NULL,
    `place_longitude_udeg` INT             NOT NULL,
    `odometer_sum_m`      BIGINT UNSIGNED  NOT NULL,
    `gps_sum_m`           BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    `moving_s`            BIGINT UNSIGNED  NOT NULL,
    `idle_s`              BIGINT UNSIGNED  NOT NULL,
    `engine_s`            BIGINT UNSIGNED  NOT NULL,
    `silent_s`            BIGINT UNSIGNED  NOT NULL,
    `engine_legs`         BIGINT UNSIGNED  NOT NULL,
    `max_speed_kmh`       TINYINT UNSIGNED NULL,
    PRIMARY KEY (`device`, `day`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which row of a device is its newest, and which is its newest with a GPS fix: by
-- recorded second, but none counts as recorded later than it arrived; day is that of
-- the newest by this order. Noted when a device has fallen quiet, with the slot of
-- its last commit, and with the sums of its days: rows of a later mark are not known
-- here. And the seconds between its frames, with the ignition on and off.
CREATE TABLE IF NOT EXISTS `device_last` (
    `device`             INT UNSIGNED    NOT NULL,
    `day`                INT UNSIGNED    NOT NULL,
    `newest_at`          INT UNSIGNED    NOT NULL,
    `newest_hash`        BIGINT UNSIGNED NOT NULL,
    `newest_received_ms` BIGINT UNSIGNED NOT NULL DEFAULT 0,
    `fix_at`             INT UNSIGNED    NULL,
    `fix_hash`           BIGINT UNSIGNED NULL,
    `fix_received_ms`    BIGINT UNSIGNED NULL,
    `interval_on_s`      INT UNSIGNED    NULL,
    `interval_off_s`     INT UNSIGNED    NULL,
    `noted_slot`         INT UNSIGNED    NOT NULL DEFAULT 0,
    PRIMARY KEY (`device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Work that one process does for all: who does it, and until when that holds.
CREATE TABLE IF NOT EXISTS `leases` (
    `name`     VARCHAR(32)     NOT NULL,
    `holder`   VARCHAR(64)     NOT NULL,
    `until_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who is signed in: a row for each session, none once it has ended. A refresh
-- token is the family's 128 random bits and 256 of its own; kept is SHA-256 of
-- both, of the token before, and what the one was made from the other with.
CREATE TABLE IF NOT EXISTS `sessions` (
    `id`            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `user_id`       BIGINT UNSIGNED NOT NULL,
    `family_hash`   VARBINARY(32)   NOT NULL,
    `secret_hash`   VARBINARY(32)   NOT NULL,
    `previous_hash` VARBINARY(32)   NULL,
    `nonce`         VARBINARY(32)   NULL,
    `created_at_ms` BIGINT UNSIGNED NOT NULL,
    `used_at_ms`    BIGINT UNSIGNED NOT NULL,
    `expires_at_ms` BIGINT UNSIGNED NOT NULL,
    `user_agent`    VARCHAR(255)    NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `sessions_family` (`family_hash`),
    KEY `sessions_user` (`user_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What people hand out: kind is token or share (a link, of whose secret the
-- SHA-256 is kept). Devices are hex ids and scopes are words, with commas. history_from
-- is the first recorded second that it shows of the past: 0 all of it, 4294967295 nothing.
CREATE TABLE IF NOT EXISTS `scoped_tokens` (
    `id`            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `user_id`       BIGINT UNSIGNED NOT NULL,
    `kind`          VARCHAR(16)     NOT NULL,
    `name`          VARCHAR(255)    NOT NULL,
    `devices`       VARCHAR(1024)   NOT NULL,
    `scopes`        VARCHAR(64)     NOT NULL,
    `history_from`  INT UNSIGNED    NOT NULL DEFAULT 0,
    `secret_hash`   VARBINARY(32)   NULL,
    `created_at_ms` BIGINT UNSIGNED NOT NULL,
    `expires_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `scoped_tokens_secret` (`secret_hash`),
    KEY `scoped_tokens_user` (`user_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Tokens that make the first account an admin's; none once there is one.
CREATE TABLE IF NOT EXISTS `setup_tokens` (
    `secret_hash`   VARBINARY(32)   NOT NULL,
    `offered_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`secret_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Commands for devices: kept until the device has acknowledged them or their time is
-- over, then as a record of who asked for what. state is queued, sent, answered, failed
-- or expired; is_open is 1 while a command may go out. Until held_until_ms only its holder
-- sends it. answer is what the device answered, where its protocol has answers.
CREATE TABLE IF NOT EXISTS `device_commands` (
    `id`            BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `device`        INT UNSIGNED     NOT NULL,
    `payload`       VARBINARY(1024)  NOT NULL,
    `state`         VARCHAR(16)      NOT NULL,
    `is_open`       TINYINT UNSIGNED NOT NULL,
    `reason`        VARCHAR(64)      NOT NULL DEFAULT '',
    `answer`        VARBINARY(1024)  NULL,
    `user_id`       BIGINT UNSIGNED  NOT NULL,
    `asked_by`      VARCHAR(320)     NOT NULL,
    `created_at_ms` BIGINT UNSIGNED  NOT NULL,
    `expires_at_ms` BIGINT UNSIGNED  NOT NULL,
    `sent_at_ms`    BIGINT UNSIGNED  NULL,
    `closed_at_ms`  BIGINT UNSIGNED  NULL,
    `attempts`      INT UNSIGNED     NOT NULL DEFAULT 0,
    `holder`        VARCHAR(64)      NOT NULL DEFAULT '',
    `held_until_ms` BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    PRIMARY KEY (`id`),
    KEY `device_commands_device` (`device`, `id`),
    KEY `device_commands_open` (`is_open`, `device`, `id`),
    KEY `device_commands_time` (`created_at_ms`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Weeks of positions (their first bucket) out of which retention has taken a class
-- of devices, and when it did so last.
CREATE TABLE IF NOT EXISTS `retention_weeks` (
    `week`         INT UNSIGNED    NOT NULL,
    `class`        VARCHAR(32)     NOT NULL,
    `done_at_ms`   BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`week`, `class`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The week that retention is rewriting without some devices, and how far it is; at
-- most one row. phase: 0 copies what stays into positions_copy, 1 has exchanged the
-- two and counts what left, 2 is done but for tidying up. The witness is a row
-- that leaves: it is in positions_copy exactly when the two were exchanged.
CREATE TABLE IF NOT EXISTS `retention_rewrite` (
    `week`             INT UNSIGNED     NOT NULL,
    `below`            INT UNSIGNED     NOT NULL,
    `name`             VARCHAR(32)      NOT NULL,
    `classes`          VARCHAR(512)     NOT NULL,
    `phase`            TINYINT UNSIGNED NOT NULL,
    `next_bucket`      INT UNSIGNED     NOT NULL,
    `step_buckets`     INT UNSIGNED     NOT NULL,
    `witness_bucket`   INT UNSIGNED     NULL,
    `witness_device`   INT UNSIGNED     NULL,
    `witness_at`       INT UNSIGNED     NULL,
    `witness_hash`     BIGINT UNSIGNED  NULL,
    PRIMARY KEY (`week`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The devices that leave that week.
CREATE TABLE IF NOT EXISTS `retention_devices` (
    `device` INT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The retention classes that have a period, as the last process that looks after
-- retention was told: keep_s is NULL for ever. What people may choose from.
CREATE TABLE IF NOT EXISTS `retention_classes` (
    `name`   VARCHAR(32)     NOT NULL,
    `keep_s` BIGINT UNSIGNED NULL,
    PRIMARY KEY (`name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What raises alarms: `spec` is JSON (docs/rules.md). scope_all and scope_group with
-- the rows of `rule_devices` say for which devices; owner is the person whose rule it
-- is, NULL for everybody's. A changed rule has a higher version.
CREATE TABLE IF NOT EXISTS `rules` (
    `id`             BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `name`           VARCHAR(190)     NOT NULL,
    `owner`          BIGINT UNSIGNED  NULL,
    `severity`       VARCHAR(16)      NOT NULL,
    `spec`           TEXT             NOT NULL,
    `scope_all`      TINYINT UNSIGNED NOT NULL,
    `scope_group`    BIGINT UNSIGNED  NULL,
    `enabled`        TINYINT UNSIGNED NOT NULL,
    `version`        INT UNSIGNED     NOT NULL,
    `created_at_ms`  BIGINT UNSIGNED  NOT NULL,
    `updated_at_ms`  BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The devices that a rule names.
CREATE TABLE IF NOT EXISTS `rule_devices` (
    `rule_id`  BIGINT UNSIGNED NOT NULL,
    `device`   INT UNSIGNED    NOT NULL,
    PRIMARY KEY (`rule_id`, `device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Areas, as GeoJSON (docs/rules.md).
CREATE TABLE IF NOT EXISTS `geofences` (
    `id`             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `name`           VARCHAR(190)    NOT NULL,
    `owner`          BIGINT UNSIGNED NULL,
    `geojson`        MEDIUMTEXT      NOT NULL,
    `version`        INT UNSIGNED    NOT NULL,
    `created_at_ms`  BIGINT UNSIGNED NOT NULL,
    `updated_at_ms`  BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row: a number that grows with each change of rules and geofences, so that
-- processes notice.
CREATE TABLE IF NOT EXISTS `rule_changes` (
    `id`      INT UNSIGNED    NOT NULL,
    `number`  BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What commits newly stored of devices that rules concern, and that was not evaluated
-- yet: a queue (docs/decisions/0062-rules.md).
CREATE TABLE IF NOT EXISTS `rule_marks` (
    `id`      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `packed`  MEDIUMBLOB      NOT NULL,
    PRIMARY KEY (`id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The states of a device's rules as bytes, and when time alone will change them.
CREATE TABLE IF NOT EXISTS `rule_states` (
    `device`     INT UNSIGNED    NOT NULL,
    `due_at_ms`  BIGINT UNSIGNED NULL,
    `state`      MEDIUMBLOB      NOT NULL,
    PRIMARY KEY (`device`),
    KEY `rule_states_due` (`due_at_ms`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What rules raised. rule_id, rule_version, device and episode are the key of an alarm;
-- the rule's name and severity are those of then.
CREATE TABLE IF NOT EXISTS `alarms` (
    `id`                  BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `rule_id`             BIGINT UNSIGNED  NOT NULL,
    `rule_version`        INT UNSIGNED     NOT NULL,
    `device`              INT UNSIGNED     NOT NULL,
    `episode`             INT UNSIGNED     NOT NULL,
    `rule_name`           VARCHAR(190)     NOT NULL,
    `owner`               BIGINT UNSIGNED  NULL,
    `severity`            VARCHAR(16)      NOT NULL,
    `late`                TINYINT UNSIGNED NOT NULL,
    `notified`            TINYINT UNSIGNED NOT NULL,
    `opened_at_ms`        BIGINT UNSIGNED  NOT NULL,
    `raised_at_ms`        BIGINT UNSIGNED  NOT NULL,
    `cleared_at_ms`       BIGINT UNSIGNED  NULL,
    `withdrawn`           TINYINT UNSIGNED NOT NULL,
    `value_text`          VARCHAR(64)      NULL,
    `latitude_udeg`       INT              NULL,
    `longitude_udeg`      INT              NULL,
    `acknowledged_at_ms`  BIGINT UNSIGNED  NULL,
    `acknowledged_by`     VARCHAR(190)     NULL,
    `note`                TEXT             NULL,
    `silenced_until_ms`   BIGINT UNSIGNED  NULL,
    `silenced_by`         VARCHAR(190)     NULL,
    `silence_reason`      TEXT             NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `alarms_episode` (`rule_id`, `rule_version`, `device`, `episode`),
    KEY `alarms_device` (`device`, `id`),
    KEY `alarms_open` (`cleared_at_ms`, `id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Where notifications go. `target` is JSON and holds secrets; `delivery` is JSON: quiet
-- hours, digest, language, zone. A mail address is used after confirmed_at_ms; until
-- then `confirmation` is what is known of its code. Who sends to a receiver claims it;
-- one that does not answer is left alone until paused_until_ms
-- (docs/decisions/0064-sending.md).
CREATE TABLE IF NOT EXISTS `receivers` (
    `id`                    BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `name`                  VARCHAR(190)     NOT NULL,
    `owner`                 BIGINT UNSIGNED  NULL,
    `kind`                  VARCHAR(16)      NOT NULL,
    `target`                TEXT             NOT NULL,
    `delivery`              TEXT             NOT NULL,
    `enabled`               TINYINT UNSIGNED NOT NULL,
    `confirmed_at_ms`       BIGINT UNSIGNED  NULL,
    `confirmation`          TEXT             NULL,
    `failures`              INT UNSIGNED     NOT NULL,
    `paused_until_ms`       BIGINT UNSIGNED  NOT NULL,
    `last_error`            TEXT             NULL,
    `last_delivered_at_ms`  BIGINT UNSIGNED  NULL,
    `claimed_by`            VARCHAR(64)      NOT NULL,
    `claimed_until_ms`      BIGINT UNSIGNED  NOT NULL,
    `created_at_ms`         BIGINT UNSIGNED  NOT NULL,
    `updated_at_ms`         BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which receivers a rule notifies.
CREATE TABLE IF NOT EXISTS `rule_receivers` (
    `rule_id`      BIGINT UNSIGNED NOT NULL,
    `receiver_id`  BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`rule_id`, `receiver_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Notifications: one for each transition of an alarm and receiver. state: 0 waits, 1
-- delivered, 2 suppressed, 3 failed. Those with the same group_key are one message.
CREATE TABLE IF NOT EXISTS `outbox` (
    `id`             BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `alarm_key`      VARCHAR(96)      NOT NULL,
    `alarm_id`       BIGINT UNSIGNED  NULL,
    `transition`     VARCHAR(16)      NOT NULL,
    `receiver_id`    BIGINT UNSIGNED  NOT NULL,
    `body`           TEXT             NOT NULL,
    `group_key`      VARCHAR(64)      NULL,
    `state`          TINYINT UNSIGNED NOT NULL,
    `attempts`       INT UNSIGNED     NOT NULL,
    `next_at_ms`     BIGINT UNSIGNED  NOT NULL,
    `last_error`     TEXT             NULL,
    `reason`         VARCHAR(64)      NULL,
    `created_at_ms`  BIGINT UNSIGNED  NOT NULL,
    `done_at_ms`     BIGINT UNSIGNED  NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `outbox_key` (`alarm_key`, `transition`, `receiver_id`),
    KEY `outbox_due` (`receiver_id`, `state`, `next_at_ms`),
    KEY `outbox_done` (`state`, `done_at_ms`),
    KEY `outbox_alarm` (`alarm_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO `rule_changes` (`id`, `number`) VALUES (1, 1) ON DUPLICATE KEY UPDATE `number` = `number`;

-- The versions of this schema that were applied.
CREATE TABLE IF NOT EXISTS `schema_version` (
    `version`       INT UNSIGNED    NOT NULL,
    `applied_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`version`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO `schema_version` (`version`, `applied_at_ms`)
VALUES (9, UNIX_TIMESTAMP() * 1000)
ON DUPLICATE KEY UPDATE `version` = `version`;
