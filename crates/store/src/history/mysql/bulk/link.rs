//! One connection of the bulk channel: logs in, prepares the one statement, commits.
//! Whoever drops a call half-way must drop the connection with it; `bulk.rs` sees to that.

use std::time::{Duration, Instant};

use nemeses_protocol::PositionRecord;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::packets::{
    Answer, Greeting, MAX_ANSWER, Malformed, PING, PREPARE, QUERY, ServerError, answer, greeting,
    login, packet, payload_length, prepared, proof, tls_request,
};
use super::rows;
use super::target::Target;
use crate::history::engine::ReadingsRow;
use crate::history::mysql::names::quoted;
use crate::history::mysql::{SESSION_SETUP, WRITER_SETUP};

/// What sqlx sets on its connections.
const LIKE_SQLX: &str = "SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,\
    NO_ENGINE_SUBSTITUTION'), time_zone = '+00:00', NAMES utf8mb4";

/// ER_SIGNAL_EXCEPTION, the guard's error.
const GUARDED: u16 = 1644;

/// Why something did not go.
#[derive(Debug)]
pub(super) enum Trouble {
    /// This server, or this account, is not for the channel: a reason.
    Unfit(&'static str),
    /// The server said no.
    Server(ServerError),
    /// The link is of no use any more.
    Broken(String),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Malformed> for Trouble {
    fn from(_: Malformed) -> Self {
        Self::Broken("the server's answer is none that is understood".to_owned())
    }
}

/// A connection that is ready for a commit.
pub(super) struct Link {
    stream: BufReader<Either<TcpStream, Box<TlsStream<TcpStream>>>>,
    /// The number that the server gave the prepared statement.
    statement: u32,
    /// That of the one for readings, once there were any.
    of_readings: Option<u32>,
    /// What goes out, kept for its room: 63 KB for 1000 rows.
    out: Vec<u8>,
    used: Instant,
}

impl Link {
    /// Connects, logs in, sets the session up as sqlx's writers are, and prepares.
    pub(super) async fn open(target: &Target) -> Result<Self, Trouble> {
        let mut stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        let greeting = greeted(&mut stream).await?;
        let with_tls = target.protection.takes_tls(greeting.offers_tls);
        let (stream, number) = if with_tls {
            (Either::Right(Box::new(encrypted(stream, target, &greeting).await?)), 2)
        } else {
            (Either::Left(stream), 1)
        };
        let stream = BufReader::new(stream);
        let mut link =
            Self { stream, statement: 0, of_readings: None, out: Vec::new(), used: Instant::now() };
        packet(&mut link.out, number, |out| login(out, &target.account, &greeting.nonce, with_tls));
        link.log_in(target).await?;
        let setup = format!("{LIKE_SQLX}; {SESSION_SETUP}; {WRITER_SETUP}");
        link.put(QUERY, setup.as_bytes());
        link.send().await?;
        link.answers().await.1?;
        link.statement = link.prepare(&quoted(&rows::statement())).await?;
        Ok(link)
    }

    /// How long nobody used it.
    pub(super) fn idle_for(&self) -> Duration {
        self.used.elapsed()
    }

    /// Asks whether the server is still there.
    pub(super) async fn ping(&mut self) -> Result<(), Trouble> {
        self.put(PING, b"");
        self.send().await?;
        self.answers().await.1
    }

    /// Takes back what was not committed.
    pub(super) async fn roll_back(&mut self) -> Result<(), Trouble> {
        self.put(QUERY, b"ROLLBACK");
        self.send().await?;
        self.answers().await.1
    }

    /// Inserts the rows and runs the script, which ends with COMMIT, in one write. The
    /// script begins with a guard: the server runs it whether or not the rows went in.
    pub(super) async fn commit(
        &mut self,
        rows: &[&PositionRecord],
        readings: &[&ReadingsRow],
        script: &str,
    ) -> Result<(), Trouble> {
        let mut inserts = 0;
        if !rows.is_empty() {
            let statement = self.statement;
            packet(&mut self.out, 0, |out| rows::execute(out, statement, rows));
            inserts += 1;
        }
        if !readings.is_empty() {
            let statement = match self.of_readings {
                Some(statement) => statement,
                None => self.prepare_readings().await?,
            };
            if inserts > 0 {
                self.put(QUERY, NOTE.as_bytes());
                inserts += 1;
            }
            packet(&mut self.out, 0, |out| rows::execute_readings(out, statement, readings));
            inserts += 1;
        }
        let guarded = quoted(&format!("{};{script}COMMIT", guard(rows.len(), readings.len())));
        self.put(QUERY, guarded.as_bytes());
        self.send().await?;
        let mut inserted = Ok(());
        for _ in 0..inserts {
            match self.answers().await.1 {
                Err(trouble @ Trouble::Broken(_)) => return Err(trouble),
                outcome => inserted = inserted.and(outcome),
            }
        }
        let (done, committed) = self.answers().await;
        self.used = Instant::now();
        inserted?;
        match committed {
            // The rows are in, and the guard does not see them: a server, or something before
            // it, that does not do the two in turn on one connection. No row is at fault.
            Err(Trouble::Server(error)) if done == 0 && error.number == GUARDED => {
                Err(Trouble::Unfit("it does not tell how many rows went in"))
            }
            other => other,
        }
    }

    async fn log_in(&mut self, target: &Target) -> Result<(), Trouble> {
        self.send().await?;
        let (number, payload) = self.receive().await?;
        let verdict = match answer(&payload)? {
            Answer::Prove(Some(nonce)) => {
                let proof = proof(&target.account.password, &nonce);
                packet(&mut self.out, number.wrapping_add(1), |out| out.extend(proof));
                self.send().await?;
                let (_, payload) = self.receive().await?;
                answer(&payload)?
            }
            other => other,
        };
        match verdict {
            Answer::Done { .. } => Ok(()),
            Answer::Failed(error) => Err(Trouble::Server(error)),
            Answer::Prove(_) => {
                Err(Trouble::Unfit("the account logs in otherwise than by mysql_native_password"))
            }
        }
    }

    /// Goes out before what waits.
    async fn prepare_readings(&mut self) -> Result<u32, Trouble> {
        let waiting = std::mem::take(&mut self.out);
        let statement = self.prepare(&quoted(&rows::readings_statement())).await?;
        self.out = waiting;
        self.of_readings = Some(statement);
        Ok(statement)
    }

    async fn prepare(&mut self, text: &str) -> Result<u32, Trouble> {
        self.put(PREPARE, text.as_bytes());
        self.send().await?;
        let (_, payload) = self.receive().await?;
        if payload.first() != Some(&0) {
            return match answer(&payload)? {
                Answer::Failed(error) => Err(Trouble::Server(error)),
                Answer::Done { .. } | Answer::Prove(_) => Err(Malformed.into()),
            };
        }
        let (statement, packets) = prepared(&payload)?;
        for _ in 0..packets {
            self.receive().await?;
        }
        Ok(statement)
    }

    /// Adds a command to what goes out.
    fn put(&mut self, command: u8, payload: &[u8]) {
        packet(&mut self.out, 0, |out| {
            out.push(command);
            out.extend_from_slice(payload);
        });
    }

    async fn send(&mut self) -> Result<(), Trouble> {
        self.stream.write_all(&self.out).await?;
        // TLS may keep the last records.
        self.stream.flush().await?;
        self.out.clear();
        Ok(())
    }

    /// The answers to one command: how many statements were done, and how it ended.
    async fn answers(&mut self) -> (u32, Result<(), Trouble>) {
        let mut done = 0;
        loop {
            match self.answer().await {
                Ok(Answer::Done { more }) => {
                    done += 1;
                    if !more {
                        return (done, Ok(()));
                    }
                }
                Ok(Answer::Failed(error)) => return (done, Err(Trouble::Server(error))),
                Ok(Answer::Prove(_)) => return (done, Err(Malformed.into())),
                Err(trouble) => return (done, Err(trouble)),
            }
        }
    }

    async fn answer(&mut self) -> Result<Answer, Trouble> {
        let (_, payload) = self.receive().await?;
        Ok(answer(&payload)?)
    }

    async fn receive(&mut self) -> Result<(u8, Vec<u8>), Trouble> {
        receive(&mut self.stream).await
    }
}

/// Reads who is there; only a server that takes rows in bulk is for this channel.
async fn greeted(stream: &mut TcpStream) -> Result<Greeting, Trouble> {
    let (_, payload) = receive(stream).await?;
    let greeting = greeting(&payload).map_err(|refused| match refused {
        Ok(error) => Trouble::Server(error),
        Err(malformed) => malformed.into(),
    })?;
    if greeting.takes_bulk {
        Ok(greeting)
    } else {
        Err(Trouble::Unfit("it does not take rows in bulk, which MariaDB does"))
    }
}

/// Goes over to TLS before anything of the account is said.
async fn encrypted(
    mut stream: TcpStream,
    target: &Target,
    greeting: &Greeting,
) -> Result<TlsStream<TcpStream>, Trouble> {
    if !greeting.offers_tls {
        return Err(Trouble::Broken("the server offers no TLS".to_owned()));
    }
    let mut out = Vec::new();
    packet(&mut out, 1, tls_request);
    stream.write_all(&out).await?;
    Ok(target.protection.upgrade(&target.host, stream).await?)
}

/// One packet and its number.
async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), Trouble> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let length = payload_length(header);
    if length > MAX_ANSWER {
        return Err(Malformed.into());
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok((header[3], payload))
}

/// Notes how many positions the statement before has inserted.
const NOTE: &str = "SET @nemeses_positions = ROW_COUNT()";

/// Fails unless the statements before have inserted so many rows: a script ends at its first
/// error, so nothing of it is done. (`DO` would not do: its errors are warnings.)
fn guard(rows: usize, readings: usize) -> String {
    let test = match (rows, readings) {
        (rows, 0) | (0, rows) => format!("ROW_COUNT() <> {rows}"),
        _ => format!("ROW_COUNT() <> {readings} OR @nemeses_positions <> {rows}"),
    };
    format!("IF {test} THEN SIGNAL SQLSTATE '45000'; END IF")
}
