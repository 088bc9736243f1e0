//! Reads numbers off the front of bytes, the highest byte first.

/// The bytes that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// A number of up to eight bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The same in two's complement.
pub(crate) fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * u32::try_from(bytes.len()).unwrap_or(8).clamp(1, 8);
    (unsigned(bytes) << unused).cast_signed() >> unused
}

/// Bytes as upper-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> alloc::string::String {
    let digit = |four: u8| char::from_digit(four.into(), 16).unwrap_or('0').to_ascii_uppercase();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0F)]).collect()
}

/// Binary-coded decimals, one digit in four bits; `None` when one is no digit.
pub(crate) fn bcd(bytes: &[u8]) -> Option<alloc::string::String> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    digits.map(|digit| char::from_digit(digit.into(), 10)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width() {
        assert_eq!((unsigned(&[0x01, 0x02]), unsigned(&[])), (0x0102, 0));
        assert_eq!((signed(&[0xFF]), signed(&[0x7F, 0xFF]), signed(&[])), (-1, 0x7FFF, 0));
        assert_eq!((signed(&[0xFF; 8]), signed(&[0x80, 0, 0, 0])), (-1, i32::MIN.into()));
        assert_eq!(bcd(&[0x01, 0x23]).as_deref(), Some("0123"));
        assert_eq!(bcd(&[0x0A]), None);
        assert_eq!(hex(&[0x0A, 0xFF]), "0AFF");
    }
}
