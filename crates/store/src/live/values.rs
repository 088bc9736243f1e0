//! The newest values of a device's named channels, and how two such knowledges join. Pure.
//!
//! A channel is known here by its name and the unit that came with the value, since parsers
//! have no database and know no numbers. Whoever shows values looks the channel up
//! ([`LiveValue::name`]).

use std::cmp::Reverse;

use nemeses_protocol::{ReadingsRecord, Value};

/// Channels of a device that are held, as many as it may have in all; the newest stay.
pub const MAX_LIVE_CHANNELS: usize = 1024;
/// A longer text is cut to this. So a device has 0.5 MB at most: 1024 times name (128), unit
/// (32), text (256) and 96 bytes around them.
pub const MAX_LIVE_TEXT: usize = 256;
/// How far ahead of its arrival a value's time may be and still be the work of two clocks
/// that differ, as for frames.
const SKEW_MS: u64 = 60_000;

/// The newest value of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveValue {
    /// The channel's name as the device gives it.
    pub channel: Box<str>,
    /// The unit that came with the value, if any did.
    pub unit: Option<Box<str>>,
    /// What it says.
    pub value: Value,
    /// Whether the value is only the beginning of a longer text, which history has.
    pub cut: bool,
    /// When it was measured, Unix milliseconds.
    pub recorded_at_ms: u64,
    /// When it arrived, Unix milliseconds.
    pub received_at_ms: u64,
    /// The hash of its record, which decides between records of one moment.
    pub content_hash: u64,
}

/// Orders the values of a channel, as [`super::Version`] orders frames: nothing counts as
/// recorded later than it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueVersion {
    effective_ms: u64,
    plausible: bool,
    recorded_at_ms: u64,
    content_hash: u64,
}

impl ValueVersion {
    /// Of a value recorded and arrived then (Unix milliseconds).
    pub fn new(recorded_at_ms: u64, received_at_ms: u64, content_hash: u64) -> Self {
        let effective_ms = recorded_at_ms.min(received_at_ms);
        let plausible = recorded_at_ms - effective_ms <= SKEW_MS;
        Self { effective_ms, plausible, recorded_at_ms, content_hash }
    }
}

impl LiveValue {
    /// What "newer" compares.
    pub fn version(&self) -> ValueVersion {
        ValueVersion::new(self.recorded_at_ms, self.received_at_ms, self.content_hash)
    }

    /// Of one version the earlier arrival stays, so that the order of the two does not matter.
    fn order(&self) -> (ValueVersion, Reverse<u64>) {
        (self.version(), Reverse(self.received_at_ms))
    }

    fn key(&self) -> (&str, Option<&str>) {
        (&self.channel, self.unit.as_deref())
    }

    /// The name of the channel that has the value, given the unit of the channel of its name
    /// (`None`: there is no such channel, or nobody told its unit): values of two units never
    /// mix (`List::place` of the history).
    pub fn name(&self, unit_of_name: Option<&str>) -> String {
        match (self.unit.as_deref(), unit_of_name) {
            (Some(unit), Some(known)) if unit != known => format!("{} [{unit}]", self.channel),
            _ => self.channel.to_string(),
        }
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let text = match &self.value {
            Value::Text(text) => text.len(),
            Value::Flag(_) | Value::Integer(_) | Value::Number(_) => 0,
        };
        size_of::<Self>() + self.channel.len() + self.unit.as_ref().map_or(0, |it| it.len()) + text
    }
}

/// The newest values of a device's channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveValues {
    /// When the last of its records arrived, Unix milliseconds. The TTL runs from here.
    pub seen_at_ms: u64,
    /// In the order of name and unit, each once.
    values: Vec<LiveValue>,
}

impl LiveValues {
    /// Puts values in order; of a channel that is there twice the newer stays.
    pub fn new(seen_at_ms: u64, mut values: Vec<LiveValue>) -> Self {
        values.sort_by(|a, b| a.key().cmp(&b.key()).then_with(|| b.order().cmp(&a.order())));
        values.dedup_by(|older, newer| older.key() == newer.key());
        let mut values = Self { seen_at_ms, values };
        values.bound();
        values
    }

    /// What a record says.
    pub fn of(record: &ReadingsRecord) -> Self {
        let value = |reading: &nemeses_protocol::Reading| {
            let (value, cut) = bounded(&reading.value);
            LiveValue {
                channel: reading.channel.clone(),
                unit: reading.unit.clone(),
                value,
                cut,
                recorded_at_ms: record.recorded_at_ms,
                received_at_ms: record.received_at_ms,
                content_hash: record.content_hash,
            }
        };
        Self::new(record.received_at_ms, record.readings.iter().map(value).collect())
    }

    /// The values in the order of name and unit.
    pub fn values(&self) -> &[LiveValue] {
        &self.values
    }

    /// Joins other values of the same device into these; whether any of them is newer.
    pub fn merge(&mut self, other: Self) -> bool {
        self.seen_at_ms = self.seen_at_ms.max(other.seen_at_ms);
        let (mut at, mut moved) = (0, false);
        for offered in other.values {
            // Nearly always the next one: devices send the same channels again.
            let next = self.values.get(at).is_some_and(|held| held.key() == offered.key());
            let found = if next {
                Ok(at)
            } else {
                self.values.binary_search_by(|held| held.key().cmp(&offered.key()))
            };
            match found {
                Ok(place) => {
                    let held = &mut self.values[place];
                    if offered.order() > held.order() {
                        *held = offered;
                        moved = true;
                    }
                    at = place + 1;
                }
                Err(place) => {
                    self.values.insert(place, offered);
                    at = place + 1;
                    moved = true;
                }
            }
        }
        self.bound();
        moved
    }

    /// Lets the oldest go, of one version the first in order.
    fn bound(&mut self) {
        let surplus = self.values.len().saturating_sub(MAX_LIVE_CHANNELS);
        if surplus == 0 {
            return;
        }
        let mut by_age: Vec<usize> = (0..self.values.len()).collect();
        by_age.sort_by_key(|at| (self.values[*at].order(), *at));
        let mut gone = vec![false; by_age.len()];
        for at in &by_age[..surplus] {
            gone[*at] = true;
        }
        let mut gone = gone.into_iter();
        self.values.retain(|_| !gone.next().unwrap_or_default());
    }

    /// Those that are not in `before` as they are here.
    pub fn news(&self, before: Option<&Self>) -> Vec<LiveValue> {
        let known = |value: &&LiveValue| {
            let place = before?.values.binary_search_by(|held| held.key().cmp(&value.key()));
            Some(before?.values[place.ok()?] == **value)
        };
        self.values.iter().filter(|value| known(value) != Some(true)).cloned().collect()
    }

    /// Whether they are still to be shown: until `seen_at_ms + ttl_ms`, exclusive.
    pub const fn lives_at(&self, now_ms: u64, ttl_ms: u64) -> bool {
        self.seen_at_ms.saturating_add(ttl_ms) > now_ms
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.values.iter().map(LiveValue::bytes).sum()
    }
}

/// A text that is not too long as it is, else its beginning; whether it was cut.
pub(crate) fn bounded(value: &Value) -> (Value, bool) {
    match value {
        Value::Text(text) if text.len() > MAX_LIVE_TEXT => {
            (Value::Text(text[..text.floor_char_boundary(MAX_LIVE_TEXT)].into()), true)
        }
        value => (value.clone(), false),
    }
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{DeviceId, Identity, Reading};
    use proptest::prelude::*;

    use super::*;
    use crate::live::strategies::values;

    fn joined(all: &[&LiveValues]) -> LiveValues {
        let mut first = all[0].clone();
        for other in &all[1..] {
            first.merge((*other).clone());
        }
        first
    }

    proptest! {
        #[test]
        fn merging_is_a_join(a in values(), b in values(), c in values()) {
            prop_assert_eq!(joined(&[&a, &b]), joined(&[&b, &a]), "commutative");
            prop_assert_eq!(
                joined(&[&joined(&[&a, &b]), &c]),
                joined(&[&a, &joined(&[&b, &c])]),
                "associative"
            );
            prop_assert_eq!(joined(&[&a, &a]), a, "idempotent");
        }

        #[test]
        fn news_bring_a_follower_as_far(before in values(), offered in values()) {
            let now = joined(&[&before, &offered]);
            let news = LiveValues::new(now.seen_at_ms, now.news(Some(&before)));
            prop_assert_eq!(joined(&[&before, &news]), now.clone());
            prop_assert!(now.news(Some(&now)).is_empty());
            prop_assert_eq!(now.news(None).len(), now.values().len());
        }
    }

    fn value(channel: String, recorded_at_ms: u64) -> LiveValue {
        LiveValue {
            channel: channel.into(),
            unit: None,
            value: Value::Integer(1),
            cut: false,
            recorded_at_ms,
            received_at_ms: 9_999_999,
            content_hash: 0,
        }
    }

    #[test]
    fn of_too_many_channels_the_newest_stay_in_whatever_order_they_come() {
        let all: Vec<LiveValue> =
            (0..2_000_u64).map(|number| value(format!("c{number}"), number / 3)).collect();
        let batches: Vec<LiveValues> =
            all.chunks(700).map(|some| LiveValues::new(1, some.to_vec())).collect();
        let forwards = joined(&batches.iter().collect::<Vec<_>>());
        let backwards = joined(&batches.iter().rev().collect::<Vec<_>>());
        assert_eq!(forwards.values().len(), MAX_LIVE_CHANNELS);
        assert!(forwards.values().iter().all(|value| value.recorded_at_ms >= 975 / 3));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards, LiveValues::new(1, all));
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let long = "ä".repeat(1_000);
        let readings = vec![
            Reading { channel: "long".into(), unit: None, value: Value::Text(long.into()) },
            Reading { channel: "t".into(), unit: Some("Cel".into()), value: Value::Number(1.5) },
        ];
        let record = ReadingsRecord {
            identity: Identity::Number(DeviceId::new(1)),
            recorded_at_ms: 5,
            timeless: false,
            content_hash: 7,
            received_at_ms: 6,
            position: None,
            readings,
        };
        let values = LiveValues::of(&record);
        let [long, short] = values.values() else { panic!("{values:?}") };
        assert!(long.cut && !short.cut);
        assert_eq!(long.value, Value::Text("ä".repeat(128).into()));
        assert_eq!((values.seen_at_ms, short.recorded_at_ms, short.content_hash), (6, 5, 7));
    }

    #[test]
    fn a_value_belongs_to_the_channel_of_its_unit() {
        let celsius = |unit: Option<&str>| LiveValue {
            unit: unit.map(Into::into),
            ..value("t".to_owned(), 1)
        };
        assert_eq!(celsius(None).name(Some("Cel")), "t");
        assert_eq!(celsius(Some("Cel")).name(Some("Cel")), "t");
        assert_eq!(celsius(Some("Cel")).name(None), "t");
        assert_eq!(celsius(Some("degF")).name(Some("Cel")), "t [degF]");
    }

    #[test]
    fn a_time_ahead_counts_as_its_arrival() {
        let ahead = ValueVersion::new(9_000_000, 1_000, 1);
        assert!(ValueVersion::new(1_001, 1_001, 0) > ahead);
        assert!(ValueVersion::new(1_500, 1_000, 0) > ahead, "two clocks may differ");
    }
}
