-- Version 3: sessions, tokens, groups and what else people need to work with devices.

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

-- Sums of a device's day (UTC). A row holds what it takes to go on where it
-- ends; before_at is the last row before the day, from which its first leg leads.
CREATE TABLE IF NOT EXISTS `daily` (
    `device`              INT UNSIGNED     NOT NULL,
    `day`                 INT UNSIGNED     NOT NULL,
    `row_count`           BIGINT UNSIGNED  NOT NULL,
    `before_at`           INT UNSIGNED     NULL,
    `before_hash`         BIGINT UNSIGNED  NULL,
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
    `gps_sum_mm`          BIGINT UNSIGNED  NOT NULL,
    `unmetered_sum_mm`    BIGINT UNSIGNED  NOT NULL,
    `moving_s`            BIGINT UNSIGNED  NOT NULL,
    `idle_s`              BIGINT UNSIGNED  NOT NULL,
    `engine_s`            BIGINT UNSIGNED  NOT NULL,
    `silent_s`            BIGINT UNSIGNED  NOT NULL,
    `engine_legs`         BIGINT UNSIGNED  NOT NULL,
    `max_speed_kmh`       TINYINT UNSIGNED NULL,
    PRIMARY KEY (`device`, `day`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which row of a device is its newest, and which is its newest with a GPS fix,
-- as of the days in daily; and the seconds between its frames, with the ignition
-- on and off.
CREATE TABLE IF NOT EXISTS `device_last` (
    `device`         INT UNSIGNED    NOT NULL,
    `day`            INT UNSIGNED    NOT NULL,
    `newest_at`      INT UNSIGNED    NOT NULL,
    `newest_hash`    BIGINT UNSIGNED NOT NULL,
    `fix_at`         INT UNSIGNED    NULL,
    `fix_hash`       BIGINT UNSIGNED NULL,
    `interval_on_s`  INT UNSIGNED    NULL,
    `interval_off_s` INT UNSIGNED    NULL,
    PRIMARY KEY (`device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Work that one process does for all: who does it, and until when that holds.
CREATE TABLE IF NOT EXISTS `leases` (
    `name`     VARCHAR(32)     NOT NULL,
    `holder`   VARCHAR(64)     NOT NULL,
    `until_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- All there is has to be taken in by daily; the newest days first.
INSERT IGNORE INTO `daily_marks` (`slot`, `device`, `day`) SELECT 0, `device`, `day` FROM `device_days`;

-- Dead letters are found by their bytes through an index that new ones do not
-- scatter over: see schema.sql.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'dead_letters' AND `column_name` = 'bytes_group'),
    'DO 0',
    'ALTER TABLE `dead_letters` ADD COLUMN `bytes_group` TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER `bytes_hash`');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

UPDATE `dead_letters` SET `bytes_group` = CONV(SUBSTR(HEX(`bytes_hash`), 1, 1), 16, 10);

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`statistics` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'dead_letters' AND `index_name` = 'dead_letters_bytes'
            AND `column_name` = 'bytes_group'),
    'DO 0',
    'ALTER TABLE `dead_letters` DROP KEY `dead_letters_bytes`, ADD KEY `dead_letters_bytes` (`bytes_group`, `id`, `bytes_hash`)');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

-- The devices that wait in quarantine, and their letters.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`statistics` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'dead_letters' AND `index_name` = 'dead_letters_reason'),
    'DO 0',
    'ALTER TABLE `dead_letters` ADD KEY `dead_letters_reason` (`reason`, `device`)');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'users' AND `column_name` = 'disabled'),
    'DO 0',
    'ALTER TABLE `users` ADD COLUMN `disabled` TINYINT UNSIGNED NOT NULL DEFAULT 0 AFTER `role`');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

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

CREATE TABLE IF NOT EXISTS `scoped_tokens` (
    `id`            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    `user_id`       BIGINT UNSIGNED NOT NULL,
    `kind`          VARCHAR(16)     NOT NULL,
    `name`          VARCHAR(255)    NOT NULL,
    `devices`       VARCHAR(1024)   NOT NULL,
    `scopes`        VARCHAR(64)     NOT NULL,
    `secret_hash`   VARBINARY(32)   NULL,
    `created_at_ms` BIGINT UNSIGNED NOT NULL,
    `expires_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `scoped_tokens_secret` (`secret_hash`),
    KEY `scoped_tokens_user` (`user_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `setup_tokens` (
    `secret_hash`   VARBINARY(32)   NOT NULL,
    `offered_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`secret_hash`)
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
