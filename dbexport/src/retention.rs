//! Lets go of what is older than its period: positions, dead letters, lines of
//! the books. Runs beside the exporter in small steps with pauses, so that
//! commits wait for none of them long; any number of processes may do it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_runtime::Clock;
use nemeses_store::StoreError;
use nemeses_store::history::{
    ClassCount, ClassLimit, DEFAULT_RETENTION, NotedClass, Retention, Step, Survey,
};
use tokio_util::sync::CancellationToken;

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
/// Partitions are made for this much time ahead.
const AHEAD_S: u32 = 28 * 86_400;
/// Rows up to which a table without partitions gets them on its own; a larger
/// one would be copied for minutes, during which nothing can be written.
const SMALL_TABLE_ROWS: u64 = 1_000_000;

/// How long things are kept; `None` is for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Positions, by the device's clock, of devices that name no class.
    pub positions: Option<Duration>,
    /// Positions of devices that name one.
    pub classes: Vec<ClassPeriod>,
    /// Dead letters, by their arrival.
    pub dead_letters: Option<Duration>,
    /// Single lines of the books, by their minute; older ones are joined by day.
    pub books: Option<Duration>,
}

/// How long the positions of a class of devices are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPeriod {
    /// The class's name.
    pub class: String,
    /// `None` is for ever.
    pub period: Option<Duration>,
}

/// Everything before these moments goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Recorded second, of devices that name no class.
    pub positions_before: Option<u32>,
    /// The same of each class.
    pub classes: Vec<(String, Option<u32>)>,
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
}

impl Removed {
    /// Adds what steps did to the positions.
    fn add(&mut self, steps: &Step) {
        self.positions += steps.removed;
        self.weeks_rewritten += steps.weeks;
        self.busy |= steps.busy;
    }
}

impl Keep {
    /// Whether everything is kept for ever.
    pub fn is_for_ever(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything is said about positions.
    pub fn touches_positions(&self) -> bool {
        self.positions.is_some() || !self.classes.is_empty()
    }

    /// The classes that have a period, the default one first.
    pub fn noted(&self) -> Vec<NotedClass> {
        let seconds = |period: Option<Duration>| period.map(|period| period.as_secs());
        let default =
            NotedClass { class: DEFAULT_RETENTION.to_owned(), keep_s: seconds(self.positions) };
        let noted = |class: &ClassPeriod| NotedClass {
            class: class.class.clone(),
            keep_s: seconds(class.period),
        };
        std::iter::once(default).chain(self.classes.iter().map(noted)).collect()
    }

    /// What these periods mean at a moment (Unix milliseconds).
    pub fn limits(&self, now_ms: u64) -> Limits {
        let before = |keep: Duration| {
            now_ms.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX))
        };
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Limits {
            positions_before: self.positions.map(|keep| narrow(before(keep) / 1000)),
            classes: self
                .classes
                .iter()
                .map(|class| {
                    let before = class.period.map(|keep| narrow(before(keep) / 1000));
                    (class.class.clone(), before)
                })
                .collect(),
            letters_before_ms: self.dead_letters.map(before),
            books_before_minute: self.books.map(|keep| narrow(before(keep) / 60_000)),
        }
    }
}

/// Which positions go, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Going {
    /// Recorded second before which those of all devices go.
    pub all_before: Option<u32>,
    /// Classes of which more goes.
    pub classes: Vec<ClassLimit>,
    /// Classes that devices name and that have no period: they keep all.
    pub unknown: Vec<String>,
}

impl Limits {
    /// When each class is over, the default one too.
    fn of_classes(&self) -> Vec<ClassLimit> {
        let default = (DEFAULT_RETENTION.to_owned(), self.positions_before);
        std::iter::once(&default)
            .chain(&self.classes)
            .filter_map(|(class, before)| {
                Some(ClassLimit { class: class.clone(), before: (*before)? })
            })
            .collect()
    }

    /// Whether any positions have a period.
    pub fn touch_positions(&self) -> bool {
        self.positions_before.is_some() || self.classes.iter().any(|(_, before)| before.is_some())
    }

    /// What these limits mean for the classes that devices name.
    pub fn going(&self, named: &[ClassCount]) -> Going {
        let mut unknown = Vec::new();
        let mut limits = vec![(DEFAULT_RETENTION.to_owned(), self.positions_before)];
        for ClassCount { class, .. } in named {
            if class == DEFAULT_RETENTION {
                continue;
            }
            let set = self.classes.iter().find(|(name, _)| name == class);
            if set.is_none() {
                unknown.push(class.clone());
            }
            limits.push((class.clone(), set.and_then(|(_, before)| *before)));
        }
        let for_ever = limits.iter().any(|(_, before)| before.is_none());
        let least = limits.iter().filter_map(|(_, before)| *before).min();
        let all_before = least.filter(|_| !for_ever);
        let classes = limits
            .into_iter()
            .filter_map(|(class, before)| Some(ClassLimit { class, before: before? }))
            .filter(|limit| all_before.is_none_or(|all| limit.before > all))
            .collect();
        Going { all_before, classes, unknown }
    }
}

/// Finishes what an earlier run left half done, makes room ahead and takes away what is
/// too old.
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
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let there = retention.survey(0).await?;
    if there.rewriting {
        let over = limits.of_classes();
        removed.add(&all_steps(|| retention.finish_rewriting(&over)).await?);
    }
    if limits.touch_positions() {
        if convert || !would_copy(&there) {
            let now = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
            removed.partitions_made = retention.prepare(now, now.saturating_add(AHEAD_S)).await?;
            take_positions(retention, limits, &mut removed).await?;
        } else {
            removed.needs_partitions = true;
        }
    }
    if let Some(before_ms) = limits.letters_before_ms {
        removed.dead_letters = all_steps(|| retention.expire_letters(before_ms)).await?.removed;
    }
    if let Some(before_minute) = limits.books_before_minute {
        removed.books = all_steps(|| retention.fold_books(before_minute)).await?.removed;
    }
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
        removed.add(&all_steps(|| retention.expire_positions(before)).await?);
    }
    if !going.classes.is_empty() {
        removed.add(&all_steps(|| retention.expire_classes(&going.classes)).await?);
    }
    Ok(())
}

/// Steps with pauses until nothing is left to do, and their sum.
async fn all_steps<F>(mut step: impl FnMut() -> F) -> Result<Step, StoreError>
where
    F: Future<Output = Result<Step, StoreError>>,
{
    let mut sum = Step::default();
    loop {
        let begun = Instant::now();
        let done = step().await?;
        sum.removed += done.removed;
        sum.weeks += done.weeks;
        sum.busy |= done.busy;
        if !done.more {
            return Ok(sum);
        }
        tokio::time::sleep(begun.elapsed().clamp(PAUSES[0], PAUSES[1])).await;
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
            let outcome = run_once(retention.as_ref(), &keep.limits(now_ms), now_ms, false).await;
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
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use nemeses_store::history::ClassWeek;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn periods_become_moments() {
        let keep = Keep {
            positions: Some(DAY),
            dead_letters: Some(DAY),
            books: Some(2 * DAY),
            classes: vec![ClassPeriod { class: "short".into(), period: Some(2 * DAY) }],
        };
        let limits = keep.limits(3 * 86_400_000 + 5);
        assert_eq!(limits.positions_before, Some(2 * 86_400));
        assert_eq!(limits.letters_before_ms, Some(2 * 86_400_000 + 5));
        assert_eq!(limits.books_before_minute, Some(1440));
        assert_eq!(limits.classes, [("short".to_owned(), Some(86_400))]);
        assert_eq!(Keep::default().limits(1), Limits::default());
        let longer_than_time = Keep { positions: Some(1_000_000 * DAY), ..Keep::default() };
        assert_eq!(longer_than_time.limits(86_400_000).positions_before, Some(0));
    }

    fn named(classes: &[&str]) -> Vec<ClassCount> {
        let count = |class: &&str| ClassCount { class: (*class).to_owned(), devices: 1 };
        classes.iter().map(count).collect()
    }

    #[test]
    fn whole_weeks_go_when_no_class_needs_them() {
        let limits = |default, classes: &[(&str, Option<u32>)]| Limits {
            positions_before: default,
            classes: classes.iter().map(|(class, at)| ((*class).to_owned(), *at)).collect(),
            ..Limits::default()
        };
        let of = |limit: &ClassLimit| (limit.class.clone(), limit.before);
        let seen = |going: &Going| going.classes.iter().map(of).collect::<Vec<_>>();

        // Nobody is in a class: its period does not matter.
        let both = limits(Some(900), &[("long", Some(100)), ("short", Some(990))]);
        let going = both.going(&named(&["default"]));
        assert_eq!((going.all_before, seen(&going)), (Some(900), vec![]));

        let going = both.going(&named(&["default", "long", "short"]));
        assert_eq!(going.all_before, Some(100));
        assert_eq!(seen(&going), [("default".to_owned(), 900), ("short".to_owned(), 990)]);

        // For ever, by setting or for want of one: no whole week goes.
        let going = limits(None, &[("short", Some(990))]).going(&named(&["short"]));
        assert_eq!((going.all_before, seen(&going)), (None, vec![("short".to_owned(), 990)]));
        let going = limits(Some(900), &[]).going(&named(&["law"]));
        assert_eq!(going.all_before, None);
        assert_eq!(
            (seen(&going), going.unknown),
            (vec![("default".to_owned(), 900)], vec!["law".to_owned()])
        );
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
            Step { removed: 10, more: *left > 0, weeks: 1, ..Step::default() }
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
        async fn classes(&self) -> Result<Vec<ClassCount>, StoreError> {
            Ok(named(&["short"]))
        }
        async fn note_classes(&self, classes: &[NotedClass]) -> Result<(), StoreError> {
            assert_eq!(classes[0].class, DEFAULT_RETENTION);
            self.asked.lock().unwrap().push("note");
            Ok(())
        }
        async fn noted_classes(&self) -> Result<Vec<NotedClass>, StoreError> {
            Ok(Vec::new())
        }
        async fn survey_classes(&self, _: &[ClassLimit]) -> Result<Vec<ClassWeek>, StoreError> {
            Ok(Vec::new())
        }
        async fn expire_classes(&self, _: &[ClassLimit]) -> Result<Step, StoreError> {
            Ok(self.next("classes"))
        }
        async fn finish_rewriting(&self, over: &[ClassLimit]) -> Result<Step, StoreError> {
            let classes: Vec<_> = over.iter().map(|limit| limit.class.as_str()).collect();
            assert!(classes.is_empty() || classes == ["default", "short"], "{classes:?}");
            Ok(self.next("rewriting"))
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
        let limits = Limits {
            positions_before: Some(1),
            classes: vec![("short".to_owned(), Some(2))],
            ..Limits::default()
        };
        let removed = run_once(&fake, &limits, 0, false).await.unwrap();
        assert_eq!((removed.positions, removed.partitions_made), (40, 2));
        assert_eq!(removed.weeks_rewritten, 4);
        let asked = ["positions", "positions", "positions", "classes"];
        assert_eq!(*fake.asked.lock().unwrap(), asked);

        let limits = Limits {
            letters_before_ms: Some(1),
            books_before_minute: Some(1),
            ..Limits::default()
        };
        let removed = run_once(&fake, &limits, 0, false).await.unwrap();
        assert_eq!((removed.dead_letters, removed.books, removed.positions), (10, 10, 0));
    }

    #[tokio::test]
    async fn a_week_that_is_being_rewritten_is_finished_first_whatever_is_kept() {
        let rewriting = Survey { rewriting: true, ..Survey::default() };
        let fake = Fake::of(rewriting.clone());
        let removed = run_once(&fake, &Limits::default(), 0, false).await.unwrap();
        assert_eq!((removed.positions, removed.weeks_rewritten), (30, 3));
        assert_eq!(*fake.asked.lock().unwrap(), ["rewriting"; 3]);

        let fake = Fake::of(rewriting);
        let limits = Limits {
            positions_before: Some(1),
            classes: vec![("long".to_owned(), None), ("short".to_owned(), Some(2))],
            ..Limits::default()
        };
        assert_eq!(run_once(&fake, &limits, 0, false).await.unwrap().positions, 50);
        let asked = ["rewriting", "rewriting", "rewriting", "positions", "classes"];
        assert_eq!(*fake.asked.lock().unwrap(), asked);
    }

    #[tokio::test]
    async fn who_keeps_everything_says_so_once() {
        let day = Keep { positions: Some(DAY), ..Keep::default() };
        for (keep, asked) in [(Keep::default(), 1), (day, 3)] {
            let fake = Fake::of(Survey::default());
            let mut is_noted = false;
            for _ in 0..3 {
                note(&fake, &keep, &mut is_noted).await;
            }
            assert_eq!(fake.asked.lock().unwrap().len(), asked);
        }
    }

    #[test]
    fn what_is_half_done_does_not_wait_for_an_hour() {
        let there = |rewriting| Survey { rewriting, ..Survey::default() };
        assert_eq!(wait_after_error(Some(&there(false))), EVERY);
        assert_eq!(wait_after_error(Some(&there(true))), SOON);
        assert_eq!(wait_after_error(None), SOON);
    }

    #[tokio::test]
    async fn a_large_table_is_not_copied_unasked() {
        let large = Survey { partitions: Some(0), rows: Some(5_000_000), ..Survey::default() };
        let fake = Fake::of(large);
        let limits = Limits {
            positions_before: Some(1),
            classes: vec![("short".to_owned(), Some(1))],
            ..Limits::default()
        };
        let removed = run_once(&fake, &limits, 0, false).await.unwrap();
        assert!(removed.needs_partitions && removed.positions == 0);
        assert_eq!(run_once(&fake, &limits, 0, true).await.unwrap().positions, 30);
        assert!(!would_copy(&Survey { partitions: None, rows: None, ..Survey::default() }));
        assert!(!would_copy(&Survey { partitions: Some(0), rows: Some(9), ..Survey::default() }));
    }
}
