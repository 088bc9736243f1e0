//! What a request to a protected route must bear: `Authorization: Bearer` with a
//! good token, and if `X-User-Id` is sent, the same user in it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::tokens::{Accepted, Refused, Tokens};
use crate::access::Principal;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;

/// How long a request waits for the database when it was answered before: live
/// positions must stay quick while the history is down.
const PATIENCE: Duration = Duration::from_millis(500);
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// What the good token says that a request must bear.
pub(crate) fn accepted(state: &ApiState, headers: &HeaderMap) -> Result<Accepted, Problem> {
    check(headers, &state.tokens, state.clock.now_ms() / 1000)
}

/// A user with what the database says they may do.
pub(crate) async fn of_user(state: &ApiState, user_id: u64) -> Result<Principal, Problem> {
    let now_ms = state.clock.now_ms();
    if let Some(access) = state.known_access.fresh(user_id, now_ms) {
        return Ok(Principal::User(access));
    }
    let asking = state.history.ask(state.stores.users.access(user_id));
    let answer = if state.known_access.remembers(user_id) {
        let gave_up = |_| Err(Problem::new(Kind::HistoryUnavailable, "Rights cannot be read now."));
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(gave_up)
    } else {
        asking.await
    };
    match answer {
        Ok(access) => {
            let access = access.map(Arc::new);
            state.known_access.put(user_id, access.as_ref(), now_ms);
            access.map(Principal::User).ok_or_else(|| {
                Problem::new(Kind::Unauthorized, "The account of this token is gone.")
            })
        }
        Err(problem) if problem.kind() == Kind::HistoryUnavailable => {
            // By the time now: the wait must not have used the answer's freshness up.
            let now_ms = state.clock.now_ms();
            state.known_access.last(user_id, now_ms).map(Principal::User).ok_or(problem)
        }
        Err(problem) => Err(problem),
    }
}

/// What a good token says.
fn check(headers: &HeaderMap, tokens: &Tokens, now_s: u64) -> Result<Accepted, Problem> {
    let refuse = |detail: &'static str| Problem::new(Kind::Unauthorized, detail);
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let value = sent.next().ok_or_else(|| {
        refuse("Send the token of POST /login in the header Authorization: Bearer TOKEN.")
    })?;
    if sent.next().is_some() {
        return Err(refuse("The header Authorization was sent more than once."));
    }
    let token =
        bearer(value).ok_or_else(|| refuse("The header Authorization must read: Bearer TOKEN."))?;
    let accepted = tokens.accept(token, now_s).map_err(|refused| {
        refuse(match refused {
            Refused::Expired => "The token has expired. Sign in again.",
            Refused::Invalid => "The token is not valid. Sign in again.",
        })
    })?;
    for user_id in headers.get_all(USER_ID) {
        same_user(user_id, accepted.user_id)?;
    }
    Ok(accepted)
}

/// The token of `Bearer TOKEN`; the scheme's name in any case (RFC 9110, section 11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn same_user(sent: &HeaderValue, user_id: u64) -> Result<(), Problem> {
    if sent.to_str().ok().and_then(|text| text.trim().parse().ok()) == Some(user_id) {
        return Ok(());
    }
    let detail =
        "X-User-Id is not the user of the token. Leave it out or send the user_id of POST /login.";
    Err(Problem::new(Kind::WrongUser, detail).blaming("X-User-Id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::TokenSecret;

    const NOW: u64 = 1_600_000_000;

    fn tokens() -> Tokens {
        let secret = TokenSecret::from_text(&"s".repeat(32)).unwrap();
        Tokens::new(&secret, Duration::from_secs(3600))
    }

    fn asked(headers: &[(&'static str, &str)]) -> Result<u64, (Kind, Option<String>)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        check(&map, &tokens(), NOW)
            .map(|accepted| accepted.user_id)
            .map_err(|problem| (problem.kind(), problem.at_fault().map(str::to_owned)))
    }

    #[test]
    fn a_good_token_signs_in() {
        let token = tokens().issue(7, NOW).unwrap();
        for value in [format!("Bearer {token}"), format!("bearer  {token} ")] {
            assert_eq!(asked(&[("authorization", &value)]), Ok(7));
            assert_eq!(asked(&[("authorization", &value), ("x-user-id", "7")]), Ok(7));
        }
    }

    #[test]
    fn another_users_id_is_refused() {
        let value = format!("Bearer {}", tokens().issue(7, NOW).unwrap());
        let refused = Err((Kind::WrongUser, Some("X-User-Id".to_owned())));
        for user_id in ["8", "", "-7", "7,8", "seven", "99999999999999999999999"] {
            let headers = [("authorization", value.as_str()), ("x-user-id", user_id)];
            assert_eq!(asked(&headers), refused, "{user_id}");
        }
        let twice = [("authorization", value.as_str()), ("x-user-id", "7"), ("x-user-id", "8")];
        assert_eq!(asked(&twice), refused);
    }

    #[test]
    fn anything_else_does_not_sign_in() {
        let token = tokens().issue(7, NOW).unwrap();
        let expired = format!("Bearer {}", tokens().issue(7, NOW - 3600).unwrap());
        let good = format!("Bearer {token}");
        let cases: [&[(&'static str, &str)]; 8] = [
            &[],
            &[("x-user-id", "7")],
            &[("authorization", &token)],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Basic YTpi")],
            &[("authorization", &expired)],
            &[("authorization", &good), ("authorization", &good)],
        ];
        for headers in cases {
            assert_eq!(asked(headers), Err((Kind::Unauthorized, None)), "{headers:?}");
        }
    }
}
