//! A bare MQTT 3.1.1 connection: what is written goes out, what comes in is
//! returned, and nothing is repeated or hidden, so that a test sees exactly
//! which publish was acknowledged.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Login, Packet, PingReq, PubAck, Publish, QoS, Subscribe,
    mqttbytes,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// For the handshake and for single acknowledgements.
const ANSWER: Duration = Duration::from_secs(20);
const MAX_PACKET_BYTES: usize = 1024 * 1024;

/// An open connection.
#[derive(Debug)]
pub struct Mqtt {
    stream: TcpStream,
    received: BytesMut,
    to_send: BytesMut,
    last_packet_id: u16,
    /// Came in while something else was waited for.
    publishes: VecDeque<Publish>,
}

impl Mqtt {
    /// Connects with a clean session and without a login.
    ///
    /// # Errors
    /// No connection, or the broker refuses.
    pub async fn connect(address: SocketAddr, client_id: &str) -> anyhow::Result<Self> {
        Self::open(address, Connect::new(client_id)).await
    }

    /// Connects with a login.
    ///
    /// # Errors
    /// No connection, or the broker refuses.
    pub async fn connect_as(
        address: SocketAddr,
        client_id: &str,
        user: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let mut connect = Connect::new(client_id);
        connect.login = Some(Login::new(user, password));
        Self::open(address, connect).await
    }

    /// Connects with these words.
    ///
    /// # Errors
    /// No connection, or the broker refuses.
    pub async fn open(address: SocketAddr, mut connect: Connect) -> anyhow::Result<Self> {
        connect.keep_alive = 60;
        let stream = tokio::time::timeout(ANSWER, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let mut mqtt = Self {
            stream,
            received: BytesMut::with_capacity(16 * 1024),
            to_send: BytesMut::new(),
            last_packet_id: 0,
            publishes: VecDeque::new(),
        };
        connect.write(&mut mqtt.to_send).map_err(|error| unwritable(&error))?;
        mqtt.flush().await?;
        match mqtt.next_within(ANSWER).await? {
            Packet::ConnAck(ConnAck { code: ConnectReturnCode::Success, .. }) => Ok(mqtt),
            other => anyhow::bail!("the broker answers CONNECT with {other:?}"),
        }
    }

    /// Puts a QoS 1 publish into the buffer and returns its packet id; see
    /// [`Mqtt::flush`].
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn put(&mut self, topic: &str, payload: &[u8]) -> anyhow::Result<u16> {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = self.last_packet_id;
        publish.write(&mut self.to_send).map_err(|error| unwritable(&error))?;
        Ok(self.last_packet_id)
    }

    /// Puts a PINGREQ into the buffer.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn put_ping_request(&mut self) -> anyhow::Result<()> {
        PingReq.write(&mut self.to_send).map_err(|error| unwritable(&error))?;
        Ok(())
    }

    /// Sends the buffer.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        while !self.to_send.is_empty() {
            self.stream.write_buf(&mut self.to_send).await?;
        }
        Ok(())
    }

    /// Publishes with QoS 1 and waits for the acknowledgement.
    ///
    /// # Errors
    /// No acknowledgement in time, or the connection is gone.
    pub async fn publish(&mut self, topic: &str, payload: &[u8]) -> anyhow::Result<()> {
        let id = self.put(topic, payload)?;
        self.flush().await?;
        self.wait_acked(id).await
    }

    /// Publishes all with QoS 1, at most `window` unacknowledged, and waits for
    /// the acknowledgements of all.
    ///
    /// # Errors
    /// An acknowledgement does not come in time, or the connection is gone.
    pub async fn publish_all<'a>(
        &mut self,
        topic: &str,
        payloads: impl IntoIterator<Item = &'a [u8]>,
        window: usize,
    ) -> anyhow::Result<()> {
        let mut in_flight = VecDeque::with_capacity(window);
        for payload in payloads {
            if in_flight.len() == window
                && let Some(oldest) = in_flight.pop_front()
            {
                self.flush().await?;
                self.wait_acked(oldest).await?;
            }
            in_flight.push_back(self.put(topic, payload)?);
        }
        self.flush().await?;
        for id in in_flight {
            self.wait_acked(id).await?;
        }
        Ok(())
    }

    async fn wait_acked(&mut self, id: u16) -> anyhow::Result<()> {
        loop {
            match self.next_within(ANSWER).await? {
                Packet::PubAck(ack) if ack.pkid == id => return Ok(()),
                Packet::PubAck(ack) => anyhow::bail!("PUBACK {} came before {id}", ack.pkid),
                Packet::Publish(publish) => self.publishes.push_back(publish),
                _ => {}
            }
        }
    }

    /// Subscribes with QoS 1 and waits for the answer.
    ///
    /// # Errors
    /// Refused, or the connection is gone.
    pub async fn subscribe(&mut self, filter: &str) -> anyhow::Result<()> {
        let mut subscribe = Subscribe::new(filter, QoS::AtLeastOnce);
        subscribe.pkid = 1;
        subscribe.write(&mut self.to_send).map_err(|error| unwritable(&error))?;
        self.flush().await?;
        loop {
            if let Packet::SubAck(ack) = self.next_within(ANSWER).await? {
                let granted = ack
                    .return_codes
                    .iter()
                    .all(|code| matches!(code, mqttbytes::v4::SubscribeReasonCode::Success(_)));
                anyhow::ensure!(granted, "subscribing to {filter} was refused");
                return Ok(());
            }
        }
    }

    /// Acknowledges a publish that came in with QoS 1.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn acknowledge(&mut self, publish: &Publish) -> anyhow::Result<()> {
        PubAck::new(publish.pkid).write(&mut self.to_send).map_err(|error| unwritable(&error))?;
        self.flush().await
    }

    /// Asks the broker whether it is there; what came in before the answer stays to be
    /// read.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        PingReq.write(&mut self.to_send).map_err(|error| unwritable(&error))?;
        self.flush().await?;
        loop {
            match self.next_within(ANSWER).await? {
                Packet::PingResp => return Ok(()),
                Packet::Publish(publish) => self.publishes.push_back(publish),
                _ => {}
            }
        }
    }

    /// Publishes that came in and were not read.
    pub fn unread(&self) -> usize {
        self.publishes.len()
    }

    /// The next publish that comes in.
    ///
    /// # Errors
    /// None in time, or the connection is gone.
    pub async fn next_publish(&mut self, within: Duration) -> anyhow::Result<Publish> {
        if let Some(publish) = self.publishes.pop_front() {
            return Ok(publish);
        }
        let next = async {
            loop {
                if let Packet::Publish(publish) = self.next().await? {
                    return anyhow::Ok(publish);
                }
            }
        };
        tokio::time::timeout(within, next).await.context("no publish came in")?
    }

    async fn next_within(&mut self, within: Duration) -> anyhow::Result<Packet> {
        tokio::time::timeout(within, self.next()).await.context("the broker does not answer")?
    }

    /// The next packet. May be dropped and called again without loss.
    ///
    /// # Errors
    /// The connection is gone, or speaks no MQTT.
    pub async fn next(&mut self) -> anyhow::Result<Packet> {
        loop {
            match Packet::read(&mut self.received, MAX_PACKET_BYTES) {
                Ok(packet) => return Ok(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => anyhow::bail!("no MQTT came in: {error:?}"),
            }
            let read = self.stream.read_buf(&mut self.received).await?;
            anyhow::ensure!(read > 0, "the broker closed the connection");
        }
    }
}

fn unwritable(error: &mqttbytes::Error) -> anyhow::Error {
    anyhow::anyhow!("packet cannot be encoded: {error:?}")
}
