//! How it goes: a bar on a terminal, now and then a line elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use super::connection::Plan;
use super::tally::{Counts, per_second};

/// How often the bar moves, and how often a line is written.
const BAR_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error until the plan stops.
pub(super) async fn show_progress(plan: Arc<Plan>, connections: usize, duration: Option<Duration>) {
    let bar = std::io::stderr().is_terminal().then(|| new_bar(duration));
    let every = if bar.is_some() { BAR_EVERY } else { LINE_EVERY };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = (plan.begun.elapsed(), Counts::default());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = plan.stop.cancelled() => break,
        }
        let now = (plan.begun.elapsed(), plan.tally.read());
        let rate = per_second(
            now.1.acknowledged.saturating_sub(before.1.acknowledged),
            now.0.saturating_sub(before.0),
        );
        let text = progress(&now.1, rate, connections);
        match &bar {
            Some(bar) => {
                bar.set_position(u64::try_from(now.0.as_millis()).unwrap_or(u64::MAX));
                bar.set_message(text);
            }
            // Nobody may be listening on standard error; the simulation goes on.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
        before = now;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn new_bar(duration: Option<Duration>) -> ProgressBar {
    let (bar, template) = match duration {
        Some(duration) => {
            let length = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            (ProgressBar::new(length), "{elapsed} [{bar:24}] {msg}")
        }
        None => (ProgressBar::new_spinner(), "{elapsed} {spinner} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn progress(counts: &Counts, rate: f64, connections: usize) -> String {
    let lost = match counts.lost {
        0 => String::new(),
        lost => format!(", {lost} times lost"),
    };
    format!(
        "{} of {} frames acknowledged, {rate:.0}/s, pings {} of {} answered, {} of {connections} connected{lost}",
        counts.acknowledged, counts.sent, counts.replies, counts.pings, counts.connected
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress() {
        let counts = Counts {
            sent: 20,
            acknowledged: 15,
            pings: 3,
            replies: 2,
            connected: 1,
            ..Counts::default()
        };
        assert_eq!(
            progress(&counts, 7.4, 2),
            "15 of 20 frames acknowledged, 7/s, pings 2 of 3 answered, 1 of 2 connected"
        );
        assert!(progress(&Counts { lost: 4, ..counts }, 0.0, 2).ends_with(", 4 times lost"));
    }
}
