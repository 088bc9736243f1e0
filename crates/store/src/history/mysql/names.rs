//! Quotes the names of tables, columns and keys in every statement, so that no word that
//! a server reserves, now or later, can meet one of them. (MySQL reserves `stored`.) The
//! names are those of `schema.sql`, where they are quoted too; statements elsewhere are
//! written without quotes, keywords in capitals, as SQLite reads them as well.

use std::collections::HashSet;
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// Tables that retention makes for a while.
const PASSING: [&str; 2] = ["positions_expired", "positions_copy"];

static NAMES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let schema = include_str!("../../../../../schema.sql");
    pieces(schema).filter_map(Piece::name).chain(PASSING).collect()
});

/// A statement for a server. All that this crate sends to one goes through here.
pub(super) fn statement(text: &str) -> SqlStr {
    AssertSqlSafe(quoted(text)).into_sql_str()
}

/// The same as text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for piece in pieces(text) {
        match piece {
            Piece::Word(word) if NAMES.contains(word) => {
                out.push('`');
                out.push_str(word);
                out.push('`');
            }
            Piece::Word(word) | Piece::Other(word) => out.push_str(word),
        }
    }
    out
}

/// A part of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// A keyword, a name, a function, a number.
    Word(&'a str),
    /// A literal, a quoted name, a variable or a comment, whole; else one character.
    Other(&'a str),
}

impl<'a> Piece<'a> {
    /// The name in a piece that is quoted.
    fn name(self) -> Option<&'a str> {
        let Piece::Other(text) = self else { return None };
        text.strip_prefix('`')?.strip_suffix('`')
    }
}

/// The pieces of a text, which together are the text.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (length, is_word) = match first {
            '\'' | '"' | '`' => (quoted_length(rest, first), false),
            '@' => (1 + word_length(&rest[1..]), false),
            '-' if rest.starts_with("-- ") => (length_to(rest, "\n"), false),
            '/' if rest.starts_with("/*") => (length_to(rest, "*/"), false),
            _ if is_word_character(first) => (word_length(rest), true),
            _ => (first.len_utf8(), false),
        };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        Some(if is_word { Piece::Word(piece) } else { Piece::Other(piece) })
    })
}

const fn is_word_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '$'
}

fn word_length(text: &str) -> usize {
    text.find(|character: char| !is_word_character(character)).unwrap_or(text.len())
}

fn length_to(text: &str, end: &str) -> usize {
    text.find(end).map_or(text.len(), |at| at + end.len())
}

/// Length of what begins with a quote, up to the same one. A doubled quote ends one
/// literal and begins the next, which is as good here.
fn quoted_length(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCRIPTS: [&str; 5] = [
        include_str!("../../../../../schema.sql"),
        include_str!("upgrade_2.sql"),
        include_str!("upgrade_3.sql"),
        include_str!("upgrade_4.sql"),
        include_str!("upgrade_5.sql"),
    ];

    #[test]
    fn names_are_quoted_and_nothing_else_is() {
        for (text, expected) in [
            (
                "INSERT INTO books (worker,stored) VALUES (?,?)",
                "INSERT INTO `books` (`worker`,`stored`) VALUES (?,?)",
            ),
            (
                "SELECT SUM(b.stored) day FROM books b",
                "SELECT SUM(b.`stored`) `day` FROM `books` b",
            ),
            ("SELECT 'books''stored', \"day\"", "SELECT 'books''stored', \"day\""),
            ("SET @day = @@day, x = 'day", "SET @day = @@day, x = 'day"),
            (
                "SELECT /*M! day */ x'AB' -- day\nFROM daily",
                "SELECT /*M! day */ x'AB' -- day\nFROM `daily`",
            ),
            ("SELECT `day` - -day", "SELECT `day` - -`day`"),
            ("SELECT days, DAY(day)", "SELECT days, DAY(`day`)"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    /// Their names are what this module knows, so none of them may be missed.
    #[test]
    fn scripts_quote_their_names_themselves() {
        for script in SCRIPTS {
            let bare: Vec<_> = pieces(script)
                .filter_map(|piece| match piece {
                    Piece::Word(word) => Some(word),
                    Piece::Other(_) => None,
                })
                .filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
                .filter(|word| {
                    !matches!(*word, "utf8mb4" | "utf8mb4_bin") && !word.starts_with("nemeses_")
                })
                .collect();
            assert_eq!(bare, [""; 0]);
        }
        assert!(NAMES.contains("stored") && NAMES.contains("dead_letters_item"));
    }

    proptest! {
        #[test]
        fn only_quotes_are_added_and_only_once(text in "[a-z `'\"@/*.,()?-]{0,60}|(day|stored|[ ,'`])*") {
            let once = quoted(&text);
            prop_assert_eq!(quoted(&once), once.clone());
            prop_assert_eq!(once.replace('`', ""), text.replace('`', ""));
        }
    }
}
