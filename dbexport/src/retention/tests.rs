use std::sync::Mutex;

use async_trait::async_trait;
use nemeses_store::history::{ClassCount, ClassLimit, ClassWeek, DEFAULT_RETENTION, NotedClass};

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
    let removed = run_once(&fake, &limits, 0, false, &CancellationToken::new()).await.unwrap();
    assert_eq!((removed.positions, removed.partitions_made), (40, 2));
    assert_eq!(removed.weeks_rewritten, 4);
    let asked = ["positions", "positions", "positions", "classes"];
    assert_eq!(*fake.asked.lock().unwrap(), asked);

    let limits =
        Limits { letters_before_ms: Some(1), books_before_minute: Some(1), ..Limits::default() };
    let removed = run_once(&fake, &limits, 0, false, &CancellationToken::new()).await.unwrap();
    assert_eq!((removed.dead_letters, removed.books, removed.positions), (10, 10, 0));
}

#[tokio::test]
async fn who_asks_it_to_stop_waits_for_one_step() {
    let fake = Fake::of(Survey::default());
    let limits = Limits {
        positions_before: Some(1),
        letters_before_ms: Some(1),
        classes: vec![("short".to_owned(), Some(2))],
        ..Limits::default()
    };
    let stop = CancellationToken::new();
    let run = run_once(&fake, &limits, 0, false, &stop);
    let stopping = async {
        while fake.asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (removed, ()) = tokio::join!(run, stopping);
    let removed = removed.unwrap();
    assert!(removed.stopped && removed.positions == 10, "{removed:?}");
    assert_eq!(*fake.asked.lock().unwrap(), ["positions"]);
}

#[tokio::test]
async fn a_week_that_is_being_rewritten_is_finished_first_whatever_is_kept() {
    let rewriting = Survey { rewriting: true, ..Survey::default() };
    let fake = Fake::of(rewriting.clone());
    let removed =
        run_once(&fake, &Limits::default(), 0, false, &CancellationToken::new()).await.unwrap();
    assert_eq!((removed.positions, removed.weeks_rewritten), (30, 3));
    assert_eq!(*fake.asked.lock().unwrap(), ["rewriting"; 3]);

    let fake = Fake::of(rewriting);
    let limits = Limits {
        positions_before: Some(1),
        classes: vec![("long".to_owned(), None), ("short".to_owned(), Some(2))],
        ..Limits::default()
    };
    assert_eq!(
        run_once(&fake, &limits, 0, false, &CancellationToken::new()).await.unwrap().positions,
        50
    );
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
    let removed = run_once(&fake, &limits, 0, false, &CancellationToken::new()).await.unwrap();
    assert!(removed.needs_partitions && removed.positions == 0);
    assert_eq!(
        run_once(&fake, &limits, 0, true, &CancellationToken::new()).await.unwrap().positions,
        30
    );
    assert!(!would_copy(&Survey { partitions: None, rows: None, ..Survey::default() }));
    assert!(!would_copy(&Survey { partitions: Some(0), rows: Some(9), ..Survey::default() }));
}
