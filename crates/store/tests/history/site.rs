//! A fresh, empty database for one case, and ways around the store's own code to
//! look at it or to hinder it.

use std::sync::Arc;

use nemeses_store::history::{Database, History, Options, open};
use sqlx::{AssertSqlSafe, Connection as _};

/// Which product a site is on, where a case needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    MariaDb,
    MySql,
    Sqlite,
}

impl Product {
    /// Whether it is a server.
    pub(crate) fn is_server(self) -> bool {
        self != Self::Sqlite
    }
}

/// What statements begin with that are not the store's.
pub(crate) const BEHIND_ITS_BACK: &str = "/* test */";

/// Each statement with a mark that it is not the store's.
fn marked(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "{BEHIND_ITS_BACK} {}",
        sql.replace("; ", &format!("; {BEHIND_ITS_BACK} "))
    ))
}

/// Where a case takes place.
pub(crate) struct Site {
    pub(crate) product: Product,
    pub(crate) url: String,
    pub(crate) database: Database,
}

impl Site {
    /// Opens an empty database; no tables yet.
    pub(crate) async fn empty(product: Product, url: String) -> Self {
        let database = open(&url, Options::default()).await.unwrap();
        Self { product, url, database }
    }

    /// Makes the tables.
    pub(crate) async fn migrated(self) -> Self {
        self.history().migrate().await.unwrap();
        self
    }

    pub(crate) fn history(&self) -> Arc<dyn History> {
        self.database.history()
    }

    /// Another process's view: handles of their own on the same database.
    pub(crate) async fn another(&self) -> Database {
        open(&self.url, Options::default()).await.unwrap()
    }

    /// Runs SQL behind the store's back.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = marked(sql);
        match self.product {
            Product::MariaDb | Product::MySql => {
                let mut connection = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Product::Sqlite => {
                let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Ends all connections to a MariaDB's database.
    pub(crate) async fn kill_connections(&self) {
        const OTHERS: &str = "SELECT id FROM information_schema.processlist \
            WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        let mut connection = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
        loop {
            let others: Vec<i64> =
                sqlx::query_scalar(OTHERS).fetch_all(&mut connection).await.unwrap();
            if others.is_empty() {
                return connection.close().await.unwrap();
            }
            for id in others {
                // One that is gone by itself is what we want.
                let kill = AssertSqlSafe(format!("KILL {id}"));
                let _ = sqlx::raw_sql(kill).execute(&mut connection).await;
            }
        }
    }

    /// Reads one number behind the store's back.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        let sql = marked(sql);
        match self.product {
            Product::MariaDb | Product::MySql => {
                let mut connection = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
            Product::Sqlite => {
                let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// Reads one column of texts behind the store's back.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        let sql = marked(sql);
        match self.product {
            Product::MariaDb | Product::MySql => {
                let mut connection = sqlx::MySqlConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
            }
            Product::Sqlite => {
                let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
            }
        }
    }

    /// From now on the database refuses this device's days for good.
    pub(crate) async fn refuse_days_of_device_2(&self) {
        self.run(match self.product {
            Product::MariaDb | Product::MySql => {
                "CREATE TRIGGER refuse BEFORE INSERT ON device_days FOR EACH ROW \
                 IF NEW.device = 2 THEN \
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no day'; END IF"
            }
            Product::Sqlite => {
                "CREATE TRIGGER refuse BEFORE INSERT ON device_days WHEN NEW.device = 2 \
                 BEGIN SELECT RAISE(ABORT, 'no day'); END"
            }
        })
        .await;
    }

    /// From now on the database refuses rows with this speed for good.
    pub(crate) async fn refuse_speed_255(&self) {
        self.run(match self.product {
            Product::MariaDb | Product::MySql => {
                "CREATE TRIGGER refuse BEFORE INSERT ON positions FOR EACH ROW \
                 IF NEW.speed_kmh = 255 THEN \
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'too fast'; END IF"
            }
            Product::Sqlite => {
                "CREATE TRIGGER refuse BEFORE INSERT ON positions WHEN NEW.speed_kmh = 255 \
                 BEGIN SELECT RAISE(ABORT, 'too fast'); END"
            }
        })
        .await;
    }
}
