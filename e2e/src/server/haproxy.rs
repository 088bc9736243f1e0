//! HAProxy before one address, telling it who its clients are.

use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;

use tempfile::TempDir;

use super::{Process, Ready, Spec, program};
use crate::Port;

/// A HAProxy that passes TCP on.
#[derive(Debug)]
pub struct HaProxy {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl HaProxy {
    /// Starts one before `server`, whose line ends with `options` (`send-proxy`).
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(server: SocketAddr, options: &str) -> anyhow::Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::free()?);
        let config = format!(
            "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 1m\n    \
             timeout server 1m\nlisten front\n    bind {}\n    server node {server} {options}\n",
            port.address()
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config)?;
        let ready = Ready::Accepts(port.address());
        let spec = Spec::new("haproxy", program("haproxy"), folder.path(), ready).args([
            "-db".as_ref(),
            "-f".as_ref(),
            file.as_os_str(),
        ]);
        Ok(Self { process: Process::start(spec).await?, port, _folder: folder })
    }

    /// Where it listens.
    pub const fn port(&self) -> &Port {
        &self.port
    }
}

impl Deref for HaProxy {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}
