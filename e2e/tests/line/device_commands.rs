//! Commands to devices that speak a protocol of their own: sent by the connection that the device
//! has, answered in its own words, and sent again only if it has not answered.

use std::net::SocketAddr;

use nemeses_e2e::{Line, Port, SOON, Shape, User, wait_for};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HELLO: &str = "000F333536333037303432343431303133";
const RECORD: &str = "000000000000002d08010000019bc1a3050800e5cf849ef41e7db60354010e09003c000402ef01f0010142303901100001e240000100008f02";
const IMEI: &str = "imei:356307042441013";

async fn asked(user: &User, device: &str, text: &str) -> u64 {
    let body = json!({"text": text, "expires_in_s": 3600});
    let path = format!("/api/v1/devices/{device}/commands");
    let (status, answer) = user.post(&path, &body).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["id"].as_u64().unwrap()
}

/// Waits until a command stands like this; how it stands in full.
async fn becomes(user: &User, device: &str, id: u64, state: &str) -> Value {
    let path = format!("/api/v1/devices/{device}/commands/{id}");
    let mut found = Value::Null;
    wait_for(SOON, &format!("command {id} is {state}"), async || {
        let (status, command) = user.get(&path).await?;
        anyhow::ensure!(status == StatusCode::OK && command["state"] == state, "{command}");
        Ok(())
    })
    .await
    .unwrap();
    if let Ok((_, command)) = user.get(&path).await {
        found = command;
    }
    found
}

/// A device of `hello` that has got these bytes in answer to what it sent first.
async fn connected(at: SocketAddr, sent: &[u8], answered: usize) -> TcpStream {
    let mut device = TcpStream::connect(at).await.unwrap();
    device.set_nodelay(true).unwrap();
    device.write_all(sent).await.unwrap();
    heard(&mut device, answered).await;
    device
}

async fn heard(device: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    tokio::time::timeout(SOON, device.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

/// A sum with reflected bits: of Teltonika (A001, 0) and of GT06 (8408, FFFF, inverted).
fn sum(bytes: &[u8], polynomial: u16, start: u16) -> u16 {
    bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 }
        })
    })
}

/// A packet of codec 12: 5 is a command, 6 an answer, 11 a refusal.
fn codec_12(kind: u8, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    let body = [&[0x0C, 1, kind][..], &length.to_be_bytes(), text, &[1]].concat();
    let whole = u32::try_from(body.len()).unwrap();
    let sum = u32::from(sum(&body, 0xA001, 0));
    [&[0; 4][..], &whole.to_be_bytes(), &body, &sum.to_be_bytes()].concat()
}

fn gt06(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len() + 5).unwrap();
    let inside = [&[length, kind][..], content, &[0, 7]].concat();
    let sum = !sum(&inside, 0x8408, 0xFFFF);
    [&[0x78, 0x78][..], &inside, &sum.to_be_bytes(), &[0x0D, 0x0A]].concat()
}

#[tokio::test]
async fn a_teltonika_device_answers_in_its_own_words() {
    let port = Port::free().unwrap();
    let tcp = format!("teltonika={}", port.address());
    let line = Line::start(Shape::Embedded, &["--tcp-listen", &tcp]).await.unwrap();
    let user = line.user().await.unwrap();
    let hello = hex::decode(HELLO).unwrap();
    let all = hex::decode([HELLO, RECORD].concat()).unwrap();
    // The device becomes known, and is away when somebody asks.
    drop(connected(port.address(), &all, 5).await);
    let first = asked(&user, IMEI, "getinfo").await;
    let second = asked(&user, IMEI, "getver").await;

    let mut device = connected(port.address(), &hello, 1).await;
    let command = codec_12(5, b"getinfo");
    assert_eq!(heard(&mut device, command.len()).await, command);
    becomes(&user, IMEI, first, "sent").await;
    // The connection breaks before the answer: the command goes out again, before the next.
    drop(device);
    let mut device = connected(port.address(), &hello, 1).await;
    assert_eq!(heard(&mut device, command.len()).await, command);
    // Records in between are acknowledged, and answer nothing.
    device.write_all(&hex::decode(RECORD).unwrap()).await.unwrap();
    assert_eq!(heard(&mut device, 4).await, [0, 0, 0, 1]);
    device.write_all(&codec_12(6, b"RTC:2026/1/15 12:30")).await.unwrap();
    let answered = becomes(&user, IMEI, first, "answered").await;
    assert_eq!(answered["answer_hex"], hex::encode_upper("RTC:2026/1/15 12:30"), "{answered}");
    assert_eq!(answered["attempts"], 2, "{answered}");
    let command = codec_12(5, b"getver");
    assert_eq!(heard(&mut device, command.len()).await, command);
    device.write_all(&codec_12(0x11, b"")).await.unwrap();
    let refused = becomes(&user, IMEI, second, "failed").await;
    assert_eq!(refused["reason"], "refused", "{refused}");

    // Neither goes out again: what comes first is new.
    drop(device);
    let mut device = connected(port.address(), &hello, 1).await;
    let third = asked(&user, IMEI, "getio").await;
    let command = codec_12(5, b"getio");
    assert_eq!(heard(&mut device, command.len()).await, command);
    // Split at every byte, the answer is the same.
    for byte in codec_12(6, b"DI1:0") {
        device.write_all(&[byte]).await.unwrap();
    }
    becomes(&user, IMEI, third, "answered").await;
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

#[tokio::test]
async fn gt06_and_queclink_devices_answer_what_they_were_asked() {
    let ports: Vec<Port> = (0..2).map(|_| Port::free().unwrap()).collect();
    let tcp = format!("gt06={},queclink={}", ports[0].address(), ports[1].address());
    let line = Line::start(Shape::Embedded, &["--tcp-listen", &tcp]).await.unwrap();
    let user = line.user().await.unwrap();

    let login = hex::decode("78780D01086471700328358100093F040D0A").unwrap();
    let place =
        hex::decode("78781f120f0a140e150bc505e51e780293a9e800540000f601006e0055da00035f240d0a")
            .unwrap();
    let mut device = connected(ports[0].address(), &[login, place].concat(), 20).await;
    let imei = "imei:864717003283581";
    let id = asked(&user, imei, "STATUS#").await;
    // It gets commands from its next frame on, since it was unknown before.
    device.write_all(&gt06(0x13, &[4, 4, 4, 0, 2])).await.unwrap();
    heard(&mut device, 10).await;
    let command = heard(&mut device, 24).await;
    assert_eq!(
        (&command[..5], &command[9..16]),
        (&hex::decode("787813800B").unwrap()[..], &b"STATUS#"[..])
    );
    let number = command[5..9].to_vec();
    let other = [&[6, 0xFF, 0, 0, 0][..], b"no", &[0, 2]].concat();
    device.write_all(&gt06(0x15, &other)).await.unwrap();
    let answer = [&[13][..], &number, b"GPS:OK;V1", &[0, 2]].concat();
    device.write_all(&gt06(0x15, &answer)).await.unwrap();
    let answered = becomes(&user, imei, id, "answered").await;
    assert_eq!(answered["answer_hex"], hex::encode_upper("GPS:OK;V1"), "{answered}");
    let unsaid = asked(&user, imei, "zwei\nZeilen").await;
    let failed = becomes(&user, imei, unsaid, "failed").await;
    assert_eq!(failed["reason"], "unsupported", "{failed}");

    let report = "+ACK:GTRTO,1F0101,135790246811220,,GPS,0000,20100310172830,11F0$";
    let beat = "+ACK:GTHBD,1F0101,135790246811220,,20100214093254,11F1$";
    let first = [report, beat].concat();
    let device = connected(ports[1].address(), first.as_bytes(), 24).await;
    let mut device = device;
    let imei = "imei:135790246811220";
    let text = "AT+GTRTO=gv300,4,,,,,,0001$";
    let id = asked(&user, imei, text).await;
    device.write_all(beat.as_bytes()).await.unwrap();
    let all = heard(&mut device, 24 + text.len()).await;
    assert!(String::from_utf8_lossy(&all).contains(text), "{all:?}");
    let answer = "+ACK:GTRTO,1F0101,135790246811220,,GPS,0001,20100310172831,11F2$";
    device.write_all(answer.as_bytes()).await.unwrap();
    let answered = becomes(&user, imei, id, "answered").await;
    assert_eq!(answered["answer_hex"], hex::encode_upper(answer), "{answered}");
    wait_for(SOON, "the books balance", async || line.audit().await).await.unwrap();
}

/// A phone is told on its own topic; its PUBACK is the answer.
#[tokio::test]
async fn a_phone_is_told_on_its_own_topic() {
    let line = Line::start(Shape::Embedded, &["--mqtt-protocols", "owntracks"]).await.unwrap();
    let user = line.user().await.unwrap();
    let mut phone = line.device("jane-phone").await.unwrap();
    let location = br#"{"_type":"location","lat":48.85833,"lon":2.29513,"tst":1497349316}"#;
    phone.publish("owntracks/jane/phone", location).await.unwrap();
    let device = "owntracks:jane%2Fphone";
    let text = r#"{"_type":"cmd","action":"reportLocation"}"#;
    let id = asked(&user, device, text).await;
    phone.subscribe("owntracks/jane/phone/cmd").await.unwrap();
    let publish = phone.next_publish(SOON).await.unwrap();
    assert_eq!(
        (&*publish.topic, &publish.payload[..]),
        ("owntracks/jane/phone/cmd", text.as_bytes())
    );
    phone.acknowledge(&publish).await.unwrap();
    becomes(&user, device, id, "answered").await;
}
