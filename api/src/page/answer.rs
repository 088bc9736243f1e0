//! From a file and a request's headers to the answer: compressed where that is
//! understood, 304 where the client has it already, and with the headers that
//! keep a page to its own scripts.

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::File;
use crate::http::matches_tag;

/// Nothing but what this server sends: no inline script, no other host but that of
/// another server's map (with a space before it), if there is one. The map draws on images
/// it makes itself (`blob:`, `data:`) and works in a worker.
pub(super) fn policy(map: Option<&str>) -> HeaderValue {
    let map = map.map(|origin| format!(" {origin}")).unwrap_or_default();
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; \
         img-src 'self' data: blob:{map}; font-src 'self'; connect-src 'self'{map}; \
         worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    // An origin was checked to be plain ASCII; without a policy nothing would load.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// Names under `assets/` bear a hash of what they hold, so it never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Asked again each time, answered 304 while it is the same.
const ASK: &str = "no-cache";

/// The answer to a GET of a file whose tag is `tag`.
pub(super) fn answer(
    file: &'static File,
    tag: &HeaderValue,
    policy: &HeaderValue,
    asked: &HeaderMap,
) -> Response {
    let gzip = file.gzip.filter(|_| accepts_gzip(asked));
    let body = gzip.unwrap_or(file.plain);
    let known = matches_tag(asked, tag);
    let mut response =
        Response::new(if known { Body::empty() } else { Bytes::from_static(body).into() });
    let headers = response.headers_mut();
    headers.insert(ETAG, tag.clone());
    // A browser takes it from a 304, too, in place of the one that it keeps.
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    let mut say = |name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    say(CACHE_CONTROL, if file.path.starts_with("/assets/") { FOR_EVER } else { ASK });
    say(VARY, "Accept-Encoding");
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(REFERRER_POLICY, "no-referrer");
    say(X_FRAME_OPTIONS, "DENY");
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    say(CONTENT_TYPE, content_type(file.path));
    if gzip.is_some() {
        say(CONTENT_ENCODING, "gzip");
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether gzip is among what is accepted and not ruled out by `q=0`.
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named =
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let ruled_out = parts.any(|part| {
            part.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()) == Some(0.0)
        });
        named && !ruled_out
    })
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_NONE_MATCH;

    use super::*;

    static SCRIPT: File =
        File { path: "/assets/index-1a2b.js", plain: b"plain", gzip: Some(b"gz") };
    static PAGE: File = File { path: "/index.html", plain: b"<!doctype html>", gzip: None };

    fn ask(file: &'static File, headers: &[(HeaderName, &'static str)]) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        answer(file, &HeaderValue::from_static("\"tag\""), &policy(None), &map)
    }

    #[test]
    fn compressed_only_for_those_who_understand() {
        for (accepted, gzip) in [
            ("gzip", true),
            ("br, GZip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("br", false),
        ] {
            let response = ask(&SCRIPT, &[(ACCEPT_ENCODING, accepted)]);
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), gzip, "{accepted}");
            let length = if gzip { "2" } else { "5" };
            assert_eq!(response.headers()[CONTENT_LENGTH], length, "{accepted}");
        }
        assert!(!ask(&PAGE, &[(ACCEPT_ENCODING, "gzip")]).headers().contains_key(CONTENT_ENCODING));
    }

    #[test]
    fn hashed_names_are_kept_and_the_index_is_asked_for_again() {
        assert_eq!(ask(&SCRIPT, &[]).headers()[CACHE_CONTROL], FOR_EVER);
        let page = ask(&PAGE, &[]);
        assert_eq!(page.headers()[CACHE_CONTROL], ASK);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn tiles_open_the_policy_for_their_host_alone() {
        let text = |tiles| policy(tiles).to_str().unwrap().to_owned();
        assert!(!text(None).contains("http"));
        let open = text(Some("https://tiles.example.org"));
        assert!(open.contains("blob: https://tiles.example.org;"), "{open}");
        assert!(open.contains("connect-src 'self' https://tiles.example.org;"), "{open}");
        assert!(open.contains("script-src 'self';"), "{open}");
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for (known, status) in [
            ("\"tag\"", StatusCode::NOT_MODIFIED),
            ("\"other\", W/\"tag\"", StatusCode::NOT_MODIFIED),
            ("\"other\"", StatusCode::OK),
        ] {
            let answered = ask(&PAGE, &[(IF_NONE_MATCH, known)]);
            assert_eq!(answered.status(), status, "{known}");
            assert_eq!(answered.headers()[CONTENT_SECURITY_POLICY], policy(None), "{known}");
        }
    }
}
