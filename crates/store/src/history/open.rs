//! Opens a history by its URL.

use super::database::{Database, Options};
use super::{mysql, sqlite};
use crate::StoreError;

/// Opens a history. Nothing is connected yet: a database that is down shows as
/// [`StoreError::Unavailable`] on first use.
///
/// `sqlite:PATH` opens or makes a file; `mysql://user:password@host:port/database`
/// (or `mariadb://`) names a server. Needs a running Tokio runtime.
///
/// # Errors
/// [`StoreError::Configuration`] when the URL cannot be used.
pub async fn open(url: &str, options: Options) -> Result<Database, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", _)) if options.engine.is_some() => Err(StoreError::Configuration(
            "SQLite has no storage engines to choose from: leave --database-engine out, or name a \
             server with --database-url"
                .to_owned(),
        )),
        Some(("sqlite", rest)) => sqlite::open(sqlite_path(rest), &options),
        Some(("mysql", _)) => mysql::open(url, &options),
        Some(("mariadb", rest)) => mysql::open(&format!("mysql:{rest}"), &options),
        _ => Err(StoreError::Configuration(
            "the database URL begins with sqlite: (a path follows), mysql:// or mariadb://"
                .to_owned(),
        )),
    }
}

/// The path of `sqlite:PATH`; `sqlite:///PATH` is understood, too.
fn sqlite_path(rest: &str) -> &str {
    rest.strip_prefix("//").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_sqlite_urls() {
        for (rest, path) in [("a/b.db", "a/b.db"), ("/a/b.db", "/a/b.db"), ("///a.db", "/a.db")] {
            assert_eq!(sqlite_path(rest), path);
        }
    }

    #[tokio::test]
    async fn urls_that_cannot_be_used_are_refused_without_their_password() {
        for url in
            ["", "postgres://u:hunter2@h/d", "mysql://u:hunter2@h", "sqlite:", "sqlite::memory:"]
        {
            let Err(error) = open(url, Options::default()).await else {
                panic!("{url} was opened");
            };
            assert!(matches!(error, StoreError::Configuration(_)), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
