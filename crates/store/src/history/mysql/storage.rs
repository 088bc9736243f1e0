//! Which storage engine of a server holds the tables.

use sqlx::mysql::MySqlConnection;

use super::alone::Alone;
use super::names::statement;
use super::{Server, error_number};
use crate::history::StorageEngine;
use crate::history::engine::{Fault, Fields as _, Kind};

/// Unknown storage engine, in the words of the servers.
const UNKNOWN_ENGINE: u16 = 1286;
const LONG_KEYS: &str = "SELECT CAST(@@rocksdb_large_prefix AS UNSIGNED)";
const ENGINE_OF_POSITIONS: &str = "SELECT CAST(engine AS CHAR) FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND table_name = 'positions'";

impl StorageEngine {
    const fn words(self) -> &'static str {
        match self {
            Self::InnoDb => "InnoDB",
            Self::RocksDb => "RocksDB",
        }
    }
}

/// Makes the tables that this connection will create lie in an engine.
pub(super) async fn choose(
    server: &Server,
    connection: &mut MySqlConnection,
    engine: StorageEngine,
) -> Result<(), Fault> {
    let words = engine.words();
    let set = statement(&format!("SET SESSION default_storage_engine = {words}"));
    if let Err(error) = sqlx::raw_sql(set).execute(&mut *connection).await {
        let unknown = error_number(&error) == Some(UNKNOWN_ENGINE);
        return Err(if unknown { missing(server, words) } else { server.fault(&error) });
    }
    if engine == StorageEngine::InnoDb {
        return Ok(());
    }
    let row = sqlx::query(statement(LONG_KEYS)).fetch_one(&mut *connection).await;
    let long_keys = row.map_err(|error| server.fault(&error))?.need::<u64>(0)?;
    if long_keys == 0 { Err(short_keys(server)) } else { Ok(()) }
}

fn missing(server: &Server, words: &str) -> Fault {
    let detail = format!(
        "{} has no storage engine {words}: load its plugin (MariaDB's package \
         mariadb-plugin-rocksdb, plugin_load_add = ha_rocksdb) or leave --database-engine out",
        server.endpoint
    );
    Fault::new(Kind::Configuration, detail)
}

fn short_keys(server: &Server) -> Fault {
    let detail = format!(
        "{} keeps keys of RocksDB to 767 bytes, and the one of e-mail addresses is longer: set \
         rocksdb_large_prefix = ON in the server's configuration",
        server.endpoint
    );
    Fault::new(Kind::Configuration, detail)
}

/// Whether weeks of positions can be taken out of their table; else what to do.
pub(super) async fn weeks_can_leave(alone: &mut Alone<'_>) -> Result<(), Fault> {
    let rows = alone.rows(ENGINE_OF_POSITIONS.to_owned()).await?;
    match rows.first().map(|row| row.text(0)).transpose()?.as_deref() {
        Some(engine) if !engine.eq_ignore_ascii_case("InnoDB") => Err(Fault::new(
            Kind::Configuration,
            format!(
                "positions lie in {engine}, and MariaDB exchanges partitions of InnoDB only, so \
                 nothing can leave: keep positions forever, or ALTER TABLE positions ENGINE=InnoDB"
            ),
        )),
        _ => Ok(()),
    }
}
