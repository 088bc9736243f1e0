//! Words about a statement that takes long: a change of the table of positions copies it,
//! which is an hour on a large one.

use std::pin::pin;
use std::time::{Duration, Instant};

/// Between two words.
const EVERY: Duration = Duration::from_secs(10);
/// Of the statement, as many characters are shown.
const SHOWN: usize = 80;

/// Waits for a statement, for as long as it takes, and logs every ten seconds that it is
/// still running.
pub(super) async fn wait_aloud<T>(statement: &str, work: impl Future<Output = T>) -> T {
    let shown: String = statement.chars().take(SHOWN).collect();
    wait_telling(EVERY, work, |seconds| {
        tracing::info!(seconds, statement = shown, "the database is still at work");
    })
    .await
}

async fn wait_telling<T>(
    every: Duration,
    work: impl Future<Output = T>,
    mut tell: impl FnMut(u64),
) -> T {
    let (mut work, began) = (pin!(work), Instant::now());
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(every) => tell(began.elapsed().as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_long_is_told_of_and_its_result_kept() {
        let (told, mut heard) = tokio::sync::mpsc::channel(8);
        // Ends when it was told of twice.
        let work = async {
            for _ in 0..2 {
                heard.recv().await.unwrap();
            }
            7
        };
        let tell = |_| told.try_send(()).unwrap();
        assert_eq!(wait_telling(Duration::from_millis(1), work, tell).await, 7);
    }
}
