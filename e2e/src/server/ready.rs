//! When a server serves: more than an open port, since each of them accepts
//! before it answers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What tells that a server serves.
#[derive(Clone, Debug)]
pub enum Ready {
    /// It accepts connections.
    Accepts(SocketAddr),
    /// It answers PING with PONG (not while it loads its data).
    RedisPong(SocketAddr),
    /// It greets with version 10 of the MySQL protocol (not with an error).
    MySqlGreets(SocketAddr),
    /// `GET` of this URL is answered with 200.
    HttpOk(String),
    /// Its log of this life holds this text.
    LogHas(String),
}

pub(super) fn read_log(path: &Path) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

impl Ready {
    pub(super) async fn check(&self, log: &Path, log_from: usize) -> anyhow::Result<()> {
        match self {
            Self::Accepts(address) => {
                TcpStream::connect(address).await?;
            }
            Self::RedisPong(address) => {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(b"PING\r\n").await?;
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).await?;
                anyhow::ensure!(&answer == b"+PONG", "it answers {}", answer.escape_ascii());
            }
            Self::MySqlGreets(address) => {
                let mut stream = TcpStream::connect(address).await?;
                let mut greeting = [0; 5];
                stream.read_exact(&mut greeting).await?;
                anyhow::ensure!(greeting[4] == 10, "it greets with {}", greeting[4]);
            }
            Self::HttpOk(url) => {
                let status = reqwest::get(url).await?.status();
                anyhow::ensure!(status == 200, "{url} answers {status}");
            }
            Self::LogHas(text) => {
                let log = read_log(log).context("reading its log")?;
                let found = log.get(log_from..).is_some_and(|log| log.contains(text));
                anyhow::ensure!(found, "'{text}' is not in its log");
            }
        }
        Ok(())
    }
}
