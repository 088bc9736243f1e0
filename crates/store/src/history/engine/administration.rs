//! The schema's version, and what this login may do.

use async_trait::async_trait;
use nemeses_runtime::Clock;

use super::daily::Lease;
use super::{Engine, Fault, Fields, Kind, Migration, Product, Value, fixed};
use crate::StoreError;
use crate::history::{Administration, Commits as _, Health, Inspection};

/// Reads of every table that reports look into.
const READ: &str = "SELECT EXISTS (SELECT 1 FROM positions), \
    EXISTS (SELECT 1 FROM device_days), EXISTS (SELECT 1 FROM device_last), \
    EXISTS (SELECT 1 FROM daily), EXISTS (SELECT 1 FROM daily_marks), \
    EXISTS (SELECT 1 FROM devices), EXISTS (SELECT 1 FROM group_devices), \
    EXISTS (SELECT 1 FROM dead_letters), EXISTS (SELECT 1 FROM books)";

/// The row of `leases` that is written to see whether anything can be.
const WRITTEN: &str = "written";

/// Statements that change nothing and are refused like those that do: what nodes and
/// exporters need.
const FRAMES: [&str; 6] = [
    "INSERT INTO positions SELECT * FROM positions WHERE 1 = 0",
    "INSERT INTO device_days SELECT * FROM device_days WHERE 1 = 0",
    "INSERT INTO books SELECT * FROM books WHERE 1 = 0",
    "INSERT INTO dead_letters SELECT * FROM dead_letters WHERE 1 = 0",
    "UPDATE duplicates SET times = times WHERE 1 = 0",
    "DELETE FROM daily_marks WHERE 1 = 0",
];

/// What the API needs.
const PEOPLE: [&str; 6] = [
    "INSERT INTO device_commands SELECT * FROM device_commands WHERE 1 = 0",
    "UPDATE users SET disabled = disabled WHERE 1 = 0",
    "INSERT INTO sessions SELECT * FROM sessions WHERE 1 = 0",
    "DELETE FROM scoped_tokens WHERE 1 = 0",
    "INSERT INTO devices SELECT * FROM devices WHERE 1 = 0",
    "UPDATE device_groups SET name = name WHERE 1 = 0",
];

/// Tells the schema's version.
pub(in crate::history) const SCHEMA_VERSION: &str = "SELECT MAX(version) FROM schema_version";

/// Reads the answer to [`SCHEMA_VERSION`]: no row means that nothing was noted yet.
pub(in crate::history) fn version_of(rows: &[impl Fields]) -> Result<u32, Fault> {
    rows.first().map_or(Ok(None), |row| row.maybe(0)).map(Option::unwrap_or_default)
}

/// The migrations still to run from a version on; 0 is an empty database.
pub(in crate::history) fn pending<'a>(
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

    /// The schema's version; 0 when there is none.
    async fn schema_version(&self) -> Result<u32, Fault> {
        match self.product.rows(fixed(SCHEMA_VERSION), &[]).await {
            Ok(rows) => version_of(&rows),
            Err(fault) if fault.kind == Kind::Schema => Ok(0),
            Err(fault) => Err(fault),
        }
    }
}

#[async_trait]
impl<P: Product> Administration for Engine<P> {
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

    async fn schema_version(&self) -> Result<u32, StoreError> {
        Self::schema_version(self).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn weaknesses(&self) -> Result<Vec<String>, StoreError> {
        self.product.weaknesses().await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let server = self.product.server().await;
        let (product, now_ms, may_migrate) = server.map_err(|fault| fault.into_error(P::STORE))?;
        let frames_refused = self.refused(&FRAMES).await?;
        let people_refused = self.refused(&PEOPLE).await?;
        Ok(Inspection { product, now_ms, frames_refused, people_refused, may_migrate })
    }
}

#[async_trait]
impl<P: Product> Health for Engine<P> {
    async fn ping(&self) -> Result<(), StoreError> {
        let answer = self.product.rows(fixed("SELECT 1"), &[]).await;
        answer.map(drop).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn check_reads(&self) -> Result<(), StoreError> {
        let answer = self.product.rows(fixed(READ), &[]).await;
        answer.map(drop).map_err(|fault| fault.into_error(P::STORE))
    }

    async fn check_writes(&self) -> Result<(), StoreError> {
        let now_ms = Clock::system().now_ms();
        let values: [Value<'_>; 3] = [WRITTEN.into(), "".into(), now_ms.into()];
        let work = Lease { values: &values };
        self.transact(work).await.map_err(|fault| fault.into_error(P::STORE))
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
