-- The schema as version 1 made it, for the test of the upgrade.

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
    `raw`            VARBINARY(64)     NULL,
    PRIMARY KEY (`bucket`, `device`, `recorded_at`, `frame_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `device_days` (
    `device` INT UNSIGNED NOT NULL,
    `day`    INT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`, `day`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `duplicates` (
    `device`              INT UNSIGNED    NOT NULL,
    `recorded_at`         INT UNSIGNED    NOT NULL,
    `frame_hash`          BIGINT UNSIGNED NOT NULL,
    `times`               BIGINT UNSIGNED NOT NULL,
    `last_received_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`device`, `recorded_at`, `frame_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

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
    `worker`         VARCHAR(64)     NOT NULL,
    `run`            BIGINT UNSIGNED NOT NULL,
    `sequence`       BIGINT UNSIGNED NOT NULL,
    `item`           INT UNSIGNED    NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `dead_letters_item` (`worker`, `run`, `sequence`, `item`),
    KEY `dead_letters_device` (`device`, `recorded_at`),
    KEY `dead_letters_time` (`received_at_ms`),
    KEY `dead_letters_bytes` (`bytes_hash`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

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
    PRIMARY KEY (`worker`, `run`, `sequence`, `minute`),
    KEY `books_minute` (`minute`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `removals` (
    `kind`    VARCHAR(32)     NOT NULL,
    `minute`  INT UNSIGNED    NOT NULL,
    `removed` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`kind`, `minute`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

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

CREATE TABLE IF NOT EXISTS `users` (
    `id`            BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `email`         VARCHAR(320)     NOT NULL,
    `name`          VARCHAR(255)     NOT NULL,
    `password_hash` VARCHAR(255)     NOT NULL,
    `admin`         TINYINT UNSIGNED NOT NULL,
    `created_at_ms` BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `users_email` (`email`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `schema_version` (
    `version`       INT UNSIGNED    NOT NULL,
    `applied_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`version`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO `schema_version` (`version`, `applied_at_ms`)
VALUES (1, UNIX_TIMESTAMP() * 1000)
ON DUPLICATE KEY UPDATE `version` = `version`;
