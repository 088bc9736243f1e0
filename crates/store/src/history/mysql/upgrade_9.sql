-- Version 9: what sends notifications, and sealed readings.

-- Nothing could be stored in these before: no receiver could be added, so that no notification was raised.
DROP TABLE IF EXISTS `ways`;
DROP TABLE IF EXISTS `rule_ways`;
DROP TABLE IF EXISTS `outbox`;

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
