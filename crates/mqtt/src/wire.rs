//! A connection of ours: rumqttc's packets over our own socket, TLS or not.
//!
//! rumqttc's event loop cannot stop reading without also ceasing to write, and
//! a broker's word on how much it sends unacknowledged is not always good:
//! Mosquitto 2.0.11 with a backlog releases a whole window for each PUBACK (its
//! issue 2301), all of a long outage within seconds. So here reading stops when
//! the window is full, TCP holds the broker back, and PUBACKs still go out, all
//! that are due in one write. Its TLS would bring a second set of crates, too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::broker::{Broker, Socket, tcp_of};
use crate::tls::{Failure, failure};

/// For CONNACK and SUBACK, each.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A peer that takes nothing of what we write for this long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
/// One read from the socket, on the stack.
const READ_BYTES: usize = 16 * 1024;
/// PINGREQ, the same in every version.
const PINGREQ: [u8; 2] = [0xC0, 0];

/// A version of MQTT: its packets, read and written.
pub(crate) trait Version {
    /// Any packet.
    type Packet: std::fmt::Debug;

    /// Takes the next packet off the front; `None` when it is not all there.
    ///
    /// # Errors
    /// Bytes that are no packet, or one that is too large.
    fn read(bytes: &mut BytesMut, max_packet_bytes: u32) -> Result<Option<Self::Packet>, Failure>;

    /// Appends a packet.
    fn write(packet: &Self::Packet, out: &mut BytesMut);
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Happened<P> {
    /// A packet came.
    Came(Box<P>),
    /// Somebody asked for attention, or something was written.
    Something,
}

#[derive(Debug)]
pub(crate) struct Wire<V> {
    socket: Socket,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// TLS may hold back what it took.
    unflushed: bool,
    /// Bytes given to the socket so far.
    written: u64,
    max_packet_bytes: u32,
    ping_every: Duration,
    next_ping: Instant,
    heard_at: Instant,
    written_at: Instant,
    version: std::marker::PhantomData<V>,
}

impl<V: Version> Wire<V> {
    /// Opens a socket; nothing is said on it yet.
    pub(crate) async fn open(
        broker: &Broker,
        ping_every: Duration,
        max_packet_bytes: u32,
    ) -> Result<Self, Failure> {
        let socket = broker.open().await?;
        let now = Instant::now();
        Ok(Self {
            socket,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            unflushed: false,
            written: 0,
            max_packet_bytes,
            ping_every,
            next_ping: now + ping_every,
            heard_at: now,
            written_at: now,
            version: std::marker::PhantomData,
        })
    }

    /// Asks for a sign of life at least so often.
    pub(crate) fn ping_at_least_every(&mut self, every: Duration) {
        self.ping_every = self.ping_every.min(every);
    }

    /// Queues a packet.
    pub(crate) fn send(&mut self, packet: &V::Packet) {
        V::write(packet, &mut self.outgoing);
    }

    /// Takes bytes of packets that others have written.
    pub(crate) fn send_bytes(&mut self, packets: &mut BytesMut) {
        if !packets.is_empty() {
            self.outgoing.extend_from_slice(packets);
            packets.clear();
        }
    }

    /// Bytes that are queued and not yet given to the socket.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// All bytes queued so far: [`Wire::written`] reaches this when they are out.
    pub(crate) fn queued_until(&self) -> u64 {
        self.written + self.outgoing.len() as u64
    }

    /// Bytes given to the socket so far.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// The next packet, while the connection is being made.
    pub(crate) async fn answer(&mut self) -> Result<V::Packet, Failure> {
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
            .unwrap_or_else(|_| Err(Failure::passing("it does not answer")))
    }

    /// Writes what is queued and drops what comes, until the broker closes or the
    /// time is up; whether the broker closed.
    pub(crate) async fn until_closed(&mut self, within: Duration) -> bool {
        let nobody = Notify::new();
        let closed = async { while self.next(true, &nobody).await.is_ok() {} };
        timeout(within, closed).await.is_ok()
    }

    /// Reads and writes until something happens. Takes no PUBLISH that has to be
    /// acknowledged, and nothing behind it, while there is no room. Cancel-safe.
    pub(crate) async fn next(
        &mut self,
        has_room: bool,
        attention: &Notify,
    ) -> Result<Happened<V::Packet>, Failure> {
        let blocked = !has_room && self.begins_with_publish();
        if !blocked && let Some(packet) = V::read(&mut self.incoming, self.max_packet_bytes)? {
            return Ok(Happened::Came(Box::new(packet)));
        }
        if self.outgoing.is_empty() {
            self.written_at = Instant::now();
        }
        let next_ping = self.next_ping;
        tokio::select! {
            moved = self.transfer(blocked) => moved.map_err(|error| failure(&error))?,
            () = attention.notified() => {}
            () = tokio::time::sleep_until(next_ping.into()) => self.ping(blocked)?,
        }
        Ok(Happened::Something)
    }

    /// Moves bytes whichever way goes first. Cancel-safe: what was moved was counted
    /// in the same poll.
    async fn transfer(&mut self, blocked: bool) -> io::Result<()> {
        if blocked && self.outgoing.is_empty() && !self.unflushed {
            // Only a reset is waited for. A silent end shows by our pings.
            tcp_of(&self.socket).ready(Interest::ERROR).await?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = self.poll_write(cx) {
                return Poll::Ready(done);
            }
            if blocked { Poll::Pending } else { self.poll_read(cx) }
        })
        .await
    }

    /// Pending as well when there is nothing to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.outgoing.is_empty() {
            let bytes = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outgoing))?;
            self.outgoing.advance(bytes);
            self.written += bytes as u64;
            self.written_at = Instant::now();
            self.unflushed = true;
        } else if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.unflushed = false;
        } else {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the broker closed the connection",
            )));
        }
        self.incoming.extend_from_slice(buffer.filled());
        self.heard_at = Instant::now();
        Poll::Ready(Ok(()))
    }

    fn ping(&mut self, blocked: bool) -> Result<(), Failure> {
        let now = Instant::now();
        if blocked {
            // What it says stands unread behind what we do not take.
            self.heard_at = now;
        }
        let silent = now.duration_since(self.heard_at) >= self.ping_every * 2;
        let stuck = now.duration_since(self.written_at) >= WRITE_WITHIN;
        if silent || stuck {
            return Err(Failure::passing("no sign of life"));
        }
        if self.outgoing.is_empty() {
            self.outgoing.extend_from_slice(&PINGREQ);
        }
        self.next_ping = now + self.ping_every;
        Ok(())
    }

    /// Whether a PUBLISH above QoS 0 comes next: type 3, QoS in bits 1 and 2.
    fn begins_with_publish(&self) -> bool {
        self.incoming.first().is_some_and(|byte| byte >> 4 == 3 && byte & 0b0110 != 0)
    }
}
