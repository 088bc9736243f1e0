//! A rule as people write it: a JSON object that says what the rule is called, which devices it is for
//! and what raises its alarms. The API's bodies and the files of `nemeses rules` are read here.

use serde_json::{Map, Value};

use crate::error::RuleError;
use crate::rule::{Rule, RuleSpec};

/// Characters of a message that names what somebody wrote.
const MAX_DETAIL: usize = 300;
/// The members of [`RuleSpec`] that are no part of its test.
const OF_SPEC: [&str; 4] = ["for_s", "keep_for_s", "hold_s", "notify_if_younger_s"];

/// How grave an alarm is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Info,
    /// The default.
    #[default]
    Warning,
    /// Somebody should act at once.
    Critical,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word in files, tables and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A rule as it is written. Its name, its devices and its receivers are as they came: whether they
/// are good is decided where they are known.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDocument {
    /// What people call it.
    pub name: String,
    /// How grave its alarms are.
    pub severity: Severity,
    /// Only for these devices, one at least.
    pub devices: Option<Vec<String>>,
    /// Only for the devices of this group; not together with devices.
    pub group: Option<u64>,
    /// What raises its alarms.
    pub spec: RuleSpec,
    /// Whether it is evaluated; true if nothing is said.
    pub enabled: bool,
    /// Who is notified; `None` if nothing is said.
    pub receivers: Option<Vec<u64>>,
    /// Whether it is everybody's; `None` if nothing is said.
    pub shared: Option<bool>,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}`: {detail}")]
pub struct DocumentError {
    /// The member at fault, with dots between the levels.
    pub member: String,
    /// What is wrong with it.
    pub detail: String,
    /// Where in a condition, counted in characters from 1.
    pub column: Option<usize>,
}

impl DocumentError {
    /// An error of a member that is no condition.
    pub fn new(member: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        let detail = detail.chars().take(MAX_DETAIL).collect();
        Self { member: member.into(), detail, column: None }
    }
}

impl From<RuleError> for DocumentError {
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::Condition { part, error } => Self {
                column: Some(error.column),
                ..Self::new(format!("rule.test.{part}"), error.message)
            },
            RuleError::Bounds { part, bounds } if OF_SPEC.contains(&part) => {
                Self::new(format!("rule.{part}"), format!("must be {bounds}"))
            }
            RuleError::Bounds { part, bounds } => {
                Self::new(format!("rule.test.{part}"), format!("must be {bounds}"))
            }
            RuleError::NoFence(_) => Self::new("rule.test", error.to_string()),
            RuleError::Hysteresis => Self::new("rule.test.until", error.to_string()),
        }
    }
}

impl RuleDocument {
    /// Reads a document and checks what its rule says, geofences left out ([`Rule::fences`]).
    /// A member that is `null` counts as left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(document: Value) -> Result<Self, DocumentError> {
        let Value::Object(members) = document else {
            return Err(DocumentError::new("rule", "a rule is a JSON object"));
        };
        let mut members = Members(members);
        let read = Self {
            name: members.need("name", "a text", text)?,
            severity: members
                .take("severity", "info, warning or critical", severity)?
                .unwrap_or_default(),
            devices: members.take("devices", "a list of device ids, one at least", some_texts)?,
            group: members.take("group", "the number of a group", |value| value.as_u64())?,
            spec: spec_of(members.need("rule", "an object", Some)?)?,
            enabled: members.take("enabled", "true or false", flag)?.unwrap_or(true),
            receivers: members.take("receivers", "a list of numbers", numbers)?,
            shared: members.take("shared", "true or false", flag)?,
        };
        members.finish()?;
        if read.devices.is_some() && read.group.is_some() {
            return Err(DocumentError::new(
                "group",
                "a rule is for devices or for a group, not for both",
            ));
        }
        Ok(read)
    }

    /// The numbers of the geofences that the rule asks for.
    pub fn fences(&self) -> Vec<u64> {
        // It was compiled when it was read.
        Rule::compile(0, 0, &self.spec, |_| true).map(|rule| rule.fences()).unwrap_or_default()
    }
}

/// Reads what a rule says and checks it, geofences left out.
///
/// # Errors
/// What is wrong with it; the member is `rule` or below it.
pub fn spec_of(value: Value) -> Result<RuleSpec, DocumentError> {
    let spec: RuleSpec = serde_json::from_value(value)
        .map_err(|error| DocumentError::new("rule", error.to_string()))?;
    Rule::compile(0, 0, &spec, |_| true)?;
    Ok(spec)
}

/// The members that nobody has taken yet.
struct Members(Map<String, Value>);

impl Members {
    fn take<T>(
        &mut self,
        name: &'static str,
        must_be: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, DocumentError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(DocumentError::new(name, format!("must be {must_be}"))),
            },
        }
    }

    fn need<T>(
        &mut self,
        name: &'static str,
        must_be: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, DocumentError> {
        self.take(name, must_be, read)?.ok_or_else(|| DocumentError::new(name, "is missing"))
    }

    fn finish(self) -> Result<(), DocumentError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(DocumentError::new(name, "there is no such member")),
        }
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

#[expect(clippy::needless_pass_by_value, reason = "readers of a member take it")]
fn flag(value: Value) -> Option<bool> {
    value.as_bool()
}

#[expect(clippy::needless_pass_by_value, reason = "readers of a member take it")]
fn severity(value: Value) -> Option<Severity> {
    let word = value.as_str()?;
    Severity::ALL.into_iter().find(|severity| severity.word() == word)
}

fn list(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(list) = value { Some(list) } else { None }
}

fn some_texts(value: Value) -> Option<Vec<String>> {
    let texts: Vec<String> = list(value)?.into_iter().map(text).collect::<Option<_>>()?;
    (!texts.is_empty()).then_some(texts)
}

fn numbers(value: Value) -> Option<Vec<u64>> {
    list(value)?.iter().map(Value::as_u64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({
            "name": "Too fast", "severity": "critical", "devices": ["0A3F73", "host:web1"],
            "rule": {"test": {"kind": "overspeed", "limit_kmh": 90}, "for_s": 60},
            "enabled": false, "receivers": [2, 1], "shared": true,
        })
    }

    #[test]
    fn a_document_says_all_or_little() {
        let read = RuleDocument::from_json(whole()).unwrap();
        assert_eq!((read.name.as_str(), read.severity), ("Too fast", Severity::Critical));
        assert_eq!(read.devices.unwrap(), ["0A3F73", "host:web1"]);
        assert_eq!((read.spec.for_s, read.enabled), (60, false));
        assert_eq!((read.receivers.unwrap(), read.shared), (vec![2, 1], Some(true)));
        let little = json!({"name": "n", "group": null, "rule": {"test": {"kind": "inside", "geofence": 7}}});
        let read = RuleDocument::from_json(little).unwrap();
        assert_eq!((read.severity, read.enabled), (Severity::Warning, true));
        assert_eq!((&read.devices, read.group, &read.receivers), (&None, None, &None));
        assert_eq!(read.fences(), [7]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let condition = |when: &str| json!({"test": {"kind": "condition", "when": when}});
        for (name, value, member, column) in [
            ("name", json!(null), "name", None),
            ("name", json!(7), "name", None),
            ("severity", json!("fatal"), "severity", None),
            ("devices", json!([]), "devices", None),
            ("devices", json!(["0A3F73", 7]), "devices", None),
            ("group", json!(1), "group", None),
            ("group", json!(-1), "group", None),
            ("enabled", json!("yes"), "enabled", None),
            ("receivers", json!(["1"]), "receivers", None),
            ("shared", json!(0), "shared", None),
            ("more", json!(0), "more", None),
            ("rule", json!([]), "rule", None),
            ("rule", json!({}), "rule", None),
            ("rule", json!({"test": {"kind": "magic"}}), "rule", None),
            ("rule", condition("speed_kmh > "), "rule.test.when", Some(13)),
            ("rule", json!({"test": {"kind": "idling"}, "for_s": 2_592_001}), "rule.for_s", None),
            (
                "rule",
                json!({"test": {"kind": "overspeed", "limit_kmh": 0}}),
                "rule.test.limit_kmh",
                None,
            ),
            (
                "rule",
                json!({"test": {"kind": "condition", "when": "x > 5", "until": "x > 3"}}),
                "rule.test.until",
                None,
            ),
        ] {
            let mut document = whole();
            document[name] = value;
            let error = RuleDocument::from_json(document.clone()).unwrap_err();
            assert_eq!((error.member.as_str(), error.column), (member, column), "{document}");
        }
        let hostile = json!({"test": {"kind": "x".repeat(10_000)}});
        assert!(spec_of(hostile).unwrap_err().detail.chars().count() <= MAX_DETAIL);
        assert_eq!(RuleDocument::from_json(json!([])).unwrap_err().member, "rule");
    }
}
