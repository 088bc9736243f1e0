//! One connection of the load: sends at its rate within its window, and begins
//! anew with what is unacknowledged whenever the connection breaks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nemeses_protocol::{DeviceId, Position};
use rumqttc::Packet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Plan, Shared};
use crate::Mqtt;
use crate::frames::{historical, live, message, now_s, ping};

const TICK: Duration = Duration::from_millis(10);
const RECONNECT: Duration = Duration::from_millis(50);
/// Frames from memory in one message.
const BURST: usize = 16;
/// How often a device pings, and asks whether the connection lives.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A broker that says nothing for so long is gone, as a device's keep-alive has it.
const SILENCE: Duration = Duration::from_secs(15);

/// What a message held.
#[derive(Debug)]
enum Sent {
    Frames(Vec<Position>),
    Rubbish(Vec<u8>),
    Ping,
}

struct Connection {
    plan: Plan,
    number: u32,
    shared: Arc<Shared>,
    mqtt: Mqtt,
    in_flight: VecDeque<(u16, Sent)>,
}

/// What outlives a connection.
#[derive(Debug, Default)]
struct Memory {
    /// Sent and unacknowledged: to be sent from memory.
    backlog: VecDeque<Position>,
    rubbish: VecDeque<Vec<u8>>,
    /// Frames made so far.
    sequence: u32,
    /// Frames due, in thousandths.
    due_milli: u64,
    /// Frames were to be made when it was last looked at.
    making: bool,
}

impl Memory {
    /// Something is open as long as frames may still be made.
    fn open(&self) -> u64 {
        (self.backlog.len() + self.rubbish.len()) as u64 + u64::from(self.making)
    }
}

pub(super) async fn run(address: SocketAddr, plan: Plan, number: u32, shared: Arc<Shared>) {
    let mut memory = Memory::default();
    while !shared.stop.is_cancelled() {
        let connected = tokio::select! {
            connected = connect(address, &plan, number) => connected,
            () = shared.stop.cancelled() => return,
        };
        let Ok(mqtt) = connected else {
            tokio::time::sleep(RECONNECT).await;
            continue;
        };
        let in_flight = VecDeque::with_capacity(plan.window);
        let mut connection =
            Connection { plan, number, shared: Arc::clone(&shared), mqtt, in_flight };
        // Whatever ended it: what is unacknowledged is sent again.
        let ended = connection.serve(&mut memory).await;
        if ended.is_err() {
            shared.counts.lost_connections.fetch_add(1, Ordering::Relaxed);
        }
        connection.remember_unacknowledged(&mut memory);
    }
}

async fn connect(address: SocketAddr, plan: &Plan, number: u32) -> anyhow::Result<Mqtt> {
    let mut mqtt = Mqtt::connect(address, &format!("load-{}-{number}", plan.first_device)).await?;
    mqtt.subscribe(&format!("/ping/{}", device_of(plan, number, 0))).await?;
    Ok(mqtt)
}

fn device_of(plan: &Plan, connection: u32, index: u32) -> DeviceId {
    DeviceId::new(plan.first_device + connection * plan.devices_per_connection + index)
}

impl Connection {
    /// Until the load ends (`Ok`) or the connection does.
    async fn serve(&mut self, memory: &mut Memory) -> anyhow::Result<()> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_tick = Instant::now();
        let (mut heard, mut pinged) = (Instant::now(), Instant::now());
        let stop = self.shared.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                packet = self.mqtt.next() => {
                    heard = Instant::now();
                    self.received(packet?)?;
                }
                _ = tick.tick() => {
                    anyhow::ensure!(heard.elapsed() < SILENCE, "the broker is silent");
                    self.make_due(memory, last_tick.elapsed());
                    last_tick = Instant::now();
                    self.send(memory)?;
                    if pinged.elapsed() >= PING_EVERY {
                        pinged = Instant::now();
                        self.ping()?;
                    }
                    // A broker that does not read must not keep us from hearing it.
                    tokio::time::timeout(SILENCE, self.mqtt.flush()).await??;
                }
            }
            self.count_open(memory);
        }
    }

    fn received(&mut self, packet: Packet) -> anyhow::Result<()> {
        match packet {
            Packet::PubAck(ack) => {
                let sent = self.in_flight.pop_front();
                let Some((id, sent)) = sent else {
                    anyhow::bail!("PUBACK {} for nothing", ack.pkid)
                };
                anyhow::ensure!(id == ack.pkid, "PUBACK {} came before {id}", ack.pkid);
                self.note_acknowledged(sent);
            }
            Packet::Publish(_) => {
                self.shared.counts.ping_replies.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(())
    }

    fn note_acknowledged(&self, sent: Sent) {
        let count = match sent {
            Sent::Frames(frames) => {
                let mut ledger = self.shared.ledger();
                for frame in &frames {
                    ledger.note_acknowledged(frame);
                }
                frames.len()
            }
            Sent::Rubbish(bytes) => {
                self.shared.ledger().acknowledged_rubbish(&bytes);
                1
            }
            Sent::Ping => 0,
        };
        self.shared.counts.acknowledged.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Frames fall due at the rate, while the load makes any. A connection that
    /// was held up does not catch up: at most half a second's worth is due.
    fn make_due(&self, memory: &mut Memory, elapsed: Duration) {
        // Counted as open before looking: who ends the making and then finds nothing
        // open can be sure that nothing more is made.
        memory.making = true;
        self.count_open(memory);
        memory.making = *self.shared.making.borrow();
        if !memory.making {
            memory.due_milli = 0;
            return;
        }
        let per_s = u64::from(self.plan.frames_per_s / self.plan.connections);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let due = memory.due_milli.saturating_add(per_s.saturating_mul(elapsed_ms));
        memory.due_milli = due.min(per_s * 500);
    }

    fn send(&mut self, memory: &mut Memory) -> anyhow::Result<()> {
        while self.in_flight.len() < self.plan.window {
            if let Some(bytes) = memory.rubbish.pop_front() {
                self.send_rubbish(bytes)?;
            } else if !memory.backlog.is_empty() {
                let burst = memory.backlog.len().min(BURST);
                self.send_frames(memory.backlog.drain(..burst).collect())?;
            } else if memory.due_milli >= 1000 {
                memory.due_milli -= 1000;
                let frame = self.make_frame(memory);
                self.send_frames(vec![frame])?;
            } else {
                break;
            }
        }
        Ok(())
    }

    fn make_frame(&self, memory: &mut Memory) -> Position {
        memory.sequence += 1;
        let every = self.plan.rubbish_every;
        if every > 0 && memory.sequence.is_multiple_of(every) {
            // No header in it, and unlike any other.
            let text = format!("rubbish {} {}", self.number, memory.sequence);
            memory.rubbish.push_back([b"\xFE\xFF", text.as_bytes()].concat());
        }
        let index = memory.sequence % self.plan.devices_per_connection;
        live(device_of(&self.plan, self.number, index), now_s(), memory.sequence)
    }

    fn send_frames(&mut self, frames: Vec<Position>) -> anyhow::Result<()> {
        {
            let mut ledger = self.shared.ledger();
            for frame in &frames {
                ledger.sending(frame);
            }
        }
        let id = self.mqtt.put("/messenger", &message(&frames))?;
        self.in_flight.push_back((id, Sent::Frames(frames)));
        Ok(())
    }

    fn send_rubbish(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.shared.ledger().sending_rubbish(&bytes);
        let id = self.mqtt.put("/messenger", &bytes)?;
        self.in_flight.push_back((id, Sent::Rubbish(bytes)));
        Ok(())
    }

    fn ping(&mut self) -> anyhow::Result<()> {
        self.mqtt.put_ping_request()?;
        // A window full of frames is no reason not to ask, nor for the answer to wait.
        let id = self.mqtt.put("/messenger", &ping(device_of(&self.plan, self.number, 0)))?;
        self.in_flight.push_back((id, Sent::Ping));
        Ok(())
    }

    fn count_open(&self, memory: &Memory) {
        self.shared.open_of(self.number, memory.open() + self.in_flight.len() as u64);
    }

    fn remember_unacknowledged(&mut self, memory: &mut Memory) {
        for (_, sent) in self.in_flight.drain(..) {
            match sent {
                Sent::Frames(frames) => memory.backlog.extend(frames.into_iter().map(historical)),
                Sent::Rubbish(bytes) => memory.rubbish.push_back(bytes),
                Sent::Ping => {}
            }
        }
        self.count_open(memory);
    }
}
