//! Commands to devices of other protocols, and what their answers belong to.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

use nemeses_protocol::{
    CommandAnswer, Gt06, Gt06Session, Item, Items, Protocol, ProtocolFrame as _, Queclink, Source,
    Teltonika, TeltonikaSession,
};
use proptest::prelude::*;

/// A session that has taken these bytes, and the answers among them.
fn taken<P: Protocol>(session: P::Session, bytes: &[u8]) -> (P::Session, Vec<CommandAnswer>) {
    let mut items = Items::<P>::new(session, Source::Stream, bytes, 0);
    let mut answers = Vec::new();
    for item in items.by_ref() {
        let Item::Frame { frame, .. } = item else { panic!("{bytes:02X?}") };
        answers.extend(frame.answer());
    }
    let (session, rest) = items.end();
    assert!(rest.is_empty());
    (session, answers)
}

fn command<P: Protocol>(session: &mut P::Session, text: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    let key = P::command(session, text, &mut out);
    assert_eq!(key.is_none(), out.is_empty(), "nothing is written that cannot be said");
    key.map(|key| (key, out))
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

#[test]
fn teltonika_speaks_codec_12() {
    let mut session = <Teltonika as Protocol>::Session::default();
    assert_eq!(command::<Teltonika>(&mut session, b"getinfo"), None, "nobody is there yet");
    let hello = hex("000F333536333037303432343431303133");
    let (mut session, _) = taken::<Teltonika>(session, &hello);
    for (text, packet) in [
        ("getinfo", "000000000000000F0C010500000007676574696E666F0100004312"),
        ("getio", "000000000000000D0C010500000005676574696F01000000CB"),
    ] {
        assert_eq!(command::<Teltonika>(&mut session, text.as_bytes()), Some((0, hex(packet))));
    }
    // Serial data of the documents, in the codec and the kind of an answer.
    let answer = hex("00000000000000100C010600000008010300010015D5C5010000D988");
    let (session, answers) = taken::<Teltonika>(session, &answer);
    let bytes = hex("010300010015D5C5");
    assert_eq!(answers, [CommandAnswer { key: 0, bytes, is_refusal: false }]);
    // Codec 13 is the serial port's.
    let serial = hex("00000000000000170D01050000000F0000016C0A81C320676574696E666F0100006855");
    assert!(taken::<Teltonika>(session, &serial).1.is_empty());
}

#[test]
fn gt06_numbers_its_commands() {
    let mut session = <Gt06 as Protocol>::Session::default();
    assert_eq!(command::<Gt06>(&mut session, b"STATUS#"), None, "nobody is there yet");
    let (mut session, _) = taken::<Gt06>(session, &hex("78780D01086471700328358100093F040D0A"));
    let (first, frame) = command::<Gt06>(&mut session, b"STATUS#").unwrap();
    assert_eq!(first, 1);
    assert_eq!(frame[..5], hex("787813800B"));
    assert_eq!(frame[5..9], [0, 0, 0, 1]);
    assert_eq!(&frame[9..16], b"STATUS#");
    assert!(frame.ends_with(&hex("0D0A")));
    // Its own frames can be read by it: lengths and sum fit.
    let (mut session, answers) = taken::<Gt06>(session, &frame);
    assert!(answers.is_empty(), "a command is no answer");
    let (second, _) = command::<Gt06>(&mut session, &[b'x'; 243]).unwrap();
    assert_eq!(second, 2);
    for text in [&b"x\r\n"[..], &[b'x'; 244], "ä".as_bytes()] {
        assert_eq!(command::<Gt06>(&mut session, text), None);
    }
}

/// A GT06 frame around a content.
fn gt06_frame(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut inside = vec![u8::try_from(content.len() + 5).unwrap(), kind];
    inside.extend(content);
    inside.extend([0, 7]);
    let mut sum = 0xFFFF_u16;
    for byte in &inside {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x8408 } else { sum >> 1 };
        }
    }
    [&[0x78, 0x78][..], &inside, &(!sum).to_be_bytes(), &[0x0D, 0x0A]].concat()
}

#[test]
fn gt06_answers_repeat_the_number() {
    let login = hex("78780D01086471700328358100093F040D0A");
    let (session, _) = taken::<Gt06>(Gt06Session::default(), &login);
    let old = [&[6, 0, 0, 0, 2][..], b"OK", &[0, 2]].concat();
    let (session, answers) = taken::<Gt06>(session, &gt06_frame(0x15, &old));
    assert_eq!(answers, [CommandAnswer { key: 2, bytes: b"OK".to_vec(), is_refusal: false }]);
    let new = [&[0, 0, 0, 3, 1][..], b"Battery:4.1V"].concat();
    let (_, answers) = taken::<Gt06>(session, &gt06_frame(0x21, &new));
    assert_eq!((answers[0].key, &answers[0].bytes[..]), (3, &b"Battery:4.1V"[..]));
}

#[test]
fn queclink_lines_are_the_users() {
    let mut session = <Queclink as Protocol>::Session::default();
    let line = b"AT+GTRTO=gv300,4,,,,,,FFFF$";
    assert_eq!(command::<Queclink>(&mut session, line), None, "nobody is there yet");
    let beat = b"+ACK:GTHBD,1F0101,135790246811220,,20100214093254,11F0$";
    let (mut session, answers) = taken::<Queclink>(session, beat);
    assert!(answers.is_empty(), "a heartbeat answers nothing");
    let (key, bytes) = command::<Queclink>(&mut session, line).unwrap();
    assert_eq!(bytes, line);
    let answer = b"+ACK:GTRTO,1F0101,135790246811220,,GPS,ffff,20100310172830,11F0$";
    let (mut session, answers) = taken::<Queclink>(session, answer);
    assert_eq!(answers, [CommandAnswer { key, bytes: answer.to_vec(), is_refusal: false }]);
    let other = b"+ACK:GTRTO,1F0101,135790246811220,,GPS,0001,20100310172830,11F1$";
    let (session_again, answers) = taken::<Queclink>(session.clone(), other);
    assert_ne!(answers[0].key, key);
    drop(session_again);
    for text in ["GTRTO=1$", "AT+GTRTO$", "AT+GTRTO=a,FFFF", "AT+GTRTO=a$AT+GTRTO=b$", "AT+XX=1$"] {
        assert_eq!(command::<Queclink>(&mut session, text.as_bytes()), None, "{text}");
    }
}

proptest! {
    /// What is said to a device is a packet of the protocol, whatever it says.
    #[test]
    fn commands_are_packets(text in prop::collection::vec(any::<u8>(), 0..1024)) {
        let hello = hex("000F333536333037303432343431303133");
        let (mut session, _) = taken::<Teltonika>(TeltonikaSession::default(), &hello);
        let (_, packet) = command::<Teltonika>(&mut session, &text).unwrap();
        let (_, answers) = taken::<Teltonika>(session, &packet);
        prop_assert!(answers.is_empty());
        let (mut session, _) =
            taken::<Gt06>(Gt06Session::default(), &hex("78780D01086471700328358100093F040D0A"));
        if let Some((_, frame)) = command::<Gt06>(&mut session, &text) {
            let (_, answers) = taken::<Gt06>(session, &frame);
            prop_assert!(answers.is_empty());
        }
    }
}
