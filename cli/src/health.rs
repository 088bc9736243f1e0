//! `nemeses health`: asks a station of this machine whether it is well, for
//! health checks where no other client is at hand (an image without a shell).

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::tools::print;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses health                          a node, or a container with NEMESES_HEALTH_URL set
  nemeses health http://127.0.0.1:5000/readyz
  nemeses health http://127.0.0.1:18000/healthz";

/// A health check that waits longer is a failed one for every supervisor.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// An answer is a status line, some headers and a short text.
const MOST_BYTES: u64 = 64 * 1024;

/// `nemeses health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Which address to ask, http://HOST:PORT/PATH; 200 means well
    #[arg(
        env = "NEMESES_HEALTH_URL",
        default_value = "http://127.0.0.1:9180/healthz",
        value_name = "URL"
    )]
    url: String,
}

/// Asks; `true` when the station is well.
///
/// # Errors
/// A wrong address, or no answer.
pub(crate) async fn run(args: &HealthArgs) -> anyhow::Result<bool> {
    let (host, path) = split(&args.url)?;
    let status = timeout(ANSWER_WITHIN, ask(host, path))
        .await
        .with_context(|| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))
        .flatten()
        .with_context(|| format!("{} is not well", args.url))?;
    print(&format!("{} answers {status}\n", args.url))?;
    Ok(status == 200)
}

/// Host with port, and path.
fn split(url: &str) -> anyhow::Result<(&str, &str)> {
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("'{url}' cannot be asked: write http://HOST:PORT/PATH");
    };
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    if !host.contains(':') || url.contains(|letter: char| letter.is_control() || letter == ' ') {
        bail!("'{url}' cannot be asked: write http://HOST:PORT/PATH, with the port");
    }
    Ok((host, path))
}

async fn ask(host: &str, path: &str) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    status(&answer).context("the answer is not HTTP")
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn urls() {
        assert_eq!(split("http://[::1]:80/a/b").unwrap(), ("[::1]:80", "/a/b"));
        assert_eq!(split("http://h:1").unwrap(), ("h:1", "/"));
        for wrong in ["https://h:1/", "h:1", "http://h/", "http://h:1/a b", "http://h:1/\r\nX: y"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn statuses() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some(503));
        for wrong in [&b"SSH-2.0"[..], b"HTTP/1.1 ", b"HTTP/1.1 abc", b""] {
            assert_eq!(status(wrong), None);
        }
    }

    #[tokio::test]
    async fn well_is_200_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 x\r\n\r\n", "SSH-2.0-x\r\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                // What is left unread would cut the answer off.
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let args = HealthArgs { url };
        assert!(run(&args).await.unwrap());
        assert!(!run(&args).await.unwrap());
        run(&args).await.unwrap_err();
        server.await.unwrap();
        assert!(format!("{:#}", run(&args).await.unwrap_err()).contains("is not well"));
    }
}
