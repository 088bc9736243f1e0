//! Files that remember frames: those sent, and those acknowledged, so that
//! anyone can check that no acknowledged frame is lost.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;

use super::device::Message;

/// Lines of `MILLISECONDS HEX`, one a frame.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
}

impl Journal {
    /// Makes the file anew.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path)
            .with_context(|| format!("the file {} cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(BufWriter::with_capacity(1 << 18, file)),
        })
    }

    /// Notes a message's frames.
    pub(super) fn write(&self, at_ms: u64, message: &Message) -> anyhow::Result<()> {
        let mut text = String::with_capacity(message.frames * 88);
        for frame in message.each() {
            text.push_str(&at_ms.to_string());
            text.push(' ');
            text.push_str(&hex::encode_upper(frame));
            text.push('\n');
        }
        self.with(|file| file.write_all(text.as_bytes()))
    }

    /// Hands everything to the system.
    pub(super) fn flush(&self) -> anyhow::Result<()> {
        self.with(BufWriter::flush)
    }

    fn with(
        &self,
        act: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut file =
            self.file.lock().map_err(|_| anyhow::anyhow!("a writer of the file died"))?;
        act(&mut file)
            .with_context(|| format!("the file {} cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::Kind;
    use super::*;

    #[test]
    fn one_line_a_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acknowledged");
        let journal = Journal::create(&path).unwrap();
        let device = nemeses_protocol::DeviceId::new(1);
        let message = Message {
            device,
            kind: Kind::Locations,
            bytes: vec![0xA1, 0xB2, 0xC3, 0xD4],
            frames: 2,
        };
        journal.write(5, &message).unwrap();
        journal.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "5 A1B2\n5 C3D4\n");
    }
}
