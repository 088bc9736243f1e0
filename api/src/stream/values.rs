//! Which values of channels a client gets, and how they are written. Pure.

use nemeses_protocol::decoded;
use nemeses_reports::number::time_ms;
use nemeses_store::live::LiveValue;
use serde::Serialize;
use serde_json::Value;

use crate::access::{Principal, Reach};
use crate::input::Params;
use crate::output::measured;
use crate::problem::Problem;

/// Channels in one question: as many as a device may have.
const MOST_CHANNELS: usize = 1_024;
pub(super) const VALUES: [(&str, Among); 3] =
    [("true", Among::Others), ("false", Among::None), ("only", Among::Only)];

/// Whether values come among the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Among {
    None,
    #[default]
    Others,
    /// Nothing else comes.
    Only,
}

/// The values that a client asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Channels {
    pub(crate) among: Among,
    /// Of channels with these names alone, in their order.
    these: Option<Vec<String>>,
}

impl Channels {
    /// From the parameters `values` and `channels`.
    pub(crate) fn of(params: &mut Params) -> Result<Self, Problem> {
        let among = params.choice("values", &VALUES, Among::Others)?;
        let these = params.take("channels")?.as_deref().map(names).transpose()?;
        if these.is_some() && among == Among::None {
            let detail = "Give this or values=false, not both.";
            return Err(Problem::parameter("channels", detail));
        }
        Ok(Self { among, these })
    }

    /// Whether a value is wanted, by the name that it came with or that of its channel.
    fn has(&self, value: &LiveValue) -> bool {
        let listed = |names: &[String], name: &str| {
            names.binary_search_by(|listed| listed.as_str().cmp(name)).is_ok()
        };
        let with_unit = || value.unit.as_ref().map(|unit| format!("{} [{unit}]", value.channel));
        self.among != Among::None
            && self.these.as_deref().is_none_or(|names| {
                listed(names, &value.channel)
                    || with_unit().is_some_and(|name| listed(names, &name))
            })
    }

    /// Those of the values that are wanted and that the caller may see: who sees nothing that
    /// was recorded sees no values, and who sees what was recorded from some moment on sees
    /// those of then.
    pub(crate) fn of_these<'v>(
        &self,
        values: &'v [LiveValue],
        caller: &Principal,
    ) -> Vec<&'v LiveValue> {
        let reach = caller.reach();
        if matches!(reach, Reach::Now { .. }) {
            return Vec::new();
        }
        let since_ms = reach.since_ms().unwrap_or_default();
        let wanted = |value: &&LiveValue| value.recorded_at_ms >= since_ms && self.has(value);
        values.iter().filter(wanted).collect()
    }
}

/// Names of channels with commas between them, in order and each once.
fn names(text: &str) -> Result<Vec<String>, Problem> {
    let wrong = |detail: String| Problem::parameter("channels", detail);
    let name = |item: &str| match decoded(item) {
        Ok(name) if !name.is_empty() => Ok(name.into_owned()),
        Ok(_) => Err(wrong("Must be names with commas between them.".to_owned())),
        Err(error) => Err(wrong(format!("Must be names with commas between them: {error}."))),
    };
    let mut names = text.split(',').map(name).collect::<Result<Vec<_>, _>>()?;
    if names.len() > MOST_CHANNELS {
        return Err(wrong(format!("At most {MOST_CHANNELS} channels; leave it out for all.")));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[derive(Serialize)]
struct ValuesText<'a> {
    r#type: &'static str,
    id: &'a str,
    device_id: String,
    values: Vec<ValueText<'a>>,
}

#[derive(Serialize)]
struct ValueText<'a> {
    channel: &'a str,
    unit: Option<&'a str>,
    value: Value,
    /// Only the beginning of a longer text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    recorded_at: String,
    received_at: String,
}

/// Newest values of a device's channels, as JSON.
pub(crate) fn values_json<'v>(
    id: &str,
    device_id: String,
    values: impl IntoIterator<Item = &'v LiveValue>,
) -> String {
    let value = |value: &'v LiveValue| ValueText {
        channel: &value.channel,
        unit: value.unit.as_deref(),
        value: measured(&value.value),
        cut: value.cut,
        recorded_at: time_ms(value.recorded_at_ms),
        received_at: time_ms(value.received_at_ms),
    };
    let values = values.into_iter().map(value).collect();
    // Strings and numbers: this cannot fail.
    serde_json::to_string(&ValuesText { r#type: "values", id, device_id, values })
        .unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use nemeses_protocol::Value as Measured;
    use serde_json::json;

    use super::*;

    pub(crate) fn value(channel: &str, recorded_at_ms: u64) -> LiveValue {
        LiveValue {
            channel: channel.into(),
            unit: Some("Cel".into()),
            value: Measured::Number(21.5),
            cut: false,
            recorded_at_ms,
            received_at_ms: recorded_at_ms + 250,
            content_hash: 7,
        }
    }

    fn asked(query: &str) -> Result<Channels, String> {
        let mut params = Params::of(&format!("/path?{query}").parse().unwrap()).unwrap();
        let channels = Channels::of(&mut params);
        channels.map_err(|problem| problem.at_fault().unwrap_or_default().to_owned())
    }

    #[test]
    fn all_none_or_these() {
        assert_eq!(asked(""), Ok(Channels::default()));
        assert_eq!(asked("values=true"), Ok(Channels::default()));
        assert_eq!(asked("values=false").map(|it| it.among), Ok(Among::None));
        assert_eq!(asked("values=only").map(|it| it.among), Ok(Among::Only));
        // A comma in a name is encoded, and once more in a query.
        let these = asked("channels=t,cpu%7Ba=1%252Cb=2%7D,t").unwrap();
        assert_eq!(these.these, Some(vec!["cpu{a=1,b=2}".to_owned(), "t".to_owned()]));
        for bad in ["channels=a,,b", "channels=%25zz", "values=false&channels=a"] {
            assert_eq!(asked(bad), Err("channels".to_owned()), "{bad}");
        }
        assert_eq!(asked("values=1"), Err("values".to_owned()));
    }

    #[test]
    fn a_channel_goes_by_its_name_or_with_its_unit() {
        let these = |names: &[&str]| Channels {
            these: Some(names.iter().map(|it| (*it).to_owned()).collect()),
            ..Channels::default()
        };
        let none = Channels { among: Among::None, these: None };
        let value = value("t", 1);
        assert!(these(&["a", "t"]).has(&value) && these(&["t [Cel]"]).has(&value));
        assert!(!these(&["t [K]"]).has(&value) && !none.has(&value));
    }

    #[test]
    fn the_contract_of_values() {
        let text = values_json("7", "host:web1".to_owned(), &[value("t", 1_593_637_200_000)]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "type": "values", "id": "7", "device_id": "host:web1", "values": [{
                "channel": "t", "unit": "Cel", "value": 21.5,
                "recorded_at": "2020-07-01T21:00:00Z", "received_at": "2020-07-01T21:00:00.250Z",
            }],
        });
        assert_eq!(read, expected);
    }
}
