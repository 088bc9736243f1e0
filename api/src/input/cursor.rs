//! Cursors: where the next page begins, opaque to the client. Small and without
//! a signature: a made-up one can only name another place in the same list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nemeses_protocol::DeviceId;

use crate::problem::Problem;

/// First byte of a report's cursor; another form gets another.
const REPORT: u8 = 1;
/// First byte of the books' cursor.
const BOOKS: u8 = 2;
/// First byte of the cursor of a list of devices.
const DEVICE: u8 = 3;
/// First byte of the cursor of a list by distance.
const NEAR: u8 = 4;
/// Ours are below 100 characters; longer ones are not looked at.
const LONGEST_CURSOR: usize = 256;

/// The last row of a page of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportCursor {
    pub(crate) device: DeviceId,
    pub(crate) descending: bool,
    pub(crate) recorded_at: u32,
    pub(crate) frame_hash: u64,
}

impl ReportCursor {
    pub(crate) fn encode(self) -> String {
        let mut bytes = Vec::with_capacity(18);
        bytes.extend([REPORT, u8::from(self.descending)]);
        bytes.extend(self.device.number().to_be_bytes());
        bytes.extend(self.recorded_at.to_be_bytes());
        bytes.extend(self.frame_hash.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of this order and one of these devices.
    pub(crate) fn decode(
        text: &str,
        devices: &[DeviceId],
        descending: bool,
    ) -> Result<Self, Problem> {
        let cursor = decode(text).and_then(|bytes| Self::read(&bytes)).ok_or_else(unreadable)?;
        if !devices.contains(&cursor.device) || cursor.descending != descending {
            let detail =
                "The cursor belongs to another device or order. Send both as on the page before.";
            return Err(Problem::parameter("cursor", detail));
        }
        Ok(cursor)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 18] = bytes.try_into().ok()?;
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (device, rest) = rest.split_first_chunk()?;
        let (recorded_at, rest) = rest.split_first_chunk()?;
        let [REPORT, order @ 0..=1] = *head else { return None };
        Some(Self {
            device: DeviceId::new(u32::from_be_bytes(*device)),
            descending: order == 1,
            recorded_at: u32::from_be_bytes(*recorded_at),
            frame_hash: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

/// The last line of a page of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BooksCursor {
    pub(crate) minute: u32,
    pub(crate) worker: String,
}

impl BooksCursor {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = vec![BOOKS];
        bytes.extend(self.minute.to_be_bytes());
        bytes.extend(self.worker.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Problem> {
        decode(text).and_then(|bytes| Self::read(&bytes)).ok_or_else(unreadable)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[BOOKS], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (minute, worker) = rest.split_first_chunk()?;
        let worker = String::from_utf8(worker.to_vec()).ok()?;
        Some(Self { minute: u32::from_be_bytes(*minute), worker })
    }
}

/// The last device of a page of devices.
pub(crate) struct DeviceCursor;

impl DeviceCursor {
    pub(crate) fn encode(device: DeviceId) -> String {
        let mut bytes = vec![DEVICE];
        bytes.extend(device.number().to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<DeviceId, Problem> {
        let bytes = decode(text).and_then(|bytes| <[u8; 5]>::try_from(bytes).ok());
        match bytes {
            Some([DEVICE, rest @ ..]) => Ok(DeviceId::new(u32::from_be_bytes(rest))),
            _ => Err(unreadable()),
        }
    }
}

/// The last device of a page by distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NearCursor {
    pub(crate) distance_mm: u64,
    pub(crate) device: DeviceId,
}

impl NearCursor {
    pub(crate) fn encode(self) -> String {
        let mut bytes = vec![NEAR];
        bytes.extend(self.distance_mm.to_be_bytes());
        bytes.extend(self.device.number().to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Problem> {
        decode(text).and_then(|bytes| Self::read(&bytes)).ok_or_else(unreadable)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[NEAR], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (distance, rest) = rest.split_first_chunk()?;
        let device = rest.try_into().ok()?;
        Some(Self {
            distance_mm: u64::from_be_bytes(*distance),
            device: DeviceId::new(u32::from_be_bytes(device)),
        })
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    (text.len() <= LONGEST_CURSOR).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()
}

fn unreadable() -> Problem {
    Problem::parameter("cursor", "Not a cursor: send next_cursor of the page before as it came.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_report_cursor_is_read_back(device: u32, descending: bool, recorded_at: u32, frame_hash: u64) {
            let device = DeviceId::new(device);
            let cursor = ReportCursor { device, descending, recorded_at, frame_hash };
            prop_assert_eq!(ReportCursor::decode(&cursor.encode(), &[device], descending), Ok(cursor));
        }

        #[test]
        fn a_books_cursor_is_read_back(minute: u32, worker in ".{0,20}") {
            let cursor = BooksCursor { minute, worker };
            prop_assert_eq!(BooksCursor::decode(&cursor.encode()), Ok(cursor));
        }

        #[test]
        fn cursors_of_devices_are_read_back(device: u32, distance_mm: u64) {
            let device = DeviceId::new(device);
            prop_assert_eq!(DeviceCursor::decode(&DeviceCursor::encode(device)), Ok(device));
            let near = NearCursor { distance_mm, device };
            prop_assert_eq!(NearCursor::decode(&near.encode()), Ok(near));
            prop_assert!(NearCursor::decode(&DeviceCursor::encode(device)).is_err());
            prop_assert!(DeviceCursor::decode(&near.encode()).is_err());
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = DeviceCursor::decode(&text);
            let _ = NearCursor::decode(&text);
            let _ = ReportCursor::decode(&text, &[DeviceId::new(1)], false);
            let _ = BooksCursor::decode(&text);
        }
    }

    #[test]
    fn foreign_cursors_are_refused() {
        let device = DeviceId::new(7);
        let good =
            ReportCursor { device, descending: false, recorded_at: 1, frame_hash: 2 }.encode();
        let books = BooksCursor { minute: 1, worker: "node-0123456789".into() }.encode();
        let long = "A".repeat(10_000);
        let mut two = URL_SAFE_NO_PAD.decode(&good).unwrap();
        two[1] = 2;
        let two = URL_SAFE_NO_PAD.encode(two);
        for bad in ["x", "====", &good[..good.len() - 1], &books, &long, &two] {
            let problem = ReportCursor::decode(bad, &[device], false).unwrap_err();
            assert_eq!(problem.at_fault(), Some("cursor"), "{bad}");
        }
        assert!(ReportCursor::decode(&good, &[DeviceId::new(8)], false).is_err());
        assert!(ReportCursor::decode(&good, &[device], true).is_err());
        assert!(BooksCursor::decode(&good).is_err());
    }
}
