//! Stands between a client and a server and breaks on demand.

#![allow(clippy::disallowed_methods, reason = "tests await what they spawn")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How it behaves now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Passes everything on.
    Passing,
    /// Holds each chunk back this long.
    Slow(Duration),
    /// Passes what the client says and swallows what the server says.
    DeafClient,
    /// Passes nothing, closes nothing.
    Frozen,
}

/// A proxy to one server; ends when dropped.
pub(crate) struct Proxy {
    port: u16,
    mood: watch::Sender<Mood>,
    cuts: watch::Sender<u64>,
    connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own_port = listener.local_addr().expect("it is bound").port();
        let (mood, mood_is) = watch::channel(Mood::Passing);
        let (cuts, cut) = watch::channel(0);
        let connections = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connection(client, port, mood_is.clone(), cut.clone()));
            }
        });
        Self { port: own_port, mood, cuts, connections, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Resets all connections, in the middle of whatever they do.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(
    client: TcpStream,
    port: u16,
    mood: watch::Receiver<Mood>,
    mut cut: watch::Receiver<u64>,
) {
    cut.mark_unchanged();
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    // A reset instead of an orderly end.
    for socket in [&client, &server] {
        socket.set_zero_linger().expect("a socket option");
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, mood.clone(), false) => {}
        () = pass(from_server, to_client, mood, true) => {}
        _ = cut.changed() => {}
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut mood: watch::Receiver<Mood>,
    to_client: bool,
) {
    // An odd size, so that packets are torn.
    let mut buffer = [0_u8; 1471];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let now = *mood.borrow();
        match now {
            Mood::Slow(delay) => tokio::time::sleep(delay).await,
            Mood::DeafClient if to_client => continue,
            Mood::Passing | Mood::DeafClient => {}
            Mood::Frozen => {
                if mood.wait_for(|mood| *mood != Mood::Frozen).await.is_err() {
                    return;
                }
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
