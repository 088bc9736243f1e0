//! Lets go of what is older than its period: positions, dead letters, lines of
//! the books. Runs beside the exporter in small steps with pauses, so that
//! commits wait for none of them long; any number of processes may do it.

use std::sync::Arc;
use std::time::Duration;

use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{Retention, Step, Survey};
use tokio_util::sync::CancellationToken;

/// Between two runs of the schedule.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon after the start the first one begins: when the rush of a restart is over.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// Between two steps: a step takes some milliseconds to some hundred of them.
const PAUSE: Duration = Duration::from_millis(20);
/// Partitions are made for this much time ahead.
const AHEAD_S: u32 = 28 * 86_400;
/// Rows up to which a table without partitions gets them on its own; a larger
/// one would be copied for minutes, during which nothing can be written.
const SMALL_TABLE_ROWS: u64 = 1_000_000;

/// How long things are kept; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Positions, by the device's clock.
    pub positions: Option<Duration>,
    /// Dead letters, by their arrival.
    pub dead_letters: Option<Duration>,
    /// Single lines of the books, by their minute; older ones are joined by day.
    pub books: Option<Duration>,
}

/// Everything before these moments goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Recorded second.
    pub positions_before: Option<u32>,
    /// Arrival, Unix milliseconds.
    pub letters_before_ms: Option<u64>,
    /// Minute of arrival, Unix seconds / 60.
    pub books_before_minute: Option<u32>,
}

/// What one run took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Positions.
    pub positions: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Lines of the books that became part of their day's.
    pub books: u64,
    /// Partitions made ahead.
    pub partitions_made: u32,
    /// Another process is taking positions away.
    pub busy: bool,
    /// The positions stay: their table is large and has no partitions.
    pub needs_partitions: bool,
}

impl Keep {
    /// Whether everything is kept for ever.
    pub fn is_for_ever(&self) -> bool {
        *self == Self::default()
    }

    /// What these periods mean at a moment (Unix milliseconds).
    pub fn limits(&self, now_ms: u64) -> Limits {
        let before = |keep: Duration| {
            now_ms.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX))
        };
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Limits {
            positions_before: self.positions.map(|keep| narrow(before(keep) / 1000)),
            letters_before_ms: self.dead_letters.map(before),
            books_before_minute: self.books.map(|keep| narrow(before(keep) / 60_000)),
        }
    }
}

/// Makes room ahead and takes away what is too old.
///
/// `convert` says that a large table without partitions may be given them now,
/// for which the server copies it while nothing can be written; without it its
/// positions stay.
///
/// # Errors
/// What the database reports; what was taken until then is gone and booked.
pub async fn run_once(
    retention: &dyn Retention,
    limits: Limits,
    now_ms: u64,
    convert: bool,
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    if let Some(before) = limits.positions_before {
        if convert || !would_copy(&retention.survey(0).await?) {
            let now = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
            removed.partitions_made = retention.prepare(now, now.saturating_add(AHEAD_S)).await?;
            while step(
                retention.expire_positions(before),
                &mut removed.positions,
                &mut removed.busy,
            )
            .await?
            {}
        } else {
            removed.needs_partitions = true;
        }
    }
    if let Some(before_ms) = limits.letters_before_ms {
        let mut busy = false;
        while step(retention.expire_letters(before_ms), &mut removed.dead_letters, &mut busy)
            .await?
        {}
    }
    if let Some(before_minute) = limits.books_before_minute {
        let mut busy = false;
        while step(retention.fold_books(before_minute), &mut removed.books, &mut busy).await? {}
    }
    Ok(removed)
}

/// Whether making partitions would copy more than is done in passing.
fn would_copy(there: &Survey) -> bool {
    there.partitions == Some(0) && there.rows.is_some_and(|rows| rows > SMALL_TABLE_ROWS)
}

/// One step, and a pause when another one follows; tells whether one does.
async fn step(
    step: impl Future<Output = Result<Step, StoreError>>,
    removed: &mut u64,
    busy: &mut bool,
) -> Result<bool, StoreError> {
    let step = step.await?;
    *removed += step.removed;
    *busy |= step.busy;
    if step.more {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(step.more)
}

/// Runs once an hour until the stop.
pub async fn run_schedule(
    retention: Arc<dyn Retention>,
    keep: Keep,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut wait = FIRST_AFTER;
    let run = async {
        loop {
            tokio::time::sleep(wait).await;
            wait = EVERY;
            let now_ms = clock.now_ms();
            tell(run_once(retention.as_ref(), keep.limits(now_ms), now_ms, false).await);
        }
    };
    stop.run_until_cancelled(run).await;
}

fn tell(outcome: Result<Removed, StoreError>) {
    match outcome {
        Ok(Removed { needs_partitions: true, .. }) => tracing::warn!(
            "old positions stay: their table is large and has no partitions; make them with \
             `nemeses retention --convert` at a quiet hour, nothing is written meanwhile"
        ),
        Ok(removed) if removed == Removed::default() => {}
        Ok(removed) => tracing::info!(
            positions = removed.positions,
            dead_letters = removed.dead_letters,
            books = removed.books,
            partitions_made = removed.partitions_made,
            "what was kept long enough is gone"
        ),
        Err(error) => tracing::warn!(%error, "old rows stay until the next try, in an hour"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn periods_become_moments() {
        let keep = Keep { positions: Some(DAY), dead_letters: Some(DAY), books: Some(2 * DAY) };
        let limits = keep.limits(3 * 86_400_000 + 5);
        assert_eq!(limits.positions_before, Some(2 * 86_400));
        assert_eq!(limits.letters_before_ms, Some(2 * 86_400_000 + 5));
        assert_eq!(limits.books_before_minute, Some(1440));
        assert_eq!(Keep::default().limits(1), Limits::default());
        let longer_than_time = Keep { positions: Some(1_000_000 * DAY), ..Keep::default() };
        assert_eq!(longer_than_time.limits(86_400_000).positions_before, Some(0));
    }

    /// Gives away so many steps, and notes what was asked.
    struct Fake {
        there: Survey,
        left: Mutex<u64>,
        asked: Mutex<Vec<&'static str>>,
    }

    impl Fake {
        fn of(there: Survey) -> Self {
            Self { there, left: Mutex::new(3), asked: Mutex::default() }
        }

        fn next(&self, what: &'static str) -> Step {
            self.asked.lock().unwrap().push(what);
            let mut left = self.left.lock().unwrap();
            *left = left.saturating_sub(1);
            Step { removed: 10, more: *left > 0, busy: false }
        }
    }

    #[async_trait]
    impl Retention for Fake {
        async fn survey(&self, _: u32) -> Result<Survey, StoreError> {
            Ok(self.there.clone())
        }
        async fn prepare(&self, now: u32, until: u32) -> Result<u32, StoreError> {
            assert!(until > now);
            Ok(2)
        }
        async fn expire_positions(&self, _: u32) -> Result<Step, StoreError> {
            Ok(self.next("positions"))
        }
        async fn expire_letters(&self, _: u64) -> Result<Step, StoreError> {
            Ok(self.next("letters"))
        }
        async fn fold_books(&self, _: u32) -> Result<Step, StoreError> {
            Ok(self.next("books"))
        }
    }

    #[tokio::test]
    async fn takes_what_has_a_period_until_nothing_is_left() {
        let fake = Fake::of(Survey::default());
        let limits = Limits { positions_before: Some(1), ..Limits::default() };
        let removed = run_once(&fake, limits, 0, false).await.unwrap();
        assert_eq!((removed.positions, removed.partitions_made), (30, 2));
        assert_eq!(*fake.asked.lock().unwrap(), ["positions"; 3]);

        let limits = Limits {
            positions_before: None,
            letters_before_ms: Some(1),
            books_before_minute: Some(1),
        };
        let removed = run_once(&fake, limits, 0, false).await.unwrap();
        assert_eq!((removed.dead_letters, removed.books, removed.positions), (10, 10, 0));
    }

    #[tokio::test]
    async fn a_large_table_is_not_copied_unasked() {
        let large = Survey { partitions: Some(0), rows: Some(5_000_000), ..Survey::default() };
        let fake = Fake::of(large);
        let limits = Limits { positions_before: Some(1), ..Limits::default() };
        let removed = run_once(&fake, limits, 0, false).await.unwrap();
        assert!(removed.needs_partitions && removed.positions == 0);
        assert_eq!(run_once(&fake, limits, 0, true).await.unwrap().positions, 30);
        assert!(!would_copy(&Survey { partitions: None, rows: None, ..Survey::default() }));
        assert!(!would_copy(&Survey { partitions: Some(0), rows: Some(9), ..Survey::default() }));
    }
}
