//! The schema: made from nothing by several at once, checked, refused.

use nemeses_store::StoreError;
use nemeses_store::history::{FirstPlace, NewUser, Options, Role, open};

use crate::frames::{BASE, frame, part};
use crate::site::{Product, Site};

pub(crate) async fn migrations_may_start_together(site: Site) {
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let instance = site.another().await;
        tasks.push(tokio::spawn(async move { instance.history().migrate().await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    site.history().check_schema().await.unwrap();
    site.history().migrate().await.unwrap();
    assert_eq!(site.number("SELECT COUNT(*) FROM schema_version").await, 1);
    let parts = [part("w", 1, vec![frame(1, BASE, 1)])];
    assert_eq!(site.history().commit(&parts, "x").await.unwrap()[0].stored, 1);
}

pub(crate) async fn a_schema_that_does_not_fit_is_named(site: Site) {
    let message = |outcome: Result<(), StoreError>| match outcome {
        Err(StoreError::Schema(message)) => message,
        other => panic!("{other:?}"),
    };
    let history = site.history();
    assert!(message(history.check_schema().await).contains("nemeses migrate"));
    let parts = [part("w", 1, vec![frame(1, BASE, 1)])];
    let error = history.commit(&parts, "x").await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
    assert!(error.to_string().contains("nemeses migrate"), "{error}");

    history.migrate().await.unwrap();
    history.check_schema().await.unwrap();
    site.run("INSERT INTO schema_version (version, applied_at_ms) VALUES (999, 0)").await;
    assert!(message(history.check_schema().await).contains("newer"));
    assert!(message(history.migrate().await).contains("newer"));
}

/// What version 1 made: three accounts, one of them an admin.
const OLD_USERS: &str = "INSERT INTO users (email, name, password_hash, admin, created_at_ms) \
    VALUES ('admin@example.org', 'A', '$1$', 1, 5), ('b@example.org', 'B', '$2$', 0, 6), \
    ('c@example.org', 'C', '$3$', 0, 7)";

/// Every column of the tables, as text.
async fn columns(site: &Site) -> Vec<String> {
    let mut columns = site
        .texts(match site.product {
            Product::MariaDb | Product::MySql => {
                "SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, \
                 column_default, column_key, collation_name) FROM information_schema.columns \
                 WHERE table_schema = DATABASE()"
            }
            Product::Sqlite => {
                "SELECT m.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' \
                 || c.pk || ' ' || COALESCE(c.dflt_value, '') \
                 FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
            }
        })
        .await;
    columns.sort_unstable();
    columns
}

pub(crate) async fn an_older_schema_becomes_the_same_and_nobody_gains_rights(site: Site) {
    site.history().migrate().await.unwrap();
    let fresh = columns(&site).await;
    assert!(fresh.len() > 50, "{fresh:?}");
    site.run(match site.product {
        Product::MariaDb | Product::MySql => {
            "DROP TABLE positions, device_days, duplicates, dead_letters, books, removals, \
             logins, users, user_devices, claims, devices, device_groups, group_devices, sessions, scoped_tokens, setup_tokens, \
             user_groups, daily_marks, daily, device_last, leases, device_commands, schema_version"
        }
        Product::Sqlite => {
            "DROP TABLE positions; DROP TABLE device_days; DROP TABLE duplicates; \
             DROP TABLE dead_letters; DROP TABLE books; DROP TABLE removals; DROP TABLE logins; \
             DROP TABLE users; DROP TABLE user_devices; DROP TABLE claims; \
             DROP TABLE sessions; DROP TABLE scoped_tokens; DROP TABLE setup_tokens; \
             DROP TABLE devices; DROP TABLE device_groups; DROP TABLE group_devices; \
             DROP TABLE user_groups; DROP TABLE daily_marks; DROP TABLE daily; \
             DROP TABLE device_last; DROP TABLE leases; DROP TABLE retention_classes; \
             DROP TABLE pending; DROP TABLE pending_group; DROP TABLE device_commands; \
             DROP TABLE schema_version"
        }
    })
    .await;
    site.run(match site.product {
        Product::MariaDb | Product::MySql => include_str!("../version_1/mysql.sql"),
        Product::Sqlite => include_str!("../version_1/sqlite.sql"),
    })
    .await;
    site.run(OLD_USERS).await;

    let database = site.another().await;
    let refused = database.history().check_schema().await.unwrap_err();
    assert!(refused.to_string().contains("nemeses migrate"), "{refused}");
    database.history().migrate().await.unwrap();
    database.history().check_schema().await.unwrap();
    assert_eq!(columns(&site).await, fresh);
    if site.product.is_server() {
        // MySQL commits each statement of it: an interrupted upgrade runs again.
        site.run("DELETE FROM schema_version WHERE version > 1").await;
        database.history().migrate().await.unwrap();
        assert_eq!(columns(&site).await, fresh);
    }

    let users = database.users();
    let old = users.list(0, 10).await.unwrap();
    let roles: Vec<_> = old.iter().map(|user| (user.email.as_str(), user.role)).collect();
    let expected = [
        ("admin@example.org", Role::Admin),
        ("b@example.org", Role::Viewer),
        ("c@example.org", Role::Viewer),
    ];
    assert_eq!(roles, expected);
    assert_eq!((old[2].id, old[2].password_hash.as_str(), old[2].created_at_ms), (3, "$3$", 7));
    // Whoever registers now is not the first.
    let new = NewUser {
        email: "d@example.org",
        name: "D",
        password_hash: "$4$",
        role: Role::Viewer,
        first: FirstPlace::TakesAsAdmin,
        disabled: false,
    };
    let new = users.add(new, 8).await.unwrap();
    assert_eq!((new.id, new.role), (4, Role::Viewer));
}

pub(crate) async fn what_cannot_be_read_or_written_is_noticed(site: Site) {
    site.history().check_reads().await.unwrap_err();
    let site = site.migrated().await;
    site.history().check_reads().await.unwrap();
    for _ in 0..2 {
        site.history().check_writes().await.unwrap();
    }
    site.run("DROP TABLE daily").await;
    site.history().ping().await.unwrap();
    let missing = site.history().check_reads().await.unwrap_err();
    assert!(matches!(missing, StoreError::Schema(_)), "{missing}");
    if site.product == Product::MariaDb {
        site.run("CREATE USER reader@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO reader@'%'")
            .await;
        let url = site.url.replace("root@", "reader:x@");
        let reader = open(&url, Options::default()).await.unwrap().history();
        reader.ping().await.unwrap();
        reader.check_writes().await.unwrap_err();
    }
}

pub(crate) async fn settings_that_weaken_a_commit_are_told(site: Site) {
    let site = site.migrated().await;
    assert_eq!(site.history().weaknesses().await.unwrap(), [""; 0]);
    if site.product.is_server() {
        // The server's, for all its databases; no other case looks at it.
        site.run("SET GLOBAL innodb_flush_log_at_trx_commit = 2").await;
        let told = site.history().weaknesses().await.unwrap();
        site.run("SET GLOBAL innodb_flush_log_at_trx_commit = 1").await;
        assert!(told.len() == 1 && told[0].contains("_commit is 2"), "{told:?}");
    }
}

pub(crate) async fn a_commit_is_rehearsed_without_a_trace(site: Site) {
    const LEFT: &str = "SELECT (SELECT COUNT(*) FROM positions) + (SELECT COUNT(*) FROM books) \
        + (SELECT COUNT(*) FROM device_days) + (SELECT COUNT(*) FROM daily_marks) \
        + (SELECT COUNT(*) FROM duplicates) + (SELECT COUNT(*) FROM dead_letters)";
    let site = site.migrated().await;
    let history = site.history();
    for _ in 0..2 {
        history.rehearse().await.unwrap();
        assert_eq!(site.number(LEFT).await, 0);
    }
    // Tables that somebody made or changed: the server answers, and no commit succeeds.
    for (spoil, mend) in [
        ("ALTER TABLE books RENAME TO ledger", "ALTER TABLE ledger RENAME TO books"),
        (
            "ALTER TABLE dead_letters RENAME COLUMN item TO place",
            "ALTER TABLE dead_letters RENAME COLUMN place TO item",
        ),
    ] {
        site.run(spoil).await;
        let error = history.rehearse().await.unwrap_err();
        assert!(matches!(error, StoreError::Schema(_)), "{spoil}: {error}");
        history.ping().await.unwrap();
        site.run(mend).await;
    }
    history.rehearse().await.unwrap();
}

/// MySQL keeps what it knows of sizes for a day unless it is told otherwise.
pub(crate) async fn sizes_are_those_of_now(site: Site) {
    let site = site.migrated().await;
    let retention = site.database.retention();
    let before = retention.survey(0).await.unwrap();
    let records = (0..10_000).map(|device| frame(device, BASE, 1)).collect();
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    if site.product.is_server() {
        // The server counts pages when it pleases, some seconds after rows have come.
        site.run("ANALYZE TABLE positions").await;
    }
    let after = retention.survey(0).await.unwrap();
    assert!(after.bytes > before.bytes + 300_000, "{before:?} {after:?}");
    assert!(after.total_bytes >= after.bytes, "{after:?}");
    assert!(after.rows.is_none_or(|rows| (5_000..20_000).contains(&rows)), "{after:?}");
}

pub(crate) async fn a_database_is_inspected(site: Site) {
    site.history().inspect().await.unwrap_err();
    site.history().migrate().await.unwrap();
    let found = site.history().inspect().await.unwrap();
    assert_eq!((found.frames_refused, found.people_refused), (None, None));
    assert!(found.may_migrate);
    let server = site.product.is_server();
    let brand = match site.product {
        Product::MariaDb => "MariaDB 1",
        Product::MySql => "MySQL ",
        Product::Sqlite => "SQLite 3.",
    };
    assert!(found.product.starts_with(brand), "{}", found.product);
    assert_eq!(found.now_ms.is_some(), server);
    if !server {
        return;
    }
    // A login that may only read.
    site.run("CREATE USER onlooker@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO onlooker@'%'")
        .await;
    let url = site.url.replace("root@", "onlooker:x@");
    let looker = open(&url, Options::default()).await.unwrap();
    let found = looker.history().inspect().await.unwrap();
    let refusal = found.frames_refused.unwrap();
    assert!(refusal.contains("INSERT command denied"), "{refusal}");
    assert!(found.people_refused.is_some() && !found.may_migrate);
}
