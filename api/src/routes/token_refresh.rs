//! `POST /token/refresh`: the next access token and refresh token of a session.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;

use serde_json::json;

use super::login::{SignedIn, answer, example};
use crate::auth::AuthState;
use crate::auth::{Carrier, browser_cookie, presented, refresh_fields, refresh_headers};
use crate::guard::Arrival;
use crate::input::MaybeFields;
use crate::openapi::{Answer, Doc, Tag};
use crate::problem::{Kind, Problem};

pub(crate) async fn post(
    State(state): State<AuthState>,
    arrival: Arrival,
    headers: HeaderMap,
    MaybeFields(mut fields): MaybeFields,
) -> Result<Response, Problem> {
    let https = arrival.https;
    let (token, carrier) = presented(&mut fields, &headers, https)?
        .ok_or_else(|| Problem::field("refresh_token", "Missing."))?;
    fields.finish()?;
    let mut response = answer(state.refresh(&token).await?, carrier, https)?;
    let now_s = state.clock.now_ms() / 1000;
    if carrier == Carrier::Cookie
        && let Some(known) = state.familiar.renewed(&headers, https, now_s)
    {
        response.headers_mut().append(header::SET_COOKIE, browser_cookie(&known, https)?);
    }
    Ok(response)
}

pub(crate) fn doc() -> Doc {
    let answer = Answer::json::<SignedIn>("The next tokens.", example())
        .header("Set-Cookie", "`nemeses_refresh`, when the token came in the cookie.");
    Doc::new("refreshToken", Tag::People, "Go on with a session")
        .about(
            "A refresh token is good once. Used again later, it ends the session, since \
             somebody else may hold it; for 30 s it gets the same answer again.",
        )
        .careless()
        .takes_all(refresh_headers())
        .maybe_body(refresh_fields(), json!({"refresh_token": "WxGm0q..."}))
        .answers(answer)
        .problems(&[Kind::WrongRefreshToken, Kind::Forbidden, Kind::HistoryUnavailable, Kind::Busy])
}
