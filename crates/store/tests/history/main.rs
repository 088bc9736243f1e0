//! The history against all databases it runs on: the same cases over SQLite in
//! a temporary file and over a MariaDB and a MySQL that the test starts and stops.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests; the lint knows only the functions marked as such"
)]

mod bulk;
mod frames;
mod mosquitto;
mod names;
mod properties;
mod proxy;
mod rocksdb;
mod sealing_properties;
mod server;
mod servers;
mod site;
mod sqlite;
mod suite;
mod tls;
