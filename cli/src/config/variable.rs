//! Says that a wrong value came from an environment variable: clap names the flag,
//! which nobody wrote. Pure.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::file::{Setting, reason};

/// The refusal in words of the variable, when the value came from one.
pub(super) fn refusal(
    error: &clap::Error,
    settings: &[Setting<'_>],
    line: &[OsString],
    environment: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return None;
    }
    // `--worker <NUMBER>`, `--mqtt-anonymous[=<true|false>]`
    let flag = context(error, ContextKind::InvalidArg)?.split([' ', '=', '[']).next()?;
    let value = context(error, ContextKind::InvalidValue)?;
    if line.iter().any(|word| is_flag(word, flag)) {
        return None;
    }
    let name = flag.strip_prefix("--")?;
    let named = settings.iter().filter(|setting| setting.name == name);
    let mut variables = named.filter_map(|setting| {
        let variable = setting.arg.get_env()?.to_str()?;
        Some((variable, setting.arg.is_hide_env_values_set()))
    });
    let (variable, secret) =
        variables.find(|(variable, _)| environment(variable).as_deref() == Some(value))?;
    let shown = if secret { "(not shown)" } else { value };
    Some(format!("the variable {variable} cannot be '{shown}': {}", reason(error)))
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Whether a word of the command line is this flag (`--worker`, `--worker=1`).
fn is_flag(word: &OsString, flag: &str) -> bool {
    word.to_str()
        .and_then(|word| word.strip_prefix(flag))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::Cli;
    use crate::config::file::settings;

    /// The refusal of a line whose flag stands for a variable of this value.
    fn refused(flag: &str, variable: &str, line: &[&str]) -> Option<String> {
        let whole = ["nemeses"].iter().chain(line).copied();
        let wrong = Cli::try_parse_from(whole.chain([flag])).unwrap_err();
        let value = flag.split_once('=').map(|(_, value)| value.to_owned());
        let written: Vec<OsString> = line.iter().map(Into::into).collect();
        refusal(&wrong, &settings(&Cli::command()), &written, |name| {
            value.clone().filter(|_| name == variable)
        })
    }

    #[test]
    fn a_wrong_variable_is_named_as_that() {
        let told = refused("--worker=x", "NEMESES_WORKER", &["parser"]).unwrap();
        assert!(told.starts_with("the variable NEMESES_WORKER cannot be 'x': write a number"));
        let told = refused("--live-ttl=5", "NEMESES_LIVE_TTL", &["up"]).unwrap();
        assert!(told.contains("NEMESES_LIVE_TTL cannot be '5'") && told.contains("300s"), "{told}");
        let told = refused("--log-format=x", "NEMESES_LOG_FORMAT", &["up"]).unwrap();
        assert!(told.contains("NEMESES_LOG_FORMAT") && told.contains("human, json"), "{told}");
        let told = refused("--mqtt-anonymous=x", "NEMESES_MQTT_ANONYMOUS", &["up"]).unwrap();
        assert!(told.contains("NEMESES_MQTT_ANONYMOUS cannot be 'x'"), "{told}");
    }

    #[test]
    fn a_wrong_flag_is_clap_s_to_tell() {
        assert_eq!(refused("--worker=x", "NEMESES_OTHER", &["parser"]), None);
        let both = refused("--worker=x", "NEMESES_WORKER", &["parser", "--worker=x"]);
        assert_eq!(both, None);
    }
}
