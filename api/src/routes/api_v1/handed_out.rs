//! `/api/v1/users/{user_id}/tokens` and `.../shares`: what an account has handed out,
//! for admins: to see, and to revoke one by one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use nemeses_store::history::TokenKind;

use super::users::{user_number, user_of};
use super::{shares, tokens};
use crate::auth::AuthState;
use crate::input::{Params, Segments};
use crate::openapi::{Answer, Doc, Param, Tag};
use crate::problem::{Kind, Problem};

pub(crate) async fn get_tokens(
    State(state): State<AuthState>,
    Segments(user_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    let user = user_of(&state, &user_id).await?;
    tokens::answer_list(&state, user.id, params).await
}

pub(crate) async fn delete_token(
    State(state): State<AuthState>,
    Segments((user_id, token_id)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = user_of(&state, &user_id).await?;
    tokens::revoke(&state, user.id, ("token_id", &token_id), TokenKind::Token).await
}

pub(crate) async fn get_shares(
    State(state): State<AuthState>,
    Segments(user_id): Segments<String>,
    params: Params,
) -> Result<Response, Problem> {
    let user = user_of(&state, &user_id).await?;
    shares::answer_list(&state, user.id, params).await
}

pub(crate) async fn delete_share(
    State(state): State<AuthState>,
    Segments((user_id, share_id)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = user_of(&state, &user_id).await?;
    tokens::revoke(&state, user.id, ("share_id", &share_id), TokenKind::Share).await
}

pub(crate) fn get_tokens_doc() -> Doc {
    Doc::new("getTokensOfUser", Tag::People, "Somebody's tokens for programs")
        .takes(user_number())
        .answers(tokens::listed_answer())
        .problems(&[Kind::UnknownId])
}

pub(crate) fn get_shares_doc() -> Doc {
    Doc::new("getSharesOfUser", Tag::People, "Somebody's share links")
        .takes(user_number())
        .answers(shares::listed_answer())
        .problems(&[Kind::UnknownId])
}

pub(crate) fn delete_token_doc() -> Doc {
    revoked("revokeTokenOfUser", "Revoke somebody's token")
        .takes(Param::path_number("token_id", "The token's number."))
}

pub(crate) fn delete_share_doc() -> Doc {
    revoked("revokeShareOfUser", "Revoke somebody's share link")
        .takes(Param::path_number("share_id", "The link's number."))
}

fn revoked(id: &'static str, summary: &'static str) -> Doc {
    Doc::new(id, Tag::People, summary)
        .takes(user_number())
        .answers(Answer::empty(StatusCode::NO_CONTENT, "It ends everywhere within 2 s."))
        .problems(&[Kind::UnknownId])
}
