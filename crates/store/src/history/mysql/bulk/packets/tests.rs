//! What MariaDB 10.11 said and took, byte by byte, and bytes that nobody should say.

use proptest::prelude::*;

use super::*;

const GREETING: &str = "0a352e352e352d31302e31312e31392d4d6172696144422d302b6465623132753100290000\
    002151563d6e33522500fef7080200ff81150000000000001d0000005c23372c762f277330324a5e006d7973716c5f6e\
    61746976655f70617373776f726400";
const LOGIN: &str = "08a20b00000000012d00000000000000000000000000000000000000040000006e656d657365730\
    0146db2fad6867635b41790bcf8d04e942cd5c3b87b6e656d65736573006d7973716c5f6e61746976655f70617373776\
    f726400";
const OTHER_WAY: &str = "fe6d7973716c5f6e61746976655f70617373776f7264007e4e4b6c607961587461696c61242\
    b496f747a2700";
const INSERTED: &str = "00030001000000265265636f7264733a203320204475706c6963617465733a202030202057617\
    26e696e67733a2030";
const TAKEN: &str = "ff26042332333030304475706c696361746520656e7472792027312d372720666f72206b65792027\
    5052494d41525927";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn mariadb_introduces_itself() {
    let greeting = greeting(&bytes(GREETING)).unwrap();
    assert_eq!(&greeting.nonce, b"!QV=n3R%\\#7,v/'s02J^");
    assert!(greeting.takes_bulk && !greeting.offers_tls);
}

/// Bits of the capabilities, at their places in the greeting above.
#[test]
fn what_the_server_can_is_read() {
    let with = |at: usize, bit: u8| {
        let mut payload = bytes(GREETING);
        payload[at] ^= bit;
        greeting(&payload).unwrap()
    };
    let low = 47;
    assert!(with(low + 1, 1 << 3).offers_tls);
    // MySQL; no bulk; no several statements in a request; no plug-ins.
    for (at, bit) in [(low, 1), (low + 14, 4), (low + 5, 1), (low + 5, 1 << 3)] {
        assert!(!with(at, bit).takes_bulk, "{at} {bit}");
    }
}

#[test]
fn a_server_that_is_full_says_so_at_once() {
    let full = b"\xff\x10\x04Too many connections";
    let error = greeting(full).unwrap_err().unwrap();
    assert_eq!((error.number, &*error.sqlstate), (1040, ""));
    assert_eq!(error.message, "Too many connections");
}

#[test]
fn a_login_is_what_mariadb_took() {
    let account =
        Account { user: "nemeses".into(), password: "nemeses".into(), database: "nemeses".into() };
    let mut out = Vec::new();
    login(&mut out, &account, b"!QV=n3R%\\#7,v/'s02J^", false);
    assert_eq!(hex::encode(out), LOGIN);
    // Over TLS the same with that bit, which the request before it begins with.
    let (mut request, mut over_tls) = (Vec::new(), Vec::new());
    tls_request(&mut request);
    login(&mut over_tls, &account, b"!QV=n3R%\\#7,v/'s02J^", true);
    assert_eq!(request, over_tls[..32]);
    over_tls[1] ^= 1 << 3;
    assert_eq!(hex::encode(over_tls), LOGIN);
    assert_eq!(proof("", &[7; NONCE]), [0; 0]);
}

#[test]
fn answers_are_told_apart() {
    let of = |text: &str| answer(&bytes(text));
    assert_eq!(of(INSERTED), Ok(Answer::Done { more: false }));
    assert_eq!(of("00010009000000"), Ok(Answer::Done { more: true }));
    assert_eq!(of("00fcffff0009000000"), Ok(Answer::Done { more: true }));
    let Ok(Answer::Failed(error)) = of(TAKEN) else { panic!("no error") };
    assert_eq!((error.number, &*error.sqlstate), (1062, "23000"));
    assert_eq!(error.message, "Duplicate entry '1-7' for key 'PRIMARY'");
    assert_eq!(of(OTHER_WAY), Ok(Answer::Prove(Some(*b"~NKl`yaXtaila$+Iotz'"))));
    assert_eq!(answer(b"\xfeclient_ed25519\0nonce"), Ok(Answer::Prove(None)));
    assert_eq!(answer(b"\xfe"), Ok(Answer::Prove(None)));
    // A result set, a wish for a local file, nothing.
    for other in [&b"\x01"[..], b"\xfb/etc/passwd", b""] {
        assert_eq!(answer(other), Err(Malformed));
    }
}

#[test]
fn a_prepared_statement_is_followed_by_its_lists() {
    assert_eq!(prepared(&bytes("000100000000000200000000")), Ok((1, 3)));
    assert_eq!(prepared(&bytes("000100000003000200000000")), Ok((1, 7)));
    assert_eq!(prepared(&bytes("0001000000000002")), Err(Malformed));
}

#[test]
fn packets_bear_their_length() {
    let mut out = vec![9];
    packet(&mut out, 3, |out| out.resize(out.len() + 0x0001_0203, 7));
    assert_eq!(out[..6], [9, 3, 2, 1, 3, 7]);
    assert_eq!(payload_length([3, 2, 1, 3]), 0x0001_0203);
    assert_eq!(out.len(), 5 + 0x0001_0203);
}

proptest! {
    #[test]
    fn no_bytes_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        for first in [0, 10, 0xfe, 0xff] {
            let payload = [&[first], payload.as_slice()].concat();
            let _ = (greeting(&payload), answer(&payload), prepared(&payload));
        }
    }

    #[test]
    fn a_garbled_or_cut_greeting_does_not_panic(
        at in 0_usize..100,
        with in any::<u8>(),
        length in 0_usize..=100,
    ) {
        let mut payload = bytes(GREETING);
        payload[at] = with;
        payload.truncate(length);
        // One that ends its version earlier is shorter.
        if length < 77 && at >= length {
            prop_assert!(greeting(&payload).is_err());
        }
    }
}
