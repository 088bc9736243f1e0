//! As much HTTP/1.1 as a load needs: one request after the other on a connection
//! that stays open. Not a client for anything else.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HEAD_END: &[u8] = b"\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The bytes of a GET with a token.
pub(crate) fn get_request(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// A connection that stays open.
pub(crate) struct Http {
    stream: TcpStream,
    held: Vec<u8>,
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, held: Vec::new() })
    }

    /// Asks and reads the whole answer, which must be a 200; returns it, head and all.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.held.clear();
        loop {
            let read = self.stream.read_buf(&mut self.held).await?;
            anyhow::ensure!(read > 0, "the API closed the connection");
            if is_whole(&self.held)? {
                break;
            }
        }
        let status = self.held.get(9..12).unwrap_or_default();
        anyhow::ensure!(status == b"200", "{}", String::from_utf8_lossy(&self.held));
        Ok(&self.held)
    }
}

/// Whether an answer has come to its end.
fn is_whole(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = answer.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) else {
        return Ok(false);
    };
    let (head, body) = (&answer[..head], &answer[head + HEAD_END.len()..]);
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match length {
        Some(length) => Ok(body.len() >= length.trim().parse::<usize>().context(head.clone())?),
        None => Ok(body.ends_with(LAST_CHUNK)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_length_or_its_last_chunk() {
        let whole = |text: &str| is_whole(text.as_bytes()).unwrap();
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"));
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"));
        assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"));
        assert!(!whole("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"));
        assert!(whole("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"));
    }
}
