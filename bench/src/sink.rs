//! Subscribers that count what a broker passes on: a bare one, and one as a
//! worker would be written with rumqttc.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::AbortHandle;

use crate::mqtt::{READ_BYTES, acknowledge, connect, subscribe};

/// Ends with it.
pub(crate) struct Sink {
    /// Messages received.
    pub(crate) received: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// Subscribes with our own codec.
    pub(crate) async fn bare(address: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = connect(address, "sink", 120).await?;
        subscribe(&mut stream).await?;
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let task = tokio::spawn(async move {
            let (mut bytes, mut held, mut out) = (vec![0; READ_BYTES], 0, Vec::new());
            loop {
                let read = stream.read(&mut bytes[held..]).await?;
                anyhow::ensure!(read > 0, "the broker closed the sink");
                held += read;
                let (taken, messages) = acknowledge(&bytes[..held], &mut out)?;
                bytes.copy_within(taken..held, 0);
                held -= taken;
                stream.write_all(&out).await?;
                out.clear();
                count.fetch_add(messages, Ordering::Relaxed);
            }
            #[expect(unreachable_code, reason = "names the error's type")]
            anyhow::Ok(())
        });
        Ok(Self { received, task: task.abort_handle() })
    }

    /// Subscribes with rumqttc and acknowledges by hand, the settings that were
    /// found best.
    pub(crate) async fn rumqttc(address: SocketAddr) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new("sink", address.ip().to_string(), address.port());
        options.set_manual_acks(true).set_inflight(1000).set_clean_session(true);
        let (client, mut events) = AsyncClient::new(options, 2000);
        client.subscribe("/messenger", QoS::AtLeastOnce).await?;
        while !matches!(
            events.poll().await.context("subscribing")?,
            Event::Incoming(Packet::SubAck(_))
        ) {}
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                if let Event::Incoming(Packet::Publish(publish)) = events.poll().await? {
                    client.try_ack(&publish)?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            #[expect(unreachable_code, reason = "names the error's type")]
            anyhow::Ok(())
        });
        Ok(Self { received, task: task.abort_handle() })
    }
}
