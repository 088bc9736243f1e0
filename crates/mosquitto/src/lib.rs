//! What Mosquitto alone needs: its dynamic-security plugin brought into line with the
//! identity store ([`write_file`], [`apply`]), and what it says of itself as metrics
//! ([`Figures`]). Nothing here runs in a station; the tools of the binary call it.

mod figures;
mod roles;

pub use figures::Figures;
pub use roles::{Change, GROUPS, NotInOrder, Outcome, Secrets, apply, read_secrets, write_file};
