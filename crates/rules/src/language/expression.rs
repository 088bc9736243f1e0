//! Conditions as trees, and how they are written.

use std::fmt;

use crate::name::{Name, quoted};

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

impl Comparison {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Unequal => "!=",
        }
    }
}

/// What is computed from two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

impl Arithmetic {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

/// A condition, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
    /// A text in quotes.
    Text(Box<str>),
    /// The newest value of a field or a channel.
    Newest(Name),
    /// `not`
    Not(Box<Self>),
    /// `-`
    Negative(Box<Self>),
    /// `and`
    And(Box<Self>, Box<Self>),
    /// `or`
    Or(Box<Self>, Box<Self>),
    /// A comparison.
    Compare(Comparison, Box<Self>, Box<Self>),
    /// A computation.
    Compute(Arithmetic, Box<Self>, Box<Self>),
    /// `rate(x)`: the change of x per second between its last two values.
    Rate(Name),
    /// `avg(x, 5m)`: the mean of x over the last milliseconds of this number.
    Mean(Name, u64),
    /// `distance_to(latitude, longitude)`: metres from there.
    DistanceTo(f64, f64),
    /// `inside(12)`: whether the place is within a geofence.
    Inside(u64),
    /// `age(x)`: seconds since the newest value of x; `age()`: seconds from when the row was
    /// recorded until it arrived.
    Age(Option<Name>),
}

impl Expression {
    /// The parts that it is made of directly.
    pub(crate) fn parts(&self) -> [Option<&Self>; 2] {
        match self {
            Self::Not(one) | Self::Negative(one) => [Some(one), None],
            Self::And(one, other)
            | Self::Or(one, other)
            | Self::Compare(_, one, other)
            | Self::Compute(_, one, other) => [Some(one), Some(other)],
            _ => [None, None],
        }
    }

    /// Itself and all its parts.
    pub(crate) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for part in self.parts().into_iter().flatten() {
            part.each(visit);
        }
    }

    /// The first field or channel in it, whose value an alarm shows.
    pub fn watched(&self) -> Option<&Name> {
        match self {
            Self::Newest(name) | Self::Rate(name) | Self::Mean(name, _) => Some(name),
            _ => self.parts().into_iter().flatten().find_map(Self::watched),
        }
    }

    /// Whether it may be true or false rather than a number or a text.
    pub(crate) const fn is_condition(&self) -> bool {
        !matches!(
            self,
            Self::Number(_)
                | Self::Text(_)
                | Self::Negative(_)
                | Self::Compute(..)
                | Self::Rate(_)
                | Self::Mean(..)
                | Self::DistanceTo(..)
                | Self::Age(_)
        )
    }

    /// Whether it may be a number.
    pub(crate) const fn is_number(&self) -> bool {
        matches!(self, Self::Newest(_)) || (!self.is_condition() && !matches!(self, Self::Text(_)))
    }
}

/// A text that parses to the same condition; compound parts are in parentheses.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(text) => write!(f, "{}", quoted(text)),
            Self::Newest(name) => write!(f, "{name}"),
            Self::Not(one) => write!(f, "not ({one})"),
            Self::Negative(one) => write!(f, "-({one})"),
            Self::And(one, other) => write!(f, "({one}) and ({other})"),
            Self::Or(one, other) => write!(f, "({one}) or ({other})"),
            Self::Compare(by, one, other) => write!(f, "({one}) {} ({other})", by.word()),
            Self::Compute(by, one, other) => write!(f, "({one}) {} ({other})", by.word()),
            Self::Rate(name) => write!(f, "rate({name})"),
            Self::Mean(name, window_ms) => write!(f, "avg({name}, {}s)", window_ms / 1000),
            Self::DistanceTo(latitude, longitude) => {
                write!(f, "distance_to({latitude}, {longitude})")
            }
            Self::Inside(fence) => write!(f, "inside({fence})"),
            Self::Age(Some(name)) => write!(f, "age({name})"),
            Self::Age(None) => write!(f, "age()"),
        }
    }
}
