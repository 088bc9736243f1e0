//! What history said of devices whose live frames came late ([`crate::output::asks_history`]).
//! It holds for as long as these are their newest live frames: what arrives later is joined
//! into the live entry. So a device whose clock is wrong costs a look into history a frame,
//! and not one a request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nemeses_protocol::DeviceId;
use nemeses_store::live::{LiveEntry, LiveFrame, Version};

use crate::output::Past;

/// Devices remembered: 20 000 of some 300 bytes are 6 MB. Beyond it all are forgotten.
const MOST: usize = 20_000;

/// Of which live frames it is true.
type Frames = (Version, Option<Version>);

#[derive(Debug, Default)]
pub(crate) struct LatePasts(Mutex<HashMap<DeviceId, (Frames, Past)>>);

fn frames(entry: &LiveEntry) -> Option<Frames> {
    Some((entry.newest.as_ref()?.version(), entry.fix.as_ref().map(LiveFrame::version)))
}

impl LatePasts {
    /// What history said when these frames were the newest.
    pub(crate) fn recall(&self, entry: &LiveEntry) -> Option<Past> {
        let frames = frames(entry)?;
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&entry.device).filter(|(of, _)| *of == frames).map(|(_, past)| past.clone())
    }

    /// Remembers it.
    pub(crate) fn keep(&self, entry: &LiveEntry, past: &Past) {
        let Some(frames) = frames(entry) else { return };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST {
            held.clear();
        }
        held.insert(entry.device, (frames, past.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::test_entry as entry;

    #[test]
    fn it_is_remembered_until_the_next_live_frame() {
        let late = LatePasts::default();
        let past = Past { known: true, ..Past::default() };
        let mut held = entry(1, 100, 1 << 15);
        assert_eq!(late.recall(&held), None);
        late.keep(&held, &past);
        assert_eq!(late.recall(&held), Some(past.clone()));
        held.merge(LiveEntry::seen(held.device, 5_000_000));
        assert_eq!(late.recall(&held), Some(past.clone()));
        held.merge(entry(1, 200, 0));
        assert_eq!(late.recall(&held), None);
        late.keep(&LiveEntry::seen(held.device, 1), &past);
        assert_eq!(late.recall(&LiveEntry::seen(held.device, 1)), None);
    }

    #[test]
    fn it_stays_bounded() {
        let late = LatePasts::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            late.keep(&entry(number, 100, 0), &Past::default());
        }
        assert_eq!(late.0.lock().unwrap().len(), 1);
    }
}
