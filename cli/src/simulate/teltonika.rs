//! A tracker that speaks Teltonika's codec 8 extended over TCP: it says its IMEI, sends a packet
//! with one record, and deletes the record when its number is acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nemeses_protocol::{DeviceId, Item, Protocol as _, Teltonika, frames};
use nemeses_runtime::Backoff;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::connection::Plan;
use super::device::{Device, Kind, Message};
use super::tally::add;

/// A device that hears nothing for so long connects anew.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long the last acknowledgement is waited for.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// One tracker.
pub(super) struct Tracker {
    pub(super) plan: Arc<Plan>,
    pub(super) server: SocketAddr,
    /// Its place in the schedule.
    pub(super) index: u32,
    pub(super) device: Device,
}

/// The IMEI of a simulated tracker: 35, and the device's number with 13 digits.
pub(super) fn imei(device: DeviceId) -> String {
    format!("35{:013}", device.number())
}

impl Tracker {
    /// Sends until the plan stops and the last record is acknowledged or given up.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let plan = &self.plan;
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut connection = None;
        for round in 0.. {
            let mut packets = self.packets(round);
            if !packets.is_empty() {
                let number = round * u64::from(plan.schedule.devices) + u64::from(self.index);
                let due = plan.pace.due(number).and_then(|due| plan.begun.checked_add(due));
                let until = due.map_or_else(Instant::now, |due| due.max(Instant::now()));
                let waiting = tokio::time::sleep_until(until.into());
                if plan.stop.run_until_cancelled(waiting).await.is_none() {
                    return Ok(());
                }
            }
            if plan.stop.is_cancelled() {
                return Ok(());
            }
            for message in packets.drain(..) {
                if let Some(journal) = &plan.sent {
                    journal.write(plan.clock.now_ms(), &message)?;
                }
                add(&plan.tally.sent, 1);
                if !self.deliver(&message, &mut connection, &mut backoff).await? {
                    add(&plan.tally.open, 1);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What it records in a round, a packet for each record.
    fn packets(&self, round: u64) -> Vec<Message> {
        let plan = &self.plan;
        let mut messages = Vec::new();
        self.device.send(&plan.world, &plan.schedule, self.index, round, &mut messages);
        let mut packets = Vec::new();
        for message in messages.iter().filter(|message| message.kind == Kind::Locations) {
            for item in frames(&message.bytes) {
                let Item::Frame { frame: nemeses_protocol::Frame::Location(position), .. } = item
                else {
                    continue;
                };
                let mut bytes = Vec::new();
                Teltonika::write(&position, &mut bytes);
                packets.push(Message {
                    device: self.device.id,
                    kind: Kind::Locations,
                    bytes,
                    frames: 1,
                });
            }
        }
        packets
    }

    /// Sends a packet until it is acknowledged; whether it was before the end.
    async fn deliver(
        &self,
        message: &Message,
        connection: &mut Option<TcpStream>,
        backoff: &mut Backoff,
    ) -> anyhow::Result<bool> {
        let plan = &self.plan;
        let mut again = false;
        loop {
            let began = Instant::now();
            add(&plan.tally.messages, 1);
            if again {
                add(&plan.tally.resent, 1);
            }
            let exchange = self.exchange(message, connection);
            let ended = async {
                plan.stop.cancelled().await;
                tokio::time::sleep(LAST_WAIT).await;
            };
            let outcome = tokio::select! {
                outcome = exchange => outcome,
                () = ended => return Ok(false),
            };
            match outcome {
                Ok(()) => {
                    backoff.reset();
                    plan.tally.waited(began.elapsed());
                    add(&plan.tally.acknowledged, 1);
                    if let Some(journal) = &plan.acknowledged {
                        journal.write(plan.clock.now_ms(), message)?;
                    }
                    return Ok(true);
                }
                Err(error) => {
                    if connection.take().is_some() {
                        plan.tally.connected.fetch_sub(1, Relaxed);
                        plan.tally.lost.fetch_add(1, Relaxed);
                    }
                    if !plan.outage_told.swap(true, Relaxed) {
                        tracing::warn!(server = %self.server, error = format!("{error:#}"), "no connection; trying until there is one");
                    }
                    again = true;
                    let pause = tokio::time::sleep(backoff.wait());
                    if plan.stop.run_until_cancelled(pause).await.is_none() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn exchange(
        &self,
        message: &Message,
        connection: &mut Option<TcpStream>,
    ) -> anyhow::Result<()> {
        if connection.is_none() {
            *connection = Some(self.connect().await?);
            let tally = &self.plan.tally;
            tally.connected.fetch_add(1, Relaxed);
            tally.made.fetch_add(1, Relaxed);
            if self.plan.outage_told.swap(false, Relaxed) {
                tracing::info!(server = %self.server, "connected again");
            }
        }
        let stream = connection.as_mut().context("no connection")?;
        stream.write_all(&message.bytes).await?;
        let count = tokio::time::timeout(LONGEST_WAIT, stream.read_u32()).await??;
        anyhow::ensure!(count == 1, "{count} records were acknowledged and one was sent");
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let imei = imei(self.device.id);
        stream.write_u16(u16::try_from(imei.len())?).await?;
        stream.write_all(imei.as_bytes()).await?;
        let answer = tokio::time::timeout(LONGEST_WAIT, stream.read_u8()).await??;
        anyhow::ensure!(answer == 1, "the server refuses {imei}");
        Ok(stream)
    }
}

/// Where trackers of this protocol connect.
///
/// # Errors
/// The address is none.
pub(super) fn server(text: &str) -> anyhow::Result<SocketAddr> {
    crate::config::value::listen(text).map_err(anyhow::Error::msg).context("--tcp-server")
}
