//! What to say of a key that the file may not hold where it stands: whose it is
//! and where to write it, or which known name was probably meant.

use super::Setting;

/// A key at the top of the file (`table` is `None`) or in a command's table.
pub(super) fn key(key: &str, table: Option<&str>, known: &[Setting<'_>]) -> String {
    let place = table.map(|table| format!(" in the table [{table}]")).unwrap_or_default();
    if let Some(elsewhere) = elsewhere(key, table, known) {
        return elsewhere;
    }
    let fits = |setting: &&Setting<'_>| match table {
        Some(table) => setting.command == Some(table),
        None => setting.shared,
    };
    let fitting = known.iter().filter(fits).map(|setting| setting.name);
    format!("there is no setting '{key}'{place}{}", nearest(key, fitting))
}

/// A table that no command has.
pub(super) fn table(table: &str, known: &[Setting<'_>]) -> String {
    let commands = known.iter().filter_map(|setting| setting.command);
    format!("there is no command '{table}' for the table [{table}]{}", nearest(table, commands))
}

/// Whose setting it is instead.
fn elsewhere(key: &str, table: Option<&str>, known: &[Setting<'_>]) -> Option<String> {
    let named = || known.iter().filter(|setting| setting.name == key);
    let mut owners: Vec<&str> = named().filter_map(|setting| setting.command).collect();
    owners.dedup();
    let tables: Vec<String> = owners.iter().map(|owner| format!("[{owner}]")).collect();
    let mut places = Vec::new();
    if table.is_some() && named().any(|setting| setting.shared) {
        places.push("above the first table".to_owned());
    }
    if !tables.is_empty() {
        places.push(format!("in the table {}", tables.join(" or ")));
    }
    let owners = match owners.as_slice() {
        [] if places.is_empty() => return None,
        [] => "all commands".to_owned(),
        owners => owners.join(", "),
    };
    let stands = table.map(|table| format!(", not of {table}")).unwrap_or_default();
    let places = places.join(" or ");
    Some(format!("'{key}' is a setting of {owners}{stands}: write it {places}"))
}

/// The name that was probably meant: a third of the letters may be wrong, three
/// at most. Beyond that a suggestion misleads.
fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let wanted = wrong.to_lowercase().replace('_', "-");
    let most = (wanted.chars().count() / 3).clamp(1, 3);
    let measured = known.map(|name| (distance(&wanted, name), name));
    match measured.filter(|(wrong, _)| *wrong <= most).min_by_key(|(wrong, _)| *wrong) {
        Some((_, nearest)) => format!("; the nearest is '{nearest}'"),
        None => String::new(),
    }
}

/// Least number of characters to insert, delete or replace (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, expected) in [("", "ab", 2), ("kitten", "sitting", 3), ("a", "a", 0)] {
            assert_eq!(distance(left, right), expected);
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = || ["window", "worker", "live-ttl"].into_iter();
        for (wrong, expected) in [
            ("wroker", "; the nearest is 'worker'"),
            ("LIVE_TTL", "; the nearest is 'live-ttl'"),
            ("colour", ""),
            ("x", ""),
            ("", ""),
        ] {
            assert_eq!(nearest(wrong, known()), expected, "{wrong}");
        }
    }
}
