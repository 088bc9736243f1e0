//! Who is asking: passwords, tokens, and what a request must bear.

mod known;
mod passwords;
mod signed_in;
mod tokens;

pub(crate) use known::KnownAccess;
pub(crate) use passwords::Passwords;
pub use passwords::{draw_password, hash_password};
pub(crate) use signed_in::{accepted, of_user};
pub use tokens::{Accepted, Tokens};
