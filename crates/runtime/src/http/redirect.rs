//! Where to go instead, for those who come by plain HTTP to what is served by HTTPS.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Routes that send everybody to the same path by HTTPS: at this authority
/// (`fleet.example.org`, `fleet.example.org:8443`), or else at the one that the
/// request names.
pub fn to_https(authority: Option<String>) -> Router {
    Router::new().fallback(move |request: Request| {
        let answer = redirect(authority.as_deref(), &request);
        async move { answer }
    })
}

fn redirect(authority: Option<&str>, request: &Request) -> Response {
    let named = || request.headers().get(header::HOST)?.to_str().ok();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = authority
        .or_else(named)
        .and_then(|authority| HeaderValue::from_str(&format!("https://{authority}{path}")).ok());
    match location {
        // 308 keeps the method; a body with a password has crossed the network by then,
        // which only the client could have known.
        Some(location) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
        }
        None => (StatusCode::BAD_REQUEST, "This is served by HTTPS.\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn sent_to(authority: Option<&str>, host: Option<&str>, path: &str) -> (u16, String) {
        let mut request = Request::builder().uri(path);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let answer = redirect(authority, &request.body(Body::empty()).unwrap());
        let location = answer.headers().get(header::LOCATION);
        let location = location.map_or("", |value| value.to_str().unwrap());
        (answer.status().as_u16(), location.to_owned())
    }

    #[test]
    fn the_path_stays_and_the_settings_name_the_host() {
        let public = Some("fleet.example.org");
        let to = sent_to(public, Some("evil.example"), "/login?a=b");
        assert_eq!(to, (308, "https://fleet.example.org/login?a=b".to_owned()));
        let to = sent_to(None, Some("127.0.0.1:5000"), "/");
        assert_eq!(to, (308, "https://127.0.0.1:5000/".to_owned()));
        assert_eq!(sent_to(None, None, "/").0, 400);
    }
}
