//! `GET /api/v1/retention-classes`: the classes that a device may be put in, and how
//! long the positions of each are kept. For those who look after devices.

use axum::extract::State;
use axum::response::Response;
use nemeses_store::history::{ClassCount, DEFAULT_RETENTION, NotedClass};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::backend::Backend;
use crate::input::Params;
use crate::openapi::{Answer, Doc, Tag};
use crate::output;
use crate::problem::Problem;

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RetentionClass")]
struct Class {
    name: String,
    /// How long positions are kept, by the device's clock; null for ever.
    keep_s: Option<u64>,
    /// Devices whose profile names it; of `default` those that have a profile.
    devices: u64,
    /// Whether the settings give it a period. A class without one, which devices
    /// name all the same, keeps all positions.
    configured: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RetentionClassesAnswer")]
struct Classes {
    /// `default` first, then in order of name.
    classes: Vec<Class>,
    count: usize,
}

pub(crate) async fn get(State(state): State<Backend>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let retention = &state.stores.retention;
    let noted = state.history.ask(retention.noted_classes()).await?;
    let named = state.history.ask(retention.classes()).await?;
    let classes = joined(&noted, &named);
    output::json(&Classes { count: classes.len(), classes })
}

/// What the settings say and what devices name, each class once.
fn joined(noted: &[NotedClass], named: &[ClassCount]) -> Vec<Class> {
    let periods = noted.iter().map(|noted| &noted.class);
    let mut all: Vec<&str> =
        periods.chain(named.iter().map(|named| &named.class)).map(String::as_str).collect();
    all.push(DEFAULT_RETENTION);
    all.sort_by_key(|name| (*name != DEFAULT_RETENTION, *name));
    all.dedup();
    let class = |name: &str| {
        let period = noted.iter().find(|noted| noted.class == name);
        let devices = named.iter().find(|named| named.class == name);
        Class {
            name: name.to_owned(),
            keep_s: period.and_then(|noted| noted.keep_s),
            devices: devices.map_or(0, |named| named.devices),
            configured: name == DEFAULT_RETENTION || period.is_some(),
        }
    };
    all.into_iter().map(class).collect()
}

/// Fails unless a device may be put in this class: the default one, one with a period,
/// or one that devices are in already.
pub(super) async fn must_be_known(state: &Backend, name: &str) -> Result<(), Problem> {
    if name == DEFAULT_RETENTION {
        return Ok(());
    }
    let retention = &state.stores.retention;
    let noted = state.history.ask(retention.noted_classes()).await?;
    let named = state.history.ask(retention.classes()).await?;
    let known = joined(&noted, &named);
    if known.iter().any(|class| class.name == name) {
        return Ok(());
    }
    let there: Vec<&str> = known.iter().map(|class| class.name.as_str()).collect();
    let detail = format!(
        "There is no retention class of this name; there are: {}. The setting keep-classes makes them.",
        there.join(", ")
    );
    Err(Problem::field("retention", detail))
}

pub(crate) fn doc() -> Doc {
    let class = |name: &str, keep_s: Option<u64>, devices: u64| json!({"name": name, "keep_s": keep_s, "devices": devices, "configured": true});
    let example = json!({
        "classes": [class("default", Some(7_776_000), 12), class("law", None, 2)],
        "count": 2,
    });
    Doc::new("listRetentionClasses", Tag::Devices, "The classes of devices by how long positions are kept")
        .about("A device's class is its profile's `retention`. Classes come from the setting `keep-classes` of the processes that look after retention, within a minute of their start.")
        .answers(Answer::json::<Classes>("The classes.", example))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_only_devices_name_is_shown_as_such() {
        let noted = [
            NotedClass { class: "default".into(), keep_s: Some(9) },
            NotedClass { class: "a".into(), keep_s: None },
        ];
        let named = [
            ClassCount { class: "b".into(), devices: 2 },
            ClassCount { class: "default".into(), devices: 1 },
        ];
        let seen: Vec<_> = joined(&noted, &named)
            .into_iter()
            .map(|class| (class.name, class.keep_s, class.devices, class.configured))
            .collect();
        let row = |name: &str, keep_s, devices, configured| {
            (name.to_owned(), keep_s, devices, configured)
        };
        let meant =
            [row("default", Some(9), 1, true), row("a", None, 0, true), row("b", None, 2, false)];
        assert_eq!(seen, meant);
        assert_eq!(joined(&[], &[]).len(), 1);
    }
}
