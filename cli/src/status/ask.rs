//! Asks a process of this machine over its admin listener.

use std::time::Duration;

use anyhow::{Context as _, bail};
use nemeses_runtime::Worker;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whoever waits longer is not well.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// An answer is a status line, some headers and a short text.
const MOST_BYTES: u64 = 64 * 1024;

/// How a process describes itself at an address such as `http://127.0.0.1:9180/status`.
///
/// # Errors
/// A wrong address, no answer, or one that is no description.
pub(crate) async fn process_at(url: &str) -> anyhow::Result<Worker> {
    let (status, body) = get(url).await?;
    anyhow::ensure!(status == 200, "{url} answers {status}");
    serde_json::from_slice(&body).with_context(|| format!("{url} does not answer as nemeses does"))
}

/// Status and body of a GET.
///
/// # Errors
/// A wrong address, or no answer.
pub(crate) async fn get(url: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let (host, path) = split(url)?;
    timeout(ANSWER_WITHIN, fetch(host, path))
        .await
        .with_context(|| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))
        .flatten()
        .with_context(|| format!("{url} is not well"))
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

async fn fetch(host: &str, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    let status = status(&answer).context("the answer is not HTTP")?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    Ok((status, head.map_or_else(Vec::new, |body| answer.split_off(body))))
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
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
}
