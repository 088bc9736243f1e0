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
