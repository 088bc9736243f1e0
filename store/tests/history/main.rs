//! The history against both databases it runs on: the same cases over SQLite in
//! a temporary file and over a MariaDB that the test starts and stops.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests; the lint knows only the functions marked as such"
)]

mod bulk;
mod frames;
mod mariadb;
mod mosquitto;
mod properties;
mod proxy;
mod rocksdb;
mod site;
mod sqlite;
mod suite;
