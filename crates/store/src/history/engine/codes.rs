//! Error codes of the products, sorted. Pure, so that the sorting is tested as a
//! table without a server.
//!
//! A code that is not known here counts as unavailable: the line waits and a
//! person is told, rather than good frames becoming dead letters.

use super::fault::Kind;

/// MySQL, Percona Server and MariaDB: by error number, else by class of SQLSTATE.
pub(in crate::history) fn mysql_kind(number: u16, sqlstate: &str) -> Kind {
    match number {
        // ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME, ER_DUP_KEY
        1062 | 1586 | 1022 => Kind::Taken,
        // Deadlock; MariaDB: record has changed since last read (snapshot isolation).
        1213 | 1020 => Kind::Conflict,
        // Packet larger than max_allowed_packet (halving the batch helps), wrong
        // value, no default, CHECK of MySQL and MariaDB, SIGNAL, no partition.
        1153 | 1366 | 1364 | 3819 | 4025 | 1644 | 1526 => Kind::Refused,
        // No such table, column or function; as many values as columns; a statement that the
        // server cannot read.
        1146 | 1054 | 1305 | 1136 | 1064 => Kind::Schema,
        // Access denied in its forms, unknown database, READ COMMITTED with a
        // statement-based binary log; a way to log in that the account does not have, an
        // account that is locked or whose password is over, TLS demanded.
        1044 | 1045 | 1698 | 1142 | 1143 | 1227 | 1049 | 1665 | 1251 | 1820 | 1862 | 3118
        | 3159 => Kind::Configuration,
        _ => mysql_kind_of_class(sqlstate.get(..2).unwrap_or_default()),
    }
}

fn mysql_kind_of_class(class: &str) -> Kind {
    match class {
        // Data exception, constraint violation, unhandled user-defined condition.
        "22" | "23" | "45" => Kind::Refused,
        // Transaction rolled back by the server (Galera certification among them).
        "40" => Kind::Conflict,
        "28" => Kind::Configuration,
        // Lock wait (1205), too many connections (1040), shutdown (1053), killed
        // (1317, 1927), disk or table full (1021, 1114), read-only after a
        // failover (1290, 1836), Galera not ready (1047), and what is unknown.
        _ => Kind::Unavailable,
    }
}

/// SQLite: by extended result code.
pub(in crate::history) fn sqlite_kind(extended_code: i32, message: &str) -> Kind {
    const PRIMARY_MASK: i32 = 0xff;
    match extended_code {
        // CONSTRAINT_PRIMARYKEY, _UNIQUE, _ROWID
        1555 | 2067 | 2579 => return Kind::Taken,
        _ => {}
    }
    match extended_code & PRIMARY_MASK {
        // CONSTRAINT, MISMATCH, TOOBIG, RANGE
        19 | 20 | 18 | 25 => Kind::Refused,
        // ERROR has one code for everything that is wrong in a statement.
        1 if ["no such table", "no such column", "has no column named"]
            .iter()
            .any(|words| message.contains(*words)) =>
        {
            Kind::Schema
        }
        // NOTADB: the path names something else.
        26 => Kind::Configuration,
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL,
        // CANTOPEN, PROTOCOL, and what is unknown.
        _ => Kind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_codes() {
        for (number, sqlstate, kind) in [
            (1062, "23000", Kind::Taken),
            (1213, "40001", Kind::Conflict),
            (1205, "HY000", Kind::Unavailable),
            (1040, "08004", Kind::Unavailable),
            (1053, "08S01", Kind::Unavailable),
            (1927, "70100", Kind::Unavailable),
            (1317, "70100", Kind::Unavailable),
            (1021, "HY000", Kind::Unavailable),
            (1114, "HY000", Kind::Unavailable),
            (1290, "HY000", Kind::Unavailable),
            (1047, "08S01", Kind::Unavailable),
            (1264, "22003", Kind::Refused),
            (1406, "22001", Kind::Refused),
            (1048, "23000", Kind::Refused),
            (1644, "45000", Kind::Refused),
            (4025, "23000", Kind::Refused),
            (3819, "HY000", Kind::Refused),
            (1146, "42S02", Kind::Schema),
            (1064, "42000", Kind::Schema),
            (3159, "08004", Kind::Configuration),
            (1045, "28000", Kind::Configuration),
            (1049, "42000", Kind::Configuration),
            (65000, "HY000", Kind::Unavailable),
            (65000, "", Kind::Unavailable),
        ] {
            assert_eq!(mysql_kind(number, sqlstate), kind, "{number} {sqlstate}");
        }
    }

    #[test]
    fn sqlite_codes() {
        for (code, message, kind) in [
            (1555, "UNIQUE constraint failed", Kind::Taken),
            (2067, "UNIQUE constraint failed", Kind::Taken),
            (275, "CHECK constraint failed", Kind::Refused),
            (1299, "NOT NULL constraint failed", Kind::Refused),
            (1811, "refused by a trigger", Kind::Refused),
            (20, "datatype mismatch", Kind::Refused),
            (18, "string or blob too big", Kind::Refused),
            (5, "database is locked", Kind::Unavailable),
            (517, "database is locked", Kind::Unavailable),
            (6, "database table is locked", Kind::Unavailable),
            (10, "disk I/O error", Kind::Unavailable),
            (13, "database or disk is full", Kind::Unavailable),
            (14, "unable to open database file", Kind::Unavailable),
            (8, "attempt to write a readonly database", Kind::Unavailable),
            (1, "no such table: books", Kind::Schema),
            (1, "table dead_letters has no column named item", Kind::Schema),
            (1, "near \"x\": syntax error", Kind::Unavailable),
            (26, "file is not a database", Kind::Configuration),
        ] {
            assert_eq!(sqlite_kind(code, message), kind, "{code} {message}");
        }
    }
}
