-- Version 7: derived channels, see schema.sql at the top.

CREATE TABLE IF NOT EXISTS derived_channels (
    device        INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    calibration   TEXT    NOT NULL,
    unit          TEXT,
    kind          TEXT    NOT NULL,
    label         TEXT,
    decimals      INTEGER,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (device, name)
) WITHOUT ROWID;
