//! What a request to a protected route must bear: `Authorization: Bearer` with a
//! good token, and if `X-User-Id` is sent, the same user in it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use nemeses_store::StoreError;
use nemeses_store::history::TokenKind;

use super::AuthState;
use super::tokens::{Accepted, Refused, Tokens};
use crate::access::{Credential, Principal, SignedIn};
use crate::problem::{Kind, Problem};
use crate::stores::Stores;

/// How long a request waits for the database when it was answered before: live
/// positions must stay quick while the history is down.
const PATIENCE: Duration = Duration::from_millis(500);
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Who is behind a request with a token, with what the database says they may do.
pub(crate) async fn principal(
    state: &AuthState,
    headers: &HeaderMap,
) -> Result<Principal, Problem> {
    let Accepted { user_id, credential, .. } = bearer_of(state, headers)?;
    state.standing(user_id, credential).await.map(Principal::User)
}

/// What the token in a request's header stands for, if it does.
pub(crate) fn bearer_of(state: &AuthState, headers: &HeaderMap) -> Result<Accepted, Problem> {
    check(headers, &state.tokens, state.clock.now_ms() / 1000)
}

impl AuthState {
    /// What may be done with this credential of the user now, as known for at most
    /// 2 s. Whoever serves somebody for longer than a request (a stream) asks again
    /// at least that often and ends when this is refused.
    ///
    /// # Errors
    /// [`Kind::Unauthorized`] when it was revoked or has expired, or the account is
    /// gone or disabled; [`Kind::HistoryUnavailable`] when nobody can tell.
    pub(crate) async fn standing(
        &self,
        user_id: u64,
        credential: Credential,
    ) -> Result<Arc<SignedIn>, Problem> {
        let now_ms = self.clock.now_ms();
        if let Some(known) = self.known_access.fresh(credential, now_ms) {
            return of_user(known, user_id);
        }
        let asking = self.history.ask(self.read_standing(user_id, credential, now_ms));
        let answer = if self.known_access.remembers(credential) {
            let gave_up =
                |_| Err(Problem::new(Kind::HistoryUnavailable, "Rights cannot be read now."));
            tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(gave_up)
        } else {
            asking.await
        };
        match answer {
            Ok(standing) => {
                let standing = standing.map(Arc::new);
                self.known_access.put(credential, standing.as_ref(), now_ms);
                of_user(standing.ok_or_else(|| over(credential))?, user_id)
            }
            Err(problem) if problem.kind() == Kind::HistoryUnavailable => {
                // By the time now: the wait must not have used the answer's freshness up.
                let now_ms = self.clock.now_ms();
                of_user(self.known_access.last(credential, now_ms).ok_or(problem)?, user_id)
            }
            Err(problem) => Err(problem),
        }
    }

    async fn read_standing(
        &self,
        user_id: u64,
        credential: Credential,
        now_ms: u64,
    ) -> Result<Option<SignedIn>, StoreError> {
        let Stores { users, sessions, tokens, .. } = &*self.stores;
        let kind = match credential {
            Credential::Session(id) => {
                let (goes_on, access) =
                    tokio::try_join!(sessions.goes_on(id, user_id, now_ms), users.access(user_id))?;
                let access = access.filter(|_| goes_on);
                return Ok(access.map(|access| SignedIn::by_session(user_id, id, access)));
            }
            Credential::Token(id) => (id, TokenKind::Token),
            Credential::Share(id) => (id, TokenKind::Share),
        };
        let (token, access) = tokio::try_join!(tokens.get(kind.0, now_ms), users.access(user_id))?;
        let token = token.filter(|token| (token.user_id, token.kind) == (user_id, kind.1));
        Ok(token.zip(access).map(|(token, access)| SignedIn::by_token(token, access)))
    }
}

/// A credential is one user's; a token that says otherwise is none of ours.
fn of_user(standing: Arc<SignedIn>, user_id: u64) -> Result<Arc<SignedIn>, Problem> {
    if standing.user_id == user_id { Ok(standing) } else { Err(over(standing.credential)) }
}

fn over(credential: Credential) -> Problem {
    let detail = match credential {
        Credential::Session(_) => "The session is over, or its account. Sign in again.",
        Credential::Token(_) => "The token was revoked or has expired.",
        Credential::Share(_) => "The link was revoked or has expired.",
    };
    Problem::new(Kind::Unauthorized, detail)
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
            Refused::Expired => "The token has expired. Refresh it, or sign in again.",
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
        Tokens::new(&TokenSecret::from_text(&"s".repeat(32)).unwrap().into())
    }

    fn issued(now_s: u64) -> String {
        tokens().issue(7, Credential::Session(1), now_s, now_s + 900).unwrap()
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
        let token = issued(NOW);
        for value in [format!("Bearer {token}"), format!("bearer  {token} ")] {
            assert_eq!(asked(&[("authorization", &value)]), Ok(7));
            assert_eq!(asked(&[("authorization", &value), ("x-user-id", "7")]), Ok(7));
        }
    }

    #[test]
    fn another_users_id_is_refused() {
        let value = format!("Bearer {}", issued(NOW));
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
        let token = issued(NOW);
        let expired = format!("Bearer {}", issued(NOW - 900));
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
