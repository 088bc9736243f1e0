//! What was taken out of a table again, booked by minute of its arrival in the transaction
//! that takes it.

use super::fault::Fault;
use super::seam::{Dialect, Session, sql};
use super::sql::{Join, insert, or_join};

const COLUMNS: [&str; 3] = ["kind", "minute", "removed"];

/// Adds to what is booked of a kind and a minute (Unix seconds / 60).
pub(in crate::history) async fn book_removed<S: Session>(
    session: &mut S,
    dialect: Dialect,
    kind: &str,
    minute: u32,
    removed: u64,
) -> Result<(), Fault> {
    let text = insert("removals", &COLUMNS, 1);
    let text = or_join(&text, dialect, &COLUMNS[..2], &[("removed", Join::Add)]);
    session.execute(sql(text), &[kind.into(), minute.into(), removed.into()]).await.map(drop)
}
