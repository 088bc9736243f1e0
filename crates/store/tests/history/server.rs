//! A server for several cases, a database of its own for each.

use nemeses_e2e::{Brand, SqlServer};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::site::{Product, Site};

/// A running server; ends with the value.
pub(crate) struct Server {
    _process: SqlServer,
    product: Product,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn start(brand: Brand) -> Self {
        Self::start_with(brand, &[]).await
    }

    /// With further options.
    pub(crate) async fn start_with(brand: Brand, options: &[&str]) -> Self {
        let process = SqlServer::start_with(brand, options).await.unwrap();
        let product = match brand {
            Brand::MariaDb => Product::MariaDb,
            Brand::MySql => Product::MySql,
        };
        let port = process.port().number();
        Self { _process: process, product, port }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// A fresh database of this name.
    pub(crate) async fn site(&self, name: &str) -> Site {
        let mut connection = sqlx::MySqlConnection::connect(&self.url("mysql")).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Site::empty(self.product, self.url(name)).await
    }
}
