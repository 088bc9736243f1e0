//! A protocol of the shape that trackers on TCP have, walked by the code that walks
//! SFT9001: a device says once who it is, its packets hold many records, and one
//! acknowledgement covers all of them when they are durable. It is a test's own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

use std::sync::Arc;

use nemeses_protocol::{
    AnyProtocol, Composition, Content, DecodeError, DeviceId, Field, FieldValue, Identity, Item,
    Items, OptionalFields, Position, Protocol, ProtocolFrame, Read, Source, content_hash,
};
use proptest::prelude::*;

/// `H`, a length, a name; then `D`, a length (2), a count, records, and the sum (xor) of
/// what the length covers but itself.
struct Packets;

/// Age in seconds (2), latitude and longitude (4 each).
const RECORD_BYTES: usize = 10;
/// A count, 255 records, a sum.
const MOST_BYTES: usize = 1 + 255 * RECORD_BYTES + 1;

enum Packet<'a> {
    Hello { name: Arc<str> },
    Data { name: Arc<str>, at_s: u32, records: &'a [u8] },
}

impl Protocol for Packets {
    const NAME: &'static str = "packets";

    type Session = Option<Arc<str>>;
    type Frame<'a> = Packet<'a>;

    fn read<'a>(
        session: &mut Self::Session,
        source: Source<'_>,
        bytes: &'a [u8],
        now_ms: u64,
    ) -> Read<Packet<'a>> {
        let rejected = |length, identity, reason| Read::Rejected { length, identity, reason };
        match *bytes {
            [b'H' | b'D'] | [b'D', _] => Read::NeedMore,
            [b'H', length, ref rest @ ..] => {
                let Some(name) = rest.get(..length.into()) else { return Read::NeedMore };
                let length = 2 + name.len();
                let Ok(name) = str::from_utf8(name) else {
                    return rejected(length, None, DecodeError::BadHeader);
                };
                let name: Arc<str> = name.into();
                *session = Some(Arc::clone(&name));
                Read::Frame { length, frame: Packet::Hello { name } }
            }
            [b'D', high, low, ref rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length > MOST_BYTES {
                    return rejected(3, None, DecodeError::Oversized);
                }
                let Some(body) = rest.get(..length) else { return Read::NeedMore };
                let name = match source {
                    Source::Stream => session.clone(),
                    Source::Message { topic } => topic.rsplit('/').next().map(Into::into),
                };
                let Some(name) = name else {
                    return rejected(3 + length, None, DecodeError::UnknownType);
                };
                let [count, ref records @ .., sum] = *body else {
                    return rejected(3 + length, Some(named(&name)), DecodeError::Truncated);
                };
                let whole = records.len() == usize::from(count) * RECORD_BYTES;
                if !whole || records.iter().fold(count, |sum, byte| sum ^ byte) != sum {
                    return rejected(3 + length, Some(named(&name)), DecodeError::BadFooter);
                }
                let at_s = u32::try_from(now_ms / 1000).unwrap();
                Read::Frame { length: 3 + length, frame: Packet::Data { name, at_s, records } }
            }
            _ => {
                let next = bytes.iter().position(|byte| b"HD".contains(byte));
                rejected(next.unwrap_or(bytes.len()), None, DecodeError::BadHeader)
            }
        }
    }

    /// All but the age, which grows until the record is sent again.
    fn covered(record: &[u8], hash: impl FnOnce(&[u8]) -> u64) -> u64 {
        hash(&record[2..])
    }

    fn write(_: &Position, _: &mut Vec<u8>) -> bool {
        false
    }
}

fn named(name: &Arc<str>) -> Identity {
    Identity::Named { kind: "id", name: Arc::clone(name) }
}

impl<'a> ProtocolFrame<'a> for Packet<'a> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Data { .. } => "data",
        }
    }

    fn identity(&self) -> Identity {
        let (Self::Hello { name } | Self::Data { name, .. }) = self;
        named(name)
    }

    fn is_heartbeat(&self) -> bool {
        false
    }

    fn records(&self, _: &'a [u8], device: DeviceId) -> impl Iterator<Item = Content<'a>> {
        let (at_s, records) = match self {
            Self::Hello { .. } => (0, &[][..]),
            Self::Data { at_s, records, .. } => (*at_s, *records),
        };
        let offsets = (4..).step_by(RECORD_BYTES);
        records.as_chunks::<RECORD_BYTES>().0.iter().zip(offsets).map(move |(bytes, offset)| {
            let [age @ .., _, _, _, _, _, _, _, _] = *bytes;
            let [_, _, latitude @ .., _, _, _, _] = *bytes;
            let [_, _, _, _, _, _, longitude @ ..] = *bytes;
            let position = Position {
                device,
                recorded_at: at_s.saturating_sub(u16::from_be_bytes(age).into()),
                direction_cdeg: 0,
                odometer_m: 0,
                hour_meter_min: 0,
                composition: Composition(Composition::GPS_FIX),
                extension: None,
                speed_kmh: 0,
                latitude_udeg: i32::from_be_bytes(latitude),
                longitude_udeg: i32::from_be_bytes(longitude),
            };
            let content = Content::of_position(position, OptionalFields::NONE, bytes);
            Content { offset, ..content }
        })
    }

    fn reply(&self, out: &mut Vec<u8>) {
        if let Self::Hello { .. } = self {
            out.push(1);
        }
    }

    fn acknowledgement(&self, out: &mut Vec<u8>) {
        if let Self::Data { records, .. } = self {
            out.push(u8::try_from(records.len() / RECORD_BYTES).unwrap());
        }
    }

    fn fields(&self) -> Vec<Field> {
        let text = |length, name| Field { length, name, value: FieldValue::Text(String::new()) };
        match self {
            Self::Hello { name } => {
                vec![text(1, "header"), text(1, "length"), text(name.len(), "name")]
            }
            Self::Data { records, .. } => vec![
                text(1, "header"),
                text(2, "length"),
                text(1, "count"),
                text(records.len(), "records"),
                text(1, "sum"),
            ],
        }
    }
}

/// A device's side.
type Told = (u16, i32, i32);

fn hello(name: &str) -> Vec<u8> {
    [b"H", &[u8::try_from(name.len()).unwrap()][..], name.as_bytes()].concat()
}

fn data(records: &[Told]) -> Vec<u8> {
    let mut body = vec![u8::try_from(records.len()).unwrap()];
    for (age_s, latitude, longitude) in records {
        body.extend(age_s.to_be_bytes());
        body.extend(latitude.to_be_bytes());
        body.extend(longitude.to_be_bytes());
    }
    body.push(body.iter().fold(0, |sum, byte| sum ^ byte));
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"D", &length[..], &body].concat()
}

/// A row: whose, when, where, its hash.
type Row = (String, u32, (i32, i32), u64);

/// What a server made of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Made {
    rows: Vec<Row>,
    replies: Vec<u8>,
    acknowledgements: Vec<u8>,
    /// Neighbours with one reason are one.
    rejected: Vec<(DecodeError, Vec<u8>)>,
}

/// A server's side of a connection: what it has read and not used, and what waits for its
/// commit.
#[derive(Default)]
struct Connection {
    session: Option<Arc<str>>,
    held: Vec<u8>,
    waiting: Vec<(Vec<Row>, Vec<u8>)>,
    made: Made,
}

const NOW_MS: u64 = 1_593_637_200_000;

impl Connection {
    fn receives(&mut self, bytes: &[u8]) -> &mut Self {
        self.receives_at(bytes, NOW_MS)
    }

    fn receives_at(&mut self, bytes: &[u8], now_ms: u64) -> &mut Self {
        self.held.extend_from_slice(bytes);
        let session = self.session.take();
        let mut items = Items::<Packets>::new(session, Source::Stream, &self.held, now_ms);
        for item in items.by_ref() {
            match item {
                Item::Frame { bytes, frame, .. } => {
                    let records = frame.records(bytes, DeviceId::new(0x0100_0000));
                    let row = |content: Content<'_>| {
                        let Position { recorded_at, latitude_udeg, longitude_udeg, .. } =
                            content.position.unwrap();
                        assert!(bytes[content.offset..].starts_with(content.bytes));
                        let hash = content_hash::<Packets>(content.bytes);
                        let place = (latitude_udeg, longitude_udeg);
                        (frame.identity().to_string(), recorded_at, place, hash)
                    };
                    let rows: Vec<Row> = records.map(row).collect();
                    let mut acknowledgement = Vec::new();
                    frame.acknowledgement(&mut acknowledgement);
                    frame.reply(&mut self.made.replies);
                    self.waiting.push((rows, acknowledgement));
                }
                Item::Skipped { bytes, reason, .. } => match self.made.rejected.last_mut() {
                    Some((before, stretch)) if *before == reason => stretch.extend(bytes),
                    _ => self.made.rejected.push((reason, bytes.to_vec())),
                },
            }
        }
        let (session, rest) = items.end();
        self.session = session;
        let used = self.held.len() - rest.len();
        self.held.drain(..used);
        self
    }

    fn commits(&mut self) -> &mut Self {
        for (rows, acknowledgement) in self.waiting.drain(..) {
            self.made.rows.extend(rows);
            self.made.acknowledgements.extend(acknowledgement);
        }
        self
    }
}

/// A conversation with everything in it, and records that come again, grouped anew.
fn conversation() -> Vec<u8> {
    let mut wrong = data(&[(9, 9, 9)]);
    *wrong.last_mut().unwrap() ^= 1;
    [
        data(&[(1, 1, 1)]),
        hello("truck-7"),
        data(&[(3, -1, 1), (2, -2, 2), (1, -3, 3)]),
        b"rubbish".to_vec(),
        data(&[]),
        wrong,
        vec![b'D', 0xFF, 0xFF],
        data(&[(1, -3, 3), (0, i32::MIN, i32::MAX)]),
        hello("truck-8"),
        data(&(0..255).map(|n| (n, 1, n.into())).collect::<Vec<_>>()),
    ]
    .concat()
}

#[test]
fn nothing_depends_on_where_the_bytes_are_split() {
    let bytes = conversation();
    let mut whole = Connection::default();
    whole.receives(&bytes);
    assert_eq!((whole.made.rows.len(), whole.made.acknowledgements.len()), (0, 0), "not yet");
    assert_eq!(whole.made.replies, [1, 1], "before any commit");
    whole.commits();
    let acknowledgements = [3, 0, 2, 255];
    assert_eq!(whole.made.acknowledgements, acknowledgements, "one for each packet");
    assert_eq!(whole.made.rows.len(), 3 + 2 + 255);
    let reasons: Vec<DecodeError> = whole.made.rejected.iter().map(|(reason, _)| *reason).collect();
    let expected = [
        DecodeError::UnknownType,
        DecodeError::BadHeader,
        DecodeError::BadFooter,
        DecodeError::Oversized,
    ];
    assert_eq!(reasons, expected);
    assert!(whole.held.is_empty());
    let (last, again) = (&whole.made.rows[2], &whole.made.rows[3]);
    assert_eq!((last, last.0.as_str()), (again, "id:truck-7"), "grouped anew");
    assert_eq!(whole.made.rows[5].0, "id:truck-8");
    for at in 0..=bytes.len() {
        let mut split = Connection::default();
        split.receives(&bytes[..at]).receives(&bytes[at..]).commits();
        assert_eq!(split.made, whole.made, "split at {at}");
    }
    let mut single = Connection::default();
    for byte in &bytes {
        single.receives(&[*byte]).commits();
    }
    assert_eq!(single.made, whole.made, "byte by byte");
}

#[test]
fn a_record_that_is_sent_again_later_is_the_same() {
    let mut connection = Connection::default();
    connection.receives(&[hello("truck-7"), data(&[(5, -1, 1)])].concat());
    connection.receives_at(&data(&[(65, -1, 1)]), NOW_MS + 60_000).commits();
    assert_eq!(connection.made.rows[0], connection.made.rows[1]);
}

#[test]
fn a_message_is_whole_and_its_topic_may_say_whose_it_is() {
    let bytes = [data(&[(5, -1, 1)]), data(&[(4, -1, 1)])[..7].to_vec()].concat();
    let source = Source::Message { topic: "packets/truck-7" };
    let items: Vec<_> = Items::<Packets>::new(None, source, &bytes, NOW_MS).collect();
    let [Item::Frame { frame, .. }, Item::Skipped { offset, reason, .. }] = &items[..] else {
        panic!("{} items", items.len());
    };
    assert_eq!(frame.identity().to_string(), "id:truck-7");
    assert_eq!((*offset, *reason), (15, DecodeError::Truncated));
}

#[test]
fn tools_show_it_without_knowing_its_type() {
    let protocol: &dyn AnyProtocol = &Packets;
    let bytes = [hello("truck-7"), data(&[(5, -1, 1)]), vec![0]].concat();
    let items = protocol.show("", &bytes);
    let [Item::Frame { bytes: first, frame: hello, .. }, second, Item::Skipped { .. }] = &items[..]
    else {
        panic!("{items:?}");
    };
    assert_eq!((hello.kind, hello.identity.to_string()), ("hello", "id:truck-7".to_owned()));
    assert_eq!(hello.fields.iter().map(|field| field.length).sum::<usize>(), first.len());
    let Item::Frame { bytes: data, frame, .. } = second else { panic!("{second:?}") };
    assert_eq!(frame.fields.iter().map(|field| field.length).sum::<usize>(), data.len());
    assert_eq!(protocol.record(first), Err("hello"));
    assert_eq!(protocol.record(&[0]), Err("bad_header"));
    assert_eq!(protocol.raw(b"50F7").bytes[..], b"50F7"[..], "it has no form in hex digits");
}

proptest! {
    #[test]
    fn any_bytes_are_covered_once_however_they_come(
        parts in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..20),
                Just(hello("truck-7")),
                proptest::collection::vec(any::<Told>(), 0..4).prop_map(|records| data(&records)),
            ],
            0..8,
        ),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = parts.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let (mut whole, mut split) = (Connection::default(), Connection::default());
        whole.receives(&bytes).commits();
        for cut in cuts.windows(2) {
            split.receives(&bytes[cut[0]..cut[1]]).commits();
        }
        prop_assert_eq!(&split.made, &whole.made);
        prop_assert_eq!(split.held, whole.held);
    }
}
