//! Who is asking: passwords, tokens, and what a request must bear.

mod argon;
mod carrier;
mod familiar;
mod known;
mod passwords;
mod refresh;
mod sessions;
mod signed_in;
mod state;
mod tokens;

pub(crate) use carrier::{
    Carrier, browser_cookie, cookie, presented, refresh_fields, refresh_headers,
};
pub(crate) use familiar::Familiar;
pub(crate) use known::KnownAccess;
pub(crate) use passwords::{Passwords, Turn};
pub use passwords::{draw_password, hash_password};
pub(crate) use refresh::{digest, draw};
pub(crate) use sessions::Signed;
pub(crate) use signed_in::{bearer_of, principal};
pub(crate) use state::AuthState;
pub use tokens::{Accepted, Tokens};
