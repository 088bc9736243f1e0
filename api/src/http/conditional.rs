//! Answers that a client may keep and ask for again: a strong tag that follows from
//! the bytes, and 304 where the client has them. Only for what stays the same for a
//! while: an answer that tells an age in seconds is another one each second.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

/// A longer answer is not held back to be tagged. A fleet of 1000 devices is 1 MB.
const LONGEST: u64 = 8 * 1024 * 1024;

/// A strong tag: 128 bits of the content's hash.
pub(crate) fn tag(content: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(content);
    let text = format!("\"{}\"", hex::encode(hash.get(..16).unwrap_or_default()));
    // Hex digits in quotes are a header's value.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client has what bears this tag, compressed or not.
pub(crate) fn matches_tag(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| tag == known || known == "*")
}

/// Tags a good answer, or leaves it out where the client has it.
pub(crate) async fn conditional(request: Request, next: Next) -> Response {
    let asked = request.headers().clone();
    let response = next.run(request).await;
    let length = response.body().size_hint().exact();
    if response.status() != StatusCode::OK || length.is_none_or(|bytes| bytes > LONGEST) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // A body that is there as a whole is only handed on.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = tag(&bytes);
    let known = matches_tag(&asked, &tag);
    head.headers.insert(header::ETAG, tag);
    if known {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, bytes.into())
}

/// What becomes of the tag of an answer that is compressed: the same content, not
/// the same bytes.
pub(super) fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    if !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::from_str(&format!("W/{tag}"))
    {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_content() {
        assert_eq!(tag(b"a"), tag(b"a"));
        assert_ne!(tag(b"a"), tag(b"b"));
        assert_eq!(tag(b"").len(), 34);
    }

    #[test]
    fn a_tag_is_known_in_each_of_its_spellings() {
        let asks = |text: &'static str| {
            let headers = [(header::IF_NONE_MATCH, HeaderValue::from_static(text))];
            matches_tag(&HeaderMap::from_iter(headers), &HeaderValue::from_static("\"tag\""))
        };
        for known in ["\"tag\"", "W/\"tag\"", "\"other\", W/\"tag\"", "*"] {
            assert!(asks(known), "{known}");
        }
        for other in ["", "\"other\"", "tag", "\"tag"] {
            assert!(!asks(other), "{other}");
        }
    }

    #[test]
    fn what_is_compressed_has_a_weak_tag() {
        let mut headers = HeaderMap::new();
        weaken(&mut headers);
        assert!(headers.is_empty());
        headers.insert(header::ETAG, HeaderValue::from_static("\"tag\""));
        for _ in 0..2 {
            weaken(&mut headers);
            assert_eq!(headers[header::ETAG], "W/\"tag\"");
        }
    }
}
