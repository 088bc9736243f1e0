//! The books, read from outside.

use nemeses_e2e::Line;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, MySqlConnection, SqliteConnection};

/// Sums over all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Books {
    pub(crate) received: u64,
    pub(crate) dead_letters: u64,
    /// What the database takes on disk, its journal left out.
    pub(crate) database_bytes: u64,
}

impl Books {
    pub(crate) async fn read(line: &Line) -> anyhow::Result<Self> {
        let (received, dead_letters, database_bytes) = match (&line.database, &line.node) {
            (Some(database), _) => in_mysql(&database.url()).await?,
            (None, Some(node)) => in_sqlite(&node.sqlite_path()).await?,
            (None, None) => anyhow::bail!("no database"),
        };
        Ok(Self {
            received: received.try_into()?,
            dead_letters: dead_letters.try_into()?,
            database_bytes: database_bytes.try_into()?,
        })
    }
}

async fn in_mysql(url: &str) -> anyhow::Result<(i64, i64, i64)> {
    let sums = "SELECT CAST(SUM(received) AS SIGNED), CAST(SUM(dead_letters) AS SIGNED), \
                (SELECT CAST(SUM(data_length + index_length) AS SIGNED) \
                 FROM information_schema.tables WHERE table_schema = DATABASE()) FROM books";
    let mut connection = MySqlConnection::connect(url).await?;
    // Sizes are estimated from its pages, when it is asked to; MySQL keeps them for a day.
    let fresh = "ANALYZE TABLE dead_letters, positions; \
                 SET SESSION /*!80000 information_schema_stats_expiry = 0, */ wait_timeout = 60";
    sqlx::raw_sql(fresh).execute(&mut connection).await?;
    Ok(sqlx::query_as(sums).fetch_one(&mut connection).await?)
}

async fn in_sqlite(path: &std::path::Path) -> anyhow::Result<(i64, i64, i64)> {
    let options =
        SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(20));
    let sums = "SELECT SUM(received), SUM(dead_letters), \
                (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) FROM books";
    let mut connection = SqliteConnection::connect_with(&options).await?;
    Ok(sqlx::query_as(sums).fetch_one(&mut connection).await?)
}
