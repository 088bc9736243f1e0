//! A ZIP archive as a stream: each member is compressed as it is written, and its
//! sizes follow it (APPNOTE 4.4.4, bit 3). Offsets have 32 bits: 4 GB at most.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::table::TableError;

/// Version 2.0, which knows deflate.
const NEEDED: u16 = 20;
/// Sizes follow the data; names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
const DEFLATED: u16 = 8;
/// 1980-01-01, the first day there is: the same archive for the same rows.
const DATE: u16 = 1 << 5 | 1;

struct Member {
    name: String,
    offset: u32,
    crc: u32,
    packed: u32,
    plain: u32,
}

struct Open {
    name: String,
    offset: u32,
    crc: Crc,
    packed: u64,
    plain: u64,
    encoder: DeflateEncoder<Vec<u8>>,
}

/// An archive on its way.
#[derive(Default)]
pub(super) struct Zip {
    ready: Vec<u8>,
    /// Bytes before those that are ready.
    taken: u64,
    members: Vec<Member>,
    open: Option<Open>,
}

impl Zip {
    /// Begins a member; the one before must have ended.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), TableError> {
        let offset = self.offset()?;
        self.put32(&[0x0403_4B50]);
        self.put16(&[NEEDED, FLAGS, DEFLATED, 0, DATE]);
        self.put32(&[0, 0, 0]);
        self.put16(&[short(name.len())?, 0]);
        self.ready.extend(name.bytes());
        let encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        let (name, crc) = (name.to_owned(), Crc::new());
        self.open = Some(Open { name, offset, crc, packed: 0, plain: 0, encoder });
        Ok(())
    }

    /// More of the member.
    pub(super) fn write(&mut self, text: &str) -> Result<(), TableError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.crc.update(text.as_bytes());
        open.plain += text.len() as u64;
        open.encoder.write_all(text.as_bytes())?;
        let packed = open.encoder.get_mut();
        open.packed += packed.len() as u64;
        self.ready.append(packed);
        Ok(())
    }

    /// Ends the member.
    pub(super) fn end(&mut self) -> Result<(), TableError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let rest = open.encoder.finish()?;
        let member = Member {
            name: open.name,
            offset: open.offset,
            crc: open.crc.sum(),
            packed: long(open.packed + rest.len() as u64)?,
            plain: long(open.plain)?,
        };
        self.ready.extend(rest);
        self.put32(&[0x0807_4B50, member.crc, member.packed, member.plain]);
        self.members.push(member);
        Ok(())
    }

    /// A member that is there already.
    pub(super) fn whole(&mut self, name: &str, text: &str) -> Result<(), TableError> {
        self.begin(name)?;
        self.write(text)?;
        self.end()
    }

    /// The list of members, with which it ends.
    pub(super) fn finish(&mut self) -> Result<(), TableError> {
        self.end()?;
        let begin = self.offset()?;
        let members = std::mem::take(&mut self.members);
        for member in &members {
            self.put32(&[0x0201_4B50]);
            self.put16(&[NEEDED, NEEDED, FLAGS, DEFLATED, 0, DATE]);
            self.put32(&[member.crc, member.packed, member.plain]);
            self.put16(&[short(member.name.len())?, 0, 0, 0, 0]);
            self.put32(&[0, member.offset]);
            self.ready.extend(member.name.bytes());
        }
        let count = short(members.len())?;
        let size = self.offset()? - begin;
        self.put32(&[0x0605_4B50]);
        self.put16(&[0, 0, count, count]);
        self.put32(&[size, begin]);
        self.put16(&[0]);
        Ok(())
    }

    /// The bytes that are ready.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.taken += self.ready.len() as u64;
        std::mem::take(&mut self.ready)
    }

    fn offset(&self) -> Result<u32, TableError> {
        long(self.taken + self.ready.len() as u64)
    }

    fn put16(&mut self, numbers: &[u16]) {
        self.ready.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }

    fn put32(&mut self, numbers: &[u32]) {
        self.ready.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
}

fn short(number: usize) -> Result<u16, TableError> {
    u16::try_from(number).map_err(|_| TableError::TooLarge)
}

fn long(number: u64) -> Result<u32, TableError> {
    u32::try_from(number).map_err(|_| TableError::TooLarge)
}
