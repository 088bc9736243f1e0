//! What is wrong with a setting, said so that it can be mended.

use std::fmt;

use super::file::variable_of;

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The one command whose setting it is; `None` for a shared one.
    command: Option<&'static str>,
    /// The setting's flag without dashes.
    setting: &'static str,
    /// What it was set to, fit to be printed; `None` when it is missing.
    value: Option<String>,
    /// Why not, and what is allowed.
    allowed: String,
}

impl Wrong {
    pub(crate) fn new(
        setting: &'static str,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self { command: None, setting, value: Some(value.to_string()), allowed: allowed.into() }
    }

    pub(crate) fn missing(setting: &'static str, allowed: impl Into<String>) -> Self {
        Self { command: None, setting, value: None, allowed: allowed.into() }
    }

    /// Says that it is a setting of this command alone.
    pub(crate) fn of(self, command: &'static str) -> Self {
        Self { command: Some(command), ..self }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, setting, value, allowed } = self;
        match value {
            Some(value) => write!(f, "{setting} cannot be '{value}': {allowed}")?,
            None => write!(f, "{setting} is missing: {allowed}")?,
        }
        let variable = variable_of(*command, setting);
        let table = command.map_or(String::new(), |command| format!("[{command}] of "));
        write!(
            f,
            "\n(set it by --{setting}, by {variable}, or as {setting} in {table}the file that --config names)"
        )
    }
}

impl std::error::Error for Wrong {}
