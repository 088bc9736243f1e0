//! The rules that concern a device, with what they need of its rows.

use std::sync::Arc;

use crate::memory::Needs;
use crate::rule::{Check, Rule};

/// Rules in the order of their numbers; devices with the same rules share one set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    needs: Needs,
}

impl RuleSet {
    /// A set of rules.
    pub fn new(mut rules: Vec<Arc<Rule>>) -> Self {
        rules.sort_by_key(|rule| rule.id);
        let mut needs = Needs::default();
        for rule in &rules {
            rule.add_needs(&mut needs);
        }
        Self { rules, needs }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(Arc::as_ref)
    }

    /// Those that rows are judged by.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Rule> {
        self.rules().filter(|rule| !matches!(rule.check, Check::Silence { .. }))
    }

    pub(crate) const fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(crate) fn version(&self, id: u64) -> Option<u32> {
        let at = self.rules.binary_search_by_key(&id, |rule| rule.id).ok()?;
        self.rules.get(at).map(|rule| rule.version)
    }
}
