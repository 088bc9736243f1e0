//! The sums (CRC, 16 bits, reflected) by which trackers check their frames.

/// CRC-16/ARC, as Teltonika computes it.
pub(crate) fn crc16_arc(bytes: &[u8]) -> u16 {
    reflected(bytes, 0xA001, 0)
}

/// CRC-16/X-25, which GT06 calls CRC-ITU.
pub(crate) fn crc16_x25(bytes: &[u8]) -> u16 {
    !reflected(bytes, 0x8408, 0xFFFF)
}

fn reflected(bytes: &[u8], polynomial: u16, first: u16) -> u16 {
    bytes.iter().fold(first, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of CRC algorithms.
    #[test]
    fn the_sums_of_nine_digits() {
        assert_eq!(crc16_arc(b"123456789"), 0xBB3D);
        assert_eq!(crc16_x25(b"123456789"), 0x906E);
    }
}
