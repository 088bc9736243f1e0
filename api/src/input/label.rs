//! What people call things: names, tags, classes.

use std::ops::RangeInclusive;

use nemeses_store::history::{MAX_ALARM_NOTE, MAX_RULE_NAME};

use super::visible::is_visible_line;
use crate::problem::Problem;

const MAX_LABEL_CHARS: usize = 100;
const MAX_TAGS: usize = 20;
const MAX_TAG_CHARS: usize = 40;
const MAX_CLASS_BYTES: usize = 32;

/// A line of text, trimmed, of at least so many characters.
pub(crate) fn label(name: &'static str, text: &str, least: usize) -> Result<String, Problem> {
    line(name, text, least..=MAX_LABEL_CHARS)
}

/// What somebody notes of an alarm: a line of text, trimmed.
pub(crate) fn note(name: &'static str, text: &str) -> Result<String, Problem> {
    line(name, text, 1..=MAX_ALARM_NOTE)
}

/// The name of a rule or a geofence.
pub(crate) fn rule_name(text: &str) -> Result<String, Problem> {
    line("name", text, 1..=MAX_RULE_NAME)
}

fn line(name: &'static str, text: &str, chars: RangeInclusive<usize>) -> Result<String, Problem> {
    let text = text.trim();
    if chars.contains(&text.chars().count()) && is_visible_line(text) {
        return Ok(text.to_owned());
    }
    let (least, most) = chars.into_inner();
    let detail = format!("Must have {least} to {most} characters, none of them invisible.");
    Err(Problem::field(name, detail))
}

/// Tags, trimmed, each once, in the order given.
pub(crate) fn tags(name: &'static str, texts: &[String]) -> Result<Vec<String>, Problem> {
    let mut tags: Vec<String> = Vec::with_capacity(texts.len().min(MAX_TAGS));
    for text in texts {
        let tag = text.trim();
        if !(1..=MAX_TAG_CHARS).contains(&tag.chars().count()) || !is_visible_line(tag) {
            let detail =
                format!("A tag has 1 to {MAX_TAG_CHARS} characters, none of them invisible.");
            return Err(Problem::field(name, detail));
        }
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > MAX_TAGS {
        return Err(Problem::field(name, format!("At most {MAX_TAGS} tags.")));
    }
    Ok(tags)
}

/// The name of a class in the configuration.
pub(crate) fn class(name: &'static str, text: String) -> Result<String, Problem> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if (1..=MAX_CLASS_BYTES).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text);
    }
    let detail = format!("Must be 1 to {MAX_CLASS_BYTES} of a-z 0-9 - _.");
    Err(Problem::field(name, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lines() {
        assert_eq!(label("name", "  Lörry 7 ✓ ", 1).unwrap(), "Lörry 7 ✓");
        assert_eq!(label("name", " ", 0).unwrap(), "");
        assert_eq!(label("name", &"ü".repeat(100), 1).unwrap().chars().count(), 100);
        for bad in ["", "a\nb", "a\u{0}", "a\u{2028}b", "a\u{202e}b", "a\u{200b}", &"x".repeat(101)]
        {
            assert_eq!(label("name", bad, 1).unwrap_err().at_fault(), Some("name"), "{bad}");
        }
    }

    #[test]
    fn tags_come_once() {
        let texts = |tags: &[&str]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(tags("tags", &texts(&[" a", "b", "a "])).unwrap(), ["a", "b"]);
        assert_eq!(tags("tags", &[]).unwrap(), [""; 0]);
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        for bad in [texts(&[""]), texts(&["a\nb"]), texts(&[&"x".repeat(41)]), many] {
            assert_eq!(tags("tags", &bad).unwrap_err().at_fault(), Some("tags"), "{bad:?}");
        }
    }

    #[test]
    fn classes_are_words() {
        assert_eq!(class("retention", "90-days".into()).unwrap(), "90-days");
        for bad in ["", "Default", "a b", "ü", &"x".repeat(33)] {
            let problem = class("retention", bad.into()).unwrap_err();
            assert_eq!(problem.at_fault(), Some("retention"), "{bad}");
        }
    }
}
