//! `POST /api/v1/alarms/{alarm_id}/acknowledge`: somebody has seen an alarm. The first who says so
//! is recorded, and whoever does so after him gets the same answer.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::{Acknowledgement, MAX_ALARM_NOTE};
use serde_json::json;

use super::{changeable, changed, changed_by, example};
use crate::access::{Principal, unknown_alarm};
use crate::backend::Backend;
use crate::input::{self, Fields, MaybeFields, Segments};
use crate::openapi::{Answer, Doc, Param, Tag, object};
use crate::output::Alarm;
use crate::problem::{Kind, Problem};

pub(crate) async fn post(
    principal: Principal,
    State(state): State<Backend>,
    Segments(alarm_id): Segments<String>,
    MaybeFields(fields): MaybeFields,
) -> Result<Response, Problem> {
    let alarm = changeable(&state, &principal, &alarm_id).await?;
    let note = note(fields)?;
    let by = changed_by(&state, &principal).await?;
    let by = Acknowledgement { at_ms: state.clock.now_ms(), by, note };
    if !state.history.ask(state.stores.alarms.acknowledge(alarm.id, &by)).await? {
        return Err(unknown_alarm());
    }
    changed(&state, alarm.id).await
}

fn note(mut fields: Fields) -> Result<Option<String>, Problem> {
    let note = fields.null_or_text("note")?.value();
    fields.finish()?;
    note.map(|text| input::note("note", &text)).transpose()
}

pub(crate) fn doc() -> Doc {
    let note = json!({"type": ["string", "null"], "minLength": 1, "maxLength": MAX_ALARM_NOTE});
    Doc::new("acknowledgeAlarm", Tag::Alarms, "Acknowledge an alarm")
        .about(
            "The first acknowledgement is recorded, with who made it and when; asking again \
             changes nothing. For operators, admins and the owner of the rule.",
        )
        .takes(Param::path_number("alarm_id", "The alarm's `id`."))
        .maybe_body(object(&[], &[("note", note)]), json!({"note": "called the driver"}))
        .answers(Answer::json::<Alarm>("The alarm.", example()))
        .problems(&[Kind::UnknownId])
}
