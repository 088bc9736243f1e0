//! Texts with what a topic or a payload says in them: `id:{site}-{/serial}`.

use std::fmt::Write as _;

use super::pattern::Names;
use super::pointer::Pointer;
use crate::item::Item;
use crate::json::{Member, item};
use crate::output::quoted;

/// All pointers of a mapping, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointers(pub(crate) Vec<Pointer>);

impl Pointers {
    /// Its place among them.
    pub(crate) fn place(&mut self, text: &str) -> Result<usize, String> {
        let pointer = Pointer::parse(text)?;
        if let Some(at) = self.0.iter().position(|known| *known == pointer) {
            return Ok(at);
        }
        self.0.push(pointer);
        Ok(self.0.len() - 1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A named level.
    Name(String),
    /// A value, by its place among the pointers.
    Value(usize),
}

/// A text with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template; `known` are the names that topic and records have.
    pub(crate) fn parse(
        text: &str,
        known: &[String],
        pointers: &mut Pointers,
    ) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            pieces.push(Piece::Text(before.to_owned()));
            let (inside, after) = behind
                .split_once('}')
                .ok_or_else(|| format!("{} has a brace that is not closed", quoted(text)))?;
            pieces.push(if inside.starts_with(['/', '$']) {
                Piece::Value(pointers.place(inside)?)
            } else if known.iter().any(|name| name == inside) {
                Piece::Name(inside.to_owned())
            } else {
                let names =
                    if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
                return Err(format!(
                    "{{{inside}}} is neither a level that topic or records name ({names}) nor a \
                     pointer such as {{/id}}"
                ));
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// A text that says nothing else.
    pub(crate) fn plain(text: &str) -> Self {
        Self(Vec::from([Piece::Text(text.to_owned())]))
    }

    /// What stands before the first place to fill in.
    pub(crate) fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether nothing is filled in.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Whether it needs the payload.
    pub(crate) fn has_pointer(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    /// The text with everything filled in, each part by `form`.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn fill(
        &self,
        names: &Names,
        (pointers, found): (&Pointers, &[Option<Member<'_>>]),
        form: fn(&str) -> String,
    ) -> Result<String, String> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) => out.push_str(&form(names.get(name).unwrap_or_default())),
                Piece::Value(at) => {
                    let part = found.get(*at).and_then(Option::as_ref);
                    let text = part.and_then(|part| text_of(part.value)).ok_or_else(|| {
                        let why = if part.is_none() {
                            "is nothing"
                        } else {
                            "is neither a text nor a whole number"
                        };
                        format!("at {} {why}", pointers.0[*at])
                    })?;
                    out.push_str(&form(&text));
                }
            }
        }
        Ok(out)
    }
}

fn text_of(value: &str) -> Option<String> {
    match item(value) {
        Item::Text(text) if !text.is_empty() => Some(text.into_owned()),
        Item::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// As a part of a device's name: what is not visible ASCII is percent-encoded.
pub(crate) fn in_a_name(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
