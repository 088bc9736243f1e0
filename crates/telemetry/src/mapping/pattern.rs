//! Topic patterns with named levels: `sensors/{device}/up`, `glances/{host}/{rest...}`.

use crate::output::quoted;

/// What stands for a name in a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    pub(crate) fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(crate) fn and(&self, name: &str, value: &str) -> Self {
        let mut more = self.clone();
        more.0.push((name.to_owned(), value.to_owned()));
        more
    }
}

/// One level, or one step of a pointer to records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Exact(String),
    /// `+` in a topic, `*` in a pointer.
    Any,
    /// `{name}`.
    Named(String),
    /// `{name...}`: all that follows, one level at least.
    Rest(String),
}

impl Level {
    /// Reads a level; `any` is how one with any value is written.
    pub(crate) fn parse(text: &str, any: &str) -> Result<Self, String> {
        if text == any {
            return Ok(Self::Any);
        }
        let Some(inside) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return if text.contains(['{', '}', '+', '#']) {
                Err(format!("{} is neither a text nor a whole level in braces", quoted(text)))
            } else {
                Ok(Self::Exact(text.to_owned()))
            };
        };
        let name = inside.strip_suffix("...").unwrap_or(inside);
        if !is_name(name) {
            return Err(format!(
                "{} cannot name a level; write letters, digits and _, such as {{device}}",
                quoted(name)
            ));
        }
        let name = name.to_owned();
        Ok(if inside.ends_with("...") { Self::Rest(name) } else { Self::Named(name) })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) | Self::Rest(name) => Some(name),
            Self::Exact(_) | Self::Any => None,
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=32).contains(&text.len()) && text.bytes().all(allowed)
}

/// The topics of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Level>);

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('$') || text.len() > 256 {
            return Err("write 1 to 256 bytes, such as sensors/{device}/up, not below $".into());
        }
        let levels: Vec<Level> =
            text.split('/').map(|level| Level::parse(level, "+")).collect::<Result<_, String>>()?;
        let rest = levels.iter().position(|level| matches!(level, Level::Rest(_)));
        if rest.is_some_and(|at| at + 1 < levels.len()) {
            return Err("nothing can follow a level with three dots".into());
        }
        if matches!(levels.first(), Some(Level::Rest(_))) {
            return Err("it would take every topic; begin with a level that is a text".into());
        }
        Ok(Self(levels))
    }

    /// The names of levels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Level::name)
    }

    /// As MQTT writes it.
    pub(crate) fn filter(&self) -> String {
        let levels: Vec<&str> = self
            .0
            .iter()
            .map(|level| match level {
                Level::Exact(text) => text.as_str(),
                Level::Any | Level::Named(_) => "+",
                Level::Rest(_) => "#",
            })
            .collect();
        levels.join("/")
    }

    /// What the levels of a topic that [`Self::filter`] matches are called.
    ///
    /// # Errors
    /// A named level is empty.
    pub(crate) fn read(&self, topic: &str) -> Result<Names, String> {
        let mut names = Names::default();
        let mut levels = topic.split('/');
        for level in &self.0 {
            let value = match level {
                Level::Rest(_) => levels.by_ref().collect::<Vec<_>>().join("."),
                _ => levels.next().unwrap_or_default().to_owned(),
            };
            let Some(name) = level.name() else { continue };
            if value.is_empty() {
                return Err(format!(
                    "the level {{{name}}} of the topic {} is empty; publish below a name",
                    quoted(topic)
                ));
            }
            names.0.push((name.to_owned(), value));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names() {
        let pattern = Pattern::parse("sensors/{site}/+/{device}").unwrap();
        assert_eq!(pattern.filter(), "sensors/+/+/+");
        let names = pattern.read("sensors/north/x/a1").unwrap();
        assert_eq!((names.get("site"), names.get("device")), (Some("north"), Some("a1")));
        assert_eq!(names.get("other"), None);
        assert!(pattern.read("sensors//x/a1").unwrap_err().contains("{site}"));
        let rest = Pattern::parse("glances/{host}/{metric...}").unwrap();
        assert_eq!(rest.filter(), "glances/+/#");
        assert_eq!(rest.read("glances/web1/cpu/user").unwrap().get("metric"), Some("cpu.user"));
        assert!(rest.read("glances/web1").is_err());
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("", "1 to 256 bytes"),
            ("$SYS/{a}", "not below $"),
            ("a/#", "whole level in braces"),
            ("a/x{b}", "whole level in braces"),
            ("a/{}", "cannot name a level"),
            ("a/{b c}", "cannot name a level"),
            ("a/{b...}/c", "nothing can follow"),
            ("{all...}", "every topic"),
        ] {
            assert!(Pattern::parse(text).unwrap_err().contains(why), "{text}");
        }
    }
}
