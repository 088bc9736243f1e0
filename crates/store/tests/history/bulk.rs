//! Rows in bulk on MariaDB: what comes back, and that a commit that fails anywhere leaves
//! nothing behind. Rows and COMMIT go out in one write, so the server reads the COMMIT
//! whatever became of the rows.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use nemeses_e2e::Brand;
use nemeses_protocol::{Composition, DeviceId, PackedFields, PositionRecord, Record};
use nemeses_store::history::{Database, History, Options, open};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::frames::{BASE, frame, part, record};
use crate::server::Server;
use crate::site::Site;
use crate::suite::{assert_balanced, everything, read};

const ROWS: u32 = 200;

/// A database, and handles to it over a link that counts bulks.
struct Counted {
    site: Site,
    through: Database,
    bulks: Arc<AtomicU32>,
}

impl Counted {
    async fn start(server: &Server, name: &str) -> Self {
        let site = server.site(name).await.migrated().await;
        let bulks = Arc::new(AtomicU32::new(0));
        let address = count(server.port, Arc::clone(&bulks)).await;
        let url = format!("mysql://root@{address}/{name}");
        let through = open(&url, Options::default()).await.unwrap();
        Self { site, through, bulks }
    }

    fn history(&self) -> Arc<dyn History> {
        self.through.history()
    }

    fn bulks(&self) -> u32 {
        self.bulks.load(Ordering::SeqCst)
    }

    async fn positions(&self) -> i64 {
        self.site.number("SELECT COUNT(*) FROM positions").await
    }
}

/// Passes on, and counts what begins with COM_STMT_BULK_EXECUTE.
async fn count(server: u16, bulks: Arc<AtomicU32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let bulks = Arc::clone(&bulks);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
                let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
                let mut left = 0;
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => {
                            let bytes = &up[..read?];
                            if bytes.is_empty() { return Ok::<_, std::io::Error>(()); }
                            bulks.fetch_add(bulks_in(bytes, &mut left), Ordering::SeqCst);
                            server.write_all(bytes).await?;
                        }
                        read = server.read(&mut down) => {
                            let bytes = &down[..read?];
                            if bytes.is_empty() { return Ok(()); }
                            client.write_all(bytes).await?;
                        }
                    }
                }
            });
        }
    });
    address
}

/// How many bulks begin in these bytes, of which the first `left` belong to a packet that has
/// begun before.
fn bulks_in(mut bytes: &[u8], left: &mut usize) -> u32 {
    let mut bulks = 0;
    while let Some(behind) = bytes.get(*left..) {
        bytes = behind;
        *left = 0;
        let [low, middle, high, number, command, ..] = *bytes else { break };
        bulks += u32::from((number, command) == (0, 0xfa));
        *left = 4 + [high, middle, low].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    }
    *left = left.saturating_sub(bytes.len());
    bulks
}

fn batch(second: u32) -> Vec<Record> {
    (0..ROWS).map(|device| frame(device, BASE + second, 7)).collect()
}

/// The key that is taken belongs to the first, a middle and the last row.
async fn a_key_taken_anywhere_takes_all_back(server: &Server) {
    for (name, taken) in [("bulk_first", 0), ("bulk_middle", ROWS / 2), ("bulk_last", ROWS - 1)] {
        let on = Counted::start(server, name).await;
        let one = [part("v", 1, vec![frame(taken, BASE, 7)])];
        on.site.history().commit(&one, "x").await.unwrap();
        let committed = on.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap();
        assert_eq!(on.bulks(), 1);
        // Had the books been committed without the rows, this were a repeat.
        assert!(!committed[0].repeated);
        assert_eq!((committed[0].stored, committed[0].duplicates), (u64::from(ROWS) - 1, 1));
        assert_eq!(assert_balanced(&on.site.database).await.stored, u64::from(ROWS));
    }
}

/// The connection serves on after whatever is refused.
async fn what_is_refused_leaves_nothing(server: &Server) {
    const LEFT: &str = "SELECT (SELECT COUNT(*) FROM positions) + (SELECT COUNT(*) FROM books) \
        + (SELECT COUNT(*) FROM device_days) + (SELECT COUNT(*) FROM daily_marks)";
    let on = Counted::start(server, "bulk_refused").await;
    on.site.refuse_days_of_device_2().await;
    let error = on.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("no day"), "{error}");
    assert_eq!(on.site.number(LEFT).await, 0);
    on.site.run("DROP TRIGGER refuse").await;
    on.site.refuse_speed_255().await;
    for fast in [0, ROWS / 2, ROWS - 1] {
        let mut records = batch(0);
        let mut record = record(fast, BASE, 8);
        record.position.speed_kmh = 255;
        records[fast as usize] = Record::Position(record);
        let error = on.history().commit(&[part("w", 1, records)], "x").await.unwrap_err();
        assert!(!error.is_transient() && error.to_string().contains("too fast"), "{error}");
        assert_eq!(on.site.number(LEFT).await, 0, "{fast}");
    }
    let committed = on.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap();
    assert_eq!((committed[0].stored, on.bulks()), (u64::from(ROWS), 5));
    assert_balanced(&on.site.database).await;
}

/// A batch that is in the books already: its rows, new by themselves, are taken back.
async fn books_that_are_there_take_the_rows_back(server: &Server) {
    let on = Counted::start(server, "bulk_books").await;
    let first = [part("w", 1, batch(0))];
    on.site.history().commit(&first, "x").await.unwrap();
    let other_rows = [part("w", 1, batch(1))];
    let committed = on.history().commit(&other_rows, "x").await.unwrap();
    assert!(committed[0].repeated && on.bulks() == 1);
    assert_eq!(on.positions().await, i64::from(ROWS));
    assert_balanced(&on.site.database).await;
}

/// Every value that a column can hold.
async fn rows_come_back_as_they_were(server: &Server) {
    let on = Counted::start(server, "bulk_values").await;
    let mut rng = StdRng::seed_from_u64(5);
    let mut rows: Vec<PositionRecord> = (0..1000)
        .map(|number| {
            let mut row = record(1, BASE + number, rng.random());
            row.received_at_ms = rng.random();
            let position = &mut row.position;
            position.direction_cdeg = rng.random();
            position.odometer_m = rng.random();
            position.hour_meter_min = rng.random();
            position.composition = Composition(rng.random());
            position.extension = (number % 4 == 0).then(|| rng.random());
            position.speed_kmh = rng.random();
            position.latitude_udeg = rng.random();
            position.longitude_udeg = rng.random();
            // As many bytes as the column takes, none of them included.
            row.packed = (number % 7 == 0).then(|| {
                PackedFields::from_stored(vec![rng.random(); number as usize % 256].into())
            });
            row
        })
        .collect();
    rows[999].position.device = DeviceId::new(u32::MAX);
    rows[999].position.recorded_at = u32::MAX;
    rows[999].position.latitude_udeg = i32::MIN;
    rows[999].position.longitude_udeg = i32::MAX;
    rows[999].frame_hash = u64::MAX;
    let records = rows.iter().cloned().map(Record::Position).collect();
    on.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    assert_eq!(on.bulks(), 1);
    let mut found = Vec::new();
    for device in [1, u32::MAX] {
        found.extend(read(&*on.history(), everything(device)).await);
    }
    assert_eq!(found, rows);
}

/// The statement is prepared once a connection, and tables change under it.
async fn a_table_that_changed_is_written_on(server: &Server) {
    let on = Counted::start(server, "bulk_changed").await;
    on.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap();
    on.site.run("ALTER TABLE positions ADD COLUMN more INT NULL FIRST").await;
    on.history().commit(&[part("w", 2, batch(1))], "x").await.unwrap();
    on.site.run("ALTER TABLE positions DROP COLUMN more").await;
    on.through.retention().prepare(BASE, BASE + 30 * 86_400).await.unwrap();
    on.history().commit(&[part("w", 3, batch(2))], "x").await.unwrap();
    assert_eq!((on.bulks(), on.positions().await), (3, i64::from(3 * ROWS)));
    assert_balanced(&on.site.database).await;
}

/// After a failover the connections lead to a server that answers and refuses to write.
async fn a_connection_to_what_became_a_replica_is_closed(server: &Server) {
    let on = Counted::start(server, "bulk_failover").await;
    on.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap();
    on.site
        .run("CREATE TABLE failover (id BIGINT PRIMARY KEY) AS SELECT CONNECTION_ID() AS id")
        .await;
    on.site
        .run(
            "CREATE TRIGGER read_only BEFORE INSERT ON positions FOR EACH ROW \
             IF CONNECTION_ID() < (SELECT id FROM failover) THEN \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'read-only'; END IF",
        )
        .await;
    let second = [part("w", 2, batch(1))];
    let error = on.history().commit(&second, "x").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    on.history().commit(&second, "x").await.unwrap();
    assert_eq!((on.bulks(), on.positions().await), (3, i64::from(2 * ROWS)));
}

/// Somebody closes connections while nobody uses them: that is no outage.
async fn a_connection_closed_meanwhile_is_replaced(server: &Server) {
    /// What was used later than this is taken to be there.
    const TAKEN_TO_BE_GOOD: Duration = Duration::from_secs(1);
    let on = Counted::start(server, "bulk_idle").await;
    on.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap();
    on.site.kill_connections().await;
    tokio::time::sleep(TAKEN_TO_BE_GOOD).await;
    on.history().commit(&[part("w", 2, batch(1))], "x").await.unwrap();
    assert_eq!((on.bulks(), on.positions().await), (2, i64::from(2 * ROWS)));
}

async fn an_account_logs_in_by_its_password(server: &Server) {
    let on = Counted::start(server, "bulk_password").await;
    on.site.run("CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'p@ss:/w'").await;
    on.site.run("GRANT ALL ON bulk_password.* TO plain@'%'").await;
    let url = on.site.url.replace("root@", "plain:p%40ss:%2Fw@");
    let database = open(&url, Options::default()).await.unwrap();
    database.history().commit(&[part("w", 1, batch(0))], "x").await.unwrap();
    let wrong = open(&url.replace("p%40ss", "hunter2"), Options::default()).await.unwrap();
    let error = wrong.history().commit(&[part("w", 2, batch(1))], "x").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1045") && text.contains("127.0.0.1") && !text.contains("hunter2"));
    assert_eq!(on.positions().await, i64::from(ROWS));
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// Runs every case on one server, also after one has failed, and names those that did.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn all_cases() {
            let server = Server::start(Brand::MariaDb).await;
            let mut failed = Vec::new();
            $(
                let case = AssertUnwindSafe(Box::pin($case(&server)));
                if case.catch_unwind().await.is_err() {
                    failed.push(stringify!($case));
                }
            )*
            assert!(failed.is_empty(), "failed: {failed:?}");
        }
    };
}

cases! {
    a_key_taken_anywhere_takes_all_back,
    what_is_refused_leaves_nothing,
    books_that_are_there_take_the_rows_back,
    rows_come_back_as_they_were,
    a_table_that_changed_is_written_on,
    a_connection_to_what_became_a_replica_is_closed,
    a_connection_closed_meanwhile_is_replaced,
    an_account_logs_in_by_its_password,
}
