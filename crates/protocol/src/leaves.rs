//! JSON as the list of its values, each with its path (`location.coords.latitude`), so that
//! the payloads of apps are read without a tree. Of equal paths the last counts.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::DecodeError;

/// Objects and lists within each other at most.
const MAX_DEPTH: usize = 16;
/// Values at most: more than a record holds.
const MAX_LEAVES: usize = 2048;

/// A value that is neither an object nor a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    Null,
    Flag(bool),
    Integer(i64),
    /// Finite.
    Number(f64),
    Text(String),
}

/// Values with their paths, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leaves(Vec<(String, Leaf)>);

impl Leaves {
    /// Reads an object.
    ///
    /// # Errors
    /// `BadJson` when it is none.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        let text = core::str::from_utf8(payload).map_err(|_| DecodeError::BadJson)?;
        let mut reader = Reader { rest: text.trim_start_matches(SPACE), leaves: Self::default() };
        let is_object = reader.rest.starts_with('{');
        reader.value("", 0).filter(|()| is_object).ok_or(DecodeError::BadJson)?;
        reader.space();
        if reader.rest.is_empty() { Ok(reader.leaves) } else { Err(DecodeError::BadJson) }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Leaf> {
        self.0.iter().rev().find(|(known, _)| known == path).map(|(_, leaf)| leaf)
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        match self.get(path)? {
            Leaf::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number, also one that is written as text.
    ///
    /// # Errors
    /// `BadField` when something else stands there.
    pub(crate) fn number(&self, path: &str) -> Result<Option<f64>, DecodeError> {
        self.get(path).map_or(Ok(None), Leaf::number)
    }

    pub(crate) fn flag(&self, path: &str) -> Option<bool> {
        match self.get(path)? {
            Leaf::Flag(flag) => Some(*flag),
            Leaf::Integer(number) => Some(*number != 0),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Leaf)> {
        self.0.iter().map(|(path, leaf)| (path.as_str(), leaf))
    }
}

impl Leaf {
    pub(crate) fn number(&self) -> Result<Option<f64>, DecodeError> {
        match self {
            Self::Null => Ok(None),
            #[expect(clippy::cast_precision_loss, reason = "the nearest is meant")]
            Self::Integer(number) => Ok(Some(*number as f64)),
            Self::Number(number) => Ok(Some(*number)),
            Self::Text(text) => finite(text).map(Some).ok_or(DecodeError::BadField),
            Self::Flag(_) => Err(DecodeError::BadField),
        }
    }
}

/// A finite number in decimal digits.
pub(crate) fn finite(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| digits && number.is_finite())
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

struct Reader<'t> {
    rest: &'t str,
    leaves: Leaves,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches(SPACE);
    }

    fn eat(&mut self, mark: char) -> bool {
        self.space();
        self.rest.strip_prefix(mark).map(|rest| self.rest = rest).is_some()
    }

    /// `None` when it is not JSON.
    fn value(&mut self, path: &str, depth: usize) -> Option<()> {
        self.space();
        match self.rest.as_bytes().first()? {
            b'{' | b'[' if depth == MAX_DEPTH => None,
            b'{' => self.members(path, depth, '}'),
            b'[' => self.members(path, depth, ']'),
            b'"' => {
                let text = self.string()?;
                self.leaf(path, Leaf::Text(text))
            }
            b't' => self.word("true", path, Leaf::Flag(true)),
            b'f' => self.word("false", path, Leaf::Flag(false)),
            b'n' => self.word("null", path, Leaf::Null),
            _ => {
                let leaf = self.number()?;
                self.leaf(path, leaf)
            }
        }
    }

    fn leaf(&mut self, path: &str, leaf: Leaf) -> Option<()> {
        if self.leaves.0.len() == MAX_LEAVES {
            return None;
        }
        self.leaves.0.push((path.to_owned(), leaf));
        Some(())
    }

    fn word(&mut self, word: &str, path: &str, leaf: Leaf) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        self.leaf(path, leaf)
    }

    /// An object's members, or a list's elements under their numbers.
    fn members(&mut self, path: &str, depth: usize, end: char) -> Option<()> {
        self.rest = self.rest.get(1..)?;
        if self.eat(end) {
            return Some(());
        }
        for number in 0.. {
            let key = if end == '}' {
                self.space();
                let key = self.string()?;
                self.eat(':').then_some(key)?
            } else {
                format!("{number}")
            };
            let path = if path.is_empty() { key } else { format!("{path}.{key}") };
            // Paths are copied for each value: long ones must not multiply.
            if path.len() > crate::MAX_TEXT_VALUE {
                return None;
            }
            self.value(&path, depth + 1)?;
            if self.eat(end) {
                return Some(());
            }
            if !self.eat(',') {
                return None;
            }
        }
        None
    }

    fn number(&mut self) -> Option<Leaf> {
        let of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = self.rest.bytes().take_while(of_number).count();
        let (text, rest) = self.rest.split_at(length);
        let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let begins_well = match digits {
            [b'0', next, ..] => !next.is_ascii_digit(),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        };
        let point = digits.iter().position(|byte| *byte == b'.');
        let behind_point =
            point.is_none_or(|at| digits.get(at + 1).is_some_and(u8::is_ascii_digit));
        if !begins_well || !behind_point {
            return None;
        }
        self.rest = rest;
        if let Ok(integer) = text.parse() {
            return Some(Leaf::Integer(integer));
        }
        finite(text).map(Leaf::Number)
    }

    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut out = String::new();
        loop {
            let plain = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            let (text, rest) = self.rest.split_at(plain);
            out.push_str(text);
            self.rest = rest.get(1..)?;
            match rest.as_bytes()[0] {
                b'"' => return Some(out),
                b'\\' => out.push(self.escaped()?),
                _ => return None,
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let mark = self.rest.chars().next()?;
        self.rest = self.rest.get(mark.len_utf8()..)?;
        Some(match mark {
            '"' | '\\' | '/' => mark,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let high = self.four_digits()?;
                if !(0xD800..0xDC00).contains(&high) {
                    return char::from_u32(high);
                }
                self.rest = self.rest.strip_prefix("\\u")?;
                let low = self.four_digits().filter(|low| (0xDC00..0xE000).contains(low))?;
                char::from_u32(0x1_0000 + ((high - 0xD800) << 10 | (low - 0xDC00)))?
            }
            _ => return None,
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        self.rest = self.rest.get(4..)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Vec<(String, Leaf)>> {
        Leaves::read(text.as_bytes()).ok().map(|leaves| leaves.0)
    }

    #[test]
    fn values_with_their_paths() {
        let text = "\r\n{\"a\":{\"b\":[1,-2.5e1,{\"c\":null}],\"d\":{}},\"e\":\"\\u00e4\\ud83d\\ude00\\n\",\"f\":true} ";
        let leaf = |path: &str, leaf| (path.to_string(), leaf);
        assert_eq!(
            read(text).unwrap(),
            [
                leaf("a.b.0", Leaf::Integer(1)),
                leaf("a.b.1", Leaf::Number(-25.0)),
                leaf("a.b.2.c", Leaf::Null),
                leaf("e", Leaf::Text("ä😀\n".into())),
                leaf("f", Leaf::Flag(true)),
            ]
        );
        let twice = Leaves::read(br#"{"a":1,"a":"2"}"#).unwrap();
        assert_eq!(twice.number("a"), Ok(Some(2.0)), "the last counts, and text is read");
        assert_eq!(twice.number("b"), Ok(None));
    }

    #[test]
    fn what_is_not_json_is_none() {
        for text in [
            "",
            "1",
            "[1]",
            "{",
            "{}x",
            "{\"a\":}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":1e999}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud83d\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":tru}",
            "{\"a\" 1}",
            "{\"a\":1e}",
            "{\"a\":-}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(read(&deep(MAX_DEPTH)).is_some() && read(&deep(MAX_DEPTH + 1)).is_none());
        assert!(read(&"{\"a\":".repeat(100_000)).is_none());
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_LEAVES));
        assert!(read(&many).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}", json in "[\\[\\]{}\":,0-9a\\\\u.eE+ -]{0,40}") {
            let _ = read(&text);
            let _ = read(&json);
        }
    }
}
