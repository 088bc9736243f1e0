//! A tracker that speaks a protocol of its own over TCP: it says who it is, sends one record, and
//! deletes it when it is acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nemeses_protocol::{Frame, Item, frames};
use nemeses_runtime::Backoff;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::connection::Plan;
use super::device::{Device, Kind, Message};
use super::speech::{Answer, Speech};
use super::tally::add;

/// A device that hears nothing for so long connects anew.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Bytes of the head of a response.
const LONGEST_HEAD: usize = 4096;
/// How long the last acknowledgement is waited for.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// One tracker.
pub(super) struct Tracker {
    pub(super) plan: Arc<Plan>,
    pub(super) server: SocketAddr,
    pub(super) speech: Speech,
    /// Its place in the schedule.
    pub(super) index: u32,
    pub(super) device: Device,
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
                let Item::Frame { frame: Frame::Location(position), .. } = item else { continue };
                packets.push(Message {
                    device: self.device.id,
                    kind: Kind::Locations,
                    bytes: self.speech.record(&position),
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
        tokio::time::timeout(LONGEST_WAIT, acknowledged(stream, self.speech.answer())).await?
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        if let Some((hello, welcome)) = self.speech.hello(self.device.id) {
            stream.write_all(&hello).await?;
            let answer = Answer::Bytes(welcome);
            let welcomed = tokio::time::timeout(LONGEST_WAIT, acknowledged(&mut stream, answer));
            welcomed.await?.with_context(|| {
                format!("the server refuses {}", super::speech::imei(self.device.id))
            })?;
        }
        Ok(stream)
    }
}

/// Reads an answer; an error when it is another one.
async fn acknowledged(stream: &mut TcpStream, answer: Answer) -> anyhow::Result<()> {
    match answer {
        Answer::Bytes(expected) => {
            let mut bytes = vec![0; expected.len()];
            stream.read_exact(&mut bytes).await?;
            anyhow::ensure!(bytes == expected, "the answer is {}", hex::encode(bytes));
        }
        Answer::Http => {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                anyhow::ensure!(head.len() < LONGEST_HEAD, "the answer has no end");
                head.push(stream.read_u8().await?);
            }
            let status = head.get(9..12).unwrap_or_default();
            anyhow::ensure!(status == b"200", "the answer is {}", String::from_utf8_lossy(&head));
        }
    }
    Ok(())
}

/// Where trackers of this protocol connect.
///
/// # Errors
/// The address is none.
pub(super) fn server(text: &str) -> anyhow::Result<SocketAddr> {
    crate::config::value::listen(text).map_err(anyhow::Error::msg).context("--tcp-server")
}
