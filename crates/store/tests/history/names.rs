//! The names of tables, columns and keys beside what servers reserve: what they are, and
//! that every statement quotes them.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use crate::server::Server;
use crate::site::BEHIND_ITS_BACK;

const SCHEMA: &str = include_str!("../../../../schema.sql");

/// Text in backquotes, and what is left without it and without literals.
fn taken_apart(text: &str) -> (BTreeSet<&str>, String) {
    let (mut names, mut rest) = (BTreeSet::new(), String::new());
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            names.insert(part);
            continue;
        }
        rest.extend(part.split('\'').step_by(2));
    }
    (names, rest)
}

fn schema_names() -> BTreeSet<&'static str> {
    let statements: Vec<&str> = SCHEMA.lines().filter(|line| !line.starts_with("--")).collect();
    let names: BTreeSet<&str> =
        statements.into_iter().flat_map(|line| taken_apart(line).0).collect();
    assert!(names.contains("stored") && names.len() > 100, "{names:?}");
    names
}

async fn connect(server: &Server) -> MySqlConnection {
    MySqlConnection::connect(&server.url("nemeses")).await.unwrap()
}

/// The names that this server takes for words of its own: those that a person has to
/// quote, too. A new one here is a name to be changed before it is released.
pub(crate) async fn reserved(server: &Server) -> Vec<&'static str> {
    let mut connection = connect(server).await;
    let mut reserved = Vec::new();
    for name in schema_names() {
        let text = AssertSqlSafe(format!("SELECT 1 FROM (SELECT 1 AS `{name}`) t ORDER BY {name}"));
        if sqlx::raw_sql(text).execute(&mut connection).await.is_err() {
            reserved.push(name);
        }
    }
    // The server's own table has to agree, where it says which words are reserved.
    let listed = "SELECT LOWER(word) FROM information_schema.keywords WHERE reserved = 1";
    if let Ok(words) = sqlx::query_scalar::<_, String>(listed).fetch_all(&mut connection).await {
        let listed: Vec<_> = schema_names()
            .into_iter()
            .filter(|name| words.iter().any(|word| word == name))
            .collect();
        assert_eq!(listed, reserved);
    }
    reserved
}

/// No statement of the store that this server was sent holds a bare name of the schema.
pub(crate) async fn all_were_quoted(server: &Server) {
    let samples = AssertSqlSafe(format!(
        "SELECT CAST(query_sample_text AS CHAR) \
         FROM performance_schema.events_statements_summary_by_digest \
         WHERE schema_name <> 'mysql' AND query_sample_text NOT LIKE '{BEHIND_ITS_BACK}%'"
    ));
    let samples: Vec<String> =
        sqlx::query_scalar(samples).fetch_all(&mut connect(server).await).await.unwrap();
    assert!(samples.len() > 200, "{}", samples.len());
    let names = schema_names();
    for sample in samples {
        let (_, rest) = taken_apart(&sample);
        let is_in_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let bare: Vec<&str> = rest
            .split(|character| !is_in_word(character))
            .filter(|word| names.contains(word))
            .collect();
        assert!(bare.is_empty(), "{bare:?} in {sample}");
    }
}
