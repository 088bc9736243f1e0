//! The states of a rule against a model that walks through every second and knows nothing of due
//! times.

use nemeses_rules::{Edge, Machine, Signal, Timing};
use proptest::prelude::*;

/// What was noted of one second.
#[derive(Clone, Copy, PartialEq)]
enum Noted {
    Opened(u64),
    Cleared(u64),
}

/// Seconds one by one. `so` and `not_so` are for how many seconds in a row it has been as the
/// rule says, or has not; a row stands until the next, or until it is too old.
fn slowly(rows: &[(u64, Signal)], until: u64, timing: &Timing) -> Vec<Noted> {
    let mut noted = Vec::new();
    let (mut began, mut ended): (Option<u64>, Option<u64>) = (None, None);
    let (mut is_open, mut armed, mut last) = (false, false, 0_u64);
    for second in 0..=until {
        if second <= last + timing.hold_ms {
            if let Some(since) = began.filter(|since| !is_open && second >= since + timing.for_ms) {
                noted.push(Noted::Opened(since + timing.for_ms));
                (is_open, began) = (true, None);
            }
            if let Some(since) =
                ended.filter(|since| is_open && second >= since + timing.keep_for_ms)
            {
                noted.push(Noted::Cleared(since + timing.keep_for_ms));
                (is_open, ended) = (false, None);
            }
        } else {
            (began, ended) = (None, None);
        }
        for (_, signal) in rows.iter().filter(|(at, _)| *at == second) {
            match signal {
                Signal::Unknown => continue,
                Signal::Enter if is_open => ended = None,
                Signal::Enter if !timing.needs_opposite || armed => {
                    began = began.or(Some(second));
                }
                Signal::Enter | Signal::Hold => {}
                Signal::Leave => {
                    armed = true;
                    began = None;
                    if is_open {
                        ended = ended.or(Some(second));
                    }
                }
            }
            last = second;
            if is_open {
                if let Some(since) = ended.filter(|_| timing.keep_for_ms == 0) {
                    noted.push(Noted::Cleared(since));
                    (is_open, ended) = (false, None);
                }
            } else if let Some(since) = began.filter(|_| timing.for_ms == 0) {
                noted.push(Noted::Opened(since));
                (is_open, began) = (true, None);
            }
        }
    }
    noted
}

fn noted(edges: &[Edge]) -> Vec<Noted> {
    let of = |edge: &Edge| match *edge {
        Edge::Opened { at_ms } => Noted::Opened(at_ms),
        Edge::Cleared { at_ms } => Noted::Cleared(at_ms),
    };
    edges.iter().map(of).collect()
}

fn any_signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        4 => Just(Signal::Enter),
        4 => Just(Signal::Leave),
        2 => Just(Signal::Hold),
        1 => Just(Signal::Unknown),
    ]
}

prop_compose! {
    fn any_rows()(gaps in prop::collection::vec((0_u64..12, any_signal()), 1..60)) -> Vec<(u64, Signal)> {
        let mut at = 1;
        gaps.into_iter().map(|(gap, signal)| { at += gap; (at, signal) }).collect()
    }
}

prop_compose! {
    fn any_timing()(
        for_ms in prop_oneof![Just(0_u64), 1_u64..20],
        keep_for_ms in prop_oneof![Just(0_u64), 1_u64..20],
        spare in 0_u64..20,
        needs_opposite: bool,
    ) -> Timing {
        Timing { for_ms, keep_for_ms, hold_ms: for_ms.max(keep_for_ms).max(1) + spare, needs_opposite }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn states_are_those_of_the_slow_model(rows in any_rows(), timing in any_timing(), tail in 0_u64..60) {
        let until = rows.last().map_or(0, |(at, _)| *at) + tail;
        let mut machine = Machine { heard_ms: 0, ..Machine::default() };
        let mut edges = Vec::new();
        for (at, signal) in &rows {
            machine.observe(*at, *signal, &timing, &mut edges);
        }
        machine.advance(until, &timing, &mut edges);
        prop_assert!(noted(&edges) == slowly(&rows, until, &timing), "{edges:?}");
    }

    /// Timers between the rows change nothing but when it becomes known.
    #[test]
    fn timers_in_between_do_not_matter(rows in any_rows(), timing in any_timing()) {
        let (mut rarely, mut often) = (Machine::default(), Machine::default());
        let (mut few, mut many) = (Vec::new(), Vec::new());
        let mut clock = 0;
        for (at, signal) in &rows {
            rarely.observe(*at, *signal, &timing, &mut few);
            while let Some(due) = often.due_ms(&timing).filter(|due| due < at) {
                prop_assert!(due > clock, "a due time is in the future: {often:?}");
                clock = due;
                often.advance(due, &timing, &mut many);
            }
            often.observe(*at, *signal, &timing, &mut many);
            clock = *at;
        }
        prop_assert_eq!(few, many);
        prop_assert_eq!(rarely, often);
    }
}
