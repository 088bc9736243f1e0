//! Where silent devices were last, beside where one is that is there, and a page of a fleet
//! of 10 000 beside one of 100 000: answers are to cost what is asked, not what is held.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_e2e::User;
use nemeses_store::history::{Options, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::cases::Effort;
use crate::cases::api::asked;
use crate::mqtt::{PUBACK_BYTES, connect, publish};
use crate::report::{Measure, Report, Target};
use crate::site::{OnServers, commit, frame, recorded_from};

const SILENT: Measure = Measure {
    id: "location_64_silent",
    unit: "requests/s",
    against: "the same of a device that is there",
    target: Target::Ratio(0.5),
};
const THOUSAND: Measure =
    Measure { id: "locations_1000_silent", unit: "ms", against: "", target: Target::AtMost(100.0) };
const PAGE_OF_10_000: Measure = Measure {
    id: "devices_10_of_10000",
    unit: "pages/s",
    against: "",
    target: Target::AtLeast(200.0),
};
const PAGE_OF_100_000: Measure = Measure {
    id: "devices_10_of_100000",
    unit: "pages/s",
    against: "the same of a fleet of 10 000",
    target: Target::Ratio(0.8),
};
const READERS: usize = 64;
const SMALL: u32 = 10_000;
const LARGE: u32 = 100_000;
/// Rows in a transaction, one of each device.
const BATCH: u32 = 1000;

/// Nodes on MariaDB and Redis, one after the other: a fleet each, of which nobody was heard
/// for as long as the node runs.
pub(crate) async fn reading(effort: Effort, report: &mut Report) -> anyhow::Result<()> {
    let (small, large) = (Fleet::start(SMALL).await?, Fleet::start(LARGE).await?);
    // Behind the fleet: the one that is there.
    let there = SMALL;
    let address = small.site.node.mqtt().address();
    let mut device = connect(address, "there", 120).await?;
    let length = Duration::from_secs(effort.seconds);
    // Each reader is at another one.
    let silent: Vec<String> = (0..SMALL)
        .step_by(7)
        .map(|device| format!("/api/v1/location?device_id={device:06X}"))
        .collect();
    for run in 0..effort.runs {
        let now = recorded_now()? + run;
        device.write_all(&publish(1, there, now)).await?;
        device.read_exact(&mut [0; PUBACK_BYTES]).await?;
        let live = format!("/api/v1/location?device_id={there:06X}");
        let live = small.rate(&[live], length, READERS).await?;
        let silent = small.rate(&silent, length, READERS).await?;
        report.add(SILENT, silent, Some(live));
        let thousand = small.rate(&["/api/v1/locations?limit=1000".to_owned()], length, 1).await?;
        report.add(THOUSAND, 1000.0 / thousand, None);
        let page = ["/api/v1/devices?limit=10".to_owned()];
        let few = small.rate(&page, length, 1).await?;
        report.add(PAGE_OF_10_000, few, None);
        let many = large.rate(&page, length, 1).await?;
        report.add(PAGE_OF_100_000, many, Some(few));
    }
    Ok(())
}

struct Fleet {
    site: OnServers,
    api: SocketAddr,
    user: User,
}

impl Fleet {
    /// A node whose database has a row of each of so many devices.
    async fn start(devices: u32) -> anyhow::Result<Self> {
        let site = OnServers::start(&[]).await?;
        let base = site.node.api_url();
        let email = User::register(&base).await?;
        let user = User::sign_in(&base, &email).await?;
        let api = base.trim_start_matches("http://").parse().context(base.clone())?;
        let history = open(&site.mariadb.url(), Options::default()).await?.history();
        for batch in 0..devices / BATCH {
            let rows = (batch * BATCH..(batch + 1) * BATCH)
                .map(|device| frame(device, recorded_from(), device))
                .collect();
            commit(history.as_ref(), "fleet", batch, rows).await?;
        }
        history.note_last(u64::MAX).await?;
        Ok(Self { site, api, user })
    }

    /// Answers a second over so many connections.
    async fn rate(
        &self,
        paths: &[String],
        length: Duration,
        readers: usize,
    ) -> anyhow::Result<f64> {
        asked(self.api, paths, self.user.token(), length, readers).await
    }
}

fn recorded_now() -> anyhow::Result<u32> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u32::try_from(since.as_secs())?)
}
