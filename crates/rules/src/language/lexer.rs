//! Splits a condition into tokens, each with its column.

use crate::error::ConditionError;
use crate::name::{continues_word, starts_word};

/// A piece of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Number(f64),
    /// A number with a unit of time, in milliseconds.
    Duration(u64),
    Word(String),
    Text(String),
    /// An operator or a parenthesis.
    Sign(&'static str),
    End,
}

impl Token {
    /// What it is, for a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Number(number) => format!("{number}"),
            Self::Duration(ms) => format!("{} s", ms / 1000),
            Self::Word(word) => format!("`{word}`"),
            Self::Text(_) => "a text".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longer ones first.
const SIGNS: [&str; 17] =
    ["<=", ">=", "==", "!=", "&&", "||", "<", ">", "=", "!", "(", ")", ",", "+", "-", "*", "/"];

/// The tokens with their columns, the end included.
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ConditionError> {
    let characters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = characters.get(at) {
        if character.is_whitespace() {
            at += 1;
            continue;
        }
        let (token, length) = token(&characters[at..], at + 1)?;
        found.push((token, at + 1));
        at += length;
    }
    found.push((Token::End, characters.len() + 1));
    Ok(found)
}

fn token(rest: &[char], column: usize) -> Result<(Token, usize), ConditionError> {
    let wrong = |message: String| ConditionError { message, column };
    match rest.first().copied() {
        Some('"' | '\'') => quoted_text(rest)
            .ok_or_else(|| wrong("the text that begins here has no closing quote".to_owned())),
        Some(digit) if digit.is_ascii_digit() => number(rest).ok_or_else(|| {
            wrong("this is no number, and no duration such as 30s, 5m or 2h".to_owned())
        }),
        Some(letter) if starts_word(letter) => {
            let word: String = rest.iter().take_while(|c| continues_word(**c)).collect();
            let length = word.len();
            Ok((Token::Word(word), length))
        }
        other => {
            let begins = |sign: &&str| {
                sign.chars().zip(rest).all(|(a, b)| a == *b) && rest.len() >= sign.len()
            };
            let sign = SIGNS.into_iter().find(begins);
            sign.map(|sign| (Token::Sign(sign), sign.len())).ok_or_else(|| {
                wrong(format!("{:?} is not part of the language", other.unwrap_or(' ')))
            })
        }
    }
}

fn quoted_text(rest: &[char]) -> Option<(Token, usize)> {
    let quote = rest.first()?;
    let mut text = String::new();
    let mut at = 1;
    loop {
        match rest.get(at)? {
            '\\' => {
                text.push(*rest.get(at + 1)?);
                at += 2;
            }
            end if end == quote => return Some((Token::Text(text), at + 1)),
            other => {
                text.push(*other);
                at += 1;
            }
        }
    }
}

fn number(rest: &[char]) -> Option<(Token, usize)> {
    let mut end = 0;
    let digits = |from: usize| rest[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    end += digits(end);
    if rest.get(end) == Some(&'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(rest.get(end), Some('e' | 'E')) {
        let sign = usize::from(matches!(rest.get(end + 1), Some('+' | '-')));
        let exponent = digits((end + 1 + sign).min(rest.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let text: String = rest[..end].iter().collect();
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let unit: String = rest[end..].iter().take_while(|c| continues_word(**c)).collect();
    let length = end + unit.len();
    let factor = match unit.as_str() {
        "" => return Some((Token::Number(value), length)),
        "s" => 1_000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some((Token::Duration(whole_ms(value * factor)?), length))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in range"
)]
fn whole_ms(ms: f64) -> Option<u64> {
    (0.0..=1e15).contains(&ms).then(|| ms.round() as u64)
}
