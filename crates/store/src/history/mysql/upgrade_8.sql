-- Version 8: rules, geofences, alarms and notifications.

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

-- Where notifications go. `target` is JSON and holds secrets.
CREATE TABLE IF NOT EXISTS `ways` (
    `id`             BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `name`           VARCHAR(190)     NOT NULL,
    `owner`          BIGINT UNSIGNED  NULL,
    `kind`           VARCHAR(16)      NOT NULL,
    `target`         TEXT             NOT NULL,
    `enabled`        TINYINT UNSIGNED NOT NULL,
    `created_at_ms`  BIGINT UNSIGNED  NOT NULL,
    `updated_at_ms`  BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (`id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which ways a rule notifies by.
CREATE TABLE IF NOT EXISTS `rule_ways` (
    `rule_id`  BIGINT UNSIGNED NOT NULL,
    `way_id`   BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (`rule_id`, `way_id`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Notifications: one for each transition of an alarm and way. state: 0 waits, 1
-- delivered, 2 suppressed, 3 failed.
CREATE TABLE IF NOT EXISTS `outbox` (
    `id`                BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT,
    `alarm_key`         VARCHAR(96)      NOT NULL,
    `transition`        VARCHAR(16)      NOT NULL,
    `way_id`            BIGINT UNSIGNED  NOT NULL,
    `body`              TEXT             NOT NULL,
    `state`             TINYINT UNSIGNED NOT NULL,
    `attempts`          INT UNSIGNED     NOT NULL,
    `next_at_ms`        BIGINT UNSIGNED  NOT NULL,
    `claimed_by`        VARCHAR(64)      NOT NULL,
    `claimed_until_ms`  BIGINT UNSIGNED  NOT NULL,
    `last_error`        TEXT             NULL,
    `reason`            VARCHAR(64)      NULL,
    `created_at_ms`     BIGINT UNSIGNED  NOT NULL,
    `done_at_ms`        BIGINT UNSIGNED  NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `outbox_key` (`alarm_key`, `transition`, `way_id`),
    KEY `outbox_due` (`state`, `next_at_ms`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO `rule_changes` (`id`, `number`) VALUES (1, 1) ON DUPLICATE KEY UPDATE `number` = `number`;
