//! Rebuilds live entries from the rows that arrived lately, for a live store
//! that has lost its memory.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use nemeses_protocol::DeviceId;
use tokio::time::timeout;

use super::Engine;
use super::fault::{Fault, Kind};
use super::rows::{bucket_of, position_of};
use super::seam::{Product, sql};
use super::sql::SELECT_POSITIONS;
use crate::StoreError;
use crate::live::LiveEntry;

/// Entries handed on at once.
const CHUNK: usize = 1000;
/// A server that says nothing for so long, before the first row or between two,
/// is gone. A link that died without a word would hold the rebuild for ever, and
/// with it the claim that keeps others from rebuilding.
pub(super) const ROW_WITHIN: Duration = Duration::from_mins(1);

type Entries<'a> = Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + 'a>>;

/// Reads the rows as they come and keeps one entry a device.
pub(in crate::history) fn recent_entries<P: Product>(
    engine: &Engine<P>,
    since_ms: u64,
    recorded_from: u32,
) -> Entries<'_> {
    let chunks = async move {
        let entries = join_rows(engine, since_ms, recorded_from).await;
        let entries = entries.map_err(|fault| fault.into_error(P::STORE))?;
        Ok::<_, StoreError>(stream::iter(entries.into_values()).chunks(CHUNK).map(Ok))
    };
    Box::pin(stream::once(chunks).try_flatten())
}

async fn join_rows<P: Product>(
    engine: &Engine<P>,
    since_ms: u64,
    recorded_from: u32,
) -> Result<HashMap<DeviceId, LiveEntry>, Fault> {
    let text = format!(
        "{SELECT_POSITIONS} WHERE bucket >= ? AND recorded_at >= ? AND received_at_ms >= ?"
    );
    let values = [bucket_of(recorded_from).into(), recorded_from.into(), since_ms.into()];
    let mut rows = engine.product.stream(sql(text), &values);
    let mut entries: HashMap<DeviceId, LiveEntry> = HashMap::new();
    while let Some(row) = next_row(&mut rows, ROW_WITHIN).await? {
        let entry = LiveEntry::from_record(&position_of(&row)?);
        match entries.entry(entry.device) {
            std::collections::hash_map::Entry::Occupied(mut held) => held.get_mut().merge(entry),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(entry);
            }
        }
    }
    Ok(entries)
}

/// The next row, if it comes in time.
pub(super) async fn next_row<R>(
    rows: &mut (impl Stream<Item = Result<R, Fault>> + Unpin),
    within: Duration,
) -> Result<Option<R>, Fault> {
    timeout(within, rows.try_next())
        .await
        .unwrap_or_else(|_| Err(Fault::new(Kind::Unavailable, format!("no row within {within:?}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_falls_silent_between_rows_is_given_up() {
        let mut rows = stream::iter([Ok(1)]).chain(stream::pending()).boxed();
        assert_eq!(next_row(&mut rows, ROW_WITHIN).await, Ok(Some(1)));
        let silence = next_row(&mut rows, Duration::from_millis(1)).await;
        assert_eq!(silence.unwrap_err().kind, Kind::Unavailable);
    }
}
