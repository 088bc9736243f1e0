-- Version 5.

-- Room for optional fields beside raw bytes (docs/decisions/0051-optional-fields.md). InnoDB
-- notes the new width and touches no row. MyRocks would copy the table, so there the column
-- stays as it is: it has room for the optional fields. The other two are the tables
-- that retention exchanges weeks with, should it be at work.
SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` `c`
            JOIN `information_schema`.`tables` `t`
              ON `t`.`table_schema` = `c`.`table_schema` AND `t`.`table_name` = `c`.`table_name`
            WHERE `c`.`table_schema` = DATABASE() AND `c`.`table_name` = 'positions'
              AND `c`.`column_name` = 'raw' AND `c`.`character_maximum_length` < 255
              AND `t`.`engine` = 'InnoDB'),
    'ALTER TABLE `positions` MODIFY COLUMN `raw` VARBINARY(255) NULL',
    'DO 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` `c`
            JOIN `information_schema`.`tables` `t`
              ON `t`.`table_schema` = `c`.`table_schema` AND `t`.`table_name` = `c`.`table_name`
            WHERE `c`.`table_schema` = DATABASE() AND `c`.`table_name` = 'positions_copy'
              AND `c`.`column_name` = 'raw' AND `c`.`character_maximum_length` < 255
              AND `t`.`engine` = 'InnoDB'),
    'ALTER TABLE `positions_copy` MODIFY COLUMN `raw` VARBINARY(255) NULL',
    'DO 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;

SET @change = IF(
    EXISTS (SELECT 1 FROM `information_schema`.`columns` `c`
            JOIN `information_schema`.`tables` `t`
              ON `t`.`table_schema` = `c`.`table_schema` AND `t`.`table_name` = `c`.`table_name`
            WHERE `c`.`table_schema` = DATABASE() AND `c`.`table_name` = 'positions_expired'
              AND `c`.`column_name` = 'raw' AND `c`.`character_maximum_length` < 255
              AND `t`.`engine` = 'InnoDB'),
    'ALTER TABLE `positions_expired` MODIFY COLUMN `raw` VARBINARY(255) NULL',
    'DO 0');
PREPARE nemeses_change FROM @change;
EXECUTE nemeses_change;
DEALLOCATE PREPARE nemeses_change;
