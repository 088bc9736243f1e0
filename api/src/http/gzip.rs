//! Compresses answers that are worth it, chunk by chunk as they come, so that a
//! streamed report stays streamed. One compressor takes some 300 KiB.

use std::io::Write as _;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};

/// Smaller answers fit into one packet as they are.
const SMALLEST: u64 = 1024;

/// Whether the client takes gzip, and a body is going to come at all.
pub(super) fn is_wanted(method: &Method, headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
    *method != Method::HEAD && codings.any(is_gzip)
}

/// `gzip`, unless it is ruled out by a weight of nothing.
fn is_gzip(coding: &str) -> bool {
    let mut parts = coding.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
    let weight = |part: &str| part.strip_prefix("q=").and_then(|text| text.trim().parse().ok());
    named && !parts.any(|part| weight(part) == Some(0.0_f32))
}

/// Text that is long enough and not compressed yet. Events must not wait in a
/// compressor until there are enough of them.
fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = kind.is_some_and(|kind| {
        !kind.starts_with("text/event-stream")
            && (kind.starts_with("text/") || kind.contains("json") || kind.contains("xml"))
    });
    text && response.status() == StatusCode::OK
        && !headers.contains_key(header::CONTENT_ENCODING)
        && response.body().size_hint().upper().is_none_or(|bytes| bytes >= SMALLEST)
}

/// The same answer, compressed if it is worth it.
pub(super) fn compressed(response: Response) -> Response {
    if !is_worth_it(&response) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    super::conditional::weaken(&mut head.headers);
    head.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let chunks = stream::unfold(Some((body.into_data_stream(), encoder)), async |turn| {
        let (mut body, mut encoder) = turn?;
        Some(match body.next().await {
            Some(Ok(chunk)) => {
                let written = encoder.write_all(&chunk).map_err(axum::Error::new);
                let out = written.map(|()| Bytes::from(std::mem::take(encoder.get_mut())));
                (out, Some((body, encoder)))
            }
            // Broken off without gzip's tail: nobody takes it for the whole.
            Some(Err(error)) => (Err(error), None),
            None => (encoder.finish().map(Bytes::from).map_err(axum::Error::new), None),
        })
    });
    // An empty chunk says nothing and would only cost a write.
    let chunks = chunks.filter(|chunk| {
        let silent = chunk.as_ref().is_ok_and(Bytes::is_empty);
        std::future::ready(!silent)
    });
    Response::from_parts(head, Body::from_stream(chunks))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use futures_util::TryStreamExt as _;

    use super::*;

    #[test]
    fn gzip_is_asked_for_by_name() {
        let wanted = |text: &'static str| {
            let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static(text))];
            is_wanted(&Method::GET, &HeaderMap::from_iter(headers))
        };
        for good in ["gzip", "br, GZIP;q=0.5", "deflate,gzip"] {
            assert!(wanted(good), "{good}");
        }
        for bad in ["", "br", "gzip;q=0", "gzip;q=0.0", "xgzip"] {
            assert!(!wanted(bad), "{bad}");
        }
    }

    fn answer(kind: &'static str, body: Body) -> Response {
        Response::builder().header(header::CONTENT_TYPE, kind).body(body).unwrap()
    }

    #[tokio::test]
    async fn what_is_compressed_comes_out_the_same() {
        let pieces: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![b'a' + n % 26; 3000]).collect();
        let whole = pieces.concat();
        let body = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let response = compressed(answer("application/json", Body::from_stream(body)));
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        let chunks: Vec<Bytes> =
            response.into_body().into_data_stream().try_collect().await.unwrap();
        let (packed, mut unpacked) = (chunks.concat(), Vec::new());
        GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == whole && packed.len() * 10 < whole.len(), "{}", packed.len());
    }

    #[test]
    fn short_answers_events_and_bytes_stay_as_they_are() {
        let long = || Body::from(vec![b'a'; 5000]);
        for (kind, body) in [
            ("application/json", Body::from("{}")),
            ("text/event-stream", long()),
            ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Body::from("PK")),
            ("image/png", long()),
        ] {
            let response = compressed(answer(kind, body));
            assert!(!response.headers().contains_key(header::CONTENT_ENCODING), "{kind}");
        }
    }
}
