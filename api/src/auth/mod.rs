//! Who is asking: passwords, tokens, and what a request must bear.

mod carrier;
mod known;
mod passwords;
mod refresh;
mod sessions;
mod signed_in;
mod tokens;

pub(crate) use carrier::{Carrier, cookie, presented, refresh_fields, refresh_headers};
pub(crate) use known::KnownAccess;
pub(crate) use passwords::Passwords;
pub use passwords::{draw_password, hash_password};
pub(crate) use refresh::{digest, draw};
pub(crate) use sessions::Signed;
pub(crate) use signed_in::{bearer_of, principal};
pub use tokens::{Accepted, Tokens};
