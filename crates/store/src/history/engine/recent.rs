//! Rebuilds live entries from the rows that arrived lately, for a live store
//! that has lost its memory.

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::stream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use nemeses_protocol::DeviceId;

use super::fault::Fault;
use super::next_row::{ROW_WITHIN, next_row};
use super::rows::{bucket_of, position_of};
use super::seam::{Product, sql};
use super::sql::SELECT_POSITIONS;
use super::{Engine, recent_values};
use crate::StoreError;
use crate::live::LiveEntry;

/// Entries handed on at once.
const CHUNK: usize = 1000;
type Entries<'a> = Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + 'a>>;

/// Reads the rows as they come and keeps one entry a device.
pub(in crate::history) fn recent_entries<P: Product>(
    engine: &Engine<P>,
    since_ms: u64,
    recorded_from: u32,
) -> Entries<'_> {
    let chunks = async move {
        let entries = async {
            let mut entries = join_rows(engine, since_ms, recorded_from).await?;
            recent_values::join_values(engine, since_ms, recorded_from, &mut entries).await?;
            Ok::<_, Fault>(entries)
        };
        let entries = entries.await.map_err(|fault| fault.into_error(P::STORE))?;
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
