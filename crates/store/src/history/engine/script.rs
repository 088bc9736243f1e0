//! Statements with their values written into the text, so that several of them
//! and the COMMIT go to the server in one request. A few rows cost less so than
//! the round trips of prepared statements would; many rows cost more, since the
//! server parses every number, and are bound instead.
//!
//! Text and bytes are written as hexadecimal literals: nothing of a value is ever
//! read as SQL.

use std::fmt::Write as _;

use super::seam::Dialect;
use super::value::Value;

/// Statements in order, ended by `;` each.
pub(in crate::history) struct Script {
    dialect: Dialect,
    text: String,
}

impl Script {
    pub(in crate::history) const fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::new() }
    }

    /// Adds an INSERT: its words up to VALUES, the rows, and the words behind
    /// them. Adds nothing when there are no rows.
    pub(in crate::history) fn insert<'v, const COLUMNS: usize>(
        &mut self,
        words: &str,
        rows: impl IntoIterator<Item = [Value<'v>; COLUMNS]>,
        words_behind: &str,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.text.push_str(words);
        for row in rows {
            self.text.push('(');
            for value in &row {
                literal(&mut self.text, value, self.dialect);
                self.text.push(',');
            }
            self.text.pop();
            self.text.push_str("),");
        }
        self.text.pop();
        self.text.push_str(words_behind);
        self.text.push(';');
    }

    /// The statements so far; the script is empty afterwards.
    pub(in crate::history) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// Appends a value as the product's SQL writes it.
fn literal(text: &mut String, value: &Value<'_>, dialect: Dialect) {
    let _infallible = match *value {
        Value::Number(number) => write!(text, "{number}"),
        Value::Signed(number) => write!(text, "{number}"),
        Value::Hash(hash) => match dialect {
            Dialect::MySql => write!(text, "{hash}"),
            Dialect::Sqlite => write!(text, "{}", super::value::signed_hash(hash)),
        },
        Value::Text(characters) => {
            text.push_str(match dialect {
                Dialect::MySql => "_utf8mb4 ",
                Dialect::Sqlite => "CAST(",
            });
            push_hex(text, characters.as_bytes());
            if dialect == Dialect::Sqlite {
                text.push_str(" AS TEXT)");
            }
            Ok(())
        }
        Value::Bytes(bytes) => {
            push_hex(text, bytes);
            Ok(())
        }
        Value::NoNumber | Value::NoBytes => {
            text.push_str("NULL");
            Ok(())
        }
    };
}

/// `x'0A3F'`, which both products read as bytes.
fn push_hex(text: &mut String, bytes: &[u8]) {
    text.push_str("x'");
    for byte in bytes {
        let _infallible = write!(text, "{byte:02X}");
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dialect: Dialect, value: Value<'_>) -> String {
        let mut script = Script::new(dialect);
        script.insert("INSERT INTO t VALUES ", [[value]], "");
        script.take()
    }

    #[test]
    fn rows_become_one_statement_and_no_rows_none() {
        let mut script = Script::new(Dialect::MySql);
        script.insert("I (a, b) VALUES ", std::iter::empty::<[Value<'_>; 2]>(), " X");
        assert_eq!(script.take(), "");
        let rows = [[Value::Number(1), Value::NoBytes], [Value::Signed(-2), Value::Hash(u64::MAX)]];
        script.insert("I (a, b) VALUES ", rows, " X");
        assert_eq!(script.take(), "I (a, b) VALUES (1,NULL),(-2,18446744073709551615) X;");
        assert_eq!(script.take(), "");
    }

    #[test]
    fn a_hash_is_written_in_the_order_that_the_product_keeps() {
        assert!(script(Dialect::Sqlite, Value::Hash(0)).contains("(-9223372036854775808)"));
        assert!(script(Dialect::MySql, Value::Hash(0)).contains("(0)"));
    }

    #[test]
    fn nothing_of_a_text_is_read_as_sql() {
        let hostile = Value::Text("');DROP TABLE t;--");
        for dialect in [Dialect::MySql, Dialect::Sqlite] {
            let text = script(dialect, hostile);
            assert!(!text.contains("DROP") && text.contains("x'27293B"), "{text}");
        }
        assert!(script(Dialect::MySql, Value::Bytes(&[0, 0xAB])).contains("(x'00AB')"));
    }
}
