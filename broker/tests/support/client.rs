//! A client that writes what a test says, valid or not, and reads packets.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::DEADLINE;

/// Any bytes in and out.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// The client.
pub struct Client {
    wire: Box<dyn Wire>,
    /// Protocol level: 4 or 5.
    pub level: u8,
}

/// A packet from the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub first: u8,
    pub body: Vec<u8>,
    level: u8,
}

/// A packet with its fixed header.
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).unwrap();
        length /= 128;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut field = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    field.extend_from_slice(bytes);
    field
}

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    pub level: u8,
    pub client_id: &'a str,
    pub keep_alive_s: u16,
    pub clean: bool,
    pub login: Option<(&'a str, &'a str)>,
    /// Topic, payload, QoS, retain.
    pub will: Option<(&'a str, &'a [u8], u8, bool)>,
    /// MQTT 5 only.
    pub properties: &'a [u8],
}

/// A CONNECT.
pub fn connect_packet(options: &Options<'_>) -> Vec<u8> {
    let mut flags = u8::from(options.clean) << 1;
    if let Some((_, _, qos, retain)) = options.will {
        flags |= 0x04 | qos << 3 | u8::from(retain) << 5;
    }
    if options.login.is_some() {
        flags |= 0xC0;
    }
    let mut body = text("MQTT");
    body.extend([options.level, flags]);
    body.extend(options.keep_alive_s.to_be_bytes());
    if options.level == 5 {
        body.push(u8::try_from(options.properties.len()).unwrap());
        body.extend_from_slice(options.properties);
    }
    body.extend(text(options.client_id));
    if let Some((topic, payload, _, _)) = options.will {
        if options.level == 5 {
            body.push(0);
        }
        body.extend(text(topic));
        body.extend(binary(payload));
    }
    if let Some((name, password)) = options.login {
        body.extend(text(name));
        body.extend(text(password));
    }
    frame(0x10, &body)
}

impl Client {
    pub fn options(level: u8, client_id: &str) -> Options<'_> {
        Options {
            level,
            client_id,
            keep_alive_s: 60,
            clean: true,
            login: None,
            will: None,
            properties: &[],
        }
    }

    /// Opens a socket and says nothing.
    pub async fn open(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self::over(tcp)
    }

    pub fn over(wire: impl Wire + 'static) -> Self {
        Self { wire: Box::new(wire), level: 4 }
    }

    /// Connects without a login and is let in.
    pub async fn connect(address: SocketAddr, level: u8, client_id: &str) -> Self {
        Self::connect_with(address, &Self::options(level, client_id)).await
    }

    /// Connects with a login and is let in.
    pub async fn log_in(address: SocketAddr, level: u8, name: &str) -> Self {
        let login = Some((name, "secret"));
        Self::connect_with(address, &Options { login, ..Self::options(level, name) }).await
    }

    pub async fn connect_with(address: SocketAddr, options: &Options<'_>) -> Self {
        let mut client = Self::open(address).await;
        let answer = client.greet(options).await;
        assert_eq!(answer.body[..2], [0, 0], "let in, without a session");
        client
    }

    /// Sends CONNECT and returns the CONNACK.
    pub async fn greet(&mut self, options: &Options<'_>) -> Received {
        self.level = options.level;
        self.send(&connect_packet(options)).await;
        let answer = self.next().await;
        assert_eq!(answer.first, 0x20, "{answer:?}");
        answer
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).await.unwrap();
    }

    /// Sends although the door may be gone.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.wire.write_all(bytes).await.is_ok()
    }

    /// A PUBLISH's bytes.
    pub fn publish_packet(&self, topic: &str, qos: u8, id: u16, payload: &[u8]) -> Vec<u8> {
        let mut body = text(topic);
        if qos > 0 {
            body.extend(id.to_be_bytes());
        }
        if self.level == 5 {
            body.push(0);
        }
        body.extend_from_slice(payload);
        frame(0x30 | qos << 1, &body)
    }

    pub async fn publish(&mut self, topic: &str, qos: u8, id: u16, payload: &[u8]) {
        let packet = self.publish_packet(topic, qos, id, payload);
        self.send(&packet).await;
    }

    pub async fn publish_retained(&mut self, topic: &str, qos: u8, id: u16, payload: &[u8]) {
        let mut packet = self.publish_packet(topic, qos, id, payload);
        packet[0] |= 1;
        self.send(&packet).await;
    }

    pub async fn acknowledge(&mut self, first: u8, id: u16) {
        self.send(&frame(first, &id.to_be_bytes())).await;
    }

    /// Subscribes and returns the code.
    pub async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        let mut body = 9_u16.to_be_bytes().to_vec();
        if self.level == 5 {
            body.push(0);
        }
        body.extend(text(filter));
        body.push(options);
        self.send(&frame(0x82, &body)).await;
        let answer = self.next().await;
        assert_eq!((answer.first, &answer.body[..2]), (0x90, &[0, 9][..]), "{answer:?}");
        *answer.body.last().unwrap()
    }

    pub async fn unsubscribe(&mut self, filter: &str) {
        let mut body = 8_u16.to_be_bytes().to_vec();
        if self.level == 5 {
            body.push(0);
        }
        body.extend(text(filter));
        self.send(&frame(0xA2, &body)).await;
        assert_eq!(self.next().await.first, 0xB0);
    }

    /// PINGREQ and its answer, with nothing before it.
    pub async fn ping(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.next().await, Received { first: 0xD0, body: vec![], level: self.level });
    }

    pub async fn disconnect(&mut self) {
        self.send(&[0xE0, 0]).await;
    }

    /// The next packet.
    pub async fn next(&mut self) -> Received {
        self.next_or_end().await.expect("the door closed the connection")
    }

    /// The next packet; `None` when the door closes.
    pub async fn next_or_end(&mut self) -> Option<Received> {
        tokio::time::timeout(DEADLINE, self.read()).await.expect("a packet or the end in time")
    }

    async fn read(&mut self) -> Option<Received> {
        let first = self.wire.read_u8().await.ok()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = usize::from(self.wire.read_u8().await.ok()?);
            length |= (byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.wire.read_exact(&mut body).await.ok()?;
        Some(Received { first, body, level: self.level })
    }

    /// The door closes; in MQTT 5 it says why before.
    pub async fn is_closed_with(&mut self, reason: u8) {
        if self.level == 5 {
            let goodbye = self.next().await;
            assert_eq!((goodbye.first, goodbye.body[0]), (0xE0, reason), "{goodbye:?}");
        }
        assert_eq!(self.next_or_end().await, None);
    }
}

impl Received {
    /// The packet id of a PUBACK of success.
    pub fn puback(&self) -> u16 {
        self.id_of(0x40)
    }

    /// The packet id of an acknowledgement of success.
    pub fn id_of(&self, first: u8) -> u16 {
        assert_eq!((self.first, self.body.len()), (first, 2), "{self:?}");
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// Packet id and reason code of an MQTT 5 acknowledgement.
    pub fn refusal(&self, first: u8) -> (u16, u8) {
        assert_eq!((self.first, self.body.len()), (first, 3), "{self:?}");
        (u16::from_be_bytes([self.body[0], self.body[1]]), self.body[2])
    }

    /// Topic, payload, QoS, retain and packet id of a PUBLISH.
    pub fn message(&self) -> (String, Vec<u8>, u8, bool, u16) {
        assert_eq!(self.first >> 4, 3, "{self:?}");
        let length = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        let topic = String::from_utf8(self.body[2..2 + length].to_vec()).unwrap();
        let mut at = 2 + length;
        let qos = (self.first >> 1) & 3;
        let mut id = 0;
        if qos > 0 {
            id = u16::from_be_bytes([self.body[at], self.body[at + 1]]);
            at += 2;
        }
        if self.level == 5 {
            at += 1 + usize::from(self.body[at]);
        }
        (topic, self.body[at..].to_vec(), qos, self.first & 1 == 1, id)
    }
}
