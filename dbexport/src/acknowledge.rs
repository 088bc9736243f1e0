//! How an exporter acknowledges what it has committed.

use nemeses_runtime::traces::Waiting;

/// Acknowledges what was handed over with it. Dropped unused, it means that nothing is
/// acknowledged, and all is sent again.
pub trait Acknowledge: Send + 'static {
    /// Everything handed over with it is durable.
    fn committed(self);

    /// What of it is followed, and since when it waits in the exporter's queue. Asked
    /// only when the exporter traces.
    fn followed(&self) -> &[Waiting] {
        &[]
    }
}
