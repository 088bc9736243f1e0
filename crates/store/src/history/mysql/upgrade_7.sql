-- Version 7.

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
