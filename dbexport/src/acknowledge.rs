//! How an exporter acknowledges what it has committed.

use nemeses_runtime::traces::Waiting;
use nemeses_store::history::Committed;

/// Acknowledges what was handed over with it. Dropped unused, it means that nothing is
/// acknowledged, and all is sent again.
pub trait Acknowledge: Send + 'static {
    /// Everything handed over with it is durable. `outcome` is what became of the part that it
    /// was in: its own, if it was handed over as a part, otherwise one of several submissions.
    fn committed(self, outcome: &Committed);

    /// What of it is followed, and since when it waits in the exporter's queue. Asked
    /// only when the exporter traces.
    fn followed(&self) -> &[Waiting] {
        &[]
    }
}
