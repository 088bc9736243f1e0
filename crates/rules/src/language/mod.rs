//! The language of conditions: closed, without loops, bounded in length, depth and windows, so
//! that its cost is known when a rule is saved. docs/rules.md has its grammar.

mod evaluate;
mod expression;
mod lexer;
mod parser;

pub use evaluate::Moment;
pub use expression::{Arithmetic, Comparison, Expression};
pub use parser::{
    MAX_CONDITION_CHARS, MAX_CONDITION_DEPTH, MAX_CONDITION_NODES, MAX_WINDOW_MS, MAX_WINDOWS,
    MIN_WINDOW_MS, Parsed, parse,
};
