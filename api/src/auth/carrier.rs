//! How a refresh token travels: in bodies, for programs, or in a cookie that
//! scripts cannot read, for browsers. The cookie counts only beside a header that
//! other sites cannot send (CSRF). Where browsers come by HTTPS its name begins with
//! `__Host-`, which no other host of the domain and no plain HTTP can set.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use serde_json::{Value, json};

use super::refresh::{RefreshToken, not_good};
use crate::input::Fields;
use crate::openapi::{Param, object};
use crate::problem::{Kind, Problem};

/// Seconds for which a browser is remembered after it was used last: 90 days.
pub(super) const FAMILIAR_S: u64 = 90 * 86_400;
/// Names of the cookies by plain HTTP; by HTTPS with [`BY_HTTPS`] before them.
const REFRESH_COOKIE: &str = "nemeses_refresh";
pub(super) const BROWSER_COOKIE: &str = "nemeses_browser";
const BY_HTTPS: &str = "__Host-";
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
/// What our page says in it.
const OURS: &str = "nemeses";

/// Where the token came from and where its successor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Body,
    Cookie,
}

/// Takes the refresh token of a request out of its body, or else its cookie;
/// `None` when it bears none.
pub(crate) fn presented(
    fields: &mut Fields,
    headers: &HeaderMap,
    https: bool,
) -> Result<Option<(RefreshToken, Carrier)>, Problem> {
    let cookie = cookie_of(headers, REFRESH_COOKIE, https);
    let (text, carrier) = match (fields.maybe_text("refresh_token")?, cookie) {
        (Some(text), _) => (text, Carrier::Body),
        (None, Some(text)) => {
            if !headers.get_all(REQUESTED_WITH).iter().any(|value| value == OURS) {
                let detail = "The cookie counts only with the header X-Requested-With: nemeses.";
                return Err(Problem::new(Kind::Forbidden, detail).blaming("X-Requested-With"));
            }
            (text.to_owned(), Carrier::Cookie)
        }
        (None, None) => return Ok(None),
    };
    let token = RefreshToken::parse(&text).ok_or_else(not_good)?;
    Ok(Some((token, carrier)))
}

/// The value of one of our cookies. By HTTPS only the one that was set by HTTPS counts.
pub(super) fn cookie_of<'a>(headers: &'a HeaderMap, name: &str, https: bool) -> Option<&'a str> {
    let ours = |found: &str| match found.strip_prefix(BY_HTTPS) {
        Some(found) => https && found == name,
        None => !https && found == name,
    };
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| ours(name.trim())).map(|(_, value)| value.trim())
}

/// Sets the refresh token's cookie with this lifetime in seconds; 0 removes it.
pub(crate) fn cookie(token: &str, max_age_s: u64, https: bool) -> Result<HeaderValue, Problem> {
    set(REFRESH_COOKIE, token, max_age_s, https)
}

/// Sets the cookie of a browser that has signed in.
pub(crate) fn browser_cookie(token: &str, https: bool) -> Result<HeaderValue, Problem> {
    set(BROWSER_COOKIE, token, FAMILIAR_S, https)
}

fn set(name: &str, value: &str, max_age_s: u64, https: bool) -> Result<HeaderValue, Problem> {
    // `__Host-` wants the whole host's path; without it the paths that need them do.
    let (prefix, path, secure) = match (https, name) {
        (true, _) => (BY_HTTPS, "/", "; Secure"),
        (false, REFRESH_COOKIE) => ("", "/token", ""),
        (false, _) => ("", "/", ""),
    };
    let text = format!(
        "{prefix}{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).map_err(|error| crate::problem::fault(&error))
}

/// The body that may bear the token, for the API's own description.
pub(crate) fn refresh_fields() -> Value {
    object(&[], &[("refresh_token", json!({"type": "string"}))])
}

/// The headers that bear it otherwise.
pub(crate) fn refresh_headers() -> [Param; 2] {
    let text = json!({"type": "string"});
    let cookie = "The cookie `nemeses_refresh` (by HTTPS `__Host-nemeses_refresh`), when the body has no token.";
    let beside = "`nemeses`, beside the cookie: other sites cannot send it.";
    [Param::header("Cookie", text.clone(), cookie), Param::header("X-Requested-With", text, beside)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str, headers: &[(&'static str, &str)]) -> Result<Option<Carrier>, Kind> {
        asked_by(body, headers, false)
    }

    fn asked_by(
        body: &str,
        headers: &[(&'static str, &str)],
        https: bool,
    ) -> Result<Option<Carrier>, Kind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        presented(&mut fields, &map, https)
            .map(|found| found.map(|(_, carrier)| carrier))
            .map_err(|problem| problem.kind())
    }

    #[test]
    fn a_token_comes_in_the_body_or_in_a_guarded_cookie() {
        let token = RefreshToken::draw().unwrap().text();
        let body = format!(r#"{{"refresh_token": "{token}"}}"#);
        let cookie = format!("a=b; nemeses_refresh={token}; c=d");
        let ours = ("x-requested-with", "nemeses");
        let others = ("x-requested-with", "XMLHttpRequest");
        assert_eq!(asked("{}", &[]), Ok(None));
        assert_eq!(asked("{}", &[("cookie", "nemeses_refresh2=x"), ours]), Ok(None));
        assert_eq!(asked(&body, &[]), Ok(Some(Carrier::Body)));
        assert_eq!(asked(&body, &[("cookie", &cookie)]), Ok(Some(Carrier::Body)));
        assert_eq!(asked("{}", &[("cookie", &cookie), ours]), Ok(Some(Carrier::Cookie)));
        assert_eq!(asked("{}", &[("cookie", &cookie)]), Err(Kind::Forbidden));
        assert_eq!(asked("{}", &[("cookie", &cookie), others]), Err(Kind::Forbidden));
        let bad = Err(Kind::WrongRefreshToken);
        assert_eq!(asked("{}", &[("cookie", "nemeses_refresh=x"), ours]), bad);
        assert_eq!(asked(r#"{"refresh_token": "x"}"#, &[]), bad);
        assert_eq!(asked(r#"{"refresh_token": 1}"#, &[]), Err(Kind::InvalidField));
    }

    #[test]
    fn by_https_only_the_cookie_that_https_alone_can_set_counts() {
        let token = RefreshToken::draw().unwrap().text();
        let ours = ("x-requested-with", "nemeses");
        let plain = format!("nemeses_refresh={token}");
        let host = format!("__Host-nemeses_refresh={token}");
        for (cookie, https, counts) in [
            (&plain, false, true),
            (&plain, true, false),
            (&host, false, false),
            (&host, true, true),
        ] {
            let asked = asked_by("{}", &[("cookie", cookie), ours], https).unwrap();
            assert_eq!(asked.is_some(), counts, "{cookie} {https}");
        }
    }

    #[test]
    fn the_cookie_is_for_no_script_and_by_https_for_this_host_alone() {
        assert_eq!(
            cookie("T", 60, true).unwrap(),
            "__Host-nemeses_refresh=T; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            cookie("T", 60, false).unwrap(),
            "nemeses_refresh=T; Path=/token; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        let browser = browser_cookie("B", true).unwrap();
        assert!(browser.to_str().unwrap().starts_with("__Host-nemeses_browser=B; Path=/; "));
    }
}
