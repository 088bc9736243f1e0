//! Free loopback ports that stay ours, also while a server is down between two
//! of its lives and while other test processes look for theirs.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;
use rand::Rng as _;

/// Below the kernel's range for outgoing connections (32768 and up), so that no
/// client takes a port of ours while its server is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const ATTEMPTS: usize = 200;

/// A port of this machine, held by a lock on a file until dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds one that nobody listens on and no other test holds.
    ///
    /// # Errors
    /// None found, or the folder of locks cannot be written.
    pub fn free() -> anyhow::Result<Self> {
        let locks = std::env::temp_dir().join("nemeses-e2e-ports");
        fs::create_dir_all(&locks).with_context(|| format!("creating {}", locks.display()))?;
        for _ in 0..ATTEMPTS {
            let number = rand::rng().random_range(PORTS);
            let lock = File::create(locks.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        anyhow::bail!("no free port found in {PORTS:?} after {ATTEMPTS} attempts")
    }

    /// The port's number.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The port on loopback.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_ports_differ() {
        let held: Vec<Port> = (0..50).map(|_| Port::free().unwrap()).collect();
        let mut numbers: Vec<u16> = held.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), held.len());
    }
}
