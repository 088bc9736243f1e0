//! The configuration file: TOML whose keys are the flags' names. A value from
//! the file becomes the flag's default, so that clap itself puts flags and
//! variables before it, whatever the setting.
//!
//! Top-level keys are settings that commands share (`mqtt-listen`); a table
//! named after a command (`[simulate]`) holds that command's own settings and
//! may give its shared settings another value.

mod unknown;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::variable;
use crate::args::Cli;

/// The command whose subcommands are the stations once more.
const DOCTOR: &str = "doctor";

/// Why there are no settings.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Flags or variables; also the texts of `--help` and `--version`.
    Line(clap::Error),
    /// A variable, in words.
    Variable(String),
    /// The file.
    File(PathBuf, String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::Variable(why) => f.write_str(why),
            Self::File(path, why) => write!(f, "in {}: {why}", path.display()),
        }
    }
}

/// Reads flags, variables, and the file that `--config` names.
pub(crate) fn command_line<I>(line: I) -> Result<Cli, Refusal>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    let refused = |error| refused(error, &line);
    let mut matches = Cli::command().try_get_matches_from(&line).map_err(refused)?;
    if let Some(path) = matches.get_one::<PathBuf>("config").cloned() {
        let command = read(&path)
            .and_then(|file| apply(Cli::command(), &file))
            .map_err(|why| Refusal::File(path, why))?;
        matches = command.try_get_matches_from(&line).map_err(refused)?;
    }
    Cli::from_arg_matches(&matches).map_err(Refusal::Line)
}

fn refused(error: clap::Error, line: &[OsString]) -> Refusal {
    let command = Cli::command();
    let environment = |name: &str| std::env::var(name).ok();
    match variable::refusal(&error, &settings(&command), line, environment) {
        Some(why) => Refusal::Variable(why),
        None => Refusal::Line(error),
    }
}

fn read(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    File::parse(&text)
}

/// The file's values as text, by key.
#[derive(Debug, Default, PartialEq, Eq)]
struct File {
    shared: BTreeMap<String, String>,
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl File {
    fn parse(text: &str) -> Result<Self, String> {
        let read: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let mut file = Self::default();
        for (key, value) in read {
            if let toml::Value::Table(table) = value {
                let values = table.into_iter().map(|(name, value)| {
                    let value = scalar(&format!("{key}.{name}"), &value)?;
                    Ok((name, value))
                });
                let values = values.collect::<Result<_, String>>()?;
                file.tables.insert(key, values);
            } else {
                let value = scalar(&key, &value)?;
                file.shared.insert(key, value);
            }
        }
        Ok(file)
    }

    /// What the file says of a setting of a command.
    fn value(&self, setting: &Setting<'_>) -> Option<&str> {
        let own = setting.command.and_then(|command| self.tables.get(command)?.get(setting.name));
        let shared = || self.shared.get(setting.name).filter(|_| setting.shared);
        own.or_else(shared).map(String::as_str)
    }
}

fn scalar(key: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        toml::Value::Datetime(moment) => Ok(moment.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => {
            Err(format!("{key} must be one value: a text in quotes, a number, true or false"))
        }
    }
}

/// A flag that is a setting: one with an environment variable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    /// The top-level command that has it; `None` for those of all commands.
    pub(super) command: Option<&'a str>,
    /// The flag without dashes.
    pub(super) name: &'a str,
    /// Whether it is a top-level key of the file.
    pub(super) shared: bool,
    /// The declaration.
    pub(super) arg: &'a Arg,
}

/// All settings of all commands, a shared one once for each command that has
/// it. `config` is none: the file cannot name itself.
pub(super) fn settings(command: &Command) -> Vec<Setting<'_>> {
    let mut found = Vec::new();
    collect(command, None, &mut found);
    found
}

fn collect<'a>(command: &'a Command, top: Option<&'a str>, found: &mut Vec<Setting<'a>>) {
    found.extend(command.get_arguments().filter_map(|arg| as_setting(arg, top)));
    // What is below the doctor are the stations again, listed already.
    for below in command.get_subcommands().filter(|_| top != Some(DOCTOR)) {
        collect(below, Some(owner(top, below.get_name())), found);
    }
}

/// The command whose setting an argument is: the topmost one, but a station that the
/// doctor looks at has its own settings there, too.
fn owner<'a>(top: Option<&'a str>, name: &'a str) -> &'a str {
    top.filter(|top| *top != DOCTOR).unwrap_or(name)
}

fn as_setting<'a>(arg: &'a Arg, command: Option<&'a str>) -> Option<Setting<'a>> {
    let (name, variable) = (arg.get_long()?, arg.get_env()?);
    let shared = variable.to_str() == Some(variable_of(None, name).as_str());
    (name != "config").then_some(Setting { command, name, shared, arg })
}

/// `NEMESES_NAME`, or `NEMESES_COMMAND_NAME` for a command's own setting.
pub(super) fn variable_of(command: Option<&str>, name: &str) -> String {
    let words = ["nemeses"].into_iter().chain(command).chain([name]);
    words.collect::<Vec<_>>().join("_").to_uppercase().replace('-', "_")
}

/// Makes the file's values the defaults of their flags, after checking all of
/// them, also those that a flag or variable hides.
fn apply(command: Command, file: &File) -> Result<Command, String> {
    check(&command, file)?;
    Ok(with_defaults(command, None, file))
}

fn with_defaults(command: Command, top: Option<&str>, file: &File) -> Command {
    let command = command.mut_args(|arg| {
        let value = as_setting(&arg, top).and_then(|setting| file.value(&setting));
        match value {
            // Clap keeps defaults for the life of the process: these few are leaked.
            Some(value) => {
                let value: &'static str = value.to_owned().leak();
                arg.default_value(value)
            }
            None => arg,
        }
    });
    command.mut_subcommands(|below| {
        let name = below.get_name().to_owned();
        with_defaults(below, Some(owner(top, &name)), file)
    })
}

fn check(command: &Command, file: &File) -> Result<(), String> {
    let known = settings(command);
    for (key, value) in &file.shared {
        let setting = known
            .iter()
            .find(|setting| setting.shared && setting.name == key)
            .ok_or_else(|| unknown::key(key, None, &known))?;
        check_value(key, setting.arg, value)?;
    }
    for (table, values) in &file.tables {
        let of_table = || known.iter().filter(|setting| setting.command == Some(table));
        if of_table().next().is_none() {
            return Err(unknown::table(table, &known));
        }
        for (key, value) in values {
            let setting = of_table()
                .find(|setting| setting.name == key)
                .ok_or_else(|| unknown::key(key, Some(table), &known))?;
            check_value(&format!("{table}.{key}"), setting.arg, value)?;
        }
    }
    Ok(())
}

/// Reads the value as the flag would.
fn check_value(key: &str, arg: &Arg, value: &str) -> Result<(), String> {
    let reader = Arg::new("value").required(true).value_parser(arg.get_value_parser().clone());
    let reader = Command::new("file").no_binary_name(true).arg(reader);
    let Err(error) = reader.try_get_matches_from(["--", value]) else { return Ok(()) };
    let value = if arg.is_hide_env_values_set() { "(not shown)" } else { value };
    Err(format!("{key} cannot be '{value}': {}", reason(&error)))
}

pub(super) fn reason(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => {
            format!("write one of {}", values.join(", "))
        }
        (_, Some(source)) => source.to_string(),
        _ => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::args;

    /// Applies a file and reads a command line after it.
    fn with_file(file: &str, line: &[&str]) -> Result<Cli, String> {
        let command = apply(Cli::command(), &File::parse(file)?)?;
        let line = ["nemeses"].iter().chain(line);
        let matches = command.try_get_matches_from(line).map_err(|error| error.to_string())?;
        Cli::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    fn up(cli: Cli) -> args::UpArgs {
        match cli.command {
            args::Command::Up(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_declarations_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_a_setting_with_its_own_variable() {
        fn walk(command: &Command, top: Option<&str>, seen: &mut usize) {
            for arg in command.get_arguments() {
                let Some(name) = arg.get_long() else { continue };
                if ["help", "version", "no-migrate"].contains(&name) {
                    continue;
                }
                let variable = arg.get_env().and_then(|name| name.to_str());
                let allowed = [variable_of(None, name), variable_of(top, name)];
                assert!(
                    allowed.iter().any(|allowed| Some(allowed.as_str()) == variable),
                    "--{name} of {top:?} has the variable {variable:?}, allowed are {allowed:?}"
                );
                *seen += 1;
            }
            for below in command.get_subcommands() {
                walk(below, top.or(Some(below.get_name())), seen);
            }
        }
        let mut seen = 0;
        walk(&Cli::command(), None, &mut seen);
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn a_file_changes_defaults_and_flags_go_before_it() {
        let file = "mqtt-listen = '127.0.0.1:2000'\nwindow = 7\nkeep-raw = true\nlive-ttl = '1h'";
        let args = up(with_file(file, &["up", "--mqtt-listen", "127.0.0.1:3000"]).unwrap());
        assert_eq!(args.door.mqtt_listen.port(), 3000);
        assert_eq!(args.door.window, 7);
        assert!(args.frames.keep_raw);
        assert_eq!(args.live.live_ttl.as_secs(), 3600);
        assert!(!up(with_file(file, &["up", "--keep-raw=false"]).unwrap()).frames.keep_raw);
        assert!(up(with_file("migrate = false", &["up", "--migrate"]).unwrap()).database.migrate);
    }

    #[test]
    fn global_settings_come_from_the_file_too() {
        let cli = with_file("log-format = 'json'", &["up"]).unwrap();
        assert_eq!(cli.common.log_format, args::LogFormat::Json);
        let cli = with_file("log-format = 'json'", &["up", "--log-format", "human"]).unwrap();
        assert_eq!(cli.common.log_format, args::LogFormat::Human);
        assert_eq!(args::LogFormat::value_variants().len(), 2);
    }

    #[test]
    fn a_table_is_for_its_command_alone() {
        let file = "mqtt-url = 'mqtt://a'\n[parser]\nmqtt-url = 'mqtt://b'\nworker = 3";
        let args::Command::Parser(parser) = with_file(file, &["parser"]).unwrap().command else {
            panic!("not the parser");
        };
        assert_eq!((parser.link.mqtt_url.as_str(), parser.worker.worker), ("mqtt://b", 3));
        let args::Command::Dbexport(exporter) = with_file(file, &["dbexport"]).unwrap().command
        else {
            panic!("not the exporter");
        };
        assert_eq!((exporter.link.mqtt_url.as_str(), exporter.worker.worker), ("mqtt://a", 0));
    }

    #[test]
    fn the_doctor_sees_what_the_station_would() {
        let file = "mqtt-url = 'mqtt://a'\n[parser]\nmqtt-url = 'mqtt://b'";
        let seen = |station: &str| {
            let line = ["doctor", station, "--redis-url", "redis://r"];
            format!("{:?}", with_file(file, &line).unwrap().command)
        };
        assert!(seen("parser").contains("mqtt://b"));
        assert!(seen("dbexport").contains("mqtt://a"));
    }

    #[test]
    fn refusals_name_the_key_the_value_and_what_is_allowed() {
        for (file, parts) in [
            ("mqtt-lisen = 'x'", vec!["'mqtt-lisen'", "nearest is 'mqtt-listen'"]),
            ("live_ttl = '5m'", vec!["'live_ttl'", "nearest is 'live-ttl'"]),
            ("[simulat]\nseed = 1", vec!["'simulat'", "nearest is 'simulate'"]),
            ("[parser]\nwroker = 1", vec!["'wroker'", "nearest is 'worker'"]),
            (
                "devices = 3",
                vec!["'devices' is a setting of simulate: write it in the table [simulate]"],
            ),
            (
                "[up]\ndevices = 3",
                vec![
                    "'devices' is a setting of simulate, not of up: write it in the table [simulate]",
                ],
            ),
            (
                "[simulate]\nmqtt-listen = 'x'",
                vec!["'mqtt-listen' is a setting of up, broker, not of simulate: write it above"],
            ),
            (
                "[up]\nlog-format = 'json'",
                vec!["of all commands, not of up: write it above the first table"],
            ),
            ("[up]\nzzz = 1", vec!["there is no setting 'zzz' in the table [up]"]),
            ("live-ttl = '300'", vec!["live-ttl cannot be '300'", "from 1s to 30days"]),
            ("window = 70000", vec!["window cannot be '70000'", "1..=65535"]),
            ("log-format = 'xml'", vec!["log-format cannot be 'xml'", "human, json"]),
            ("[parser]\nworker = 'x'", vec!["parser.worker cannot be 'x'"]),
            ("window = [1]", vec!["window must be one value"]),
            ("window = ", vec!["TOML parse error"]),
        ] {
            let error = with_file(file, &["up"]).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{file}: {error}");
            }
        }
    }

    #[test]
    fn no_name_is_suggested_that_is_far_off() {
        for file in ["colour = 1", "[up]\nzzz = 1", "[colour]\nseed = 1"] {
            let error = with_file(file, &["up"]).unwrap_err();
            assert!(!error.contains("nearest"), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_is_found_though_a_flag_hides_it() {
        let error = with_file("window = 0", &["up", "--window", "5"]).unwrap_err();
        assert!(error.contains("window cannot be '0'"), "{error}");
    }

    #[test]
    fn the_file_that_config_names_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.toml");
        let line = ["nemeses", "up", "--config", path.to_str().unwrap()];
        let error = command_line(line).unwrap_err().to_string();
        assert!(error.contains("n.toml: the file cannot be read"), "{error}");
        std::fs::write(&path, "max-connections = 12").unwrap();
        assert_eq!(up(command_line(line).unwrap()).door.max_connections, 12);
    }
}
