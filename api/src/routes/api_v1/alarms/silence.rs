//! `POST /api/v1/alarms/{alarm_id}/silence`: nobody is to be notified of an alarm for a while, and
//! why. `DELETE` ends that.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use nemeses_store::history::{MAX_ALARM_NOTE, Silence};
use serde_json::json;

use super::{changeable, changed, changed_by, example};
use crate::access::{Principal, unknown_alarm};
use crate::backend::Backend;
use crate::input::{self, Fields, Segments};
use crate::openapi::{Answer, Doc, Param, Tag, object};
use crate::output::Alarm;
use crate::problem::{Kind, Problem};

/// A silence that is longer is a rule that should be changed.
const MAX_SILENCE_S: u64 = 30 * 86_400;

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    Segments(alarm_id): Segments<String>,
    fields: Fields,
) -> Result<Response, Problem> {
    let alarm = changeable(&state, &principal, &alarm_id).await?;
    let (reason, for_s) = asked(fields)?;
    let by = changed_by(&state, &principal).await?;
    let until_ms = state.clock.now_ms().saturating_add(for_s * 1000);
    silence(&state, alarm.id, &Silence { until_ms, by, reason }).await?;
    changed(&state, alarm.id).await
}

pub(crate) async fn delete(
    principal: Principal,
    State(state): State<Backend>,
    Segments(alarm_id): Segments<String>,
) -> Result<Response, Problem> {
    let alarm = changeable(&state, &principal, &alarm_id).await?;
    let now_ms = state.clock.now_ms();
    if let Some(lasting) = alarm.silence.filter(|silence| silence.until_ms > now_ms) {
        silence(&state, alarm.id, &Silence { until_ms: now_ms, ..lasting }).await?;
        let (id, user_id) = (alarm.id, principal.signed_in()?.user_id);
        tracing::info!(id, user_id, "the silence of an alarm was ended");
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn silence(state: &Backend, id: u64, silence: &Silence) -> Result<(), Problem> {
    let found = state.history.ask(state.stores.alarms.silence(id, silence)).await?;
    if found { Ok(()) } else { Err(unknown_alarm()) }
}

/// Why, and for how many seconds.
fn asked(mut fields: Fields) -> Result<(String, u64), Problem> {
    let reason = fields.text("reason")?;
    let for_s = fields.maybe_number("for_s", 1..=MAX_SILENCE_S)?;
    fields.finish()?;
    let for_s = for_s.ok_or_else(|| Problem::field("for_s", "Missing."))?;
    Ok((input::note("reason", &reason)?, for_s))
}

pub(crate) fn post_doc() -> Doc {
    let reason = json!({"type": "string", "minLength": 1, "maxLength": MAX_ALARM_NOTE});
    let for_s = json!({
        "type": "integer", "minimum": 1, "maximum": MAX_SILENCE_S,
        "description": "For how many seconds from now on.",
    });
    let body = object(&[("reason", reason), ("for_s", for_s)], &[]);
    let mut alarm = example();
    alarm["silenced"] = json!({
        "until": "2020-07-02T21:05:00.000Z", "by": "anna@example.org", "reason": "in the workshop",
    });
    Doc::new("silenceAlarm", Tag::Alarms, "Silence an alarm")
        .about(
            "Nobody is to be notified of the alarm for a while. It replaces the silence before. \
             For operators, admins and the owner of the rule.",
        )
        .takes(Param::path_number("alarm_id", "The alarm's `id`."))
        .body(body, json!({"reason": "in the workshop", "for_s": 86_400}))
        .answers(Answer::json::<Alarm>("The alarm.", alarm))
        .problems(&[Kind::UnknownId])
}

pub(crate) fn delete_doc() -> Doc {
    Doc::new("endSilenceOfAlarm", Tag::Alarms, "End the silence of an alarm")
        .about(
            "Good as well if it is not silenced. For operators, admins and the owner of the rule.",
        )
        .takes(Param::path_number("alarm_id", "The alarm's `id`."))
        .answers(Answer::empty(StatusCode::NO_CONTENT, "It is not silenced any more."))
        .problems(&[Kind::UnknownId])
}
