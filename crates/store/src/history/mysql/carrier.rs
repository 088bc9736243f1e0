//! Carries sqlx's connections to a server when they are encrypted. sqlx writes a large
//! statement as TLS records of 16 KiB and leaves Nagle's algorithm on: the last record waits
//! until the server has acknowledged those before, which it does after 40 ms. sqlx lets nobody
//! at its socket, but speaks through a Unix socket as well, TLS and the check of the server's
//! name included. So it gets one of this process, and what comes through is passed on over a
//! socket without delay. No file, and nobody else gets in: the name is an abstract one, and
//! the other end must be this process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};

/// For each way of a connection: four TLS records. A pool has eight connections.
const BUFFER: usize = 64 * 1024;
/// After an error of the listener, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);
/// CR_CONN_HOST_ERROR, as clients of MySQL know it.
const NO_SERVER: u16 = 2003;

/// A socket that leads to a server; gone with the value.
pub(super) struct Carrier {
    path: PathBuf,
    task: AbortHandle,
}

impl Carrier {
    /// Listens. Needs a running Tokio runtime.
    pub(super) fn start(host: &str, port: u16) -> std::io::Result<Self> {
        let unique = getrandom::u64().map_err(std::io::Error::other)?;
        let path =
            PathBuf::from(format!("\0nemeses-database-{}-{unique:016x}", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        #[expect(
            clippy::disallowed_methods,
            reason = "aborted with the pool that it passes bytes on for"
        )]
        let task = tokio::spawn(accept(listener, host, port)).abort_handle();
        Ok(Self { path, task })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // Its connections end with it.
        self.task.abort();
    }
}

async fn accept(listener: UnixListener, host: String, port: u16) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if is_this_process(&client) => {
                    links.spawn(carry(client, host.clone(), port));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            // A link that ended with an error has ended at both ends, which notice.
            Some(_) = links.join_next(), if !links.is_empty() => {}
        }
    }
}

fn is_this_process(client: &UnixStream) -> bool {
    let pid = client.peer_cred().ok().and_then(|peer| peer.pid());
    pid.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id())
}

async fn carry(mut client: UnixStream, host: String, port: u16) -> std::io::Result<()> {
    let mut server = match TcpStream::connect((host.as_str(), port)).await {
        Ok(server) => server,
        Err(error) => return client.write_all(&refusal(&error)).await,
    };
    server.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await.map(drop)
}

/// What a server would say instead of a greeting, so that the client's error has the reason.
fn refusal(error: &std::io::Error) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(NO_SERVER.to_le_bytes());
    payload.extend(format!("#HY000cannot connect: {error}").bytes());
    let mut packet = vec![u8::try_from(payload.len()).unwrap_or(u8::MAX), 0, 0, 0];
    packet.extend(payload.into_iter().take(usize::from(u8::MAX)));
    packet
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_said_comes_through_and_ends_with_the_carrier() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let carrier = Carrier::start("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
        let mut client = UnixStream::connect(carrier.path()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"statement").await.unwrap();
        let mut heard = [0; 9];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"statement");
        drop(carrier);
        assert_eq!(server.read(&mut heard).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_reported_as_one_would() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let carrier = Carrier::start("127.0.0.1", free.port()).unwrap();
        let mut client = UnixStream::connect(carrier.path()).await.unwrap();
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(usize::from(said[0]), said.len() - 4);
        assert_eq!(said[4..7], [0xff, 0xd3, 0x07]);
        assert!(String::from_utf8_lossy(&said).contains("refused"), "{said:?}");
    }
}
