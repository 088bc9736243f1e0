//! A socket for datagrams of devices. Each is whole, and answered when it is durable.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nemeses_runtime::Stop;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::{DeviceListen, DeviceTaken};
use crate::batches::Batches;
use crate::intake::Receipt;
use crate::mailbox::Mailbox;
use crate::shared::{MESSAGE_OVERHEAD_BYTES, Shared};

/// The longest that UDP carries.
const LONGEST: usize = 65_535;
/// A wait that ends for another reason.
const LONG: Duration = Duration::from_secs(3600);

/// A socket, bound.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    protocol: &'static str,
}

enum Event {
    Mail,
    Datagram(SocketAddr, usize),
    Failed(std::io::Error),
}

impl Datagrams {
    pub(crate) fn bind(at: &DeviceListen) -> Result<Self> {
        let context =
            || format!("no datagrams of {} can be received on {}", at.protocol, at.listen);
        let socket = std::net::UdpSocket::bind(at.listen).with_context(context)?;
        socket.set_nonblocking(true).with_context(context)?;
        let socket = UdpSocket::from_std(socket).with_context(context)?;
        Ok(Self { socket, protocol: at.protocol })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Serves until `stop.intake`, and then until what was taken is durable and answered, at
    /// most for the drain deadline.
    pub(crate) async fn serve(self, shared: Arc<Shared>, stop: Stop) {
        let Some(devices) = &shared.devices else { return };
        let mut session = devices.datagrams(self.protocol);
        let mailbox = Arc::new(Mailbox::default());
        let mut batches = Batches::default();
        let mut owed: HashMap<u64, (SocketAddr, Vec<u8>)> = HashMap::new();
        let mut buffer = vec![0; LONGEST];
        let mut draining_until: Option<Instant> = None;
        loop {
            let drained = batches.waiting_messages() == 0;
            if draining_until.is_some_and(|until| drained || until <= Instant::now()) {
                return;
            }
            let reads = draining_until.is_none();
            let socket = &self.socket;
            let next = poll_fn(|cx| {
                if mailbox.poll_rang(cx).is_ready() {
                    return Poll::Ready(Event::Mail);
                }
                if !reads {
                    return Poll::Pending;
                }
                let mut read = ReadBuf::new(&mut buffer);
                match socket.poll_recv_from(cx, &mut read) {
                    Poll::Ready(Ok(peer)) => {
                        Poll::Ready(Event::Datagram(peer, read.filled().len()))
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Event::Failed(error)),
                    Poll::Pending => Poll::Pending,
                }
            });
            let until = draining_until.unwrap_or_else(|| Instant::now() + LONG);
            let event = tokio::select! {
                event = next => event,
                () = stop.intake.cancelled(), if reads => {
                    draining_until = Some(Instant::now() + shared.config.drain_deadline);
                    continue;
                }
                () = stop.all.cancelled() => return,
                () = tokio::time::sleep_until(until) => continue,
            };
            match event {
                Event::Mail => {
                    for resolved in mailbox.empty(true).resolved {
                        batches.committed(resolved.batch);
                        let Some((peer, answer)) = owed.remove(&resolved.batch) else { continue };
                        if resolved.committed && !answer.is_empty() {
                            shared.metrics().devices.acknowledged(self.protocol);
                            self.send(peer, &answer);
                        }
                    }
                }
                Event::Failed(error) => {
                    // A device that is gone answers with ICMP, which shows here.
                    tracing::debug!(%error, protocol = self.protocol, "a datagram was not received");
                }
                Event::Datagram(peer, length) => {
                    // Who is not answered sends again.
                    if !shared.pool.has_room() {
                        shared.metrics().devices.dropped(self.protocol);
                        continue;
                    }
                    let DeviceTaken { reply, acknowledgement, frames, keeps, .. } =
                        session.take(&buffer[..length], true);
                    shared.metrics().devices.frames(self.protocol, frames);
                    if !reply.is_empty() {
                        self.send(peer, &reply);
                    }
                    if keeps {
                        let weight = length + acknowledgement.len() + MESSAGE_OVERHEAD_BYTES;
                        let batch = batches.open(1, weight);
                        owed.insert(batch, (peer, acknowledgement));
                        let room = shared.pool.take(weight);
                        let mailbox = Arc::clone(&mailbox);
                        session.commit(Receipt::for_connection(mailbox, batch, room));
                    }
                }
            }
        }
    }

    /// A datagram that does not go out is lost like any other; the device sends again.
    fn send(&self, peer: SocketAddr, answer: &[u8]) {
        if let Err(error) = self.socket.try_send_to(answer, peer) {
            tracing::debug!(%error, %peer, "a datagram was not answered");
        }
    }
}
