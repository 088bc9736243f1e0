-- Version 4.

-- From which recorded second on a link shows the past; those of before show all of it.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'scoped_tokens' AND `column_name` = 'history_from'),
    'DO 0',
    'ALTER TABLE `scoped_tokens` ADD COLUMN `history_from` INT UNSIGNED NOT NULL DEFAULT 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

-- Which rows are the devices' newest is noted when they fall quiet, in the order of
-- live entries, for which their arrival counts.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'device_last' AND `column_name` = 'noted_slot'),
    'DO 0',
    'ALTER TABLE `device_last`
         ADD COLUMN `newest_received_ms` BIGINT UNSIGNED NOT NULL DEFAULT 0,
         ADD COLUMN `fix_received_ms` BIGINT UNSIGNED NULL,
         ADD COLUMN `noted_slot` INT UNSIGNED NOT NULL DEFAULT 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

UPDATE `device_last` JOIN `positions`
    ON `positions`.`bucket` = `device_last`.`newest_at` DIV 300 AND `positions`.`device` = `device_last`.`device`
    AND `positions`.`recorded_at` = `device_last`.`newest_at` AND `positions`.`frame_hash` = `device_last`.`newest_hash`
SET `device_last`.`newest_received_ms` = `positions`.`received_at_ms` WHERE `device_last`.`newest_received_ms` = 0;
UPDATE `device_last` JOIN `positions`
    ON `positions`.`bucket` = `device_last`.`fix_at` DIV 300 AND `positions`.`device` = `device_last`.`device`
    AND `positions`.`recorded_at` = `device_last`.`fix_at` AND `positions`.`frame_hash` = `device_last`.`fix_hash`
SET `device_last`.`fix_received_ms` = `positions`.`received_at_ms` WHERE `device_last`.`fix_received_ms` IS NULL;

-- Sums of days bear the version of the rules that made them, and what it takes to go
-- on by them; see schema.sql. Old ones stay as they were, in whole metres, until they
-- are made anew.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'daily' AND `column_name` = 'rules'),
    'DO 0',
    'ALTER TABLE `daily`
        ADD COLUMN `rules` INT UNSIGNED NOT NULL DEFAULT 0 AFTER `row_count`,
        ADD COLUMN `began` BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER `rules`,
        ADD COLUMN `state` VARBINARY(255) NOT NULL DEFAULT '''' AFTER `began`,
        ADD COLUMN `gps_sum_m` BIGINT UNSIGNED NOT NULL DEFAULT 0 AFTER `odometer_sum_m`');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'daily' AND `column_name` = 'unmetered_sum_mm'),
    'UPDATE `daily` SET `gps_sum_m` =
        IF(`odometer_sum_m` > 0, `unmetered_sum_mm`, `gps_sum_mm`) DIV 1000
        WHERE `rules` = 0',
    'DO 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'daily' AND `column_name` = 'unmetered_sum_mm'),
    'ALTER TABLE `daily` DROP COLUMN `before_at`, DROP COLUMN `before_hash`,
        DROP COLUMN `gps_sum_mm`, DROP COLUMN `unmetered_sum_mm`',
    'DO 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

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
