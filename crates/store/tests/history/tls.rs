//! Links over TLS: when they are used and verified, that rows in bulk and large statements go
//! through them, and how accounts log in with and without.

use nemeses_e2e::{Brand, Certificate};
use nemeses_protocol::{PackedFields, Record};
use nemeses_store::StoreError;
use nemeses_store::history::{Database, Options, open};

use crate::frames::{BASE, part, record};
use crate::server::Server;
use crate::site::Site;
use crate::suite::assert_balanced;

/// As many as bulks and several TLS records need.
const ROWS: u32 = 1000;

async fn opened(url: &str) -> Database {
    open(url, Options::default()).await.unwrap()
}

/// One row in four has an extension, and some have raw bytes.
fn batch(second: u32) -> Vec<Record> {
    (0..ROWS)
        .map(|device| {
            let mut row = record(device, BASE + second, 7);
            row.position.extension = (device % 4 == 0).then_some(1234);
            row.packed = (device % 9 == 0).then(|| PackedFields::from_stored(Box::new([0x50; 33])));
            Record::Position(row)
        })
        .collect()
}

async fn migrate_error(url: &str) -> String {
    match opened(url).await.history().migrate().await.unwrap_err() {
        StoreError::Configuration(words) => words,
        other => panic!("{url}: {other:?}"),
    }
}

/// How many statements with one row, and with several, were prepared for positions.
async fn prepared(site: &Site) -> (i64, i64) {
    let one = "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = 'Prepare' \
        AND argument LIKE 'INSERT INTO `positions`%' AND argument NOT LIKE '%),(%'";
    let several = "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = 'Prepare' \
        AND argument LIKE 'INSERT INTO `positions`%),(%'";
    (site.number(one).await, site.number(several).await)
}

async fn links_are_what_the_url_says(brand: Brand) {
    let certificate = Certificate::new().unwrap();
    let [cert, key] = certificate.server_options();
    let server = Server::start_with(brand, &[&cert, &key]).await;
    let site = server.site("tls").await;
    let url = &site.url;
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let ca = format!("ssl-ca={}", certificate.cert());

    site.run("SET GLOBAL require_secure_transport = ON").await;
    let plain = migrate_error(url).await;
    assert!(plain.contains("where TLS is demanded, add ?ssl-mode=required"), "{plain}");
    let unknown = migrate_error(&format!("{url}?ssl-mode=verify_identity")).await;
    assert!(unknown.contains("UnknownIssuer") && unknown.contains("?ssl-ca=PATH"), "{unknown}");
    let other = migrate_error(&format!("{elsewhere}?ssl-mode=verify_identity&{ca}")).await;
    assert!(other.contains("not valid for name"), "{other}");

    site.run("SET GLOBAL log_output = 'TABLE'").await;
    site.run("SET GLOBAL general_log = ON").await;
    for (number, url) in [
        format!("{url}?ssl-mode=verify_identity&{ca}"),
        format!("{elsewhere}?ssl-mode=verify_ca&{ca}"),
        format!("{elsewhere}?ssl-mode=required"),
        format!("{url}?ssl-mode=preferred"),
    ]
    .into_iter()
    .enumerate()
    {
        let database = opened(&url).await;
        database.history().migrate().await.unwrap();
        site.run("TRUNCATE TABLE mysql.general_log").await;
        let second = u32::try_from(number).unwrap();
        let parts = [part("w", u64::from(second), batch(second))];
        database.history().commit(&parts, "x").await.unwrap();
        let expected = if brand == Brand::MariaDb { (1, 0) } else { (0, 1) };
        assert_eq!(prepared(&site).await, expected, "{url}");
        assert_balanced(&database).await;
    }
    assert_eq!(site.number("SELECT COUNT(extension) FROM positions").await, 1000);
    assert_eq!(site.number("SELECT COUNT(raw) FROM positions").await, 4 * 112);
}

/// A server without TLS is not spoken to by whoever wants it.
async fn a_server_without_tls_is_refused(server: &Server) {
    let site = server.site("no_tls").await;
    let error = migrate_error(&format!("{}?ssl-mode=required", site.url)).await;
    assert!(error.contains("does not support TLS") && error.contains("ssl-mode="), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_mariadb() {
    links_are_what_the_url_says(Brand::MariaDb).await;
    // From 11.4 on it makes a certificate for itself.
    let without = Server::start_with(Brand::MariaDb, &["--skip-ssl"]).await;
    a_server_without_tls_is_refused(&without).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_mysql() {
    if !Brand::MySql.is_here() {
        return;
    }
    links_are_what_the_url_says(Brand::MySql).await;
    let server = Server::start(Brand::MySql).await;
    // Its way to log in asks for the password itself at the first time: by the server's
    // public key in plain, within TLS else.
    let site = server.site("logins").await.migrated().await;
    for (user, options) in [("sha_plain", ""), ("sha_tls", "?ssl-mode=required")] {
        let create = format!(
            "CREATE USER {user}@'%' IDENTIFIED WITH caching_sha2_password BY 'p@ss'; \
             GRANT ALL ON logins.* TO {user}@'%'"
        );
        site.run(&create).await;
        let url = site.url.replace("root@", &format!("{user}:p%40ss@")) + options;
        for _ in 0..2 {
            opened(&url).await.history().check_schema().await.unwrap();
        }
        let wrong = migrate_error(&url.replace("p%40ss", "hunter2")).await;
        assert!(wrong.contains("1045") && !wrong.contains("hunter2"), "{wrong}");
    }
}
