//! `nemeses audit`: do the books balance? Compares what the books say was
//! received with what became of it, and with what the tables hold. The judgement
//! is pure; the exit code is 1 when an equation does not hold.

use std::ops::RangeInclusive;

use clap::Args;
use nemeses_store::history::{Books, BooksLine, Minutes, TableCounts, Totals};
use serde_json::{Value, json};

use crate::args::DatabaseArgs;
use crate::config::value;
use crate::tools::{OutputArgs, columns, moment, open_database, print, print_json};

/// Lines that do not balance, shown at most.
const SHOWN_LINES: u32 = 20;

/// Why rows may be missing for a while.
const REWRITING: &str = "Retention is rewriting a week without some classes of devices: until it is \
done, rows that\nleft it are missing here. Repeat the audit then.\n";

/// `nemeses audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// First moment of arrival, RFC 3339 or Unix seconds; counted from its minute
    #[arg(
        long,
        env = "NEMESES_AUDIT_FROM",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    from: Option<u64>,
    /// Last moment of arrival; counted to the end of its minute
    #[arg(
        long,
        env = "NEMESES_AUDIT_TO",
        value_parser = value::moment_ms,
        value_name = "MOMENT"
    )]
    to: Option<u64>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// One equation of the books. While frames arrive, the left side is only known
/// to lie between its values before and after the right side was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Equation {
    /// What it says, in words.
    says: &'static str,
    left: RangeInclusive<u64>,
    right: u64,
}

impl Equation {
    fn holds(&self) -> bool {
        self.left.contains(&self.right)
    }

    fn is_exact(&self) -> bool {
        self.left.start() == self.left.end()
    }

    fn left_as_text(&self) -> String {
        let (least, most) = (self.left.start(), self.left.end());
        if self.is_exact() { least.to_string() } else { format!("{least} to {most}") }
    }
}

/// Checks the books; `true` when they balance.
///
/// # Errors
/// Wrong settings, or what the database reports.
pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<bool> {
    let minutes = minutes(args.from, args.to)?;
    let database = open_database(&args.database).await?;
    let books = database.books();
    let found = Findings::collect(books.as_ref(), minutes).await?;
    if args.output.json {
        print_json(&found.as_json(minutes))?;
    } else {
        print(&found.as_text(minutes))?;
        if !found.balance() && database.retention().survey(0).await?.rewriting {
            print(REWRITING)?;
        }
    }
    Ok(found.balance())
}

fn minutes(from_ms: Option<u64>, to_ms: Option<u64>) -> anyhow::Result<Minutes> {
    let minute = |ms: u64| u32::try_from(ms / 60_000).unwrap_or(u32::MAX);
    let minutes = Minutes {
        from: from_ms.map_or(Minutes::ALL.from, minute),
        to: to_ms.map_or(Minutes::ALL.to, minute),
    };
    anyhow::ensure!(minutes.from <= minutes.to, "from cannot be later than to");
    Ok(minutes)
}

/// The books at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    totals: Totals,
    /// Duplicates of all of time: they are itemised without minutes.
    duplicates_ever: u64,
}

impl Reading {
    async fn take(books: &dyn Books, minutes: Minutes) -> anyhow::Result<Self> {
        let ever = books.totals(Minutes::ALL).await?;
        Ok(Self { totals: books.totals(minutes).await?, duplicates_ever: ever.duplicates })
    }
}

/// What the books and the tables say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Findings {
    /// The books before and after the tables were counted.
    before: Reading,
    after: Reading,
    tables: TableCounts,
    unbalanced: Vec<BooksLine>,
}

impl Findings {
    async fn collect(books: &dyn Books, minutes: Minutes) -> anyhow::Result<Self> {
        let before = Reading::take(books, minutes).await?;
        let tables = books.count_tables(minutes).await?;
        let after = Reading::take(books, minutes).await?;
        let unbalanced = books.unbalanced(minutes, SHOWN_LINES).await?;
        Ok(Self { before, after, tables, unbalanced })
    }

    fn equations(&self) -> [Equation; 6] {
        let Self { before, after, tables, .. } = self;
        let totals = after.totals;
        [
            Equation {
                says: "received = stored + duplicates + pings + dead letters",
                left: totals.received..=totals.received,
                right: totals.stored + totals.duplicates + totals.pings + totals.dead_letters,
            },
            Equation {
                says: "stored = rows in the table + rows removed",
                left: before.totals.stored..=totals.stored,
                right: tables.positions
                    + tables.positions_removed
                    + tables.readings
                    + tables.readings_removed,
            },
            Equation {
                says: "values received = stored + duplicates + refused",
                left: totals.values_received..=totals.values_received,
                right: totals.values_stored + totals.values_duplicate + totals.values_refused,
            },
            Equation {
                says: "values stored = values in the table + values removed",
                left: before.totals.values_stored..=totals.values_stored,
                right: tables.values + tables.values_removed,
            },
            Equation {
                says: "dead letters = letters in the table + letters removed",
                left: before.totals.dead_letters..=totals.dead_letters,
                right: tables.dead_letters + tables.letters_removed,
            },
            Equation {
                says: "duplicates = duplicates itemised (all of time)",
                left: before.duplicates_ever..=after.duplicates_ever,
                right: tables.duplicates_ever,
            },
        ]
    }

    fn balance(&self) -> bool {
        self.unbalanced.is_empty() && self.equations().iter().all(Equation::holds)
    }

    fn as_text(&self, minutes: Minutes) -> String {
        let verdict = |holds| if holds { "holds" } else { "DOES NOT HOLD" };
        let equations = self.equations();
        let rows: Vec<Vec<String>> = equations
            .iter()
            .map(|equation| {
                let verdict = verdict(equation.holds()).to_owned();
                let (left, right) = (equation.left_as_text(), equation.right.to_string());
                vec![equation.says.to_owned(), left, right, verdict]
            })
            .collect();
        let mut text = format!("{}\n\n{}", period(minutes), self.totals_as_text());
        text.push('\n');
        text.push_str(&columns(&["equation", "left", "right", ""], &rows));
        if !self.unbalanced.is_empty() {
            text.push_str("\nBooks that do not balance (the first ones):\n");
            let rows: Vec<Vec<String>> = self.unbalanced.iter().map(line_as_row).collect();
            let headings =
                ["worker", "minute", "received", "stored", "duplicates", "pings", "dead letters"];
            text.push_str(&columns(&headings, &rows));
        }
        if !equations.iter().all(Equation::is_exact) {
            text.push_str(
                "\nFrames arrived meanwhile; for an exact check set --to to a moment some minutes ago.\n",
            );
        }
        text.push_str(if self.balance() {
            "\nThe books balance.\n"
        } else {
            "\nTHE BOOKS DO NOT BALANCE.\n"
        });
        text
    }

    fn totals_as_text(&self) -> String {
        let Totals { received, stored, duplicates, dead_letters, pings, .. } = self.after.totals;
        let rows = [
            ("received", received),
            ("stored", stored),
            ("duplicates", duplicates),
            ("pings", pings),
            ("dead letters", dead_letters),
            ("rows removed", self.tables.positions_removed + self.tables.readings_removed),
            ("letters removed", self.tables.letters_removed),
        ];
        rows.iter()
            .fold(String::new(), |text, (name, count)| text + &format!("{name:<16}{count}\n"))
    }

    fn as_json(&self, minutes: Minutes) -> Value {
        let (from_ms, to_ms) = minutes.as_ms();
        let bounded = |bound: bool, ms: u64| bound.then(|| moment(ms));
        let equations = self.equations();
        let equations = equations.iter().map(|equation| {
            json!({
                "equation": equation.says,
                "left": equation.left.end(),
                "left_before": equation.left.start(),
                "right": equation.right,
                "holds": equation.holds(),
            })
        });
        json!({
            "balance": self.balance(),
            "from": bounded(minutes.from != Minutes::ALL.from, from_ms),
            "to": bounded(minutes.to != Minutes::ALL.to, to_ms),
            "totals": totals_as_json(&self.after.totals),
            "tables": {
                "positions": self.tables.positions,
                "positions_removed": self.tables.positions_removed,
                "readings": self.tables.readings,
                "readings_removed": self.tables.readings_removed,
                "values": self.tables.values,
                "values_removed": self.tables.values_removed,
                "dead_letters": self.tables.dead_letters,
                "letters_removed": self.tables.letters_removed,
                "duplicates_ever": self.tables.duplicates_ever,
            },
            "equations": equations.collect::<Vec<_>>(),
            "unbalanced": self.unbalanced.iter().map(|line| json!({
                "worker": line.worker,
                "minute": moment(u64::from(line.minute) * 60_000),
                "totals": totals_as_json(&line.totals),
            })).collect::<Vec<_>>(),
        })
    }
}

fn totals_as_json(totals: &Totals) -> Value {
    json!({
        "received": totals.received,
        "stored": totals.stored,
        "duplicates": totals.duplicates,
        "pings": totals.pings,
        "dead_letters": totals.dead_letters,
        "values_received": totals.values_received,
        "values_stored": totals.values_stored,
        "values_duplicate": totals.values_duplicate,
        "values_refused": totals.values_refused,
    })
}

fn line_as_row(line: &BooksLine) -> Vec<String> {
    let Totals { received, stored, duplicates, dead_letters, pings, .. } = line.totals;
    let counts = [received, stored, duplicates, pings, dead_letters];
    let names = [line.worker.clone(), moment(u64::from(line.minute) * 60_000)];
    names.into_iter().chain(counts.iter().map(u64::to_string)).collect()
}

fn period(minutes: Minutes) -> String {
    let (from_ms, to_ms) = minutes.as_ms();
    match (minutes.from == Minutes::ALL.from, minutes.to == Minutes::ALL.to) {
        (true, true) => "The books of all of time".to_owned(),
        (false, true) => format!("The books from {}", moment(from_ms)),
        (true, false) => format!("The books to {}", moment(to_ms)),
        (false, false) => format!("The books from {} to {}", moment(from_ms), moment(to_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Findings {
        let totals = Totals {
            received: 110,
            stored: 80,
            duplicates: 15,
            dead_letters: 5,
            pings: 10,
            values_received: 15,
            values_stored: 10,
            values_duplicate: 3,
            values_refused: 2,
        };
        let reading = Reading { totals, duplicates_ever: 20 };
        Findings {
            before: reading,
            after: reading,
            tables: TableCounts {
                positions: 70,
                positions_removed: 6,
                readings: 3,
                readings_removed: 1,
                values: 8,
                values_removed: 2,
                dead_letters: 3,
                letters_removed: 2,
                duplicates_ever: 20,
            },
            unbalanced: Vec::new(),
        }
    }

    #[test]
    fn balanced_books() {
        let found = balanced();
        assert!(found.balance());
        let text = found.as_text(Minutes::ALL);
        assert!(text.contains("all of time") && text.contains("The books balance."), "{text}");
        assert_eq!(found.as_json(Minutes::ALL)["balance"], true);
        assert_eq!(found.as_json(Minutes::ALL)["from"], Value::Null);
    }

    #[test]
    fn each_difference_is_found() {
        let changes: [fn(&mut Findings); 6] = [
            |found| found.after.totals.received += 1,
            |found| found.tables.positions -= 1,
            |found| found.tables.positions_removed += 1,
            |found| found.tables.dead_letters += 1,
            |found| found.tables.duplicates_ever += 1,
            |found| {
                let totals = Totals { received: 1, ..Totals::default() };
                found.unbalanced.push(BooksLine { worker: "node".to_owned(), minute: 7, totals });
            },
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut found = balanced();
            change(&mut found);
            assert!(!found.balance(), "change {index}");
            let text = found.as_text(Minutes { from: 1, to: 9 });
            assert!(text.contains("DO NOT BALANCE"), "{text}");
            assert_eq!(found.as_json(Minutes::ALL)["balance"], false);
        }
    }

    #[test]
    fn frames_that_arrive_meanwhile_are_no_difference() {
        let mut found = balanced();
        found.after.totals.received += 7;
        found.after.totals.stored += 7;
        found.tables.positions += 3;
        assert!(found.balance());
        let text = found.as_text(Minutes::ALL);
        assert!(text.contains("80 to 87") && text.contains("arrived meanwhile"), "{text}");
        found.tables.positions += 5;
        assert!(!found.balance(), "more rows than the books ever knew");
    }

    #[test]
    fn a_period_is_whole_minutes() {
        assert_eq!(minutes(None, None).unwrap(), Minutes::ALL);
        let some = minutes(Some(60_001), Some(179_999)).unwrap();
        assert_eq!(some, Minutes { from: 1, to: 2 });
        assert!(period(some).contains("1970-01-01T00:01:00Z to 1970-01-01T00:02:59.999Z"));
        assert!(minutes(Some(120_000), Some(0)).is_err());
    }
}
