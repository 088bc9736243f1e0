-- Version 4: the journal, see schema.sql.

CREATE TABLE IF NOT EXISTS pending (
    id      INTEGER NOT NULL PRIMARY KEY,
    records BLOB    NOT NULL
);

CREATE TABLE IF NOT EXISTS pending_group (
    id    INTEGER NOT NULL PRIMARY KEY,
    up_to INTEGER NOT NULL,
    done  INTEGER NOT NULL
);
