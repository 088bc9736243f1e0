//! What lies around a load on a system that runs already: which recorded seconds its
//! frames have, so that no call sends those of an earlier one again, and what became of
//! them in the end.
//!
//! A load at full speed passes through minutes of recorded time in a second, so the clock
//! cannot say where the next one may begin. That is noted in a file by address.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::load::Outcome;

/// Stations acknowledge before they commit: their counts follow within this time.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// Where the recorded seconds of loads on this address may begin.
pub(crate) struct Stretch(PathBuf);

impl Stretch {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let name = format!("nemeses-bench-load-{}", address.to_string().replace(':', "-"));
        Self(std::env::temp_dir().join(name))
    }

    /// Behind the last load on this address, and not before `earliest`.
    pub(crate) fn begin(&self, earliest: u32, now_s: u32) -> anyhow::Result<u32> {
        let noted = std::fs::read_to_string(&self.0).unwrap_or_default();
        let begin = begin(&noted, earliest);
        anyhow::ensure!(
            begin < now_s,
            "the frames of earlier loads reach the present: empty the tables and remove {}, or give --recorded-from",
            self.0.display()
        );
        Ok(begin)
    }

    /// Notes where the next one may begin.
    pub(crate) fn end(&self, recorded_to: u32) -> anyhow::Result<()> {
        std::fs::write(&self.0, recorded_to.to_string())
            .with_context(|| format!("noting in {} where the next load begins", self.0.display()))
    }
}

/// A note that cannot be read is none.
fn begin(noted: &str, earliest: u32) -> u32 {
    noted.trim().parse().map_or(earliest, |noted: u32| noted.max(earliest))
}

/// What exporters have committed, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    stored: u64,
    duplicates: u64,
    dead_letters: u64,
}

impl Committed {
    /// The sum over all these exporters.
    pub(crate) async fn read(metrics: &[String]) -> anyhow::Result<Self> {
        let mut sum = Self::default();
        for url in metrics {
            let asked = reqwest::get(url).await.and_then(reqwest::Response::error_for_status);
            let text = asked.with_context(|| format!("reading {url}"))?.text().await?;
            sum = sum.plus(of_metrics(&text));
        }
        Ok(sum)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            stored: self.stored + other.stored,
            duplicates: self.duplicates + other.duplicates,
            dead_letters: self.dead_letters + other.dead_letters,
        }
    }

    fn since(self, before: Self) -> Self {
        let grown = |after: u64, before: u64| after.saturating_sub(before);
        Self {
            stored: grown(self.stored, before.stored),
            duplicates: grown(self.duplicates, before.duplicates),
            dead_letters: grown(self.dead_letters, before.dead_letters),
        }
    }

    const fn all(self) -> u64 {
        self.stored + self.duplicates + self.dead_letters
    }
}

/// Of `nemeses_export_records_total{outcome="stored"} 5`.
fn of_metrics(text: &str) -> Committed {
    let count = |outcome: &str| {
        let wanted = format!("outcome=\"{outcome}\"");
        let lines = text
            .lines()
            .filter(|line| line.starts_with("nemeses_export_records") && line.contains(&wanted));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    Committed {
        stored: count("stored"),
        duplicates: count("duplicate"),
        dead_letters: count("dead_letter"),
    }
}

/// What came of the frames of a load, once all are accounted for.
pub(crate) async fn settled(
    metrics: &[String],
    before: Committed,
    outcome: &Outcome,
) -> anyhow::Result<Committed> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let came = Committed::read(metrics).await?.since(before);
        if came.all() >= outcome.sent || Instant::now() > deadline {
            return Ok(came);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// In words, and an error unless each frame became a row.
pub(crate) fn judge(sent: u64, came: Committed) -> anyhow::Result<String> {
    let Committed { stored, duplicates, dead_letters } = came;
    anyhow::ensure!(
        stored == sent,
        "of {sent} frames {stored} became rows, {duplicates} were duplicates, {dead_letters} dead letters; a rate of anything but rows says nothing"
    );
    Ok(format!("{stored} frames sent, {stored} rows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_begins_behind_the_one_before() {
        assert_eq!(
            [begin("", 100), begin("x", 100), begin("90\n", 100), begin("170", 100)],
            [100, 100, 100, 170]
        );
        let folder = tempfile::tempdir().unwrap();
        let stretch = Stretch(folder.path().join("note"));
        assert_eq!(stretch.begin(100, 200).unwrap(), 100);
        stretch.end(170).unwrap();
        assert_eq!(stretch.begin(100, 200).unwrap(), 170);
        stretch.end(200).unwrap();
        assert!(stretch.begin(100, 200).is_err());
    }

    #[test]
    fn only_rows_count() {
        let text = "# HELP nemeses_export_records Records\n\
            nemeses_export_records_total{outcome=\"stored\"} 7\n\
            nemeses_export_records_total{outcome=\"duplicate\"} 2\n\
            nemeses_export_records_total{outcome=\"ping\"} 9\n\
            other{outcome=\"stored\"} 4\n";
        let came = of_metrics(text);
        assert_eq!(came, Committed { stored: 7, duplicates: 2, dead_letters: 0 });
        assert_eq!(came.since(Committed { stored: 3, ..Committed::default() }).all(), 6);
        assert!(judge(7, came).unwrap().contains("7 rows"));
        let refused = judge(9, came).unwrap_err().to_string();
        assert!(refused.contains("2 were duplicates"), "{refused}");
    }
}
