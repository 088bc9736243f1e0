//! `GET /api/v1/stream/ws`: the stream over a WebSocket, each text message a JSON
//! array of events. What the client sends is not looked at.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::time::timeout;

use super::wanted;
use crate::access::Principal;
use crate::input::Params;
use crate::openapi::{Answer, Doc};
use crate::problem::{Kind, Problem};
use crate::stream::{Follower, Form, Holder, StreamState, Text, Turn};

/// Clients have nothing to say but pings and goodbyes.
const MOST_RECEIVED_BYTES: usize = 4 * 1024;
/// For a last word.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// The library allocates this for each connection.
const READ_BUFFER_BYTES: usize = 1024;

pub(crate) fn doc() -> Doc {
    let about = "A WebSocket; each text message is a JSON array of events.";
    super::described("openStream", "Live positions and changes over a WebSocket")
        .about("The same events as `GET /api/v1/stream`. What the client sends is not looked at.")
        .answers(Answer::empty(StatusCode::SWITCHING_PROTOCOLS, about))
        .problems(&[Kind::UpgradeRequired])
}

pub(crate) async fn get(
    State(state): State<StreamState>,
    caller: Principal,
    Extension(holder): Extension<Holder>,
    params: Params,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let wanted = wanted(&state, params, &caller).await?;
    let upgrade = upgrade.map_err(|_| {
        let detail = "This path speaks WebSocket (version 13) only; /api/v1/stream/ streams over plain HTTP.";
        Problem::new(Kind::UpgradeRequired, detail)
    })?;
    let text = |totals| Text::new(Form::Array, totals);
    let follower = Follower::begin(&state, holder, caller, wanted, text).await?;
    let tracked = state.hub.clients.token();
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(MOST_RECEIVED_BYTES)
        .max_frame_size(MOST_RECEIVED_BYTES)
        .on_failed_upgrade(|error| tracing::debug!(%error, "a WebSocket was not opened after all"));
    Ok(upgrade.on_upgrade(move |socket| async move {
        serve(socket, follower).await;
        drop(tracked);
    }))
}

async fn serve(mut socket: WebSocket, mut follower: Follower<Text>) {
    loop {
        let turn = tokio::select! {
            turn = follower.next() => turn,
            received = socket.recv() => match received {
                Some(Ok(_)) => continue,
                // Gone, or talks nonsense; a goodbye was answered already.
                Some(Err(_)) | None => return,
            },
        };
        let (text, last) = match turn {
            Turn::More(text) => (text, false),
            Turn::End(text) => (text, true),
        };
        match timeout(follower.takes_within(), socket.send(Message::Text(text.into()))).await {
            Ok(Ok(())) if last => return close(socket).await,
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                // Does not read, so it will hardly read this either.
                let (Turn::More(end) | Turn::End(end)) = follower.too_slow();
                let last_try = socket.send(Message::Text(end.into()));
                let _ = timeout(GOODBYE_WITHIN, last_try).await;
                return;
            }
        }
    }
}

/// Says goodbye and gives the client a moment to answer.
async fn close(mut socket: WebSocket) {
    let goodbye = CloseFrame { code: close_code::AWAY, reason: "".into() };
    let answered = async {
        socket.send(Message::Close(Some(goodbye))).await?;
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), axum::Error>(())
    };
    let _ = timeout(GOODBYE_WITHIN, answered).await;
}
