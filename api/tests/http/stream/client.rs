//! Clients of the stream in both forms.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;

use crate::harness::{Answer, Served};

/// Nothing here takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A WebSocket, and the events of its last message.
pub(crate) struct Socket {
    pub(crate) socket: WebSocketStream<TcpStream>,
    events: std::collections::VecDeque<Value>,
}

impl Socket {
    /// Opens one with a ticket, as a browser does. `query` ends with nothing or `&`.
    pub(crate) async fn open(served: &Served, token: &str, query: &str) -> Self {
        let ticket = ticket(served, token).await;
        Self::with(served, &format!("{query}ticket={ticket}")).await.unwrap()
    }

    /// Opens one with this query; else what status was answered.
    pub(crate) async fn with(served: &Served, query: &str) -> Result<Self, u16> {
        let tcp = TcpStream::connect(served.address).await.unwrap();
        let request = Request::builder()
            .uri(format!("ws://{}/api/v1/stream/ws?{query}", served.address))
            .header("Host", "localhost")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key())
            .body(())
            .unwrap();
        match tokio_tungstenite::client_async(request, tcp).await {
            Ok((socket, _)) => Ok(Self { socket, events: [].into() }),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The next event; `None` after the end.
    pub(crate) async fn maybe_next(&mut self) -> Option<Value> {
        while self.events.is_empty() {
            let message = timeout(DEADLINE, self.socket.next()).await.expect("nothing comes");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
                    assert!(!events.is_empty(), "an empty message");
                    self.events = events.into();
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
        self.events.pop_front()
    }

    pub(crate) async fn next(&mut self) -> Value {
        self.maybe_next().await.expect("the stream has ended")
    }

    /// The next event of this type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }
}

pub(crate) async fn ticket(served: &Served, token: &str) -> String {
    let request = served.request(Method::POST, "/api/v1/stream/ticket").bearer_auth(token);
    let answer = Answer::of(request.send().await.unwrap()).await.ok();
    assert_eq!(answer["expires_in"], 30);
    answer["ticket"].as_str().unwrap().to_owned()
}

/// Server-sent events, parsed as a browser does.
pub(crate) struct Events {
    response: reqwest::Response,
    read: String,
}

impl Events {
    pub(crate) async fn open(served: &Served, token: &str, query: &str) -> Self {
        let path = format!("/api/v1/stream/?{query}");
        let request = served.request(Method::GET, &path).bearer_auth(token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, read: String::new() }
    }

    /// The next event with the id beside it; `None` at the end.
    pub(crate) async fn maybe_next(&mut self) -> Option<(Option<String>, Value)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (mut id, mut data) = (None, None);
                for line in event.lines() {
                    match line.split_once(": ").unwrap() {
                        ("id", text) => id = Some(text.to_owned()),
                        ("data", text) => data = Some(serde_json::from_str(text).unwrap()),
                        other => panic!("{other:?}"),
                    }
                }
                let event = (id, data.unwrap());
                self.read = rest.to_string();
                return Some(event);
            }
            let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("nothing comes");
            self.read.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    pub(crate) async fn next(&mut self) -> Value {
        let (id, event) = self.maybe_next().await.expect("the stream has ended");
        assert_eq!(event["id"].as_str(), id.as_deref());
        event
    }
}
