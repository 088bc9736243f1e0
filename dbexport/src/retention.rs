//! Lets go of what is older than its period: positions and readings, dead letters, lines of
//! the books. Runs beside the exporter in small steps with pauses, so that
//! commits wait for none of them long; any number of processes may do it.

mod limits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{Retention, Step, Survey};
use tokio_util::sync::CancellationToken;

pub use self::limits::{ClassPeriod, Going, Keep, Limits};

/// Between two runs of the schedule.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon after the start the first one begins: when the rush of a restart is over.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// After an error while a week may be half rewritten: what came late for it cannot be
/// seen until that is done.
const SOON: Duration = Duration::from_secs(60);
/// Between two steps at least, and at most; in between as long as the step took, so that
/// the database has half of the time to itself.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(5)];
/// What takes longer is logged as it goes, so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Partitions are made for this much time ahead.
const AHEAD_S: u32 = 28 * 86_400;
/// Rows up to which a table without partitions gets them on its own; a larger
/// one would be copied for minutes, during which nothing can be written.
const SMALL_TABLE_ROWS: u64 = 1_000_000;

/// What one run took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Positions.
    pub positions: u64,
    /// Records of readings.
    pub readings: u64,
    /// Weeks that were rewritten without the devices of a class.
    pub weeks_rewritten: u32,
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
    /// It was asked to stop and has more to do.
    pub stopped: bool,
}

impl Removed {
    /// Adds what steps did to the positions.
    fn add(&mut self, steps: &Step) {
        self.positions += steps.removed;
        self.readings += steps.readings;
        self.weeks_rewritten += steps.weeks;
        self.busy |= steps.busy;
    }
}

/// Finishes what an earlier run left half done, makes room ahead and takes away what is
/// too old. What takes long is logged as it goes, and ends early after a step once `stop` is
/// cancelled; the next run goes on there.
///
/// `convert` says that a large table without partitions may be given them now,
/// for which the server copies it while nothing can be written; without it its
/// positions stay.
///
/// # Errors
/// What the database reports; what was taken until then is gone and booked.
pub async fn run_once(
    retention: &dyn Retention,
    limits: &Limits,
    now_ms: u64,
    convert: bool,
    stop: &CancellationToken,
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let steps = Steps { until: stop };
    let there = retention.survey(0).await?;
    if there.rewriting {
        let over = limits.of_classes();
        removed.add(&steps.all("a week", || retention.finish_rewriting(&over)).await?);
    }
    if limits.touch_positions() {
        if convert || !would_copy(&there) {
            let now = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
            removed.partitions_made = retention.prepare(now, now.saturating_add(AHEAD_S)).await?;
            take_positions(retention, limits, &steps, &mut removed).await?;
        } else {
            removed.needs_partitions = true;
        }
    }
    if let Some(before_ms) = limits.letters_before_ms {
        let expire = || retention.expire_letters(before_ms);
        removed.dead_letters = steps.all("dead letters", expire).await?.removed;
    }
    if let Some(before_minute) = limits.books_before_minute {
        removed.books = steps.all("books", || retention.fold_books(before_minute)).await?.removed;
    }
    removed.stopped = stop.is_cancelled();
    Ok(removed)
}

/// Whether making partitions would copy more than is done in passing.
fn would_copy(there: &Survey) -> bool {
    there.partitions == Some(0) && there.rows.is_some_and(|rows| rows > SMALL_TABLE_ROWS)
}

/// Takes the positions that all devices have beyond their periods, then those of classes.
async fn take_positions(
    retention: &dyn Retention,
    limits: &Limits,
    steps: &Steps<'_>,
    removed: &mut Removed,
) -> Result<(), StoreError> {
    let going = limits.going(&retention.classes().await?);
    if !going.unknown.is_empty() {
        tracing::warn!(
            classes = going.unknown.join(", "),
            "devices are in retention classes without a period, and keep all positions; say how \
             long with --keep-classes"
        );
    }
    if let Some(before) = going.all_before {
        removed.add(&steps.all("positions", || retention.expire_positions(before)).await?);
    }
    if !going.classes.is_empty() {
        let expire = || retention.expire_classes(&going.classes);
        removed.add(&steps.all("positions of classes", expire).await?);
    }
    Ok(())
}

/// How steps are made.
struct Steps<'a> {
    until: &'a CancellationToken,
}

impl Steps<'_> {
    /// Steps with pauses until nothing is left to do or it is to stop, and their sum.
    async fn all<F>(
        &self,
        what: &'static str,
        mut step: impl FnMut() -> F,
    ) -> Result<Step, StoreError>
    where
        F: Future<Output = Result<Step, StoreError>>,
    {
        let (mut sum, mut told) = (Step::default(), Instant::now());
        while !self.until.is_cancelled() {
            let begun = Instant::now();
            let done = step().await?;
            sum.removed += done.removed;
            sum.readings += done.readings;
            sum.weeks += done.weeks;
            sum.busy |= done.busy;
            if !done.more {
                break;
            }
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                tracing::info!(
                    what,
                    removed = sum.removed,
                    readings = sum.readings,
                    partitions_left = done.partitions_left,
                    "retention is at work"
                );
            }
            let pause = tokio::time::sleep(begun.elapsed().clamp(PAUSES[0], PAUSES[1]));
            self.until.run_until_cancelled(pause).await;
        }
        Ok(sum)
    }
}

/// Runs once an hour until the stop, and tells of each run how long it took. Sooner
/// after an error while a week is being rewritten. Whoever keeps everything for ever
/// notes that once, and else finishes what others left half done.
pub async fn run_schedule(
    retention: Arc<dyn Retention>,
    keep: Keep,
    clock: Clock,
    stop: CancellationToken,
    told: impl Fn(&Result<Removed, StoreError>, Duration),
) {
    let mut wait = FIRST_AFTER;
    let mut is_noted = false;
    let run = async {
        loop {
            tokio::time::sleep(wait).await;
            note(retention.as_ref(), &keep, &mut is_noted).await;
            let now_ms = clock.now_ms();
            let begun = Instant::now();
            let limits = keep.limits(now_ms);
            let outcome = run_once(retention.as_ref(), &limits, now_ms, false, &stop).await;
            told(&outcome, begun.elapsed());
            wait = match &outcome {
                Ok(_) => EVERY,
                Err(_) => wait_after_error(retention.survey(0).await.as_ref().ok()),
            };
            tell(outcome, wait);
        }
    };
    stop.run_until_cancelled(run).await;
}

/// Notes the periods for those who have no setting; once where there is none, since others
/// may have one.
async fn note(retention: &dyn Retention, keep: &Keep, is_noted: &mut bool) {
    if *is_noted && keep.is_for_ever() {
        return;
    }
    match retention.note_classes(&keep.noted()).await {
        Ok(()) => *is_noted = true,
        Err(error) => tracing::warn!(%error, "the retention classes cannot be noted"),
    }
}

/// How long to wait when a run failed and this is there; `None` when it cannot be seen.
fn wait_after_error(there: Option<&Survey>) -> Duration {
    if there.is_some_and(|there| !there.rewriting) { EVERY } else { SOON }
}

fn tell(outcome: Result<Removed, StoreError>, wait: Duration) {
    match outcome {
        Ok(Removed { needs_partitions: true, .. }) => tracing::warn!(
            "old positions stay: their table is large and has no partitions; make them with \
             `nemeses retention --convert` at a quiet hour, nothing is written meanwhile"
        ),
        Ok(removed) if removed == Removed::default() => {}
        Ok(removed) => tracing::info!(
            positions = removed.positions,
            readings = removed.readings,
            weeks_rewritten = removed.weeks_rewritten,
            dead_letters = removed.dead_letters,
            books = removed.books,
            partitions_made = removed.partitions_made,
            "what was kept long enough is gone"
        ),
        Err(error) => tracing::warn!(
            %error,
            next_try_in_s = wait.as_secs(),
            "old rows stay until the next try"
        ),
    }
}

#[cfg(test)]
mod tests;
