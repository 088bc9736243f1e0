//! `nemeses retention`: takes away what was kept long enough, or shows what there
//! is, what would go, and how the disk will fill.

mod class;

use std::time::Duration;

use clap::{ArgAction, Args};
use nemeses_dbexport::retention::{Going, Keep, Limits, Removed, run_once};
use nemeses_runtime::Clock;
use nemeses_store::history::{
    ClassCount, ClassWeek, DEFAULT_RETENTION, Database, LetterFilter, Minutes, SealedTotals, Survey,
};
use serde_json::{Value, json};

use crate::args::{DatabaseArgs, KeepArgs};
use crate::glue::Asked;
use crate::tools::{OutputArgs, moment, open_database, print, print_json};

pub(crate) use self::class::{ClassArgs, class};

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses retention --dry-run --keep-positions 90days
      How much is stored, how much of it is older, and how large it will become.
  nemeses retention --dry-run --keep-positions 90days --keep-classes short=30days,long=5years
      The same with classes of devices, by week and class.
  nemeses retention --keep-positions 90days --keep-dead-letters 30days --keep-books 400days
      Removes what is older. `up` and `dbexport` do the same once an hour if they
      are started with these settings. Ctrl-C ends it after the current step.";

const DAY_MS: u64 = 86_400_000;
/// The forecast's rate is that of so many days up to now.
const RATE_DAYS: u64 = 7;

/// `nemeses retention`.
#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    #[command(flatten)]
    keep: KeepArgs,
    /// Remove nothing; show how much there is and how much would be removed
    #[arg(long, env = "NEMESES_RETENTION_DRY_RUN", action = ArgAction::SetTrue)]
    dry_run: bool,
    /// Partition a large table that has no partitions yet (MySQL). The server copies
    /// the table for that, and nothing can be written meanwhile
    #[arg(long, env = "NEMESES_RETENTION_CONVERT", action = ArgAction::SetTrue)]
    convert: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Takes away what was kept long enough, or shows it.
///
/// # Errors
/// Wrong settings, or what the database reports.
pub(crate) async fn run(args: RetentionArgs) -> anyhow::Result<()> {
    let keep = Keep::from(args.keep);
    anyhow::ensure!(
        args.dry_run || !keep.is_for_ever(),
        "everything is kept for ever; say how long with --keep-positions, --keep-classes, --keep-dead-letters or --keep-books, or look with --dry-run"
    );
    let database = open_database(&args.database).await?;
    let now_ms = Clock::system().now_ms();
    let limits = keep.limits(now_ms);
    if args.dry_run {
        let outlook = Outlook::take(&database, keep, limits, now_ms).await?;
        return if args.output.json {
            print_json(&outlook.as_json())
        } else {
            print(&outlook.as_text())
        };
    }
    let retention = database.retention();
    if keep.touches_positions() {
        retention.note_classes(&keep.noted()).await?;
    }
    let asked = Asked::listen()?;
    let stop = asked.token();
    let removed = run_once(retention.as_ref(), &limits, now_ms, args.convert, &stop).await?;
    anyhow::ensure!(
        !removed.needs_partitions,
        "old positions stay: their table is large and has no partitions; --convert makes them (the server copies the table, nothing is written meanwhile)"
    );
    if args.output.json {
        print_json(&removed_as_json(&removed))
    } else {
        print(&removed_as_text(&removed))
    }
}

fn removed_as_text(removed: &Removed) -> String {
    let mut lines = vec![format!(
        "{} positions, {} records of readings and {} dead letters are gone; {} lines of the books became part of their day's.",
        removed.positions, removed.readings, removed.dead_letters, removed.books
    )];
    if removed.partitions_made > 0 {
        lines.push(format!("{} partitions were made.", removed.partitions_made));
    }
    if removed.weeks_rewritten > 0 {
        lines.push(format!(
            "{} weeks were rewritten without some classes.",
            removed.weeks_rewritten
        ));
    }
    if removed.stopped {
        lines.push("Stopped before all was done; the next run goes on from here.".to_owned());
    }
    if removed.busy {
        lines.push("Another process is taking positions away; they were left to it.".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn removed_as_json(removed: &Removed) -> Value {
    json!({
        "positions": removed.positions,
        "readings": removed.readings,
        "weeks_rewritten": removed.weeks_rewritten,
        "dead_letters": removed.dead_letters,
        "books_folded": removed.books,
        "partitions_made": removed.partitions_made,
        "busy": removed.busy,
        "stopped": removed.stopped,
    })
}

/// What there is and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outlook {
    keep: Keep,
    limits: Limits,
    /// What that means for the classes that devices name.
    going: Going,
    /// Classes that devices name.
    named: Vec<ClassCount>,
    /// Devices that are known.
    devices: u64,
    /// What goes class by class.
    class_weeks: Vec<ClassWeek>,
    there: Survey,
    /// Rows in the table: the server's estimate, or counted.
    rows: u64,
    /// Rows stored in the last days, a day.
    rows_a_day: u64,
    /// Whether any dead letter is older than its period.
    old_letters: bool,
    sealed: SealedTotals,
}

impl Outlook {
    async fn take(
        database: &Database,
        keep: Keep,
        limits: Limits,
        now_ms: u64,
    ) -> anyhow::Result<Self> {
        let retention = database.retention();
        let named = retention.classes().await?;
        let going = limits.going(&named);
        let there = retention.survey(going.all_before.unwrap_or(0)).await?;
        let class_weeks = retention.survey_classes(&going.classes).await?;
        let devices = database.devices().known().await?.len();
        let devices = u64::try_from(devices).unwrap_or(u64::MAX);
        let minute = |ms: u64| u32::try_from(ms / 60_000).unwrap_or(u32::MAX);
        let recent =
            Minutes { from: minute(now_ms.saturating_sub(RATE_DAYS * DAY_MS)), to: u32::MAX };
        let books = database.books();
        let recent = books.totals(recent).await?;
        let rows = match there.rows {
            Some(rows) => rows,
            None => books.count_tables(Minutes::ALL).await?.positions,
        };
        let old_letters = match limits.letters_before_ms {
            Some(before_ms) => {
                let filter = LetterFilter {
                    to_ms: Some(before_ms.saturating_sub(1)),
                    limit: Some(1),
                    ..LetterFilter::default()
                };
                !database.dead_letters().list(&filter).await?.is_empty()
            }
            None => false,
        };
        let rows_a_day = recent.stored / RATE_DAYS;
        Ok(Self {
            keep,
            limits,
            going,
            named,
            devices,
            class_weeks,
            there,
            rows,
            rows_a_day,
            old_letters,
            sealed: database.sealing().sealed().await?,
        })
    }

    /// Bytes of one row, its share of keys and pages included.
    fn bytes_a_row(&self) -> u64 {
        self.there.bytes.checked_div(self.rows).unwrap_or_default()
    }

    /// How large the positions become once as much leaves as comes; `None` when
    /// they grow for ever. Devices of all classes are taken to send alike.
    fn final_bytes(&self) -> Option<u64> {
        let mut in_classes = 0;
        let mut device_days = 0_u64;
        for ClassCount { class, devices } in &self.named {
            if class == DEFAULT_RETENTION {
                continue;
            }
            let set = self.keep.classes.iter().find(|set| set.class == *class);
            device_days += devices.saturating_mul(self.days(set?.period?));
            in_classes += devices;
        }
        let all = self.devices.max(in_classes).max(1);
        if all > in_classes {
            device_days += (all - in_classes).saturating_mul(self.days(self.keep.positions?));
        }
        let rows = u128::from(self.rows_a_day) * u128::from(device_days) / u128::from(all);
        let bytes = rows * u128::from(self.bytes_a_row());
        Some(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Days of a period; MySQL lets go of whole weeks.
    fn days(&self, period: Duration) -> u64 {
        let days = period.as_secs().div_ceil(86_400);
        if self.there.partitions.is_some() { days + 7 } else { days }
    }

    /// What goes of classes: in all, and by week.
    fn class_lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        for week in &self.class_weeks {
            let bytes = size(week.rows.saturating_mul(self.bytes_a_row()));
            let monday = moment(u64::from(week.week) * 1000);
            let monday = monday.get(..10).unwrap_or(&monday);
            lines.push((
                "  of a class",
                format!(
                    "{}: {} rows, about {bytes}, of the week of {monday}",
                    week.class, week.rows
                ),
            ));
        }
        if !self.going.unknown.is_empty() {
            let unknown = self.going.unknown.join(", ");
            lines.push(("no period", format!(
                "{unknown}: devices of these classes keep all positions; say how long with --keep-classes"
            )));
        }
        lines
    }

    fn as_text(&self) -> String {
        let seconds = |second: u32| moment(u64::from(second) * 1000);
        let there = &self.there;
        let mut lines = vec![
            ("positions", format!("about {} rows, {}", self.rows, size(there.bytes))),
            ("oldest", there.oldest.map_or("none".to_owned(), seconds)),
        ];
        if let Some(partitions) = there.partitions {
            lines.push(("partitions", partitions.to_string()));
        }
        lines.push(match self.going.all_before {
            Some(before) => {
                ("to go", format!("{} rows recorded before {}", there.expired, seconds(before)))
            }
            None if self.limits.touch_positions() => {
                ("to go", "what classes of devices let go of".to_owned())
            }
            None => ("to go", "none: positions are kept for ever".to_owned()),
        });
        lines.extend(self.class_lines());
        if let Some(before_ms) = self.limits.letters_before_ms {
            let answer = if self.old_letters { "those before" } else { "none before" };
            lines.push(("dead letters", format!("{answer} {}", moment(before_ms))));
        }
        if self.sealed.blocks > 0 {
            let SealedTotals { records, values, bytes, sealed_to_ms, .. } = self.sealed;
            lines.push((
                "sealed",
                format!(
                    "{records} records of readings with {values} values, {}, recorded before {}",
                    size(bytes),
                    moment(sealed_to_ms)
                ),
            ));
        }
        let a_day = self.rows_a_day.saturating_mul(self.bytes_a_row());
        lines.push((
            "growth",
            format!("{} rows, {} a day (last {RATE_DAYS} days)", self.rows_a_day, size(a_day)),
        ));
        lines.push(match self.final_bytes() {
            Some(bytes) => ("will be", format!("{} once as much leaves as comes", size(bytes))),
            None => ("will be", format!("{} more in a year", size(a_day.saturating_mul(365)))),
        });
        lines.iter().fold(String::new(), |text, (name, what)| text + &format!("{name:<14}{what}\n"))
    }

    fn as_json(&self) -> Value {
        json!({
            "rows": self.rows,
            "bytes": self.there.bytes,
            "oldest": self.there.oldest.map(|second| moment(u64::from(second) * 1000)),
            "partitions": self.there.partitions,
            "rows_to_go": self.going.all_before.map(|_| self.there.expired),
            "class_rows_to_go": self.class_weeks.iter().map(|week| json!({
                "class": week.class,
                "week": moment(u64::from(week.week) * 1000),
                "rows": week.rows,
                "bytes": week.rows.saturating_mul(self.bytes_a_row()),
            })).collect::<Vec<_>>(),
            "classes_without_period": self.going.unknown,
            "total_bytes": self.there.total_bytes,
            "sealed_records": self.sealed.records,
            "sealed_values": self.sealed.values,
            "sealed_bytes": self.sealed.bytes,
            "rows_a_day": self.rows_a_day,
            "bytes_a_row": self.bytes_a_row(),
            "final_bytes": self.final_bytes(),
        })
    }
}

/// Bytes for people: `1.5 GiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use nemeses_dbexport::retention::ClassPeriod;

    use super::*;

    fn outlook(keep_days: Option<u64>, partitions: Option<u32>) -> Outlook {
        let positions = keep_days.map(|days| Duration::from_secs(days * 86_400));
        let keep = Keep { positions, ..Keep::default() };
        Outlook {
            limits: keep.limits(1_800_000_000_000),
            going: keep.limits(1_800_000_000_000).going(&[]),
            keep,
            named: Vec::new(),
            devices: 10,
            class_weeks: Vec::new(),
            there: Survey { bytes: 100_000, partitions, expired: 7, ..Survey::default() },
            rows: 1000,
            rows_a_day: 50,
            old_letters: false,
            sealed: SealedTotals::default(),
        }
    }

    #[test]
    fn the_forecast_is_rows_a_day_times_days_times_bytes() {
        assert_eq!(outlook(Some(10), None).final_bytes(), Some(10 * 50 * 100));
        assert_eq!(outlook(Some(10), Some(3)).final_bytes(), Some(17 * 50 * 100));
        assert_eq!(outlook(None, None).final_bytes(), None);
        let empty = Outlook { rows: 0, ..outlook(Some(10), None) };
        assert_eq!(empty.final_bytes(), Some(0));
    }

    #[test]
    fn the_forecast_knows_classes_by_their_share_of_the_devices() {
        let mut with = outlook(Some(10), None);
        let named = |class: &str, devices| ClassCount { class: class.to_owned(), devices };
        with.named = vec![named("default", 3), named("long", 5)];
        assert_eq!(with.final_bytes(), None, "long has no period");
        let period = Some(Duration::from_secs(100 * 86_400));
        with.keep.classes = vec![ClassPeriod { class: "long".into(), period }];
        assert_eq!(with.final_bytes(), Some(55 * 50 * 100));
        with.going.unknown = vec!["law".into()];
        with.class_weeks = vec![ClassWeek { class: "long".into(), week: 1_794_787_200, rows: 20 }];
        let text = with.as_text();
        assert!(text.contains("long: 20 rows, about 2.0 KiB, of the week of 2026-11-16"), "{text}");
        assert!(text.contains("law: devices of these classes keep all"), "{text}");
    }

    #[test]
    fn people_read_what_will_happen() {
        let text = outlook(Some(10), Some(3)).as_text();
        assert!(text.contains("7 rows recorded before 2027-01-05T08:00:00Z"), "{text}");
        assert!(text.contains("once as much leaves as comes"), "{text}");
        assert!(outlook(None, None).as_text().contains("kept for ever"));
        assert_eq!(
            (size(12), size(1536), size(5 << 30)),
            ("12 B".into(), "1.5 KiB".into(), "5.0 GiB".into())
        );
    }
}
