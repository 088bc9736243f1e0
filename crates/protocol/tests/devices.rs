//! The examples of `docs/protocols/` give what the pages say, however a connection splits
//! them, and any bytes are covered once. `NEMESES_WRITE_REFERENCE=1 cargo test -p
//! nemeses-protocol` writes the outcomes and the table of the vocabulary; what it writes is
//! read by a person.
#![allow(missing_docs, reason = "a test program")]

#[path = "common/outcome.rs"]
mod outcome;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nemeses_protocol::{
    Cayenne, DecodeError, Gt06, Identity, OsmAnd, OwnTracks, PROTOCOLS, Protocol, Queclink, Reason,
    Sft9001, Source, Teltonika, VOCABULARY, normalise, protocol_named,
};
use outcome::{Made, NOW_MS, Stream, message, stream};
use proptest::prelude::*;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocols").join(name)
}

/// The bytes of an example, and the topic that they came on; `None` for a connection.
fn example(language: &str, text: &str) -> (Option<String>, Vec<u8>) {
    let bytes = |text: &str| {
        let digits: String = text.split_whitespace().collect();
        hex::decode(digits).expect("hex digits")
    };
    let two_lines = || text.split_once('\n').expect("a topic and a message");
    match language {
        "tcp" => (None, bytes(text)),
        "text" => (None, text.trim_end().as_bytes().to_vec()),
        "udp" => (Some(String::new()), bytes(text)),
        "http" => (Some("http".to_owned()), text.trim_end().as_bytes().to_vec()),
        "mqtt" => {
            let (topic, message) = two_lines();
            (Some(topic.to_owned()), message.trim_end().as_bytes().to_vec())
        }
        "lpp" => {
            let (topic, message) = two_lines();
            (Some(topic.to_owned()), bytes(message))
        }
        other => panic!("no way in is called {other}"),
    }
}

fn outcome<P: Protocol>(language: &str, text: &str) -> String {
    let (topic, bytes) = example(language, text);
    let made = match &topic {
        Some(topic) => message::<P>(topic, &bytes),
        None => stream::<P>([&bytes[..]]),
    };
    if topic.is_none() {
        for at in 0..=bytes.len() {
            let split = stream::<P>([&bytes[..at], &bytes[at..]]);
            assert_eq!(split, made, "split at {at}: {text}");
        }
        let single = stream::<P>(bytes.chunks(1));
        assert_eq!(single, made, "byte by byte: {text}");
    }
    made.written()
}

/// Compares a page with what is made of its examples, or writes it.
fn check<P: Protocol>(name: &str) {
    let path = page(name);
    let page = fs::read_to_string(&path).expect("the page");
    let mut parts = page.split("```");
    let mut written = parts.next().expect("a page").to_owned();
    let mut examples = 0;
    while let (Some(example), Some(between), Some(records), Some(behind)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    {
        let (language, text) = example.split_once('\n').expect("a language");
        assert!(records.starts_with("records\n"), "records behind {text}");
        let made = outcome::<P>(language, text);
        let _ = write!(written, "```{example}```{between}```records\n{made}```{behind}");
        examples += 1;
    }
    assert!(examples > 5, "{name} has examples");
    if std::env::var_os("NEMESES_WRITE_REFERENCE").is_some() {
        fs::write(&path, &written).expect("written");
    }
    let found = fs::read_to_string(&path).expect("the page");
    let differing = written.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert!(
        written == found,
        "docs/protocols/{name}: a `records` block differs from what is decoded: {differing:?}\n\
         NEMESES_WRITE_REFERENCE=1 cargo test -p nemeses-protocol writes them; read each"
    );
}

#[test]
fn reference_of_teltonika() {
    check::<Teltonika>("teltonika.md");
}

#[test]
fn reference_of_gt06() {
    check::<Gt06>("gt06.md");
}

#[test]
fn reference_of_queclink() {
    check::<Queclink>("queclink.md");
}

#[test]
fn reference_of_osmand() {
    check::<OsmAnd>("osmand.md");
}

#[test]
fn reference_of_owntracks() {
    check::<OwnTracks>("owntracks.md");
}

#[test]
fn reference_of_cayenne() {
    check::<Cayenne>("cayenne.md");
}

#[test]
fn reference_of_the_vocabulary() {
    const BEGIN: &str = "<!-- vocabulary -->\n";
    const END: &str = "<!-- end -->\n";
    let path = page("README.md");
    let text = fs::read_to_string(&path).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("the first mark");
    let (found, after) = rest.split_once(END).expect("the second mark");
    let mut expected = "| value | unit | what it says |\n|---|---|---|\n".to_owned();
    for word in &VOCABULARY {
        let number = if word.numbered { ".N" } else { "" };
        let unit = if word.unit.is_empty() { "" } else { &format!("`{}`", word.unit) };
        let _ = writeln!(expected, "| `{}{number}` | {unit} | {} |", word.channel, word.about);
    }
    if std::env::var_os("NEMESES_WRITE_REFERENCE").is_some() {
        fs::write(&path, [before, BEGIN, &expected, END, after].concat()).expect("written");
    } else {
        assert_eq!(
            found, expected,
            "docs/protocols/README.md: NEMESES_WRITE_REFERENCE=1 cargo test -p nemeses-protocol \
             writes the vocabulary"
        );
    }
    for protocol in PROTOCOLS {
        let name = protocol.name();
        let row = format!("| `{name}` |");
        assert!(
            before.contains(&row),
            "the table of docs/protocols/README.md has no row for {name}"
        );
        assert!(protocol_named(protocol.name()).is_some());
    }
}

/// A record that a device sends again has the hash that it had.
#[test]
fn what_is_sent_again_is_the_same_record() {
    let hashes = |made: Made| made.hashes;
    let line = "+RESP:GTFRI,8020040703,866314060299813,,,10,1,1,0.0,275,937.7,-68.891157,-33.008722,20260514010456,,,,,00,,,,,,100,110000,,,,20260514010458,BBCE$";
    let again =
        line.replace("+RESP", "+BUFF").replace("20260514010458,BBCE", "20260514020458,0001");
    let of_line = |line: &str| hashes(stream::<Queclink>([line.as_bytes()]));
    assert_eq!(of_line(line), of_line(&again));
    assert_ne!(of_line(line), of_line(&line.replace("937.7", "937.8")));

    let login = "78780D01086471700328358100093F040D0A";
    let located = "787822220F0C1D023305C9027AC8180C46586000140001CC00287D001F71000000000820860D0A";
    let of_frame = |frame: &str, serial: u8| {
        let mut frame = hex::decode(frame).unwrap();
        let end = frame.len();
        frame[end - 5] = serial;
        let sum = x25(&frame[2..end - 4]).to_be_bytes();
        frame[end - 4..end - 2].copy_from_slice(&sum);
        hashes(stream::<Gt06>([&hex::decode(login).unwrap()[..], &frame]))
    };
    let repeated = located.replace("0000000820860D0A", "0001000820860D0A");
    assert_eq!(of_frame(located, 8), of_frame(&repeated, 9));
    assert_ne!(of_frame(located, 8), of_frame(&located.replace("14000", "15000"), 8));

    let of_query = |query: &str| hashes(message::<OsmAnd>("http", query.as_bytes()));
    assert_eq!(of_query("id=1&lat=1&lon=2&token=a"), of_query("id=1&lat=1&lon=2&token=b"));
    assert_ne!(of_query("id=1&lat=1&lon=2&token=a"), of_query("id=1&lat=1&lon=3&token=a"));
}

fn x25(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0xFFFF, |sum: u16, byte| {
        (0..8).fold(
            sum ^ u16::from(*byte),
            |sum, _| {
                if sum & 1 == 1 { sum >> 1 ^ 0x8408 } else { sum >> 1 }
            },
        )
    })
}

/// Bytes that begin like a protocol's, cut, joined and changed.
fn mutated(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let page = fs::read_to_string(page(name)).expect("the page");
    let blocks = page.split("```").skip(1).step_by(4);
    let examples: Vec<Vec<u8>> = blocks
        .filter_map(|block| block.split_once('\n'))
        .map(|(language, text)| example(language, text).1)
        .collect();
    let part = prop_oneof![
        4 => prop::sample::select(examples.clone()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        2 => (prop::sample::select(examples), any::<(prop::sample::Index, u8)>()).prop_map(
            |(mut bytes, (at, byte))| {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }
        ),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

fn holds<P: Protocol>(bytes: &[u8], cuts: &[prop::sample::Index]) {
    assert_eq!(stream::<P>(cut(bytes, cuts)), stream::<P>([bytes]));
    // Each byte of a message is in a frame or in a rejected stretch.
    let _covered = message::<P>("a/imei:356307042441013/data", bytes);
    let mut stream = Stream::<P>::default();
    stream.receives(bytes);
    assert!(stream.held() <= 70_000, "what waits for its end is bounded");
}

macro_rules! any_bytes {
    ($($test:ident $protocol:ty, $page:literal;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig {
                failure_persistence: None,
                ..ProptestConfig::with_cases(64)
            })]
            $(
                #[test]
                fn $test(
                    bytes in mutated($page),
                    cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
                ) {
                    holds::<$protocol>(&bytes, &cuts);
                }
            )+
        }
    };
}

any_bytes! {
    any_bytes_of_teltonika Teltonika, "teltonika.md";
    any_bytes_of_gt06 Gt06, "gt06.md";
    any_bytes_of_queclink Queclink, "queclink.md";
}

proptest! {
    #[test]
    fn any_message_is_read_or_refused(
        query in mutated("osmand.md"),
        message_of_phone in mutated("owntracks.md"),
        payload in mutated("cayenne.md"),
    ) {
        let _ = message::<OsmAnd>("http", &query);
        let _ = message::<OwnTracks>("owntracks/jane/phone", &message_of_phone);
        let _ = message::<Cayenne>("sensors/id:1", &payload);
    }
}

/// Frames and rubbish of SFT9001, whose frames' ends may depend on what follows; pings follow.
fn sft9001() -> impl Strategy<Value = Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures: Vec<Vec<u8>> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text"))
        .map(|text| normalise(text.trim().as_bytes()).bytes.into_owned())
        .collect();
    let part = prop_oneof![
        3 => prop::sample::select(fixtures),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => Just(vec![0x50]),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| {
        let ping = hex::decode("50F70A3F730150494E4773C4").expect("hex digits");
        [parts.concat(), ping.repeat(5)].concat()
    })
}

/// Where a stretch ends may depend on bytes that have not come yet: here a ping of which the
/// head is there.
#[test]
fn a_rejected_stretch_does_not_take_the_beginning_of_the_next_frame() {
    let bad = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C5";
    let ping = "50F70A3F730150494E4773C4";
    let bytes = hex::decode([bad, ping].concat()).expect("hex digits");
    for cut in 0..bytes.len() {
        let parts = [&bytes[..cut], &bytes[cut..]];
        assert_eq!(stream::<Sft9001>(parts), stream::<Sft9001>([&*bytes]), "{cut}");
    }
}

proptest! {
    #[test]
    fn frames_of_sft9001_on_a_connection(
        bytes in sft9001(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        // Rubbish is refused as it comes, so its division follows the cuts; frames do not.
        let (split, whole) = (stream::<Sft9001>(cut(&bytes, &cuts)), stream::<Sft9001>([&*bytes]));
        prop_assert_eq!(split.frames_and_rest(), whole.frames_and_rest());
        prop_assert_eq!(split.hashes, whole.hashes);
    }
}

/// A session that has lost its frames says so for all that follows, and no more.
#[test]
fn a_lost_connection_stays_lost() {
    let mut stream = Stream::<Teltonika>::default();
    stream.receives(b"GET / HTTP/1.1\r\n\r\n");
    stream.receives(&hex::decode("000F333536333037303432343431303133").unwrap());
    let reasons: Vec<_> = stream.made.rejected().collect();
    assert_eq!(reasons, [DecodeError::BadHeader]);
    assert_eq!(Reason::from_code("bad_checksum"), Some(Reason::Decode(DecodeError::BadChecksum)));
    let topic = Source::Message { topic: "" };
    assert!(
        nemeses_protocol::Items::<Teltonika>::new(
            nemeses_protocol::TeltonikaSession::default(),
            topic,
            &[],
            NOW_MS
        )
        .next()
        .is_none()
    );
    let _: Identity = "imei:356307042441013".parse().unwrap();
}
