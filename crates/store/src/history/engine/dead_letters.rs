//! The dead letters, in SQL. A removal and its line in `removals` are one
//! transaction.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use nemeses_protocol::{BatchKey, DeviceId, Reason};
use sqlx::SqlStr;

use super::Engine;
use super::commit::{Written, write_parts};
use super::fault::Fault;
use super::ladder::{NARROW, rungs};
use super::plan::minute_of;
use super::readings::Prepared;
use super::removals::book_removed;
use super::rows::{SELECT_LETTERS, letter_of};
use super::seam::{Dialect, Product, Session, fixed, sql};
use super::sql::placeholders;
use super::value::{Fields as _, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::dead_letters::{
    DeadLetters, LISTED_BYTES, LetterFilter, MAX_LISTED_LETTERS, Purge, Resolution, StoredLetter,
};
use crate::history::{Committed, Part};

/// Letters purged in one transaction, so that a large purge does not block commits.
const PURGED_AT_ONCE: u32 = 1000;

/// Why something is not in its table any more, as `removals.kind` says it.
pub(in crate::history) const PURGED: &str = "letter_purged";
pub(in crate::history) const RESOLVED: &str = "letter_resolved";
/// Rows of positions that retention has deleted.
pub(in crate::history) const EXPIRED: &str = "position_expired";
/// Records of readings that it has deleted, and the values in them.
pub(in crate::history) const READINGS_EXPIRED: &str = "readings_expired";
pub(in crate::history) const VALUES_EXPIRED: &str = "values_expired";

const DELETE_ONE: &str = "DELETE FROM dead_letters WHERE id = ?";
const TIME_OF_ONE: &str = "SELECT id, received_at_ms FROM dead_letters WHERE id = ?";
const OLD_ONES: &str = "SELECT id, received_at_ms FROM dead_letters WHERE received_at_ms < ? \
    ORDER BY received_at_ms, id LIMIT ?";

/// The devices with letters of a reason, by jumping from one to the next in
/// `dead_letters_reason`: one may have a million. MySQL does so by itself where the
/// groups are named by the columns that the index begins with (1 ms for 270 000
/// letters of 450 devices in MariaDB, 40 ms without the reason).
const DEVICES_MYSQL: &str = "SELECT device FROM dead_letters \
    WHERE reason = ? AND device >= ? GROUP BY reason, device ORDER BY reason, device LIMIT ?";
const DEVICES_SQLITE: &str = "WITH RECURSIVE found (device) AS \
    (SELECT MIN(device) FROM dead_letters WHERE reason = ? AND device >= ? UNION ALL \
    SELECT (SELECT MIN(d.device) FROM dead_letters d WHERE d.reason = ? \
    AND d.device > found.device) FROM found WHERE found.device IS NOT NULL LIMIT ?) \
    SELECT device FROM found WHERE device IS NOT NULL";

#[async_trait]
impl<P: Product> DeadLetters for Engine<P> {
    async fn list(&self, filter: &LetterFilter) -> Result<Vec<StoredLetter>, StoreError> {
        let (conditions, mut values) = conditions(filter);
        let text = format!("{SELECT_LETTERS}{conditions} ORDER BY id DESC LIMIT ?");
        values.insert(0, LISTED_BYTES.into());
        let limit = filter.limit.unwrap_or(MAX_LISTED_LETTERS);
        values.push(limit.clamp(1, MAX_LISTED_LETTERS).into());
        let rows = self.product.rows(sql(text), &values).await;
        rows.and_then(|rows| rows.iter().map(letter_of).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn get(&self, id: u64) -> Result<Option<StoredLetter>, StoreError> {
        let text = format!("{SELECT_LETTERS} WHERE id = ?");
        let rows = self.product.rows(sql(text), &[u32::MAX.into(), id.into()]).await;
        rows.and_then(|rows| rows.first().map(letter_of).transpose())
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn purge(&self, what: &Purge) -> Result<u64, StoreError> {
        let purged = match what {
            Purge::Before(before_ms) => self.purge_before(*before_ms).await,
            Purge::Ids(ids) => self.purge_ids(ids).await,
        };
        purged.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn resolve(
        &self,
        id: u64,
        part: &Part,
        exporter: &str,
    ) -> Result<Option<Committed>, StoreError> {
        let written = self.resolve_one(id, part, exporter).await;
        let written = written.map_err(|fault| fault.into_error(P::STORE))?;
        Ok(written.and_then(|written| self.learn(written)))
    }

    async fn resolve_all(
        &self,
        key: &BatchKey,
        letters: &[Resolution],
        exporter: &str,
    ) -> Result<Committed, StoreError> {
        let written = self.resolve_some(key, letters, exporter).await;
        let written = written.map_err(|fault| fault.into_error(P::STORE))?;
        Ok(self.learn(written).unwrap_or_default())
    }

    async fn devices_with(
        &self,
        reason: Reason,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StoreError> {
        let reason = Value::from(reason.code());
        let first = after.map_or(0, |after| u64::from(after.number()) + 1).into();
        let rows = match P::DIALECT {
            Dialect::MySql => {
                self.product.rows(fixed(DEVICES_MYSQL), &[reason, first, limit.into()]).await
            }
            Dialect::Sqlite => {
                let values = [reason, first, reason, limit.into()];
                self.product.rows(fixed(DEVICES_SQLITE), &values).await
            }
        };
        rows.and_then(|rows| rows.iter().map(|row| Ok(DeviceId::new(row.need(0)?))).collect())
            .map_err(|fault| fault.into_error(P::STORE))
    }
}

impl<P: Product> Engine<P> {
    async fn resolve_one(
        &self,
        id: u64,
        part: &Part,
        exporter: &str,
    ) -> Result<Option<Written>, Fault> {
        let prepared = self.prepare(std::slice::from_ref(part)).await?;
        self.transact(Resolve { engine: self, id, prepared: &prepared, exporter }).await
    }

    async fn resolve_some(
        &self,
        key: &BatchKey,
        letters: &[Resolution],
        exporter: &str,
    ) -> Result<Written, Fault> {
        let part = |letter: &Resolution| Part {
            key: key.clone(),
            tallies: letter.tallies.clone(),
            records: letter.records.clone(),
        };
        let parts: Vec<Part> = letters.iter().map(part).collect();
        let prepared = self.prepare(&parts).await?;
        let work = ResolveAll { engine: self, key, letters, prepared: &prepared, exporter };
        self.transact(work).await
    }

    fn learn(&self, written: Written) -> Option<Committed> {
        self.days.learn(&written.days);
        written.committed.into_iter().next()
    }

    async fn purge_before(&self, before_ms: u64) -> Result<u64, Fault> {
        let mut purged = 0;
        loop {
            let (found, removed) = self.purge_some(before_ms).await?;
            purged += removed;
            if found == 0 {
                return Ok(purged);
            }
        }
    }

    /// Purges some of the letters that arrived before this; tells how many it
    /// found, and how many of these nobody else removed first.
    pub(super) async fn purge_some(&self, before_ms: u64) -> Result<(usize, u64), Fault> {
        let values = [before_ms.into(), PURGED_AT_ONCE.into()];
        self.transact(PurgeFound { text: fixed(OLD_ONES), values: &values }).await
    }

    async fn purge_ids(&self, ids: &[u64]) -> Result<u64, Fault> {
        let mut purged = 0;
        for ids in rungs(ids, NARROW) {
            let values: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
            let purge = PurgeFound { text: sql(times_of(ids.len())), values: &values };
            purged += self.transact(purge).await?.1;
        }
        Ok(purged)
    }
}

/// Removes a letter and commits what became of its bytes.
struct Resolve<'a, P> {
    engine: &'a Engine<P>,
    id: u64,
    prepared: &'a Prepared<'a>,
    exporter: &'a str,
}

#[async_trait]
impl<P: Product> Work<P> for Resolve<'_, P> {
    type Output = Option<Written>;
    const NEEDS_SETTLED: bool = true;

    async fn run(&self, session: &mut P::Session) -> Result<Option<Written>, Fault> {
        let letters = letters(session, fixed(TIME_OF_ONE), &[self.id.into()]).await?;
        if remove::<P>(session, &letters, RESOLVED).await?.is_empty() {
            return Ok(None);
        }
        write_parts(self.engine, session, self.prepared, self.exporter).await.map(Some)
    }
}

/// Removes letters and commits what became of those that were there.
struct ResolveAll<'a, P> {
    engine: &'a Engine<P>,
    key: &'a BatchKey,
    letters: &'a [Resolution],
    /// A part for each of the letters.
    prepared: &'a Prepared<'a>,
    exporter: &'a str,
}

#[async_trait]
impl<P: Product> Work<P> for ResolveAll<'_, P> {
    type Output = Written;
    const NEEDS_SETTLED: bool = true;

    async fn run(&self, session: &mut P::Session) -> Result<Written, Fault> {
        let ids: Vec<u64> = self.letters.iter().map(|letter| letter.id).collect();
        let mut there = Vec::with_capacity(ids.len());
        for ids in rungs(&ids, NARROW) {
            let values: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
            there.extend(letters(session, sql(times_of(ids.len())), &values).await?);
        }
        let removed: HashSet<u64> =
            remove::<P>(session, &there, RESOLVED).await?.into_iter().collect();
        if removed.is_empty() {
            return Ok(Written::default());
        }
        let resolved = |index: usize| removed.contains(&self.letters[index].id);
        let together = self.prepared.together(self.key, resolved);
        write_parts(self.engine, session, &together, self.exporter).await
    }
}

/// Removes the letters that a statement finds; tells how many it found and removed.
struct PurgeFound<'a> {
    text: SqlStr,
    values: &'a [Value<'a>],
}

#[async_trait]
impl<P: Product> Work<P> for PurgeFound<'_> {
    type Output = (usize, u64);

    async fn run(&self, session: &mut P::Session) -> Result<(usize, u64), Fault> {
        let letters = letters(session, self.text.clone(), self.values).await?;
        let removed = remove::<P>(session, &letters, PURGED).await?.len() as u64;
        Ok((letters.len(), removed))
    }
}

fn times_of(letters: usize) -> String {
    format!("SELECT id, received_at_ms FROM dead_letters WHERE id IN ({})", placeholders(letters))
}

/// Number and time of arrival of some letters.
async fn letters<S: Session>(
    session: &mut S,
    text: SqlStr,
    values: &[Value<'_>],
) -> Result<Vec<(u64, u64)>, Fault> {
    let rows = session.rows(text, values).await?;
    rows.iter().map(|row| Ok((row.need(0)?, row.need(1)?))).collect()
}

/// Deletes the letters that are still there and books them as removed; says which.
async fn remove<P: Product>(
    session: &mut P::Session,
    letters: &[(u64, u64)],
    kind: &str,
) -> Result<Vec<u64>, Fault> {
    let mut minutes: BTreeMap<u32, u64> = BTreeMap::new();
    let mut deleted = Vec::with_capacity(letters.len());
    for (id, received_at_ms) in letters {
        // One at a time: the answer tells whether someone else was faster.
        if session.execute(fixed(DELETE_ONE), &[(*id).into()]).await? > 0 {
            *minutes.entry(minute_of(*received_at_ms)).or_default() += 1;
            deleted.push(*id);
        }
    }
    for (minute, removed) in minutes {
        book_removed(session, P::DIALECT, kind, minute, removed).await?;
    }
    Ok(deleted)
}

/// The WHERE of a filter and its values.
fn conditions(filter: &LetterFilter) -> (String, Vec<Value<'_>>) {
    let LetterFilter { device, nobodys, reason, from_ms, to_ms, before_id, limit: _ } = filter;
    let possible = [
        ("device = ?", device.map(Value::from)),
        ("reason = ?", reason.as_deref().map(Value::from)),
        ("received_at_ms >= ?", from_ms.map(Value::from)),
        ("received_at_ms <= ?", to_ms.map(Value::from)),
        ("id < ?", before_id.map(Value::from)),
    ];
    let (mut conditions, values): (Vec<&str>, Vec<Value<'_>>) = possible
        .into_iter()
        .filter_map(|(condition, value)| value.map(|value| (condition, value)))
        .unzip();
    conditions.extend(nobodys.then_some("device IS NULL"));
    let text = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    (text, values)
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::DeviceId;

    use super::*;

    #[test]
    fn a_filter_becomes_a_condition() {
        assert_eq!(conditions(&LetterFilter::default()).0, "");
        let filter = LetterFilter {
            device: Some(DeviceId::new(7)),
            before_id: Some(9),
            ..LetterFilter::default()
        };
        let (text, values) = conditions(&filter);
        assert_eq!(text, " WHERE device = ? AND id < ?");
        assert_eq!(values.len(), 2);
    }
}
