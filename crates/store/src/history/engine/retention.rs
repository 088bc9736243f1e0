//! Retention that the products share: surveys, dead letters, the books. How
//! positions leave is the product's own.

use async_trait::async_trait;

use super::Engine;
use super::commit::BOOKS_COLUMNS;
use super::fault::{Fault, Kind};
use super::seam::{Dialect, Product, Session, fixed, sql};
use super::sql::{Join, insert, or_join};
use super::value::{Fields as _, Value};
use super::work::Work;
use crate::StoreError;
use crate::history::BUCKET_SECONDS;
use crate::history::devices::DEFAULT_RETENTION;
use crate::history::retention::{
    BucketLimit, ClassCount, ClassLimit, ClassWeek, NotedClass, Retention, Step, Survey, bucket_at,
};

/// Buckets of a day, and of a week.
const DAY_BUCKETS: u32 = 86_400 / BUCKET_SECONDS;
const WEEK_BUCKETS: u32 = 7 * DAY_BUCKETS;
/// Unix time began on a Thursday: buckets from the Monday before it.
const MONDAY_BUCKETS: u32 = 3 * DAY_BUCKETS;
/// Minutes of a day.
const DAY_MINUTES: u32 = 1440;
/// The run of a line that stands for a whole day: no process draws it.
const FOLDED_RUN: u64 = 0;

const OLDEST: &str = "SELECT MIN(bucket) FROM positions";
const EXPIRED_ROWS: &str = "SELECT COUNT(*) FROM positions WHERE bucket < ?";
const OLDEST_MINUTE: &str = "SELECT MIN(minute) FROM books WHERE minute < ? AND run <> ?";
const MINUTE_BY_WORKER: &str = "SELECT worker, CAST(SUM(received) AS UNSIGNED), \
    CAST(SUM(stored) AS UNSIGNED), CAST(SUM(duplicates) AS UNSIGNED), \
    CAST(SUM(dead_letters) AS UNSIGNED), CAST(SUM(pings) AS UNSIGNED), \
    CAST(SUM(values_received) AS UNSIGNED), CAST(SUM(values_stored) AS UNSIGNED), \
    CAST(SUM(values_duplicate) AS UNSIGNED), CAST(SUM(values_refused) AS UNSIGNED), COUNT(*) \
    FROM books WHERE minute = ? AND run <> ? GROUP BY worker";
const CLASSES: &str =
    "SELECT retention, COUNT(*) FROM devices GROUP BY retention ORDER BY retention";
const NOTED: &str = "SELECT name, keep_s FROM retention_classes ORDER BY name";
const FORGET_NOTED: &str = "DELETE FROM retention_classes";
const DELETE_MINUTE: &str = "DELETE FROM books WHERE minute = ? AND run <> ?";

#[async_trait]
impl<P: Product> Retention for Engine<P> {
    async fn survey(&self, before: u32) -> Result<Survey, StoreError> {
        self.surveyed(before).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn prepare(&self, now: u32, until: u32) -> Result<u32, StoreError> {
        let made = self.product.prepare(bucket_at(now), bucket_at(until)).await;
        made.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn expire_positions(&self, before: u32) -> Result<Step, StoreError> {
        // Readings first: their days are forgotten with the last positions.
        match self.expire_readings(bucket_at(before)).await {
            Ok(step) if !step.more => self.stepped(self.product.expire(bucket_at(before)).await),
            step => self.stepped(step),
        }
    }

    async fn classes(&self) -> Result<Vec<ClassCount>, StoreError> {
        let rows = self.product.rows(fixed(CLASSES), &[]).await;
        rows.and_then(|rows| {
            let count =
                |row: &P::Row| Ok(ClassCount { class: row.text(0)?, devices: row.need(1)? });
            rows.iter().map(count).collect()
        })
        .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn note_classes(&self, classes: &[NotedClass]) -> Result<(), StoreError> {
        let noted = self.transact(Note { classes }).await;
        noted.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn noted_classes(&self) -> Result<Vec<NotedClass>, StoreError> {
        let rows = self.product.rows(fixed(NOTED), &[]).await;
        rows.and_then(|rows| {
            let noted =
                |row: &P::Row| Ok(NotedClass { class: row.text(0)?, keep_s: row.maybe(1)? });
            rows.iter().map(noted).collect()
        })
        .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn survey_classes(&self, over: &[ClassLimit]) -> Result<Vec<ClassWeek>, StoreError> {
        let mut found = Vec::new();
        for limit in over {
            let weeks = self.surveyed_class(limit).await;
            found.extend(weeks.map_err(|fault| fault.into_error(P::STORE))?);
        }
        found.sort_by(|a, b| (a.week, &a.class).cmp(&(b.week, &b.class)));
        Ok(found)
    }

    async fn expire_classes(&self, over: &[ClassLimit]) -> Result<Step, StoreError> {
        let over: Vec<BucketLimit> = over.iter().map(ClassLimit::in_buckets).collect();
        self.stepped(self.product.expire_classes(&over).await)
    }

    async fn finish_rewriting(&self, over: &[ClassLimit]) -> Result<Step, StoreError> {
        let over: Vec<BucketLimit> = over.iter().map(ClassLimit::in_buckets).collect();
        self.stepped(self.product.finish_rewriting(&over).await)
    }

    async fn expire_letters(&self, before_ms: u64) -> Result<Step, StoreError> {
        let step = self.purge_some(before_ms).await;
        let (found, removed) = step.map_err(|fault| fault.into_error(P::STORE))?;
        Ok(Step { removed, more: found > 0, ..Step::default() })
    }

    async fn fold_books(&self, before_minute: u32) -> Result<Step, StoreError> {
        let folded = self.transact(Fold { before_minute }).await;
        let removed = folded.map_err(|fault| fault.into_error(P::STORE))?;
        Ok(Step { removed, more: removed > 0, ..Step::default() })
    }
}

impl<P: Product> Engine<P> {
    /// Forgets days that are gone and that commits of this process take to be noted; a
    /// step that failed may have got that far.
    fn stepped(&self, step: Result<Step, Fault>) -> Result<Step, StoreError> {
        if step.as_ref().map_or(true, |step| step.days_forgotten) {
            self.days.forget();
        }
        step.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn surveyed_class(&self, limit: &ClassLimit) -> Result<Vec<ClassWeek>, Fault> {
        // On SQLite whole days go, on MySQL whole weeks.
        let (divided, unit, shift) = match P::DIALECT {
            Dialect::MySql => ("DIV", WEEK_BUCKETS, MONDAY_BUCKETS),
            Dialect::Sqlite => ("/", DAY_BUCKETS, 0),
        };
        let before = bucket_at(limit.before).saturating_add(shift) / unit * unit;
        let text = format!(
            "SELECT (p.bucket + {MONDAY_BUCKETS}) {divided} {WEEK_BUCKETS}, COUNT(*) \
             FROM positions p LEFT JOIN devices d ON d.device = p.device \
             WHERE p.bucket < ? AND COALESCE(d.retention, '{DEFAULT_RETENTION}') = ? GROUP BY 1"
        );
        let values = [before.saturating_sub(shift).into(), limit.class.as_str().into()];
        let rows = self.product.rows(sql(text), &values).await?;
        rows.iter()
            .map(|row| {
                let week = row.need::<u32>(0)?.saturating_mul(WEEK_BUCKETS);
                let week = week.saturating_sub(MONDAY_BUCKETS).saturating_mul(BUCKET_SECONDS);
                Ok(ClassWeek { class: limit.class.clone(), week, rows: row.need(1)? })
            })
            .collect()
    }

    async fn surveyed(&self, before: u32) -> Result<Survey, Fault> {
        let oldest = self.product.rows(fixed(OLDEST), &[]).await?;
        let oldest: Option<u32> = oldest.first().map_or(Ok(None), |row| row.maybe(0))?;
        let sizes = self.product.sizes().await?;
        Ok(Survey {
            oldest: oldest.map(|bucket| bucket.saturating_mul(BUCKET_SECONDS)),
            expired: self.count(EXPIRED_ROWS, &[bucket_at(before).into()]).await?,
            ..sizes
        })
    }
}

/// Replaces the classes that have a period.
struct Note<'a> {
    classes: &'a [NotedClass],
}

#[async_trait]
impl<P: Product> Work<P> for Note<'_> {
    type Output = ();

    async fn run(&self, session: &mut P::Session) -> Result<(), Fault> {
        session.execute(fixed(FORGET_NOTED), &[]).await?;
        for noted in self.classes {
            let keep: Value<'_> = noted.keep_s.map_or(Value::NoNumber, Value::Number);
            let text = insert("retention_classes", &["name", "keep_s"], 1);
            // Processes that start together note the same classes.
            let values = [noted.class.as_str().into(), keep];
            session.execute(sql(text), &values).await.map_err(Fault::lost_race)?;
        }
        Ok(())
    }
}

/// Joins the oldest minute of the books into its day; tells how many lines that took.
struct Fold {
    before_minute: u32,
}

#[async_trait]
impl<P: Product> Work<P> for Fold {
    type Output = u64;
    const NEEDS_SETTLED: bool = true;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let oldest = [self.before_minute.into(), Value::Hash(FOLDED_RUN)];
        let oldest = session.rows(fixed(OLDEST_MINUTE), &oldest).await?;
        let Some(minute) = oldest.first().map_or(Ok(None), |row| row.maybe::<u32>(0))? else {
            return Ok(0);
        };
        let of_minute = [minute.into(), Value::Hash(FOLDED_RUN)];
        let lines = session.rows(fixed(MINUTE_BY_WORKER), &of_minute).await?;
        let day = minute / DAY_MINUTES;
        let sums = &BOOKS_COLUMNS[5..];
        let joins: Vec<(&str, Join)> = sums.iter().map(|&column| (column, Join::Add)).collect();
        let text =
            or_join(&insert("books", BOOKS_COLUMNS, 1), P::DIALECT, &BOOKS_COLUMNS[..4], &joins);
        let removed = session.execute(fixed(DELETE_MINUTE), &of_minute).await?;
        let mut summed = 0;
        for line in &lines {
            let worker = line.text(0)?;
            let mut values: Vec<Value<'_>> = vec![
                worker.as_str().into(),
                Value::Hash(FOLDED_RUN),
                Value::Hash(day.into()),
                (day * DAY_MINUTES).into(),
                "".into(),
            ];
            for column in 1..=sums.len() {
                values.push(line.maybe::<u64>(column)?.unwrap_or_default().into());
            }
            session.execute(sql(text.clone()), &values).await?;
            summed += line.need::<u64>(1 + sums.len())?;
        }
        if summed != removed {
            return Err(Fault::new(Kind::Conflict, "a batch was booked between sum and deletion"));
        }
        Ok(removed)
    }
}
