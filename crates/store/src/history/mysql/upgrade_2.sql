-- Version 2: roles instead of a flag, and which devices a viewer may see. Admins
-- stay admins, everyone else becomes a viewer; nobody gains a right. Each
-- statement may run again after an interruption.

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` WHERE `table_schema` = DATABASE()
            AND `table_name` = 'users' AND `column_name` = 'admin'),
    'ALTER TABLE `users` CHANGE COLUMN `admin` `role` VARCHAR(16) NOT NULL DEFAULT ''viewer''',
    'DO 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

-- The flag's digits, as text now.
UPDATE `users` SET `role` = IF(`role` = '1', 'admin', 'viewer')
WHERE `role` NOT IN ('admin', 'operator', 'viewer');

CREATE TABLE IF NOT EXISTS `user_devices` (
    `user_id`       BIGINT UNSIGNED NOT NULL,
    `device`        INT UNSIGNED    NOT NULL,
    `granted_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`user_id`, `device`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `claims` (
    `name`          VARCHAR(32)     NOT NULL,
    `claimed_at_ms` BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`name`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Where there are accounts, the first one was made long ago.
INSERT IGNORE INTO `claims` (`name`, `claimed_at_ms`) SELECT 'first_account', 0 FROM `users` LIMIT 1;
