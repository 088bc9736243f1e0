//! Tables in MyRocks: commits as everywhere, and clear words for what it cannot do.

use nemeses_e2e::Brand;
use nemeses_store::StoreError;
use nemeses_store::history::{Database, Options, StorageEngine, open};

use crate::server::Server;
use crate::site::Site;
use crate::suite;

const PLUGIN: &str = "--plugin-load-add=ha_rocksdb";
const LONG_KEYS: &str = "--rocksdb-large-prefix=ON";

async fn opened(site: &Site) -> Database {
    let options = Options { engine: Some(StorageEngine::RocksDb), ..Options::default() };
    open(&site.url, options).await.unwrap()
}

fn configuration(error: StoreError) -> String {
    match error {
        StoreError::Configuration(words) => words,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_in_the_engine_that_is_asked_for() {
    let server = Server::start_with(Brand::MariaDb, &[PLUGIN, LONG_KEYS]).await;
    let site = server.site("made").await;
    let database = opened(&site).await;
    database.history().migrate().await.unwrap();
    let others = "SELECT COUNT(*) FROM information_schema.tables \
        WHERE table_schema = DATABASE() AND engine <> 'ROCKSDB'";
    assert_eq!(site.number(others).await, 0);
    let all = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
    assert!(site.number(all).await > 20);
    let expired = database.retention().expire_positions(1).await;
    let words = configuration(expired.unwrap_err());
    assert!(words.contains("positions lie in ROCKSDB"), "{words}");

    site.run("SET GLOBAL default_storage_engine = RocksDB").await;
    suite::a_commit_counts_once(server.site("once").await).await;
    suite::duplicates_inside_and_outside_a_batch(server.site("duplicates").await).await;
    suite::a_large_batch_with_rows_that_are_there(server.site("large").await).await;
    suite::committers_with_the_same_frames_balance(server.site("together").await).await;
    suite::the_same_batch_committed_at_once_counts_once(server.site("at_once").await).await;
    suite::a_refused_row_is_found_and_leaves_nothing(server.site("refused").await).await;
    suite::ranges_agree_with_a_model(server.site("ranges").await).await;
    suite::migrations_may_start_together(server.site("migrations").await).await;

    site.run("SET GLOBAL rocksdb_large_prefix = OFF").await;
    let short = opened(&server.site("short").await).await;
    let words = configuration(short.history().migrate().await.unwrap_err());
    assert!(words.contains("set rocksdb_large_prefix = ON"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_the_server_does_not_have_is_named() {
    let server = Server::start(Brand::MariaDb).await;
    let site = server.site("without").await;
    let migrated = opened(&site).await.history().migrate().await;
    let words = configuration(migrated.unwrap_err());
    assert!(words.contains("has no storage engine RocksDB: load its plugin"), "{words}");
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
    assert_eq!(site.number(tables).await, 0);
}

#[tokio::test]
async fn sqlite_has_no_engines() {
    let options = Options { engine: Some(StorageEngine::InnoDb), ..Options::default() };
    let Err(error) = open("sqlite:history.db", options).await else { panic!("it was opened") };
    let words = configuration(error);
    assert!(words.contains("leave --database-engine out"), "{words}");
}
