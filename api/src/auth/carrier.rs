//! How a refresh token travels: in bodies, for programs, or in a cookie that
//! scripts cannot read, for browsers. The cookie counts only beside a header that
//! other sites cannot send (CSRF).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use serde_json::{Value, json};

use super::refresh::RefreshToken;
use super::sessions::not_good;
use crate::input::Fields;
use crate::openapi::{Param, object};
use crate::problem::{Kind, Problem};

const COOKIE: &str = "nemeses_refresh";
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
) -> Result<Option<(RefreshToken, Carrier)>, Problem> {
    let (text, carrier) = match (fields.maybe_text("refresh_token")?, cookie_of(headers)) {
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

fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim())
}

/// Sets the cookie for so many seconds; 0 takes it away.
pub(crate) fn cookie(token: &str, max_age_s: u64, https: bool) -> Result<HeaderValue, Problem> {
    let secure = if https { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={token}; Path=/token; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
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
    let cookie = "The cookie `nemeses_refresh`, when the body has no token.";
    let beside = "`nemeses`, beside the cookie: other sites cannot send it.";
    [Param::header("Cookie", text.clone(), cookie), Param::header("X-Requested-With", text, beside)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str, headers: &[(&'static str, &str)]) -> Result<Option<Carrier>, Kind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut fields = Fields::parse(body.as_bytes()).unwrap();
        presented(&mut fields, &map)
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
    fn the_cookie_is_for_this_path_and_no_script() {
        assert_eq!(
            cookie("T", 60, true).unwrap(),
            "nemeses_refresh=T; Path=/token; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(!cookie("T", 60, false).unwrap().to_str().unwrap().contains("Secure"));
    }
}
