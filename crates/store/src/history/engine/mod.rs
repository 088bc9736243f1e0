//! The history for any relational product: all that is decided and all SQL that
//! the products share. What differs is behind [`seam::Product`], implemented in
//! `mysql.rs` and `sqlite.rs`.

mod accounts;
mod adapter;
mod books;
mod codes;
mod commands;
mod commit;
mod daily;
mod day_sums;
mod days;
mod dead_letters;
mod devices;
mod fault;
mod groups;
mod insert;
mod journal;
mod ladder;
mod last;
mod last_known;
mod logins;
mod marks;
mod plan;
mod quick;
mod reads;
mod recent;
mod retention;
mod rows;
mod script;
mod seam;
mod sessions;
mod sql;
#[cfg(test)]
pub(super) mod testing;
mod tokens;
mod totals;
mod value;
mod window;
mod work;

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::Stream;
use nemeses_protocol::{DeviceId, PositionRecord, Record};
use nemeses_runtime::Clock;

use crate::StoreError;
use crate::history::{
    Committed, Database, History, Inspection, LastKnown, Part, PositionStream, RangeQuery,
    inspection,
};
use crate::live::LiveEntry;

pub(super) use adapter::{Lent, adapter};
pub(super) use codes::{mysql_kind, sqlite_kind};
pub(super) use commit::{
    BOOKS_COLUMNS, DUPLICATE_COLUMNS, books_values, duplicate_values, join_duplicates,
};
pub(super) use dead_letters::EXPIRED;
pub(super) use fault::{Fault, Kind, sort_error};
pub(super) use insert::insert_positions;
pub(super) use journal::{Direct, Journaled};
pub(super) use ladder::{WIDE, rungs};
pub(super) use marks::Marks;
pub(super) use plan::{DuplicateRow, minute_of};
pub(super) use quick::{insert_bulk, insert_of};
pub(super) use rows::{bucket_of, key_of};
pub(super) use seam::{Dialect, Migration, Product, Session, fixed, sql};
pub(super) use sql::statements;
pub(super) use sql::{Join, POSITION_COLUMNS, insert, or_join};
pub(super) use value::{Fields, Value, signed_hash};

/// A product with what the shared code remembers about it.
pub(super) struct Engine<P> {
    product: P,
    days: days::KnownDays,
    marks: marks::KnownMarks,
    doubts: quick::Doubts,
    newest: journal::Newest,
    lasts: last::Lasts,
}

impl<P: Product> Engine<P> {
    /// The first of these statements that this login may not do, in the store's words.
    async fn refused(&self, statements: &[&'static str]) -> Result<Option<String>, StoreError> {
        for statement in statements {
            match self.product.rows(fixed(statement), &[]).await {
                Ok(_) => {}
                // A file that cannot be written counts as unavailable, too.
                Err(fault)
                    if fault.kind == Kind::Configuration || fault.detail.contains("readonly") =>
                {
                    return Ok(Some(fault.detail));
                }
                Err(fault) => return Err(fault.into_error(P::STORE)),
            }
        }
        Ok(None)
    }

    /// The handles of a database.
    pub(super) fn database(product: P) -> Database {
        let engine = Arc::new(Self {
            product,
            days: days::KnownDays::default(),
            marks: marks::KnownMarks::default(),
            doubts: quick::Doubts::default(),
            newest: journal::Newest::default(),
            lasts: last::Lasts::default(),
        });
        Database {
            history: Arc::clone(&engine) as _,
            users: Arc::clone(&engine) as _,
            logins: Arc::clone(&engine) as _,
            dead_letters: Arc::clone(&engine) as _,
            sessions: Arc::clone(&engine) as _,
            tokens: Arc::clone(&engine) as _,
            books: Arc::clone(&engine) as _,
            devices: Arc::clone(&engine) as _,
            groups: Arc::clone(&engine) as _,
            retention: Arc::clone(&engine) as _,
            commands: Arc::clone(&engine) as _,
            daily: engine,
        }
    }

    /// The schema's version; 0 when there is none.
    async fn schema_version(&self) -> Result<u32, Fault> {
        match self.product.rows(fixed(SCHEMA_VERSION), &[]).await {
            Ok(rows) => version_of(&rows),
            Err(fault) if fault.kind == Kind::Schema => Ok(0),
            Err(fault) => Err(fault),
        }
    }
}

/// Tells the schema's version.
pub(super) const SCHEMA_VERSION: &str = "SELECT MAX(version) FROM schema_version";

/// Reads the answer to [`SCHEMA_VERSION`]: no row means that nothing was noted yet.
pub(super) fn version_of(rows: &[impl Fields]) -> Result<u32, Fault> {
    rows.first().map_or(Ok(None), |row| row.maybe(0)).map(Option::unwrap_or_default)
}

/// The migrations still to run from a version on; 0 is an empty database.
pub(super) fn pending<'a>(
    fresh: &'a Migration,
    upgrades: &'a [Migration],
    version: u32,
) -> impl Iterator<Item = &'a Migration> {
    let whole = (version == 0).then_some(fresh);
    let steps = if version == 0 { &[] } else { upgrades };
    whole.into_iter().chain(steps.iter().filter(move |step| step.version > version))
}

/// Whether a schema of this version will do; if not, what to do.
fn judge_version(found: u32, needed: u32, store: &str) -> Result<(), StoreError> {
    let advice = match found.cmp(&needed) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less if found == 0 => {
            "has no Nemeses tables yet; run `nemeses migrate`".to_owned()
        }
        std::cmp::Ordering::Less => format!(
            "has schema version {found}, this program needs {needed}; run `nemeses migrate`"
        ),
        std::cmp::Ordering::Greater => format!(
            "has schema version {found}, newer than this program's {needed}; \
             run the version of Nemeses that made it, or a later one"
        ),
    };
    Err(StoreError::Schema(format!("the {store} database {advice}")))
}

#[async_trait]
impl<P: Product> History for Engine<P> {
    async fn migrate(&self) -> Result<(), StoreError> {
        let found = self.schema_version().await.map_err(|fault| fault.into_error(P::STORE))?;
        let needed = P::FRESH.version;
        if found > needed {
            return judge_version(found, needed, P::STORE);
        }
        self.product.migrate().await.map_err(|fault| fault.into_error(P::STORE))?;
        self.settle().await
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let found = self.schema_version().await.map_err(|fault| fault.into_error(P::STORE))?;
        judge_version(found, P::FRESH.version, P::STORE)
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.product.settle().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        Self::schema_version(self).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn weaknesses(&self) -> Result<Vec<String>, StoreError> {
        self.product.weaknesses().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let server = self.product.server().await;
        let (product, now_ms, may_migrate) = server.map_err(|fault| fault.into_error(P::STORE))?;
        let frames_refused = self.refused(&inspection::FRAMES).await?;
        let people_refused = self.refused(&inspection::PEOPLE).await?;
        Ok(Inspection { product, now_ms, frames_refused, people_refused, may_migrate })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let answer = self.product.rows(fixed("SELECT 1"), &[]).await;
        answer.map(drop).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn rehearse(&self) -> Result<(), StoreError> {
        Self::rehearse(self).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn check_reads(&self) -> Result<(), StoreError> {
        let answer = self.product.rows(fixed(inspection::READ), &[]).await;
        answer.map(drop).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn check_writes(&self) -> Result<(), StoreError> {
        let now_ms = Clock::system().now_ms();
        let values: [Value<'_>; 3] = [inspection::WRITTEN.into(), "".into(), now_ms.into()];
        let work = daily::Lease { values: &values };
        self.transact(work).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn commit(&self, parts: &[Part], exporter: &str) -> Result<Vec<Committed>, StoreError> {
        self.commit_parts(parts, exporter).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn probe(&self, records: &[Record]) -> Result<(), StoreError> {
        self.try_records(records).await.map_err(|fault| fault.into_error(P::STORE))
    }

    fn positions(&self, query: RangeQuery) -> PositionStream<'_> {
        reads::positions(self, query)
    }

    async fn last_position(
        &self,
        device: DeviceId,
        not_after: u32,
        with_fix: bool,
    ) -> Result<Option<PositionRecord>, StoreError> {
        reads::last_position(self, device, not_after, with_fix)
            .await
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn last_known(
        &self,
        devices: &[DeviceId],
        not_after: u32,
    ) -> Result<Vec<LastKnown>, StoreError> {
        last_known::last_known(self, devices, not_after).await
    }

    async fn note_last(&self, before_ms: u64) -> Result<usize, StoreError> {
        self.note_last(before_ms).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn recall_last(&self) -> Result<usize, StoreError> {
        self.recall_last().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn knows_device(&self, device: DeviceId) -> Result<bool, StoreError> {
        reads::knows_device(self, device).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn devices_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StoreError> {
        reads::devices_after(self, after, limit).await.map_err(|fault| fault.into_error(P::STORE))
    }

    fn recent_entries(
        &self,
        since_ms: u64,
        recorded_from: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + '_>> {
        recent::recent_entries(self, since_ms, recorded_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_does_not_fit_says_what_to_do() {
        assert!(judge_version(1, 1, "SQLite").is_ok());
        for (found, word) in [(0, "nemeses migrate"), (1, "nemeses migrate"), (3, "newer")] {
            let error = judge_version(found, 2, "SQLite").unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn an_empty_database_gets_all_at_once_and_an_older_one_what_it_lacks() {
        let fresh = Migration { version: 4, sql: "" };
        let upgrades = [2, 3, 4].map(|version| Migration { version, sql: "" });
        let from = |version| {
            pending(&fresh, &upgrades, version).map(|step| step.version).collect::<Vec<_>>()
        };
        assert_eq!(from(0), [4]);
        assert_eq!(from(1), [2, 3, 4]);
        assert_eq!(from(3), [4]);
        assert_eq!(from(4), [0; 0]);
    }
}
