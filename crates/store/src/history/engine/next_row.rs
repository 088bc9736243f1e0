//! The next of many rows that are read as they come.

use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _};
use tokio::time::timeout;

use super::fault::{Fault, Kind};

/// A server that says nothing for so long, before the first row or between two,
/// is gone. A link that died without a word would hold the rebuild for ever, and
/// with it the claim that keeps others from rebuilding.
pub(super) const ROW_WITHIN: Duration = Duration::from_mins(1);

/// The next row, if it comes in time.
pub(super) async fn next_row<R>(
    rows: &mut (impl Stream<Item = Result<R, Fault>> + Unpin),
    within: Duration,
) -> Result<Option<R>, Fault> {
    timeout(within, rows.try_next())
        .await
        .unwrap_or_else(|_| Err(Fault::new(Kind::Unavailable, format!("no row within {within:?}"))))
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn a_server_that_falls_silent_between_rows_is_given_up() {
        let mut rows = stream::iter([Ok(1)]).chain(stream::pending()).boxed();
        assert_eq!(next_row(&mut rows, ROW_WITHIN).await, Ok(Some(1)));
        let silence = next_row(&mut rows, Duration::from_millis(1)).await;
        assert_eq!(silence.unwrap_err().kind, Kind::Unavailable);
    }
}
