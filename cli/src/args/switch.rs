//! Flags that are true or false: one way to declare them.

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction};

/// What a field's `#[arg(switch = false)]` calls on its declaration.
pub(crate) trait Switch {
    /// `--flag` and `--flag=true` set it, `--flag=false` clears it, and without the flag it
    /// is this; the variable and the file's key take the same words.
    fn switch(self, default: bool) -> Self;
}

impl Switch for Arg {
    fn switch(self, default: bool) -> Self {
        self.default_value(if default { "true" } else { "false" })
            .default_missing_value("true")
            .num_args(0..=1)
            .require_equals(true)
            .action(ArgAction::Set)
            .value_parser(BoolishValueParser::new())
            .value_name("true|false")
    }
}
