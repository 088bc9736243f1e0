//! The collector: where it is, and one POST to it.
//!
//! Plain HTTP on purpose: an OpenTelemetry collector stands on this machine or in this
//! network, and it is the one that speaks TLS and holds the keys of whoever stores
//! traces.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use bytes::Bytes;
use prost::Message as _;
use tokio::net::TcpStream;

use super::wire::Response;
use crate::http::exchange;

/// The path of traces below a collector's address.
const TRACES: &str = "/v1/traces";
/// An answer says at most how many spans were rejected and why.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// An OTLP/HTTP endpoint.
#[derive(Clone, Debug)]
pub struct Collector {
    /// For the connection and for `Host`.
    authority: String,
    connect_to: String,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An address that is none of a collector, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorError(&'static str);

impl std::fmt::Display for CollectorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for CollectorError {}

/// What a collector did with an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it, but for so many spans.
    Taken { rejected: u64, why: String },
    /// It will never take it.
    Refused(String),
    /// It may take it later, and perhaps says when.
    Later(String, Option<Duration>),
}

impl Collector {
    /// Reads a base address such as `http://collector:4318`; traces go to
    /// `/v1/traces` below it.
    ///
    /// # Errors
    /// In words, what is wrong with the address.
    pub fn at(url: &str) -> Result<Self, CollectorError> {
        let whole = format!("{}{TRACES}", url.trim_end_matches('/'));
        let uri: Uri = whole
            .parse()
            .map_err(|_| CollectorError("it is no URL, such as begin with http://"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(CollectorError(
                    "https is not spoken here: send to a collector on this machine or in this network by http, which forwards by TLS",
                ));
            }
            _ => return Err(CollectorError("it must begin with http://")),
        }
        let authority = uri.authority().ok_or(CollectorError("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(CollectorError(
                "it holds a login; give what the collector wants to see in OTEL_EXPORTER_OTLP_HEADERS",
            ));
        }
        if authority.host().is_empty() || uri.query().is_some() || whole.contains('#') {
            return Err(CollectorError("it must be http://HOST:PORT, with a path if need be"));
        }
        let connect_to = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self {
            authority: authority.as_str().to_owned(),
            connect_to,
            path: uri.path().to_owned(),
            headers: Vec::new(),
        })
    }

    /// The same with headers, written `name=value,name=value` as
    /// `OTEL_EXPORTER_OTLP_HEADERS` has them, with `%20` for a blank and so on.
    ///
    /// # Errors
    /// A pair that is no header. Its value is not repeated: it may be a key.
    pub fn with_headers(mut self, pairs: &str) -> Result<Self, CollectorError> {
        const WRONG: CollectorError =
            CollectorError("the headers must be written name=value,name=value");
        for pair in pairs.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(WRONG)?;
            let name = name.trim().parse().map_err(|_| WRONG)?;
            let value = unescaped(value.trim()).ok_or(WRONG)?;
            let mut value = HeaderValue::from_bytes(&value).map_err(|_| WRONG)?;
            value.set_sensitive(true);
            self.headers.push((name, value));
        }
        Ok(self)
    }

    /// Asks it to take an export without spans, which a collector answers with 200.
    ///
    /// # Errors
    /// In words, why it would take none.
    pub async fn probe(&self) -> Result<(), String> {
        match self.post(Bytes::new()).await {
            Answer::Taken { .. } => Ok(()),
            Answer::Refused(why) | Answer::Later(why, _) => Err(why),
        }
    }

    /// One export. Waits as long as the collector does; the caller bounds it.
    pub(super) async fn post(&self, body: Bytes) -> Answer {
        match self.exchange(body).await {
            Ok((status, retry_after, answer)) => judge(status, retry_after, &answer),
            Err(error) => Answer::Later(format!("{error:#}"), None),
        }
    }

    async fn exchange(&self, body: Bytes) -> anyhow::Result<(StatusCode, Option<Duration>, Bytes)> {
        let stream = TcpStream::connect(&self.connect_to).await?;
        let mut request = Request::post(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            // Also of an empty body, of which nothing would be said else.
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::CONNECTION, "close");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body))?;
        let (head, body) = exchange(stream, request, MOST_ANSWER_BYTES).await?;
        let seconds = head
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok().map(Duration::from_secs));
        Ok((head.status, seconds, body))
    }
}

/// Percent-encoded bytes as they are; `None` where an escape is cut off or no number.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        bytes.push(byte[0]);
        rest = behind;
    }
    Some(bytes)
}

/// What an answer means, as the specification of OTLP/HTTP has it. Pure.
fn judge(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Answer {
    match status.as_u16() {
        200..=299 => {
            let response = Response::decode(body).unwrap_or_default();
            let (rejected, why) = response.rejected().unwrap_or_default();
            Answer::Taken { rejected, why: why.to_owned() }
        }
        408 | 429 | 500..=599 => Answer::Later(format!("it answers {status}"), retry_after),
        _ => Answer::Refused(format!("it answers {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let at = |url: &str| {
            Collector::at(url).map(|read| (read.connect_to, read.path)).map_err(|why| why.0)
        };
        let read = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        assert_eq!(at("http://127.0.0.1:4318"), read("127.0.0.1:4318", "/v1/traces"));
        assert_eq!(at("http://[::1]:4318/"), read("[::1]:4318", "/v1/traces"));
        assert_eq!(
            at("http://otel.example.org/a/b"),
            read("otel.example.org:80", "/a/b/v1/traces")
        );
        for (url, why) in [
            ("https://otel.example.org", "https is not spoken"),
            ("collector:4318", "http://"),
            ("127.0.0.1:4318", "http://"),
            ("http://", "it is no URL"),
            ("http://a:b@c:1", "it holds a login"),
            ("http://c:1?x=", "it must be http://HOST"),
            ("", "it"),
        ] {
            let refusal = at(url).unwrap_err();
            assert!(refusal.contains(why), "{url}: {refusal}");
        }
    }

    #[test]
    fn headers() {
        let plain = Collector::at("http://c:1").unwrap();
        let two = plain.clone().with_headers(" api-key = 1=2 ,x=y,").unwrap().headers;
        assert_eq!(two.len(), 2);
        assert_eq!((two[0].0.as_str(), two[0].1.to_str().unwrap()), ("api-key", "1=2"));
        let escaped = plain.clone().with_headers("authorization=Bearer%20a%3Db").unwrap().headers;
        assert_eq!(escaped[0].1.to_str().unwrap(), "Bearer a=b");
        for wrong in ["secret", "a b=c", "a=\u{1}", "a=%2", "a=%zz", "a=%0A"] {
            let refusal = plain.clone().with_headers(wrong).unwrap_err().to_string();
            assert!(refusal.contains("name=value") && !refusal.contains("secret"), "{refusal}");
        }
    }

    #[test]
    fn answers_are_judged_as_the_specification_has_it() {
        let judged = |code| judge(StatusCode::from_u16(code).unwrap(), None, b"");
        assert!(matches!(judged(200), Answer::Taken { rejected: 0, .. }));
        for code in [429, 502, 503, 504] {
            assert!(matches!(judged(code), Answer::Later(..)), "{code}");
        }
        for code in [400, 401, 404, 413, 301] {
            assert!(matches!(judged(code), Answer::Refused(_)), "{code}");
        }
        // partial_success { rejected_spans: 3, error_message: "no" }
        let partial = [0x0A, 6, 0x08, 3, 0x12, 2, b'n', b'o'];
        let taken = judge(StatusCode::OK, None, &partial);
        assert_eq!(taken, Answer::Taken { rejected: 3, why: "no".to_owned() });
    }
}
