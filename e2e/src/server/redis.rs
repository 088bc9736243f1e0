//! Redis, as the live store is run: without persistence, or with.

use std::ops::{Deref, DerefMut};

use tempfile::TempDir;

use super::{Process, Ready, Spec, program};
use crate::Port;

/// What Redis still knows after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisMemory {
    /// Nothing.
    Lost,
    /// All but the last second (append-only file).
    Kept,
}

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl Redis {
    /// Starts one.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(memory: RedisMemory) -> anyhow::Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::free()?);
        let appendonly = if memory == RedisMemory::Kept { "yes" } else { "no" };
        let spec = Spec::new(
            "redis",
            program("redis-server"),
            folder.path(),
            Ready::RedisPong(port.address()),
        )
        .args(["--bind", "127.0.0.1", "--port", &port.number().to_string()])
        .args(["--save", "", "--appendonly", appendonly, "--daemonize", "no", "--dir"])
        .args([folder.path()]);
        Ok(Self { process: Process::start(spec).await?, port, _folder: folder })
    }

    /// Where it listens.
    pub const fn port(&self) -> &Port {
        &self.port
    }

    /// For `--redis-url`.
    pub fn url(&self) -> String {
        redis_url(self.port.number())
    }
}

/// A URL of a Redis (or of a proxy before it) on this port.
fn redis_url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}

impl Deref for Redis {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forgets_or_remembers_over_a_restart() {
        for (memory, expected) in [(RedisMemory::Lost, None), (RedisMemory::Kept, Some(7))] {
            let mut server = Redis::start(memory).await.unwrap();
            let client = redis::Client::open(server.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let () = redis::cmd("SET").arg("a").arg(7).query_async(&mut connection).await.unwrap();
            server.stop(std::time::Duration::from_secs(20)).await.unwrap();
            server.start_again().await.unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let found: Option<u32> =
                redis::cmd("GET").arg("a").query_async(&mut connection).await.unwrap();
            assert_eq!(found, expected, "{memory:?}");
        }
    }
}
