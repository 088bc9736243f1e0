//! Looks at the books of the last minutes again and again and says by a metric
//! whether they balance, so that nobody has to remember `nemeses audit`. It
//! checks the lines, not the tables: those take minutes to count.

use std::sync::Arc;
use std::time::Duration;

use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::{Clock, Registry, Tasks};
use nemeses_store::history::{Books, Database, Minutes};

const EVERY: Duration = Duration::from_secs(60);
/// Long enough for a failed look or two, and for batches of an outage; short
/// enough to read some hundred lines.
const MINUTES_BACK: u32 = 60;
/// One is bad enough; the figure only shows whether there are more.
const MOST: u32 = 100;

/// Starts looking at the books.
pub(crate) fn watch_books(
    tasks: &Tasks,
    database: &Database,
    clock: Clock,
    registry: &mut Registry,
) {
    let watch = Watch::register(database.books(), clock, registry);
    let stop = tasks.stop().all;
    tasks.spawn_rest("books", async move {
        loop {
            watch.look().await;
            if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return Ok(());
            }
        }
    });
}

struct Watch {
    books: Arc<dyn Books>,
    clock: Clock,
    unbalanced: Gauge,
    looked_at: Gauge,
}

impl Watch {
    fn register(books: Arc<dyn Books>, clock: Clock, registry: &mut Registry) -> Self {
        let shown = registry.sub_registry_with_prefix("nemeses_books");
        let (unbalanced, looked_at) = (Gauge::default(), Gauge::default());
        shown.register(
            "unbalanced_lines",
            "Rows of the books of the last hour that do not add up",
            unbalanced.clone(),
        );
        shown.register(
            "looked_at_seconds",
            "When the books were last checked, Unix seconds",
            looked_at.clone(),
        );
        Self { books, clock, unbalanced, looked_at }
    }

    async fn look(&self) {
        let now_ms = self.clock.now_ms();
        let now = u32::try_from(now_ms / 60_000).unwrap_or(u32::MAX);
        let minutes = Minutes { from: now.saturating_sub(MINUTES_BACK), to: Minutes::ALL.to };
        match self.books.unbalanced(minutes, MOST).await {
            Ok(lines) => {
                if let Some(line) = lines.first().filter(|_| self.unbalanced.get() == 0) {
                    tracing::error!(
                        worker = line.worker,
                        minute = line.minute,
                        "the books do not balance; run: nemeses audit"
                    );
                }
                self.unbalanced.set(i64::try_from(lines.len()).unwrap_or(i64::MAX));
                self.looked_at.set(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX));
            }
            // The exporter says when the database is down.
            Err(error) => tracing::debug!(%error, "the books cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{Options, open};

    use super::*;

    #[tokio::test]
    async fn a_look_says_when_it_was_and_what_it_saw() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("n.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        let clock = Clock::held(1_700_000_000_000);
        let mut registry = Registry::default();
        let watch = Watch::register(database.books(), clock, &mut registry);
        watch.look().await;
        assert_eq!(watch.looked_at.get(), 0, "there are no tables yet");
        database.history().migrate().await.unwrap();
        watch.look().await;
        assert_eq!((watch.looked_at.get(), watch.unbalanced.get()), (1_700_000_000, 0));
    }
}
