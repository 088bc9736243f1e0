//! Payloads that devices send in a form of their own, read by mappings that a user writes in
//! TOML, or that come with the program (`docs/mappings.md`).
//!
//! Everything that can be wrong with a mapping is found when its file is read; a payload then
//! only yields records and rejected parts.

mod built_in;
mod channels;
mod file;
mod pattern;
mod pointer;
mod raw;
mod record;
mod rules;
mod template;

use std::sync::Arc;

use nemeses_protocol::topic_matches;

pub use built_in::{BUILT_IN, built_in};
pub use file::MappingError;
pub use rules::Mapping;
pub(crate) use template::in_a_name;

/// Mappings in the order in which they are looked at: of those that match a topic the first
/// counts.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    by_topic: Vec<(String, Arc<Mapping>)>,
    by_post: Vec<Arc<Mapping>>,
}

impl Mappings {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The line, the mapping and the field that cannot be.
    pub fn read(text: &str) -> Result<Self, MappingError> {
        let mut all = Self::default();
        for mapping in file::read(text)? {
            all.add(&Arc::new(mapping));
        }
        Ok(all)
    }

    fn add(&mut self, mapping: &Arc<Mapping>) {
        self.by_topic.extend(mapping.filter().map(|filter| (filter, Arc::clone(mapping))));
        if mapping.post().is_some() {
            self.by_post.push(Arc::clone(mapping));
        }
    }

    /// Looks at these as well, on their topics behind those that are there.
    pub fn and(&mut self, others: &Self) {
        self.by_topic.extend(others.by_topic.iter().cloned());
        self.and_posts(others);
    }

    /// Accepts what these have over HTTP, where no mapping of that name is there.
    pub fn and_posts(&mut self, others: &Self) {
        for mapping in &others.by_post {
            if mapping.post().is_some_and(|name| self.of_post(name).is_none()) {
                self.by_post.push(Arc::clone(mapping));
            }
        }
    }

    /// The MQTT filters of all topics, each once.
    pub fn filters(&self) -> Vec<String> {
        let mut filters: Vec<String> =
            self.by_topic.iter().map(|(filter, _)| filter.clone()).collect();
        filters.sort();
        filters.dedup();
        filters
    }

    /// The mappings that are read over MQTT with the filters of their topics, in the order in
    /// which they are looked at.
    pub fn topics(&self) -> Vec<(&str, Vec<&str>)> {
        let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
        for (filter, mapping) in &self.by_topic {
            match all.iter_mut().find(|(name, _)| *name == mapping.name()) {
                Some((_, filters)) => filters.push(filter),
                None => all.push((mapping.name(), vec![filter])),
            }
        }
        all
    }

    /// The mapping of a topic.
    pub fn of_topic(&self, topic: &str) -> Option<&Mapping> {
        let found = self.by_topic.iter().find(|(filter, _)| topic_matches(filter, topic));
        found.map(|(_, mapping)| &**mapping)
    }

    /// The mapping of what is sent to `/devices/{name}` over HTTP.
    pub fn of_post(&self, name: &str) -> Option<&Mapping> {
        self.by_post.iter().find(|mapping| mapping.post() == Some(name)).map(|mapping| &**mapping)
    }

    /// The names that are served over HTTP.
    pub fn posts(&self) -> impl Iterator<Item = &str> {
        self.by_post.iter().filter_map(|mapping| mapping.post())
    }
}
