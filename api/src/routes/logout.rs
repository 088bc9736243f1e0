//! `POST /logout` and `POST /token/logout`: ends the session of the refresh token,
//! or of the access token when there is no other. The second path is there because
//! the browser's cookie is for `/token` only. Ending twice is no error.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::access::{Credential, Right};
use crate::auth::AuthState;
use crate::auth::{bearer_of, cookie, presented, principal, refresh_fields, refresh_headers};
use crate::guard::Arrival;
use crate::input::MaybeFields;
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::problem::{Kind, Problem};

pub(crate) async fn post(
    State(state): State<AuthState>,
    arrival: Arrival,
    headers: HeaderMap,
    MaybeFields(mut fields): MaybeFields,
) -> Result<Response, Problem> {
    let refresh = presented(&mut fields, &headers, arrival.https)?;
    fields.finish()?;
    match refresh {
        Some((token, _)) => state.end_session_of(&token).await?,
        None => end_by_access_token(&state, &headers).await?,
    }
    let gone = cookie("", 0, arrival.https)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

async fn end_by_access_token(state: &AuthState, headers: &HeaderMap) -> Result<(), Problem> {
    let accepted = bearer_of(state, headers)?;
    if let Credential::Session(id) = accepted.credential {
        return state.end_session(id, accepted.user_id).await.map(drop);
    }
    // A good token of another kind has no session to end.
    principal(state, headers).await?.must(Right::Own)
}

pub(crate) fn doc() -> Doc {
    described("logout")
}

pub(crate) fn doc_in_token() -> Doc {
    described("logoutByCookie")
}

fn described(id: &'static str) -> Doc {
    let bearer = "The access token, when there is no refresh token.";
    Doc::new(id, Tag::People, "End a session")
        .about(
            "Of the refresh token, in the body or the cookie, or else of the access token. \
             The cookie is only sent to `/token/logout`. Ending twice is no error.",
        )
        .careless()
        .takes(Param::header("Authorization", json!({"type": "string"}), bearer))
        .takes_all(refresh_headers())
        .maybe_body(refresh_fields(), json!({"refresh_token": "WxGm0q..."}))
        .answers(Answer::empty(StatusCode::NO_CONTENT, "The session is over."))
        .problems(&[
            Kind::Unauthorized,
            Kind::WrongUser,
            Kind::WrongRefreshToken,
            Kind::Forbidden,
            Kind::HistoryUnavailable,
        ])
}
