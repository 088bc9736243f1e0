//! Numbers, strings and lengths as MQTT lays them on the wire (section 1.5).

use super::PacketError;

/// Reads fields off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], PacketError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(PacketError::Malformed("a field reaches beyond its packet"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PacketError> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, PacketError> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, PacketError> {
        self.take(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A length of one to four bytes.
    pub(super) fn varint(&mut self) -> Result<u32, PacketError> {
        match varint(self.rest)? {
            Some((value, length)) => {
                self.take(length)?;
                Ok(value)
            }
            None => Err(PacketError::Malformed("a length is cut short")),
        }
    }

    /// Bytes behind a 16-bit length.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], PacketError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// UTF-8 behind a 16-bit length; U+0000 is not allowed (1.5.3, 1.5.4).
    pub(super) fn text(&mut self) -> Result<&'a str, PacketError> {
        let text = std::str::from_utf8(self.binary()?)
            .map_err(|_| PacketError::Malformed("a string is not UTF-8"))?;
        if text.as_bytes().contains(&0) {
            return Err(PacketError::Malformed("a string holds U+0000"));
        }
        Ok(text)
    }
}

/// A variable byte integer and how many bytes it took; `None` when more bytes
/// are needed. At most four bytes.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, PacketError> {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(PacketError::Malformed("a length of more than four bytes"));
    }
    Ok(None)
}
