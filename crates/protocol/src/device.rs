//! The device id: a number inside, six or eight upper-case hex digits outside.

use core::fmt;
use core::str::FromStr;

/// A device's number. SFT9001 ids are their own 24-bit number; devices of
/// other protocols get numbers from 2^24 upward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(u32);

impl DeviceId {
    /// The largest id an SFT9001 frame can carry.
    pub const MAX_SFT9001: u32 = 0x00FF_FFFF;
    /// Stands for a device that has no number yet; none will get this one.
    pub const NONE: Self = Self(u32::MAX);

    /// Wraps a device number as it is stored.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The device number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Six upper-case hex digits (`0A3F73`), eight beyond 24 bits (`01000000`).
impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 > Self::MAX_SFT9001 { 8 } else { 6 };
        write!(f, "{:0digits$X}", self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

/// The text is no device id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device id is six hex digits, for example 0A3F73, or eight from 01000000 on")]
pub struct ParseDeviceIdError;

/// Reads six hex digits of either case, or eight for a number beyond 24 bits, so that
/// an id has one spelling. Decimal numbers are never guessed: `671603` is the device
/// 0x671603.
impl FromStr for DeviceId {
    type Err = ParseDeviceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = match text.len() {
            6 => 0..=Self::MAX_SFT9001,
            8 => Self::MAX_SFT9001 + 1..=u32::MAX,
            _ => return Err(ParseDeviceIdError),
        };
        // A sign would be read as part of the number.
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten();
        number.filter(|number| numbers.contains(number)).map(Self).ok_or(ParseDeviceIdError)
    }
}

/// For which devices a publisher may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Frames of this device only; others become dead letters.
    Device(DeviceId),
    /// Frames of any device: anonymous on loopback, gateways, a trusted broker.
    Any,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn upper_case_digits_outside() {
        assert_eq!(DeviceId::new(671_603).to_string(), "0A3F73");
        assert_eq!(DeviceId::new(0).to_string(), "000000");
        assert_eq!(DeviceId::new(DeviceId::MAX_SFT9001).to_string(), "FFFFFF");
        assert_eq!(DeviceId::new(DeviceId::MAX_SFT9001 + 1).to_string(), "01000000");
        assert_eq!(DeviceId::new(0x0200_0040).to_string(), "02000040");
        assert_eq!(alloc::format!("{:?}", DeviceId::new(1)), "DeviceId(000001)");
    }

    #[test]
    fn every_id_is_read_as_it_is_written() {
        let edges = [0, 0x00FF_FFFF, 0x0100_0000, 0x0100_0001, 0x7FFF_FFFF, 0x8000_0000, u32::MAX];
        let spread = (0..=u32::MAX).step_by(65_521);
        for number in edges.into_iter().chain(spread) {
            let device = DeviceId::new(number);
            assert_eq!(device.to_string().parse(), Ok(device));
            assert_eq!(device.to_string().to_lowercase().parse(), Ok(device));
        }
    }

    #[test]
    fn ids_have_one_spelling_in_either_case() {
        assert_eq!("0a3F73".parse(), Ok(DeviceId::new(671_603)));
        assert_eq!("671603".parse(), Ok(DeviceId::new(0x0067_1603)), "never decimal");
        for text in [
            "",
            "A3F73",
            "00A3F73",
            "000A3F73",
            "00FFFFFF",
            "100000000",
            "+1000000",
            "0100000G",
            "0A3F7G",
            "+A3F73",
            " 0A3F7",
            "0x3F73",
            "0A3F7\u{e9}",
        ] {
            assert_eq!(text.parse::<DeviceId>(), Err(ParseDeviceIdError), "{text:?}");
        }
    }
}
