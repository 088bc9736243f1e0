//! A connection that publishes payloads of no good and waits for all of its
//! acknowledgements.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use nemeses_e2e::Mqtt;
use rumqttc::Packet;

use super::Sent;
use super::payload::{Payloads, items};

/// Published between two looks at what came back.
const BURST: u64 = 200;
/// Unacknowledged at most: below the door's window of 1000.
const WINDOW: u64 = 800;
/// Until a next acknowledgement; a commit takes a fraction of it.
const ANSWER: Duration = Duration::from_mins(1);

pub(crate) struct Sender {
    mqtt: Mqtt,
    unacknowledged: u64,
}

impl Sender {
    /// Publishes so many payloads on one connection; ends when the last is
    /// acknowledged.
    pub(crate) async fn run(address: SocketAddr, seed: u64, messages: u64) -> anyhow::Result<Sent> {
        let mqtt = Mqtt::connect(address, &format!("hostile-{seed}")).await?;
        let mut sender = Self { mqtt, unacknowledged: 0 };
        let mut payloads = Payloads::new(seed);
        let mut sent = Sent::default();
        while sent.messages < messages {
            let burst = BURST.min(messages - sent.messages);
            for _ in 0..burst {
                let payload = payloads.next();
                sent.items += items(&payload);
                sender.mqtt.put("/messenger", &payload)?;
            }
            sent.messages += burst;
            sender.unacknowledged += burst;
            sender.mqtt.flush().await?;
            sender.wait_until_below(WINDOW - BURST).await?;
        }
        sender.wait_until_below(0).await?;
        Ok(sent)
    }

    async fn wait_until_below(&mut self, unacknowledged: u64) -> anyhow::Result<()> {
        while self.unacknowledged > unacknowledged {
            let packet = tokio::time::timeout(ANSWER, self.mqtt.next()).await;
            match packet.context("no acknowledgement")?? {
                Packet::PubAck(_) => self.unacknowledged -= 1,
                other => anyhow::bail!("instead of an acknowledgement came {other:?}"),
            }
        }
        Ok(())
    }
}
