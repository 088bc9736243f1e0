//! How fast the sums of days are caught up by a node that has nothing else to do.

use std::time::{Duration, Instant};

use nemeses_e2e::{Node, Redis, RedisMemory};
use nemeses_store::history::{Options, open};
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;

use crate::load::as_f64;
use crate::report::{Measure, Report, Target};
use crate::site::{commit, mariadb, recorded_from, rows_of};

const KIND: Measure = Measure {
    id: "daily_sums",
    unit: "days of devices/s",
    against: "",
    target: Target::AtLeast(325.0),
};
const DEVICES: u32 = 1000;
const DAYS: u32 = 5;
/// Some 300 rows a day: the target is five times what was measured with these.
const EVERY_S: u32 = 280;
const ROWS: u32 = DAYS * 86_400 / EVERY_S;
/// Marks of slots that are not over must wait.
const AGE: &str = "UPDATE daily_marks SET slot = slot - 6";
const LEFT: &str = "SELECT COUNT(*) FROM daily_marks";
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Days of devices that an import has left behind.
pub(crate) async fn catch_up(report: &mut Report) -> anyhow::Result<()> {
    let (mariadb, redis) = (mariadb().await?, Redis::start(RedisMemory::Lost).await?);
    let history = open(&mariadb.url(), Options::default()).await?.history();
    history.migrate().await?;
    let begin = recorded_from() / 86_400 * 86_400;
    for device in 0..DEVICES {
        commit(&*history, "import", device, rows_of(device, 0..ROWS, EVERY_S, begin)).await?;
    }
    let mut connection = MySqlConnection::connect(&mariadb.url()).await?;
    sqlx::query(AGE).execute(&mut connection).await?;
    let stores = ["--database-url", &mariadb.url(), "--redis-url", &redis.url()];
    let started = Instant::now();
    let _node = Node::start(&stores).await?;
    loop {
        let left: i64 = sqlx::query_scalar(LEFT).fetch_one(&mut connection).await?;
        if left == 0 {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let days = as_f64(u64::from(DEVICES * DAYS));
    report.add(KIND, days / started.elapsed().as_secs_f64(), None);
    Ok(())
}
