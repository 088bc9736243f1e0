//! Reads a condition and checks it. Bounds limit the cost of a stored condition to some
//! hundred steps a row.

use super::expression::{Arithmetic, Comparison, Expression};
use super::lexer::{Token, tokens};
use crate::error::ConditionError;
use crate::name::{Field, Name};
use nemeses_protocol::MAX_CHANNEL_NAME;

/// Characters of a condition at most.
pub const MAX_CONDITION_CHARS: usize = 2000;
/// Parts of a condition at most.
pub const MAX_CONDITION_NODES: usize = 256;
/// Parentheses and signs within each other at most.
pub const MAX_CONDITION_DEPTH: usize = 32;
/// Different windows of a condition at most.
pub const MAX_WINDOWS: usize = 4;
/// The shortest window, milliseconds.
pub const MIN_WINDOW_MS: u64 = 10_000;
/// The longest window, milliseconds.
pub const MAX_WINDOW_MS: u64 = 86_400_000;

/// A condition with what it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The condition.
    pub expression: Expression,
    /// The geofences in it with their columns.
    pub fences: Vec<(u64, usize)>,
}

/// Reads a condition.
///
/// # Errors
/// What is wrong and where.
pub fn parse(text: &str) -> Result<Parsed, ConditionError> {
    if text.chars().count() > MAX_CONDITION_CHARS {
        let message = format!("a condition has at most {MAX_CONDITION_CHARS} characters");
        return Err(ConditionError { message, column: MAX_CONDITION_CHARS + 1 });
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        nodes: 0,
        depth: 0,
        fences: Vec::new(),
        windows: Vec::new(),
    };
    let expression = parser.either()?;
    parser.end()?;
    if !expression.is_condition() {
        return Err(ConditionError {
            message: "this is no condition: compare it with something".to_owned(),
            column: 1,
        });
    }
    Ok(Parsed { expression, fences: parser.fences })
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    nodes: usize,
    depth: usize,
    fences: Vec<(u64, usize)>,
    windows: Vec<(Name, u64)>,
}

type Outcome = Result<Expression, ConditionError>;

impl Parser {
    fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn column(&self) -> usize {
        let at = self.at.min(self.tokens.len().saturating_sub(1));
        self.tokens.get(at).map_or(1, |(_, column)| *column)
    }

    fn next(&mut self) -> (Token, usize) {
        let taken = (self.token().clone(), self.column());
        self.at += 1;
        taken
    }

    fn takes(&mut self, signs: &[&str]) -> bool {
        let found = match self.token() {
            Token::Sign(sign) => signs.contains(sign),
            Token::Word(word) => signs.contains(&word.as_str()),
            _ => false,
        };
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), ConditionError> {
        if self.takes(&[sign]) {
            return Ok(());
        }
        Err(self.wrong(format!("`{sign}` is expected here, not {}", self.token().shown())))
    }

    fn end(&self) -> Result<(), ConditionError> {
        match self.token() {
            Token::End => Ok(()),
            Token::Sign("=") => Err(self.wrong("equality is written `==`".to_owned())),
            other => Err(self.wrong(format!(
                "{} is not expected here: join conditions by `and` or `or`",
                other.shown()
            ))),
        }
    }

    fn wrong(&self, message: String) -> ConditionError {
        ConditionError { message, column: self.column() }
    }

    /// Counts a part.
    fn node(&mut self, expression: Expression) -> Outcome {
        self.nodes += 1;
        if self.nodes > MAX_CONDITION_NODES {
            return Err(self.wrong(format!("a condition has at most {MAX_CONDITION_NODES} parts")));
        }
        Ok(expression)
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.depth += 1;
        if self.depth > MAX_CONDITION_DEPTH {
            return Err(self.wrong(format!(
                "conditions are at most {MAX_CONDITION_DEPTH} deep within each other"
            )));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn either(&mut self) -> Outcome {
        self.joined(&["or", "||"], Self::both, Expression::Or)
    }

    fn both(&mut self) -> Outcome {
        self.joined(&["and", "&&"], Self::negated, Expression::And)
    }

    /// Conditions that are joined by a word.
    fn joined(
        &mut self,
        words: &[&str],
        part: fn(&mut Self) -> Outcome,
        join: fn(Box<Expression>, Box<Expression>) -> Expression,
    ) -> Outcome {
        let column = self.column();
        let mut left = part(self)?;
        while self.takes(words) {
            condition(&left, column)?;
            let column = self.column();
            let right = part(self)?;
            condition(&right, column)?;
            left = self.node(join(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn negated(&mut self) -> Outcome {
        if !self.takes(&["not", "!"]) {
            return self.compared();
        }
        let column = self.column();
        let negated = self.deeper(Self::negated)?;
        condition(&negated, column)?;
        self.node(Expression::Not(Box::new(negated)))
    }

    fn compared(&mut self) -> Outcome {
        const ALL: [Comparison; 6] = [
            Comparison::Less,
            Comparison::AtMost,
            Comparison::Greater,
            Comparison::AtLeast,
            Comparison::Equal,
            Comparison::Unequal,
        ];
        let left = self.sum()?;
        let column = self.column();
        let Some(by) = ALL.into_iter().find(|by| self.takes(&[by.word()])) else { return Ok(left) };
        let right = self.sum()?;
        if ALL.into_iter().any(|by| self.takes(&[by.word()])) {
            let message = "comparisons do not chain: join two by `and`".to_owned();
            return Err(ConditionError { message, column });
        }
        comparable(by, &left, &right, column)?;
        self.node(Expression::Compare(by, Box::new(left), Box::new(right)))
    }

    fn sum(&mut self) -> Outcome {
        self.computed(&[Arithmetic::Add, Arithmetic::Subtract], Self::product)
    }

    fn product(&mut self) -> Outcome {
        self.computed(&[Arithmetic::Multiply, Arithmetic::Divide], Self::negative)
    }

    fn computed(&mut self, by: &[Arithmetic], part: fn(&mut Self) -> Outcome) -> Outcome {
        let column = self.column();
        let mut left = part(self)?;
        while let Some(by) = by.iter().find(|by| self.takes(&[by.word()])) {
            number(&left, column)?;
            let column = self.column();
            let right = part(self)?;
            number(&right, column)?;
            left = self.node(Expression::Compute(*by, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn negative(&mut self) -> Outcome {
        if !self.takes(&["-"]) {
            return self.single();
        }
        let column = self.column();
        let negative = self.deeper(Self::negative)?;
        if let Expression::Number(number) = negative {
            return Ok(Expression::Number(-number));
        }
        number(&negative, column)?;
        self.node(Expression::Negative(Box::new(negative)))
    }

    fn single(&mut self) -> Outcome {
        let (token, column) = self.next();
        match token {
            Token::Number(number) => self.node(Expression::Number(number)),
            Token::Text(text) => self.node(Expression::Text(text.into())),
            Token::Sign("(") => {
                let inner = self.deeper(Self::either)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Word(word) => match word.as_str() {
                "true" => self.node(Expression::Flag(true)),
                "false" => self.node(Expression::Flag(false)),
                "and" | "or" | "not" => Err(ConditionError {
                    message: format!("a value is expected before `{word}`"),
                    column,
                }),
                _ if *self.token() == Token::Sign("(") => self.call(&word, column),
                _ => {
                    let name = plain_name(&word, column)?;
                    self.node(Expression::Newest(name))
                }
            },
            Token::Duration(_) => Err(ConditionError {
                message: "a duration stands in `avg(x, 5m)` only".to_owned(),
                column,
            }),
            other => Err(ConditionError {
                message: format!("a value is expected here, not {}", other.shown()),
                column,
            }),
        }
    }

    fn call(&mut self, function: &str, column: usize) -> Outcome {
        self.expect("(")?;
        let called = match function {
            "channel" => Expression::Newest(self.channel()?),
            "rate" => Expression::Rate(self.name()?),
            "avg" => self.mean()?,
            "distance_to" => self.distance()?,
            "inside" => self.inside()?,
            "age" if *self.token() == Token::Sign(")") => Expression::Age(None),
            "age" => Expression::Age(Some(self.name()?)),
            _ => {
                let message = format!(
                    "there is no function `{function}`: there are rate, avg, distance_to, inside, age and channel"
                );
                return Err(ConditionError { message, column });
            }
        };
        self.expect(")")?;
        self.node(called)
    }

    fn name(&mut self) -> Result<Name, ConditionError> {
        let (token, column) = self.next();
        match token {
            Token::Word(word) if word == "channel" && self.takes(&["("]) => {
                let name = self.channel()?;
                self.expect(")")?;
                Ok(name)
            }
            Token::Word(word) => plain_name(&word, column),
            other => Err(ConditionError {
                message: format!(
                    "the name of a channel or a field is expected here, not {}",
                    other.shown()
                ),
                column,
            }),
        }
    }

    fn channel(&mut self) -> Result<Name, ConditionError> {
        let (token, column) = self.next();
        let Token::Text(text) = token else {
            let message = "the channel's name is expected here in quotes".to_owned();
            return Err(ConditionError { message, column });
        };
        channel_name(&text, column)
    }

    fn mean(&mut self) -> Outcome {
        let name = self.name()?;
        self.expect(",")?;
        let (token, column) = self.next();
        let window_ms = match token {
            Token::Duration(ms) if (MIN_WINDOW_MS..=MAX_WINDOW_MS).contains(&ms) => {
                ms / 1000 * 1000
            }
            _ => {
                let message = "a window from 10s to 24h is expected here, such as 5m".to_owned();
                return Err(ConditionError { message, column });
            }
        };
        let window = (name.clone(), window_ms);
        if !self.windows.contains(&window) {
            self.windows.push(window);
        }
        if self.windows.len() > MAX_WINDOWS {
            let message = format!("a condition has at most {MAX_WINDOWS} different windows");
            return Err(ConditionError { message, column });
        }
        Ok(Expression::Mean(name, window_ms))
    }

    fn distance(&mut self) -> Outcome {
        let latitude = self.degrees(90.0, "a latitude from -90 to 90 is expected here")?;
        self.expect(",")?;
        let longitude = self.degrees(180.0, "a longitude from -180 to 180 is expected here")?;
        Ok(Expression::DistanceTo(latitude, longitude))
    }

    fn degrees(&mut self, most: f64, message: &str) -> Result<f64, ConditionError> {
        let sign = if self.takes(&["-"]) { -1.0 } else { 1.0 };
        match self.next() {
            (Token::Number(number), _) if number <= most => Ok(sign * number),
            (_, column) => Err(ConditionError { message: message.to_owned(), column }),
        }
    }

    fn inside(&mut self) -> Outcome {
        let (token, column) = self.next();
        let id = match token {
            Token::Number(number) => fence_number(number),
            _ => None,
        };
        let Some(id) = id else {
            let message =
                "the number of a geofence is expected here, such as inside(12)".to_owned();
            return Err(ConditionError { message, column });
        };
        self.fences.push((id, column));
        Ok(Expression::Inside(id))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number up to 2^53"
)]
fn fence_number(number: f64) -> Option<u64> {
    let whole = number.fract() == 0.0 && (1.0..=9_007_199_254_740_992.0).contains(&number);
    whole.then_some(number as u64)
}

fn plain_name(word: &str, column: usize) -> Result<Name, ConditionError> {
    if let Some(field) = Field::named(word) {
        return Ok(Name::Field(field));
    }
    if word.ends_with('.') {
        let message = format!("`{word}` is no name of a channel");
        return Err(ConditionError { message, column });
    }
    channel_name(word, column)
}

fn channel_name(name: &str, column: usize) -> Result<Name, ConditionError> {
    // A unit may stand behind the name of a channel that is not the first of its name.
    if name.is_empty() || name.len() > MAX_CHANNEL_NAME + 64 {
        let message = format!("a channel's name has 1 to {} bytes", MAX_CHANNEL_NAME + 64);
        return Err(ConditionError { message, column });
    }
    Ok(Name::Channel(name.into()))
}

fn condition(expression: &Expression, column: usize) -> Result<(), ConditionError> {
    if expression.is_condition() {
        return Ok(());
    }
    let message = "this is no condition: compare it with something".to_owned();
    Err(ConditionError { message, column })
}

fn number(expression: &Expression, column: usize) -> Result<(), ConditionError> {
    if expression.is_number() {
        return Ok(());
    }
    Err(ConditionError { message: "a number is expected here".to_owned(), column })
}

/// Text compares to text or a channel; true and false have no order.
fn comparable(
    by: Comparison,
    left: &Expression,
    right: &Expression,
    column: usize,
) -> Result<(), ConditionError> {
    let wrong = |message: &str| Err(ConditionError { message: message.to_owned(), column });
    let text = |one: &Expression| matches!(one, Expression::Text(_));
    let either = |one: &Expression| matches!(one, Expression::Newest(_));
    let truth = |one: &Expression| one.is_condition() && !either(one);
    let ordered = !matches!(by, Comparison::Equal | Comparison::Unequal);
    if text(left) && !(text(right) || either(right)) || text(right) && !(text(left) || either(left))
    {
        return wrong("a text compares to a channel only");
    }
    if ordered && (text(left) || text(right)) {
        return wrong("a text compares by == and != only");
    }
    if ordered && (truth(left) || truth(right)) {
        return wrong("what is true or false compares by == and != only");
    }
    Ok(())
}
