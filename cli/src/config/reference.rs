//! The reference document and the example file, written from the declarations
//! in `args`. Both are checked here and written by `make reference`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, CommandFactory as _};
use nemeses_parser::{OVER_TCP, OVER_UDP};
use nemeses_protocol::PROTOCOLS;

use super::file::{Setting, command_line, settings};
use crate::args::Cli;

const BEGIN: &str =
    "<!-- settings: written by a test (cli/src/config/reference.rs), not by hand -->\n";
const END: &str = "<!-- end of settings -->\n";

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Settings in order of declaration, each once, with the commands that have it.
/// Shared settings come first: in TOML a top-level key stands before all tables.
fn collected<'a>(all: &[Setting<'a>]) -> Vec<(Setting<'a>, Vec<&'a str>)> {
    let mut order: Vec<(Setting<'_>, Vec<&str>)> = Vec::new();
    let mut places = BTreeMap::new();
    for setting in all {
        let key = (setting.name, if setting.shared { None } else { setting.command });
        let place = *places.entry(key).or_insert_with(|| {
            order.push((*setting, Vec::new()));
            order.len() - 1
        });
        if let Some(command) = setting.command.filter(|name| !order[place].1.contains(name)) {
            order[place].1.push(command);
        }
    }
    order.sort_by_key(|(setting, _)| !setting.shared);
    order
}

fn default_of(arg: &Arg) -> Option<String> {
    arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned())
}

fn help_of(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    help.map(ToString::to_string).unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn tables() -> String {
    let command = Cli::command();
    let all = settings(&command);
    let mut text = String::new();
    let mut heading = None;
    for (setting, commands) in collected(&all) {
        let own = if setting.shared { None } else { setting.command };
        let group = match own {
            Some(command) => format!("Only `{command}` (table `[{command}]`)"),
            None => setting.arg.get_help_heading().unwrap_or("Common").to_owned(),
        };
        if heading.as_ref() != Some(&group) {
            let _ = write!(
                text,
                "\n### {group}\n\n| flag and key | variable | default | commands | meaning |\n|---|---|---|---|---|\n"
            );
            heading = Some(group);
        }
        let default = default_of(setting.arg).map_or("none".to_owned(), |text| format!("`{text}`"));
        let commands = if commands.is_empty() { "all".to_owned() } else { commands.join(", ") };
        let variable = setting.arg.get_env().unwrap_or_default().to_string_lossy();
        let help = help_of(setting.arg);
        let _ = writeln!(
            text,
            "| `--{}` | `{variable}` | {default} | {commands} | {help} |",
            setting.name
        );
    }
    text.push('\n');
    text
}

fn example() -> String {
    let command = Cli::command();
    let all = settings(&command);
    let mut text = "# Settings of nemeses: use it by `nemeses up --config nemeses.toml`.\n\
        # Keys are the flags' names; flags and NEMESES_... variables go before this file.\n\
        # What is commented out shows the default, or the kind of value.\n\
        # docs/configuration.md explains every setting.\n"
        .to_owned();
    let mut table = None;
    for (setting, _) in collected(&all) {
        if let Some(own) = setting.command.filter(|own| !setting.shared && table != Some(*own)) {
            let _ = write!(text, "\n[{own}]\n");
            table = Some(own);
        }
        let shown = default_of(setting.arg).unwrap_or_else(|| {
            let names = setting.arg.get_value_names().unwrap_or_default();
            names.first().map(ToString::to_string).unwrap_or_default()
        });
        let bare = shown.parse::<u64>().is_ok() || shown.parse::<bool>().is_ok();
        let shown = if bare { shown } else { format!("\"{shown}\"") };
        let _ = write!(text, "\n# {}\n# {} = {shown}\n", help_of(setting.arg), setting.name);
    }
    text
}

/// The document with its tables written anew.
fn refreshed(document: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", tables()))
}

fn agrees(name: &str, expected: &str) {
    let path = path_of(name);
    if std::env::var_os("NEMESES_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert!(
        found == expected,
        "{name} is out of date; run: make reference\nfirst difference: {differing:?}"
    );
}

#[test]
fn the_reference_document_lists_every_setting() {
    let document = std::fs::read_to_string(path_of("docs/configuration.md")).unwrap();
    agrees("docs/configuration.md", &refreshed(&document).unwrap());
}

#[test]
fn the_example_file_lists_every_setting_and_can_be_used_as_it_is() {
    agrees("nemeses.example.toml", &example());
    let path = path_of("nemeses.example.toml");
    let read: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    assert!(read.values().all(|value| value.as_table().is_some_and(toml::Table::is_empty)));
    let line = ["nemeses".as_ref(), "up".as_ref(), "--config".as_ref(), path.as_os_str()];
    command_line(line).unwrap();
}

#[test]
fn every_setting_of_the_example_can_be_uncommented_where_it_stands() {
    let command = Cli::command();
    let all = settings(&command);
    let collected = collected(&all);
    let mut live = example();
    for (setting, _) in &collected {
        live = live.replace(&format!("\n# {} = ", setting.name), &format!("\n{} = ", setting.name));
    }
    let read: toml::Table = live.parse().unwrap();
    for (setting, _) in collected {
        let place = match setting.command.filter(|_| !setting.shared) {
            Some(command) => read[command].as_table().unwrap(),
            None => &read,
        };
        assert!(place.contains_key(setting.name), "{}", setting.name);
    }
}

#[test]
fn the_help_names_every_protocol() {
    let tables = tables();
    let of_all: Vec<&str> = PROTOCOLS.iter().map(|protocol| protocol.name()).collect();
    for (flag, file, protocols) in [
        ("`--tcp-listen`", "cli/src/args/listen.rs", &OVER_TCP[..]),
        ("`--udp-listen`", "cli/src/args/listen.rs", &OVER_UDP),
        ("`NEMESES_DECODE_PROTOCOL`", "cli/src/decode.rs", &of_all),
    ] {
        let row = tables.lines().find(|line| line.contains(flag)).unwrap();
        for name in protocols {
            assert!(row.contains(name), "the help of {flag} does not name {name}: see {file}");
        }
    }
}
