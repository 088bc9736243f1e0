//! The cases on SQLite, each a test of its own.

use tempfile::TempDir;

use crate::site::{Product, Site};
use crate::suite;

/// A site in a folder of its own.
pub(crate) async fn empty_site() -> (TempDir, Site) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("history.db").display());
    let site = Site::empty(Product::Sqlite, url).await;
    (folder, site)
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (_folder, site) = empty_site().await;
                suite::$case(site).await;
            }
        )*
    };
}

suite::all_cases!(cases);
