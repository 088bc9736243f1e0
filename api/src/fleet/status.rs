//! Whether a device is online, late, offline, or was never heard, from its live
//! entry and its own rhythm.

use nemeses_store::history::Rhythm;
use nemeses_store::live::LiveEntry;
use schemars::JsonSchema;
use serde::Serialize;

/// A device pings about this often, whatever else it does.
const PING_S: u32 = 120;
/// Late is what has been silent for so many of its usual intervals.
const INTERVALS: u64 = 3;
/// Nobody is late before this: one lost frame of a quick device is none.
const AT_LEAST_MS: u64 = 60_000;

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DeviceStatus")]
pub(crate) enum Status {
    /// Heard as lately as it uses to be.
    Online,
    /// Silent for longer than it uses to be, but not yet for its whole TTL.
    Late,
    /// Silent for longer than its TTL.
    Offline,
    /// No frame of it is known.
    Never,
}

impl Status {
    /// Each with its word in `status=`.
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("online", Self::Online),
        ("late", Self::Late),
        ("offline", Self::Offline),
        ("never", Self::Never),
    ];
}

/// Milliseconds for which a device counts as there: the live store's, or less
/// where its profile says so.
pub(crate) fn ttl_ms(store_ttl_ms: u64, profile_ttl_s: Option<u32>) -> u64 {
    profile_ttl_s.map_or(store_ttl_ms, |seconds| (u64::from(seconds) * 1000).min(store_ttl_ms))
}

/// Decides the status of a device whose live entry is within its TTL, or is not there.
pub(crate) fn status(
    live: Option<&LiveEntry>,
    has_rows: bool,
    rhythm: Rhythm,
    ttl_ms: u64,
    now_ms: u64,
) -> Status {
    let Some(entry) = live else {
        return if has_rows { Status::Offline } else { Status::Never };
    };
    let silent_ms = now_ms.saturating_sub(entry.seen_at_ms);
    if silent_ms > late_after_ms(entry, rhythm, ttl_ms) { Status::Late } else { Status::Online }
}

/// How long this device may be silent. Never beyond four fifths of its TTL, so
/// that it is late before it is offline.
fn late_after_ms(entry: &LiveEntry, rhythm: Rhythm, ttl_ms: u64) -> u64 {
    let ignition = entry.newest.as_ref().is_some_and(|frame| frame.position.composition.ignition());
    let usual_s = if ignition { rhythm.on_s } else { rhythm.off_s };
    let interval_s = usual_s.unwrap_or(PING_S).min(PING_S);
    let patience_ms = u64::from(interval_s) * INTERVALS * 1000;
    patience_ms.max(AT_LEAST_MS).min(ttl_ms / 5 * 4)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Composition, DeviceId, Position};
    use nemeses_store::live::LiveFrame;
    use proptest::prelude::*;

    use super::*;

    const TTL: u64 = 300_000;
    const SEEN: u64 = 1_000_000;

    fn entry(ignition: bool) -> LiveEntry {
        let device = DeviceId::new(1);
        let bits = if ignition { Composition::IGNITION } else { 0 };
        let position = Position {
            device,
            recorded_at: 1,
            direction_cdeg: 0,
            odometer_m: 0,
            hour_meter_min: 0,
            composition: Composition(bits),
            extension: None,
            speed_kmh: 0,
            latitude_udeg: 0,
            longitude_udeg: 0,
        };
        let newest = Some(LiveFrame { position, frame_hash: 1, received_at_ms: SEEN });
        LiveEntry { newest, ..LiveEntry::seen(device, SEEN) }
    }

    #[test]
    fn the_whole_table() {
        use Status::{Late, Never, Offline, Online};
        let rhythm = Rhythm { on_s: Some(30), off_s: Some(3600) };
        let (driving, parked, new) = (entry(true), entry(false), Rhythm::default());
        for (live, has_rows, rhythm, silent_ms, expected) in [
            (None, false, new, 0, Never),
            (None, true, new, 0, Offline),
            (Some(&driving), true, rhythm, 90_000, Online),
            (Some(&driving), true, rhythm, 90_001, Late),
            // A parked one is heard by its pings, but late before it is offline.
            (Some(&parked), true, rhythm, 240_000, Online),
            (Some(&parked), true, rhythm, 240_001, Late),
            (Some(&driving), false, new, 240_000, Online),
            (Some(&driving), true, Rhythm { on_s: Some(1), off_s: None }, 60_000, Online),
            (Some(&driving), true, Rhythm { on_s: Some(1), off_s: None }, 60_001, Late),
        ] {
            let found = status(live, has_rows, rhythm, TTL, SEEN + silent_ms);
            assert_eq!(found, expected, "{live:?} {has_rows} {rhythm:?} {silent_ms}");
        }
        assert_eq!(status(Some(&driving), true, rhythm, TTL, 0), Online, "a clock behind");
    }

    #[test]
    fn a_profile_shortens_the_ttl_and_never_lengthens_it() {
        assert_eq!(ttl_ms(TTL, None), TTL);
        assert_eq!(ttl_ms(TTL, Some(60)), 60_000);
        assert_eq!(ttl_ms(TTL, Some(u32::MAX)), TTL);
    }

    proptest! {
        #[test]
        fn whoever_is_silent_longer_is_not_better(on: Option<u32>, off: Option<u32>, ignition: bool, a in 0..400_000_u64, b in 0..400_000_u64) {
            let (entry, rhythm) = (entry(ignition), Rhythm { on_s: on, off_s: off });
            let late = |silent| status(Some(&entry), true, rhythm, TTL, SEEN + silent) == Status::Late;
            prop_assert!(!late(a.min(b)) || late(a.max(b)));
            prop_assert!(late(TTL));
        }
    }
}
