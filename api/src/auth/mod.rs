//! Who is asking: passwords, tokens, and what a request must bear.

mod passwords;
mod signed_in;
mod tokens;

pub(crate) use passwords::Passwords;
pub(crate) use signed_in::SignedIn;
pub use tokens::{Accepted, Tokens};
