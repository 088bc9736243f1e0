//! JSON pointers (RFC 6901), and all those of a mapping looked up in one descent.

use std::collections::BTreeMap;
use std::fmt;

use super::pattern::{Level, Names};
use crate::json::{Member, parts};
use crate::output::quoted;

/// What the pointers of a mapping name, in their order.
pub(super) type Found<'p> = Vec<Option<Member<'p>>>;

/// Longer pointers are refused at start: each name costs one pass over what it names.
const MAX_DEPTH: usize = 16;

/// Where a value stands in a record, or in the payload if it begins with `$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    pub(crate) of_payload: bool,
    names: Vec<String>,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { "the whole record" } else { &self.text })
    }
}

impl Pointer {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('$');
        let names = names(inner.unwrap_or(text))?;
        Ok(Self { text: text.to_owned(), of_payload: inner.is_some(), names })
    }

    /// The names joined by dots: a channel's default name.
    pub(crate) fn dotted(&self) -> String {
        self.names.join(".")
    }
}

/// The names of a pointer, unescaped.
fn names(text: &str) -> Result<Vec<String>, String> {
    let unescaped = |name: &str| name.replace("~1", "/").replace("~0", "~");
    match text.split_once('/') {
        _ if text.is_empty() => Ok(Vec::new()),
        Some(("", rest)) => {
            let names: Vec<String> = rest.split('/').map(unescaped).collect();
            if names.len() > MAX_DEPTH {
                return Err(format!("{} has more than {MAX_DEPTH} names", quoted(text)));
            }
            Ok(names)
        }
        _ => Err(format!(
            "{} is no JSON pointer; it begins with a slash, such as /data/temperature",
            quoted(text)
        )),
    }
}

/// What the pointers name below a value, in their order.
///
/// # Errors
/// A member on the way is there twice.
pub(crate) fn look_up<'p, 'w>(
    root: &Member<'p>,
    pointers: impl Iterator<Item = (usize, &'w Pointer)>,
    found: &mut [Option<Member<'p>>],
) -> Result<(), String> {
    descend(root, pointers.map(|(at, pointer)| (at, pointer.names.as_slice())).collect(), found)
}

fn descend<'p>(
    part: &Member<'p>,
    wanted: Vec<(usize, &[String])>,
    found: &mut [Option<Member<'p>>],
) -> Result<(), String> {
    let mut below: BTreeMap<&str, Vec<(usize, &[String])>> = BTreeMap::new();
    for (at, names) in wanted {
        match names.split_first() {
            Some((first, rest)) => below.entry(first).or_default().push((at, rest)),
            None => found[at] = Some(part.clone()),
        }
    }
    if below.is_empty() {
        return Ok(());
    }
    for inner in parts(part.value) {
        let key = inner.key.as_deref().unwrap_or_default();
        let Some(wanted) = below.get_mut(key).map(std::mem::take) else { continue };
        if wanted.is_empty() {
            return Err(format!("{} is there twice; send it once", quoted(key)));
        }
        descend(&inner, wanted, found)?;
    }
    Ok(())
}

/// Where the records of a payload are: a pointer with `*` and `{name}` for any member or element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Each(Vec<Level>);

impl Each {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let levels: Vec<Level> =
            names(text)?.iter().map(|name| Level::parse(name, "*")).collect::<Result<_, _>>()?;
        if levels.iter().any(|level| matches!(level, Level::Rest(_))) {
            return Err("three dots are for topics; write * or {name} for each level".into());
        }
        Ok(Self(levels))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Level::name)
    }

    /// All records, each with what the levels are called.
    pub(crate) fn of<'p>(&self, root: &Member<'p>, names: &Names) -> Vec<(Member<'p>, Names)> {
        let mut all = vec![(root.clone(), names.clone())];
        for level in &self.0 {
            all = all.iter().flat_map(|(part, names)| step(level, part, names)).collect();
        }
        all
    }
}

fn step<'p>(level: &Level, part: &Member<'p>, names: &Names) -> Vec<(Member<'p>, Names)> {
    let inner = parts(part.value).into_iter();
    let taken = inner.filter_map(|inner| match level {
        Level::Exact(key) if !inner.is(key) => None,
        Level::Exact(_) | Level::Any => Some((inner, names.clone())),
        Level::Named(name) | Level::Rest(name) => {
            let names = names.and(name, inner.key.as_deref().unwrap_or_default());
            Some((inner, names))
        }
    });
    taken.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::whole;

    fn found(text: &str, pointers: &[&str]) -> Result<Vec<Option<String>>, String> {
        let pointers: Vec<Pointer> =
            pointers.iter().map(|text| Pointer::parse(text).unwrap()).collect();
        let mut found = vec![None; pointers.len()];
        look_up(&whole(text), pointers.iter().enumerate(), &mut found)?;
        Ok(found.into_iter().map(|part| Some(part?.value.to_owned())).collect())
    }

    #[test]
    fn pointers_name_values() {
        let text = r#"{"a":{"b":[1,{"c":2}]},"x/y":3,"~":4,"":5}"#;
        let wanted =
            ["/a/b/0", "/a/b/1/c", "/x~1y", "/~0", "/", "/a/b/2", "/a/b/c", "/none", "/a/b"];
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found(text, &wanted).unwrap(),
            [
                some("1"),
                some("2"),
                some("3"),
                some("4"),
                some("5"),
                None,
                None,
                None,
                some(r#"[1,{"c":2}]"#)
            ]
        );
        assert_eq!(found("7", &["", "/a"]).unwrap(), [some("7"), None]);
        assert!(found(r#"{"a":1,"a":2}"#, &["/a"]).unwrap_err().contains("twice"));
        assert!(found(r#"{"a":1,"a":2,"b":3}"#, &["/b"]).is_ok(), "nobody asks for it");
        assert!(Pointer::parse("a").unwrap_err().contains("begins with a slash"));
        assert!(Pointer::parse(&"/a".repeat(17)).is_err());
    }

    #[test]
    fn records_are_members_and_elements() {
        let root = whole(r#"{"A":[{"t":1},{"t":2}],"B":[{"t":3}],"C":4}"#);
        let each = Each::parse("/{device}/*").unwrap();
        let all = each.of(&root, &Names::default());
        let seen: Vec<_> =
            all.iter().map(|(part, names)| (names.get("device").unwrap(), part.value)).collect();
        assert_eq!(seen, [("A", r#"{"t":1}"#), ("A", r#"{"t":2}"#), ("B", r#"{"t":3}"#)]);
        assert!(Each::parse("/{rest...}").is_err());
    }
}
