//! The cases on servers: one server of each brand for all of them, a database for each.

use std::pin::Pin;

use futures_util::FutureExt as _;
use nemeses_e2e::Brand;

use crate::server::Server;
use crate::suite;

/// All in one, the cases would not fit on a stack, and no more would they if each were made on the
/// stack of whoever runs them all.
#[inline(never)]
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Runs every case, also after one has failed, and names those that did.
        async fn failed_cases(server: &Server) -> Vec<&'static str> {
            let mut failed = Vec::new();
            $(
                let site = server.site(stringify!($case)).await;
                let case = std::panic::AssertUnwindSafe(boxed(move || suite::$case(site)));
                let outcome = case.catch_unwind().await;
                println!("{}: {}", stringify!($case), if outcome.is_ok() { "ok" } else { "FAILED" });
                if outcome.is_err() {
                    failed.push(stringify!($case));
                }
            )*
            failed.extend(Box::pin(crate::proxy::failed_cases(server)).await);
            failed
        }
    };
}

suite::all_cases!(cases);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_cases_on_mariadb() {
    let server = Server::start(Brand::MariaDb).await;
    assert_eq!(failed_cases(&server).await, [""; 0]);
    assert_eq!(crate::names::reserved(&server).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_cases_on_mysql() {
    if !Brand::MySql.is_here() {
        return;
    }
    let server = Server::start_with(Brand::MySql, &["--performance-schema=on"]).await;
    assert_eq!(failed_cases(&server).await, [""; 0]);
    crate::names::all_were_quoted(&server).await;
    assert_eq!(crate::names::reserved(&server).await, ["stored"]);
}
