//! A subscriber's connection: rumqttc's v5 packets over a socket of our own.
//!
//! rumqttc's event loop cannot stop reading without also ceasing to write, and
//! a broker's word on how much it sends unacknowledged is not always good:
//! Mosquitto 2.0.11 with a backlog releases a whole window for each PUBACK (its
//! issue 2301), all of a long outage within seconds. So here reading stops when
//! the window is full, TCP holds the broker back, and PUBACKs still go out, all
//! that are due in one write.

use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use rumqttc::v5::mqttbytes::Error as CodecError;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode,
    Login, Packet, PingReq,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::config::Endpoint;
use crate::link::{End, refusal};

/// For TCP, CONNACK and SUBACK, each.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A peer that takes nothing of what we write for this long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
/// One read from the socket.
const READ_BYTES: usize = 64 * 1024;

/// What happened.
#[derive(Debug)]
pub(crate) enum Happened {
    /// A packet came.
    Came(Box<Packet>),
    /// Somebody asked for attention, or something was written.
    Something,
}

#[derive(Debug)]
pub(crate) struct Wire {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    incoming: BytesMut,
    outgoing: BytesMut,
    max_packet_bytes: u32,
    ping_every: Duration,
    next_ping: Instant,
    heard_at: Instant,
    written_at: Instant,
}

impl Wire {
    /// Connects and waits for the broker's CONNACK.
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        clean_start: bool,
        properties: ConnectProperties,
    ) -> Result<(Self, ConnAck), End> {
        let address = format!("{}:{}", endpoint.url.host, endpoint.url.port);
        let socket = timeout(ANSWER_WITHIN, TcpStream::connect(address))
            .await
            .map_err(|_| End::Lost("it does not answer".to_owned()))?
            .map_err(|error| End::Lost(error.to_string()))?;
        // All PUBACKs that are due go out in one write: nothing to gather by waiting.
        socket.set_nodelay(true).map_err(|error| End::Lost(error.to_string()))?;
        let (reader, writer) = socket.into_split();
        let now = Instant::now();
        let ping_every = endpoint.keep_alive.max(Duration::from_secs(1));
        let mut wire = Self {
            reader,
            writer,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            max_packet_bytes: endpoint.max_packet_bytes,
            ping_every,
            next_ping: now + ping_every,
            heard_at: now,
            written_at: now,
        };
        let login = endpoint.url.login.as_ref();
        let connect = Connect {
            // One and a half of this and the broker gives us up; we ping more often.
            keep_alive: u16::try_from(ping_every.as_secs() * 2).unwrap_or(u16::MAX),
            client_id: endpoint.client_id.clone(),
            clean_start,
            properties: Some(ConnectProperties {
                max_packet_size: Some(endpoint.max_packet_bytes),
                ..properties
            }),
        };
        let login = login.map(|(user, password)| Login::new(user, password));
        wire.send(&Packet::Connect(connect, None, login));
        match wire.answer().await? {
            Packet::ConnAck(connack) if connack.code == ConnectReturnCode::Success => {
                if let Some(theirs) = connack.properties.as_ref().and_then(|p| p.server_keep_alive)
                {
                    let half = Duration::from_secs(u64::from(theirs).div_ceil(2).max(1));
                    wire.ping_every = wire.ping_every.min(half);
                }
                Ok((wire, connack))
            }
            Packet::ConnAck(connack) => Err(refusal(endpoint, connack.code)
                .unwrap_or_else(|| End::Lost(format!("not now: {:?}", connack.code)))),
            other => Err(End::Lost(format!("no CONNACK but {other:?}"))),
        }
    }

    /// Queues a packet.
    pub(crate) fn send(&mut self, packet: &Packet) {
        // Fails for a packet that is too large, and no limit is given.
        let written = packet.write(&mut self.outgoing, None);
        debug_assert!(written.is_ok(), "{written:?}");
    }

    /// Takes bytes of packets that others have written.
    pub(crate) fn send_bytes(&mut self, packets: &mut BytesMut) {
        if !packets.is_empty() {
            self.outgoing.extend_from_slice(packets);
            packets.clear();
        }
    }

    /// Queues the goodbye.
    pub(crate) fn send_goodbye(&mut self) {
        let goodbye = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
        self.send(&Packet::Disconnect(goodbye));
    }

    /// The next packet, while the connection is being made.
    pub(crate) async fn answer(&mut self) -> Result<Packet, End> {
        let nobody = Notify::new();
        let packet = async {
            loop {
                if let Happened::Came(packet) = self.next(true, &nobody).await? {
                    return Ok(*packet);
                }
            }
        };
        timeout(ANSWER_WITHIN, packet)
            .await
            .unwrap_or_else(|_| Err(End::Lost("it does not answer".to_owned())))
    }

    /// Writes what is queued and drops what comes, until the broker closes.
    pub(crate) async fn until_closed(&mut self) {
        let nobody = Notify::new();
        while self.next(true, &nobody).await.is_ok() {}
    }

    /// Reads and writes until something happens. Takes no PUBLISH that has to be
    /// acknowledged, and nothing behind it, while there is no room. Cancel-safe.
    pub(crate) async fn next(
        &mut self,
        has_room: bool,
        attention: &Notify,
    ) -> Result<Happened, End> {
        let blocked = !has_room && self.begins_with_publish();
        if !blocked && let Some(packet) = self.parse()? {
            return Ok(Happened::Came(Box::new(packet)));
        }
        if !blocked {
            self.incoming.reserve(READ_BYTES);
        }
        if self.outgoing.is_empty() {
            self.written_at = Instant::now();
        }
        tokio::select! {
            read = read_or_reset(&mut self.reader, &mut self.incoming, blocked) => match read {
                Ok(0) => return Err(End::Lost("the broker closed the connection".to_owned())),
                Ok(_) => self.heard_at = Instant::now(),
                Err(error) => return Err(End::Lost(error.to_string())),
            },
            written = self.writer.write(&self.outgoing), if !self.outgoing.is_empty() => {
                let bytes = written.map_err(|error| End::Lost(error.to_string()))?;
                self.outgoing.advance(bytes);
                self.written_at = Instant::now();
            }
            () = attention.notified() => {}
            () = tokio::time::sleep_until(self.next_ping.into()) => self.ping(blocked)?,
        }
        Ok(Happened::Something)
    }

    fn ping(&mut self, blocked: bool) -> Result<(), End> {
        let now = Instant::now();
        if blocked {
            // What it says stands unread behind what we do not take.
            self.heard_at = now;
        }
        let silent = now.duration_since(self.heard_at) >= self.ping_every * 2;
        let stuck = now.duration_since(self.written_at) >= WRITE_WITHIN;
        if silent || stuck {
            return Err(End::Lost("no sign of life".to_owned()));
        }
        if self.outgoing.is_empty() {
            self.send(&Packet::PingReq(PingReq));
        }
        self.next_ping = now + self.ping_every;
        Ok(())
    }

    /// Whether a PUBLISH above QoS 0 comes next: type 3, QoS in bits 1 and 2.
    fn begins_with_publish(&self) -> bool {
        self.incoming.first().is_some_and(|byte| byte >> 4 == 3 && byte & 0b0110 != 0)
    }

    fn parse(&mut self) -> Result<Option<Packet>, End> {
        match Packet::read(&mut self.incoming, Some(self.max_packet_bytes)) {
            Ok(packet) => Ok(Some(packet)),
            Err(CodecError::InsufficientBytes(_)) => Ok(None),
            Err(error) => Err(End::Lost(format!("a packet that cannot be read: {error}"))),
        }
    }
}

/// Reads; while blocked, only waits for a reset. A silent end shows by our pings.
async fn read_or_reset(
    reader: &mut OwnedReadHalf,
    incoming: &mut BytesMut,
    blocked: bool,
) -> std::io::Result<usize> {
    if blocked {
        reader.ready(Interest::ERROR).await?;
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    reader.read_buf(incoming).await
}
