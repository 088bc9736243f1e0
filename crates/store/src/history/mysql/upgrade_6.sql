-- Version 6.

-- The books count the values of channels, too.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'books' AND `column_name` = 'values_received'),
    'DO 0',
    'ALTER TABLE `books`
        ADD COLUMN `values_received` BIGINT UNSIGNED NOT NULL DEFAULT 0,
        ADD COLUMN `values_stored` BIGINT UNSIGNED NOT NULL DEFAULT 0,
        ADD COLUMN `values_duplicate` BIGINT UNSIGNED NOT NULL DEFAULT 0,
        ADD COLUMN `values_refused` BIGINT UNSIGNED NOT NULL DEFAULT 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

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
