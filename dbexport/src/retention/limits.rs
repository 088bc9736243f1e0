//! From periods to moments: what goes now, of which classes. Pure.

use std::time::Duration;

use nemeses_store::history::{ClassCount, ClassLimit, DEFAULT_RETENTION, NotedClass};

/// How long things are kept; `None` is for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Positions, by the device's clock, of devices that name no class.
    pub positions: Option<Duration>,
    /// Positions of devices that name one.
    pub classes: Vec<ClassPeriod>,
    /// Dead letters, by their arrival.
    pub dead_letters: Option<Duration>,
    /// Single lines of the books, by their minute; older ones are joined by day.
    pub books: Option<Duration>,
}

/// How long the positions of a class of devices are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPeriod {
    /// The class's name.
    pub class: String,
    /// `None` is for ever.
    pub period: Option<Duration>,
}

/// Everything before these moments goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Recorded second, of devices that name no class.
    pub positions_before: Option<u32>,
    /// The same of each class.
    pub classes: Vec<(String, Option<u32>)>,
    /// Arrival, Unix milliseconds.
    pub letters_before_ms: Option<u64>,
    /// Minute of arrival, Unix seconds / 60.
    pub books_before_minute: Option<u32>,
}

impl Keep {
    /// Whether everything is kept for ever.
    pub fn is_for_ever(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything is said about positions.
    pub fn touches_positions(&self) -> bool {
        self.positions.is_some() || !self.classes.is_empty()
    }

    /// The classes that have a period, the default one first.
    pub fn noted(&self) -> Vec<NotedClass> {
        let seconds = |period: Option<Duration>| period.map(|period| period.as_secs());
        let default =
            NotedClass { class: DEFAULT_RETENTION.to_owned(), keep_s: seconds(self.positions) };
        let noted = |class: &ClassPeriod| NotedClass {
            class: class.class.clone(),
            keep_s: seconds(class.period),
        };
        std::iter::once(default).chain(self.classes.iter().map(noted)).collect()
    }

    /// What these periods mean at a moment (Unix milliseconds).
    pub fn limits(&self, now_ms: u64) -> Limits {
        let before = |keep: Duration| {
            now_ms.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX))
        };
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Limits {
            positions_before: self.positions.map(|keep| narrow(before(keep) / 1000)),
            classes: self
                .classes
                .iter()
                .map(|class| {
                    let before = class.period.map(|keep| narrow(before(keep) / 1000));
                    (class.class.clone(), before)
                })
                .collect(),
            letters_before_ms: self.dead_letters.map(before),
            books_before_minute: self.books.map(|keep| narrow(before(keep) / 60_000)),
        }
    }
}

/// Which positions go, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Going {
    /// Recorded second before which those of all devices go.
    pub all_before: Option<u32>,
    /// Classes of which more goes.
    pub classes: Vec<ClassLimit>,
    /// Classes that devices name and that have no period: they keep all.
    pub unknown: Vec<String>,
}

impl Limits {
    /// When each class is over, the default one too.
    pub(super) fn of_classes(&self) -> Vec<ClassLimit> {
        let default = (DEFAULT_RETENTION.to_owned(), self.positions_before);
        std::iter::once(&default)
            .chain(&self.classes)
            .filter_map(|(class, before)| {
                Some(ClassLimit { class: class.clone(), before: (*before)? })
            })
            .collect()
    }

    /// Whether any positions have a period.
    pub fn touch_positions(&self) -> bool {
        self.positions_before.is_some() || self.classes.iter().any(|(_, before)| before.is_some())
    }

    /// What these limits mean for the classes that devices name.
    pub fn going(&self, named: &[ClassCount]) -> Going {
        let mut unknown = Vec::new();
        let mut limits = vec![(DEFAULT_RETENTION.to_owned(), self.positions_before)];
        for ClassCount { class, .. } in named {
            if class == DEFAULT_RETENTION {
                continue;
            }
            let set = self.classes.iter().find(|(name, _)| name == class);
            if set.is_none() {
                unknown.push(class.clone());
            }
            limits.push((class.clone(), set.and_then(|(_, before)| *before)));
        }
        let for_ever = limits.iter().any(|(_, before)| before.is_none());
        let least = limits.iter().filter_map(|(_, before)| *before).min();
        let all_before = least.filter(|_| !for_ever);
        let classes = limits
            .into_iter()
            .filter_map(|(class, before)| Some(ClassLimit { class, before: before? }))
            .filter(|limit| all_before.is_none_or(|all| limit.before > all))
            .collect();
        Going { all_before, classes, unknown }
    }
}
