//! What the evaluator counts.

use nemeses_rules::Row;
use nemeses_runtime::Registry;
use nemeses_runtime::metrics::metrics::counter::Counter;
use nemeses_runtime::metrics::metrics::family::Family;
use nemeses_runtime::metrics::metrics::gauge::Gauge;
use nemeses_runtime::metrics::metrics::histogram::{Histogram, exponential_buckets};
use nemeses_store::history::AlarmStep;

type Label = [(&'static str, &'static str); 1];

/// All atomic; clones share.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    rows: Family<Label, Counter>,
    transitions: Family<Label, Counter>,
    pub(crate) turn_seconds: Histogram,
    pub(crate) delay_seconds: Histogram,
    pub(crate) marks: Gauge,
    pub(crate) holding: Gauge,
    pub(crate) broken: Gauge,
    pub(crate) unreadable: Counter,
}

impl Stats {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let stats = Self {
            rows: Family::default(),
            transitions: Family::default(),
            // 1 ms to 16 s.
            turn_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            // 1 ms to 1 h.
            delay_seconds: Histogram::new(exponential_buckets(0.001, 3.0, 15)),
            marks: Gauge::default(),
            holding: Gauge::default(),
            broken: Gauge::default(),
            unreadable: Counter::default(),
        };
        let rules = registry.sub_registry_with_prefix("nemeses_rules");
        let Self {
            rows,
            transitions,
            turn_seconds,
            delay_seconds,
            marks,
            holding,
            broken,
            unreadable,
        } = stats.clone();
        rules.register("rows", "Rows evaluated, by what they were", rows);
        rules.register("transitions", "Changes of alarms, by what happened", transitions);
        rules.register(
            "turn_seconds",
            "From reading marks to the commit of what follows",
            turn_seconds,
        );
        rules.register(
            "delay_seconds",
            "From the arrival of a row to the commit of what it led to",
            delay_seconds,
        );
        rules.register("marks_waiting", "Marks of commits that are not evaluated yet", marks);
        rules.register("evaluating", "1 where this process evaluates the rules", holding);
        rules.register("broken", "Rules that are enabled and cannot be evaluated", broken);
        rules.register("unreadable_marks", "Marks that this version could not read", unreadable);
        stats
    }

    pub(crate) fn row(&self, row: Row) {
        let word = match row {
            Row::InOrder => "in_order",
            Row::Late => "late",
            Row::Repeated => "repeated",
            Row::Ahead => "ahead",
        };
        self.rows.get_or_create(&[("row", word)]).inc();
    }

    pub(crate) fn transition(&self, step: AlarmStep) {
        self.transitions.get_or_create(&[("transition", step.word())]).inc();
    }
}
