//! SQL text that is built: many rows, many keys, and the few words in which the
//! products differ. Statements that need no building stand where they are used.

use super::seam::Dialect;

/// Columns of `positions` in the order in which rows are bound and read.
pub(in crate::history) const POSITION_COLUMNS: &[&str] = &[
    "bucket",
    "device",
    "recorded_at",
    "frame_hash",
    "received_at_ms",
    "direction_cdeg",
    "odometer_m",
    "hour_meter_min",
    "composition",
    "extension",
    "speed_kmh",
    "latitude_udeg",
    "longitude_udeg",
    "raw",
];

/// Those that every row has; the others are NULL when they are left out.
pub(in crate::history) const BARE_COLUMNS: &[&str] = &[
    "bucket",
    "device",
    "recorded_at",
    "frame_hash",
    "received_at_ms",
    "direction_cdeg",
    "odometer_m",
    "hour_meter_min",
    "composition",
    "speed_kmh",
    "latitude_udeg",
    "longitude_udeg",
];

/// The same, ready for a SELECT.
pub(in crate::history) const SELECT_POSITIONS: &str = "SELECT bucket, device, recorded_at, \
    frame_hash, received_at_ms, direction_cdeg, odometer_m, hour_meter_min, composition, \
    extension, speed_kmh, latitude_udeg, longitude_udeg, raw FROM positions";

/// `INSERT` of so many rows.
pub(in crate::history) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    insert_words(table, columns) + &placeholder_rows(columns.len(), rows)
}

/// What an `INSERT` begins with, up to its rows.
pub(in crate::history) fn insert_words(table: &str, columns: &[&str]) -> String {
    format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "))
}

/// `(?,?),(?,?)`
pub(in crate::history) fn placeholder_rows(columns: usize, rows: usize) -> String {
    list(&format!("({})", placeholders(columns)), rows)
}

/// Appends what to do with a row whose key is taken: `set` tells for each column
/// how the kept value joins the new one.
pub(in crate::history) fn or_join(
    insert: &str,
    dialect: Dialect,
    key: &[&str],
    set: &[(&str, Join)],
) -> String {
    let joins: Vec<String> = set.iter().map(|(column, join)| join.text(column, dialect)).collect();
    let joins = joins.join(", ");
    match dialect {
        Dialect::MySql => format!("{insert} ON DUPLICATE KEY UPDATE {joins}"),
        Dialect::Sqlite => {
            format!("{insert} ON CONFLICT ({}) DO UPDATE SET {joins}", key.join(", "))
        }
    }
}

/// How a kept value joins a new one.
#[derive(Clone, Copy, Debug)]
pub(in crate::history) enum Join {
    /// The kept value stays.
    Keep,
    /// Their sum.
    Add,
    /// The larger.
    Larger,
    /// The new one.
    New,
}

impl Join {
    fn text(self, column: &str, dialect: Dialect) -> String {
        let new = match dialect {
            // VALUES() is what MySQL and MariaDB share.
            Dialect::MySql => format!("VALUES({column})"),
            Dialect::Sqlite => format!("excluded.{column}"),
        };
        let larger = match dialect {
            Dialect::MySql => "GREATEST",
            Dialect::Sqlite => "MAX",
        };
        match self {
            Self::Keep => format!("{column} = {column}"),
            Self::Add => format!("{column} = {column} + {new}"),
            Self::New => format!("{column} = {new}"),
            Self::Larger => format!("{column} = {larger}({column}, {new})"),
        }
    }
}

/// Which of so many keys of a table exist: all of a key but its first column.
pub(in crate::history) fn existing_rows(table: &str, key: [&str; 4], keys: usize) -> String {
    let [bucket, device, time, hash] = key;
    let key = format!("({bucket} = ? AND {device} = ? AND {time} = ? AND {hash} = ?)");
    format!("SELECT {device}, {time}, {hash} FROM {table} WHERE {}", any_of(&key, keys))
}

/// Which of so many batch keys are in the books.
pub(in crate::history) fn booked_keys(keys: usize) -> String {
    let key = "(worker = ? AND run = ? AND sequence = ?)";
    format!("SELECT DISTINCT worker, run, sequence FROM books WHERE {}", any_of(key, keys))
}

/// `?, ?, ?`
pub(in crate::history) fn placeholders(count: usize) -> String {
    list("?", count)
}

fn list(item: &str, count: usize) -> String {
    let mut text = format!("{item},").repeat(count);
    text.pop();
    text
}

/// `condition OR condition`
pub(in crate::history) fn any_of(condition: &str, count: usize) -> String {
    let mut text = format!("{condition} OR ").repeat(count);
    text.truncate(text.len().saturating_sub(" OR ".len()));
    text
}

/// The statements of a script: comments (`-- …` lines) dropped, cut at `;`.
pub(in crate::history) fn statements(script: &str) -> Vec<String> {
    let code: Vec<&str> =
        script.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    code.join("\n")
        .split(';')
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_keys() {
        assert_eq!(insert("t", &["a", "b"], 2), "INSERT INTO t (a, b) VALUES (?,?),(?,?)");
        assert!(booked_keys(2).ends_with(
            "WHERE (worker = ? AND run = ? AND sequence = ?) \
             OR (worker = ? AND run = ? AND sequence = ?)"
        ));
        assert_eq!(
            existing_rows("t", ["a", "b", "c", "d"], 2),
            "SELECT b, c, d FROM t WHERE (a = ? AND b = ? AND c = ? AND d = ?) \
             OR (a = ? AND b = ? AND c = ? AND d = ?)"
        );
    }

    #[test]
    fn joins_in_both_dialects() {
        let set = [("times", Join::Add), ("last", Join::Larger), ("first", Join::Keep)];
        assert_eq!(
            or_join("I", Dialect::MySql, &["k"], &set),
            "I ON DUPLICATE KEY UPDATE times = times + VALUES(times), \
             last = GREATEST(last, VALUES(last)), first = first"
        );
        assert_eq!(
            or_join("I", Dialect::Sqlite, &["k", "l"], &set),
            "I ON CONFLICT (k, l) DO UPDATE SET times = times + excluded.times, \
             last = MAX(last, excluded.last), first = first"
        );
    }

    #[test]
    fn a_script_is_cut_into_statements() {
        let script = "-- a; comment\nCREATE TABLE a (\n  -- inner\n  x INT\n);\n\nINSERT INTO a;\n";
        assert_eq!(statements(script), ["CREATE TABLE a (\n  x INT\n)", "INSERT INTO a"]);
    }

    #[test]
    fn the_selected_columns_are_the_bound_ones() {
        let list = SELECT_POSITIONS
            .trim_start_matches("SELECT ")
            .trim_end_matches(" FROM positions")
            .to_owned();
        assert_eq!(list.split(", ").collect::<Vec<_>>(), POSITION_COLUMNS);
    }
}
