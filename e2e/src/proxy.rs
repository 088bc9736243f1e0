//! A TCP proxy that can be broken in the ways networks break: cut, refused,
//! silent, slow, half closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Port, wait_for};

const SOON: Duration = Duration::from_secs(10);

/// How the link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Everything passes.
    Open,
    /// Every chunk waits this long.
    Slow(Duration),
    /// Connections stand, nothing passes: a network gone without a word.
    Silent,
    /// Nobody listens.
    Refused,
}

/// A proxy on a port of its own; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    /// Ends the accepting task while nobody shall listen.
    listening: Mutex<Option<CancellationToken>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    link: watch::Sender<Link>,
    /// Cancelled and replaced by every cut.
    connections: std::sync::Mutex<CancellationToken>,
    half_close: watch::Sender<u64>,
    tasks: TaskTracker,
    end: CancellationToken,
}

impl Proxy {
    /// Starts one before `target`.
    ///
    /// # Errors
    /// No free port.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let end = CancellationToken::new();
        let shared = Arc::new(Shared {
            target,
            link: watch::Sender::new(Link::Open),
            connections: std::sync::Mutex::new(end.child_token()),
            half_close: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            end,
        });
        let proxy = Self { port: Port::free()?, shared, listening: Mutex::new(None) };
        proxy.set(Link::Open).await?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub const fn port(&self) -> &Port {
        &self.port
    }

    /// Changes how the link behaves, for present connections too. `Refused`
    /// also cuts them.
    ///
    /// # Errors
    /// The port cannot be listened on again.
    pub async fn set(&self, link: Link) -> anyhow::Result<()> {
        self.shared.link.send_replace(link);
        let mut listening = self.listening.lock().await;
        if link == Link::Refused {
            if let Some(accepting) = listening.take() {
                accepting.cancel();
            }
            self.cut();
        } else if listening.is_none() {
            let accepting = self.shared.end.child_token();
            // The task that listened gives the port back a moment after it was told to.
            let listener = wait_for(SOON, "the proxy listens again", async || {
                Ok(TcpListener::bind(self.port.address()).await?)
            })
            .await?;
            self.shared.tasks.spawn(accept(listener, Arc::clone(&self.shared), accepting.clone()));
            *listening = Some(accepting);
        }
        Ok(())
    }

    /// Cuts all connections; new ones are let in as before.
    pub fn cut(&self) {
        let mut connections = lock(&self.shared.connections);
        connections.cancel();
        *connections = self.shared.end.child_token();
    }

    /// Ends one direction of all connections, client to server; the other stays open.
    pub fn half_close(&self) {
        self.shared.half_close.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.end.cancel();
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, until: CancellationToken) {
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until.cancelled() => return,
        };
        // A client that is gone before it was accepted is no concern of ours.
        if let Ok((client, _)) = client {
            let cut = lock(&shared.connections).clone();
            let connection = serve(client, Arc::clone(&shared));
            shared.tasks.spawn(async move { cut.run_until_cancelled(connection).await });
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    // While the target is down its clients see what a broken network shows them.
    let Ok(server) = TcpStream::connect(shared.target).await else { return };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut half_closed = shared.half_close.subscribe();
    let up = async {
        tokio::select! {
            () = pass(from_client, to_server, shared.link.subscribe()) => {}
            _ = half_closed.changed() => {}
        }
    };
    tokio::join!(up, pass(from_server, to_client, shared.link.subscribe()));
}

/// Passes bytes on until either end closes; then closes the other direction's end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // Only an error when the proxy is gone, and this task with it.
        let Ok(now) = link.wait_for(|link| *link != Link::Silent).await.map(|now| *now) else {
            break;
        };
        if let Link::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn ask(client: &mut TcpStream) -> std::io::Result<[u8; 4]> {
        client.write_all(b"echo").await?;
        let mut answer = [0; 4];
        tokio::time::timeout(SOON, client.read_exact(&mut answer)).await??;
        Ok(answer)
    }

    async fn client(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.port().address()).await.unwrap()
    }

    #[tokio::test]
    async fn passes_and_cuts() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut first = client(&proxy).await;
        assert_eq!(&ask(&mut first).await.unwrap(), b"echo");
        proxy.cut();
        ask(&mut first).await.unwrap_err();
        assert_eq!(&ask(&mut client(&proxy).await).await.unwrap(), b"echo");
    }

    #[tokio::test]
    async fn refuses_and_listens_again() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        proxy.set(Link::Refused).await.unwrap();
        wait_for(SOON, "refused", async || {
            let refused = TcpStream::connect(proxy.port().address()).await.is_err();
            anyhow::ensure!(refused, "still accepted");
            Ok(())
        })
        .await
        .unwrap();
        proxy.set(Link::Open).await.unwrap();
        assert_eq!(&ask(&mut client(&proxy).await).await.unwrap(), b"echo");
    }

    #[tokio::test]
    async fn silence_ends_and_nothing_is_lost() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut client = client(&proxy).await;
        ask(&mut client).await.unwrap();
        proxy.set(Link::Silent).await.unwrap();
        client.write_all(b"echo").await.unwrap();
        let mut answer = [0; 4];
        let silent = tokio::time::timeout(Duration::from_millis(50), client.read(&mut answer));
        silent.await.unwrap_err();
        proxy.set(Link::Slow(Duration::from_millis(1))).await.unwrap();
        tokio::time::timeout(SOON, client.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"echo");
    }

    #[tokio::test]
    async fn half_a_connection_closes() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut client = client(&proxy).await;
        ask(&mut client).await.unwrap();
        proxy.half_close();
        // The server saw the end of its input, answered with its own, and all is over.
        let mut rest = Vec::new();
        tokio::time::timeout(SOON, client.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(rest.is_empty());
    }
}
