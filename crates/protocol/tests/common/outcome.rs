//! What is made of the bytes of a protocol, as `docs/protocols/` writes it.

use std::fmt::Write as _;

use nemeses_protocol::{
    Content, DecodeError, DeviceId, Identity, Item, Items, OptionalField, Protocol,
    ProtocolFrame as _, Reading, Source, Value, Whereabouts, content_hash, in_order,
    is_channel_name, is_unit, write_readings,
};

pub(crate) const NOW_MS: u64 = 1_800_000_000_123;

/// One thing that was made.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Frame(String),
    /// Neighbours with one reason are one.
    Rejected(DecodeError, Option<Identity>, Vec<u8>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Made {
    parts: Vec<Part>,
    pub(crate) hashes: Vec<u64>,
}

impl Made {
    pub(crate) fn written(&self) -> String {
        let mut out = String::new();
        for part in &self.parts {
            let _ = match part {
                Part::Frame(text) => writeln!(out, "{text}"),
                Part::Rejected(reason, of, bytes) => {
                    let of = of.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
                    writeln!(out, "{of} refused {}, {} bytes", reason.code(), bytes.len())
                }
            };
        }
        out
    }

    pub(crate) fn rejected(&self) -> impl Iterator<Item = DecodeError> {
        self.parts.iter().filter_map(|part| match part {
            Part::Rejected(reason, ..) => Some(*reason),
            Part::Frame(_) => None,
        })
    }

    /// The frames, and what was refused between them.
    pub(crate) fn frames_and_rest(&self) -> Vec<(Option<&str>, Vec<u8>)> {
        let mut all: Vec<(Option<&str>, Vec<u8>)> = Vec::new();
        for part in &self.parts {
            match (part, all.last_mut()) {
                (Part::Frame(text), _) => all.push((Some(text), Vec::new())),
                (Part::Rejected(_, _, bytes), Some((None, rest))) => rest.extend(bytes),
                (Part::Rejected(_, _, bytes), _) => all.push((None, bytes.clone())),
            }
        }
        all
    }

    /// Takes what some bytes are, which lie end to end.
    fn takes<P: Protocol>(&mut self, items: &mut Items<'_, P>) -> usize {
        let mut used = 0;
        for item in items.by_ref() {
            match item {
                Item::Frame { offset, bytes, frame } => {
                    assert_eq!(offset, used, "items lie end to end");
                    used += bytes.len();
                    let fields = frame.fields();
                    let covered: usize = fields.iter().map(|field| field.length).sum();
                    assert_eq!(covered, bytes.len(), "{fields:?}");
                    self.frame::<P>(bytes, &frame);
                }
                Item::Skipped { offset, bytes, identity, reason } => {
                    assert_eq!(offset, used, "items lie end to end");
                    assert!(!bytes.is_empty());
                    used += bytes.len();
                    match self.parts.last_mut() {
                        Some(Part::Rejected(before, _, stretch)) if *before == reason => {
                            stretch.extend(bytes);
                        }
                        _ => self.parts.push(Part::Rejected(reason, identity, bytes.to_vec())),
                    }
                }
            }
        }
        used
    }

    fn frame<'a, P: Protocol>(&mut self, bytes: &'a [u8], frame: &P::Frame<'a>) {
        let mut text = format!("{} {}", frame.identity(), frame.kind());
        if frame.is_heartbeat() {
            text.push_str(", counted");
        }
        let (mut reply, mut acknowledgement) = (Vec::new(), Vec::new());
        frame.reply(&mut reply);
        frame.acknowledgement(&mut acknowledgement);
        for (when, answer) in [("at once", reply), ("committed", acknowledgement)] {
            if !answer.is_empty() {
                let _ = write!(text, ", {when} {}", shown(&answer));
            }
        }
        let mut end = 0;
        for content in frame.records(bytes, DeviceId::NONE) {
            assert!(bytes[content.offset..].starts_with(content.bytes), "its own bytes");
            assert!(content.offset >= end, "records are in order");
            end = content.offset + content.bytes.len();
            self.hashes.push(content_hash::<P>(content.bytes));
            text.push_str(&record(&content));
        }
        self.parts.push(Part::Frame(text));
    }
}

fn shown(answer: &[u8]) -> String {
    let text = str::from_utf8(answer).ok().filter(|text| text.starts_with('+'));
    text.map_or_else(|| hex::encode(answer), ToOwned::to_owned)
}

fn moment(at_ms: u64) -> String {
    let (days, of_day) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_of = |year| if leap(year) { 366 } else { 365 };
    while left >= days_of(year) {
        left -= days_of(year);
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let ms = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}{ms}Z", left + 1)
}

fn record(content: &Content<'_>) -> String {
    let at = content.recorded_at_ms.map_or_else(|| "time of arrival".to_owned(), moment);
    let mut text = format!("\n  {at}");
    match content.position {
        None => text.push_str(", no position"),
        Some(position) => {
            if let Some(at_ms) = content.recorded_at_ms {
                // Behind 2106 the time is too far ahead for any device, and says so by itself.
                let second = (at_ms / 1000).min(u32::MAX.into());
                assert_eq!(u64::from(position.recorded_at), second);
            }
            let said = Whereabouts::of(&position, &content.optional);
            let degrees = |micro: i32| f64::from(micro) / 1e6;
            let (latitude, longitude) = (degrees(said.latitude_udeg), degrees(said.longitude_udeg));
            let _ = write!(text, ", {latitude:.6} {longitude:.6}");
            let fix = match said.gps_fix {
                Some(true) => "fix",
                Some(false) => "no fix",
                None => "fix unknown",
            };
            let _ = write!(text, ", {fix}");
            if said.historical {
                text.push_str(", from memory");
            }
            if let Some(speed) = said.speed_dkmh {
                let _ = write!(text, ", {} km/h", f64::from(speed) / 10.0);
            }
            if let Some(direction) = said.direction_cdeg {
                let _ = write!(text, ", {} degrees", f64::from(direction) / 100.0);
            }
            if let Some(metres) = said.odometer_m {
                let _ = write!(text, ", odometer {metres} m");
            }
            if let Some(minutes) = said.hour_meter_min {
                let _ = write!(text, ", hour meter {minutes} min");
            }
            if let Some(ignition) = said.ignition {
                let _ = write!(text, ", ignition {}", if ignition { "on" } else { "off" });
            }
            for field in [
                OptionalField::Altitude,
                OptionalField::Satellites,
                OptionalField::Accuracy,
                OptionalField::Hdop,
            ] {
                if let Some(value) = content.optional.get(field) {
                    let shown = match field.shown(value) {
                        nemeses_protocol::ShownValue::Whole(value) => value.to_string(),
                        nemeses_protocol::ShownValue::Number(value) => value.to_string(),
                        nemeses_protocol::ShownValue::True => "true".to_owned(),
                    };
                    let _ = write!(text, ", {} {shown}", field.spec().shown);
                }
            }
        }
    }
    assert_eq!(content.readings, in_order(content.readings.clone()));
    assert!(write_readings(&content.readings).len() <= nemeses_protocol::MAX_READINGS_BYTES);
    for Reading { channel, unit, value } in &content.readings {
        assert!(is_channel_name(channel), "{channel:?}");
        assert!(unit.as_deref().is_none_or(is_unit), "{unit:?}");
        let value = match value {
            Value::Flag(flag) => flag.to_string(),
            Value::Integer(integer) => integer.to_string(),
            Value::Number(number) => {
                assert!(number.is_finite());
                format!("{number:?}")
            }
            Value::Text(text) => format!("{text:?}"),
        };
        let unit = unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let _ = write!(text, "\n    {channel} = {value}{unit}");
    }
    text
}

/// A server's side of a connection.
pub(crate) struct Stream<P: Protocol> {
    session: Option<P::Session>,
    held: Vec<u8>,
    pub(crate) made: Made,
}

impl<P: Protocol> Default for Stream<P> {
    fn default() -> Self {
        Self { session: Some(P::Session::default()), held: Vec::new(), made: Made::default() }
    }
}

impl<P: Protocol> Stream<P> {
    pub(crate) fn receives(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        let session = self.session.take().unwrap_or_default();
        let mut items = Items::<P>::new(session, Source::Stream, &self.held, NOW_MS);
        let used = self.made.takes(&mut items);
        let (session, rest) = items.end();
        assert_eq!(used + rest.len(), self.held.len());
        self.session = Some(session);
        self.held.drain(..used);
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }
}

pub(crate) fn stream<'a, P: Protocol>(parts: impl IntoIterator<Item = &'a [u8]>) -> Made {
    let mut stream = Stream::<P>::default();
    parts.into_iter().for_each(|part| stream.receives(part));
    stream.made
}

pub(crate) fn message<P: Protocol>(topic: &str, bytes: &[u8]) -> Made {
    let mut made = Made::default();
    let session = P::Session::default();
    let mut items = Items::<P>::new(session, Source::Message { topic }, bytes, NOW_MS);
    assert_eq!(made.takes(&mut items), bytes.len(), "every byte of a message is covered");
    made
}
