//! `nemeses rules`: what raises alarms, where geofences are, and what was raised.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nemeses_alarms::{compile, fence_of, fences, spec_of, would_have_raised};
use nemeses_protocol::{DeviceId, DeviceNames, Identity};
use nemeses_rules::{RuleDocument, RuleSet, WouldBe};
use nemeses_runtime::Clock;
use nemeses_store::history::{
    Alarm, AlarmFilter, Database, MAX_RULE_DEVICES, MAX_RULE_NAME, NewRule, RuleScope, StoredRule,
};
use serde_json::{Value, json};

use crate::args::DatabaseArgs;
use crate::tools::{
    OutputArgs, columns, device, device_to_be, moment, names, open_database, print, print_json,
};

/// Alarms that are listed.
const LISTED: u32 = 100;
/// Bytes of a file: a geofence of ten thousand points has some hundred KB.
const MAX_FILE: u64 = 4 * 1024 * 1024;
const DAY_S: u32 = 86_400;

/// Rules, geofences and alarms.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// List the rules
    List(ListArgs),
    /// Add a rule from a JSON file (docs/rules.md), or from standard input with -
    Add(FileArgs),
    /// Remove a rule; its open alarms are withdrawn
    Remove(NumberArgs),
    /// What a rule would have raised for a device over the last days
    Test(TestArgs),
    /// Add a geofence from a GeoJSON file, or from standard input with -
    Geofence(GeofenceArgs),
    /// List the newest alarms
    Alarms(ListArgs),
}

/// Commands without arguments.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses rules add`.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The rule's file
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses rules remove`.
#[derive(Debug, Args)]
pub(crate) struct NumberArgs {
    /// The rule's number
    number: u64,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses rules test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The rule's file
    file: PathBuf,
    /// The device
    device: Identity,
    /// Over how many days until now
    #[arg(default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses rules geofence`.
#[derive(Debug, Args)]
pub(crate) struct GeofenceArgs {
    /// What people call it
    name: String,
    /// Its GeoJSON file
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs a `rules` command.
///
/// # Errors
/// Wrong arguments or files, or what the database reports.
pub(crate) async fn run(command: RulesCommand) -> anyhow::Result<()> {
    let now_ms = Clock::system().now_ms();
    match command {
        RulesCommand::List(args) => list(&args).await,
        RulesCommand::Add(args) => add(&args, now_ms).await,
        RulesCommand::Remove(args) => remove(&args).await,
        RulesCommand::Test(args) => test(&args, now_ms).await,
        RulesCommand::Geofence(args) => geofence(&args, now_ms).await,
        RulesCommand::Alarms(args) => alarms(&args).await,
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_FILE + 1).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("{shown} cannot be read"))?;
        file.take(MAX_FILE + 1).read_to_string(&mut text)
    };
    let bytes = read.with_context(|| format!("{shown} cannot be read"))?;
    anyhow::ensure!(bytes as u64 <= MAX_FILE, "{shown} is larger than {MAX_FILE} bytes");
    Ok(text)
}

fn rule_file(path: &Path) -> anyhow::Result<RuleDocument> {
    let is_wrong = || format!("{} is no rule", path.display());
    let document = serde_json::from_str(&read(path)?).with_context(is_wrong)?;
    RuleDocument::from_json(document).with_context(is_wrong)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let characters = name.chars().count();
    anyhow::ensure!(
        (1..=MAX_RULE_NAME).contains(&characters) && !name.chars().any(char::is_control),
        "a name has 1 to {MAX_RULE_NAME} characters"
    );
    Ok(())
}

async fn add(args: &FileArgs, now_ms: u64) -> anyhow::Result<()> {
    let file = rule_file(&args.file)?;
    let database = open_database(&args.database).await?;
    check_name(&file.name)?;
    anyhow::ensure!(
        file.shared != Some(false),
        "`shared`: a rule that is added here is everybody's; the API adds rules of one person"
    );
    let fences = fences(&database).await?;
    compile(0, 0, &file.spec, |id| fences.get(id).is_some())?;
    let rule = NewRule {
        name: file.name.clone(),
        severity: file.severity.word().to_owned(),
        spec: serde_json::to_string(&file.spec)?,
        scope: scope_of(&database, &file, now_ms).await?,
        enabled: file.enabled,
        receivers: Vec::new(),
    };
    let number = database.rules().add_rule(None, &rule, now_ms).await?;
    if args.output.json {
        return print_json(&json!({ "rule": number }));
    }
    print(&if file.enabled {
        format!("Rule {number} is added. It is evaluated from now on.\n")
    } else {
        format!("Rule {number} is added, and is not enabled.\n")
    })
}

async fn scope_of(
    database: &Database,
    file: &RuleDocument,
    now_ms: u64,
) -> anyhow::Result<RuleScope> {
    match (&file.devices, file.group) {
        (None, None) => Ok(RuleScope::All),
        (None, Some(group)) => {
            let found = database.groups().find(group).await?;
            anyhow::ensure!(found.is_some(), "there is no group {group}");
            Ok(RuleScope::Group(group))
        }
        (Some(named), _) => {
            anyhow::ensure!(
                named.len() <= MAX_RULE_DEVICES,
                "a rule names at most {MAX_RULE_DEVICES} devices; make a group of them"
            );
            let mut devices: Vec<DeviceId> = Vec::with_capacity(named.len());
            for name in named {
                let identity: Identity =
                    name.parse().with_context(|| format!("{name:?} is no device"))?;
                devices.push(device_to_be(database, &identity, now_ms).await?);
            }
            devices.sort_unstable();
            devices.dedup();
            Ok(RuleScope::Devices(devices))
        }
    }
}

async fn remove(args: &NumberArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let number = args.number;
    anyhow::ensure!(database.rules().remove_rule(number).await?, "there is no rule {number}");
    if args.output.json {
        return print_json(&json!({ "rule": number, "removed": true }));
    }
    print(&format!(
        "Rule {number} is removed. Its alarms remain; those that are open are withdrawn.\n"
    ))
}

async fn geofence(args: &GeofenceArgs, now_ms: u64) -> anyhow::Result<()> {
    let text = read(&args.file)?;
    fence_of(&text)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("{} is no geofence", args.file.display()))?;
    check_name(&args.name)?;
    let database = open_database(&args.database).await?;
    let number = database.rules().add_geofence(None, &args.name, &text, now_ms).await?;
    if args.output.json {
        return print_json(&json!({ "geofence": number }));
    }
    print(&format!("Geofence {number} is added.\n"))
}

async fn test(args: &TestArgs, now_ms: u64) -> anyhow::Result<()> {
    let file = rule_file(&args.file)?;
    let database = open_database(&args.database).await?;
    let fences = fences(&database).await?;
    let rule = compile(0, 0, &file.spec, |id| fences.get(id).is_some())?;
    let device = device(&database, &args.device).await?;
    let until_s = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
    let range = (until_s.saturating_sub(args.days * DAY_S), until_s);
    let set = RuleSet::new(vec![rule]);
    let raised = would_have_raised(&database, &set, &fences, device, range).await?;
    if args.output.json {
        let raised: Vec<Value> = raised.iter().map(would_be_json).collect();
        return print_json(&json!({ "device_id": args.device.to_string(), "raised": raised }));
    }
    let rows: Vec<Vec<String>> = raised
        .iter()
        .map(|one| {
            let cleared = one.cleared_at_ms.map_or_else(|| "open".to_owned(), moment);
            let value = one.opened.value.map(|value| value.to_string()).unwrap_or_default();
            vec![moment(one.opened.at_ms), cleared, value]
        })
        .collect();
    let count = raised.len();
    let days = args.days;
    print(&format!("alarms that it would have raised: {count} (days looked at: {days})\n"))?;
    if rows.is_empty() { Ok(()) } else { print(&columns(&["OPENED", "CLEARED", "VALUE"], &rows)) }
}

fn would_be_json(one: &WouldBe) -> Value {
    json!({
        "opened_at": moment(one.opened.at_ms),
        "cleared_at": one.cleared_at_ms.map(moment),
        "value": one.opened.value,
    })
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (rules, names) = (database.rules().rules().await?, names(&database).await?);
    if args.output.json {
        let rules: Vec<Value> = rules.iter().map(|rule| rule_json(rule, &names)).collect();
        return print_json(&json!({ "rules": rules }));
    }
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|stored| {
            let rule = &stored.rule;
            vec![
                stored.id.to_string(),
                rule.name.clone(),
                rule.severity.clone(),
                scope_text(&rule.scope, &names),
                if rule.enabled { "on" } else { "off" }.to_owned(),
                rule.spec.clone(),
            ]
        })
        .collect();
    print(&columns(&["RULE", "NAME", "SEVERITY", "DEVICES", "STATE", "SAYS"], &rows))
}

fn scope_text(scope: &RuleScope, names: &DeviceNames) -> String {
    match scope {
        RuleScope::All => "all".to_owned(),
        RuleScope::Group(group) => format!("group {group}"),
        RuleScope::Devices(devices) if devices.len() > 3 => format!("{} devices", devices.len()),
        RuleScope::Devices(devices) => {
            let written = devices.iter().map(|device| names.identity(*device).to_string());
            written.collect::<Vec<_>>().join(", ")
        }
    }
}

fn rule_json(stored: &StoredRule, names: &DeviceNames) -> Value {
    let (devices, group) = match &stored.rule.scope {
        RuleScope::All => (None, None),
        RuleScope::Group(group) => (None, Some(*group)),
        RuleScope::Devices(devices) => {
            let written = devices.iter().map(|device| names.identity(*device).to_string());
            (Some(written.collect::<Vec<_>>()), None)
        }
    };
    json!({
        "rule": stored.id,
        "version": stored.version,
        "name": stored.rule.name,
        "severity": stored.rule.severity,
        "devices": devices,
        "group": group,
        "enabled": stored.rule.enabled,
        "says": spec_of(&stored.rule.spec).ok(),
    })
}

async fn alarms(args: &ListArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let filter = AlarmFilter { limit: LISTED, ..AlarmFilter::default() };
    let (alarms, names) = (database.alarms().list(&filter).await?, names(&database).await?);
    if args.output.json {
        let alarms: Vec<Value> = alarms.iter().map(|alarm| alarm_json(alarm, &names)).collect();
        return print_json(&json!({ "alarms": alarms }));
    }
    let rows: Vec<Vec<String>> = alarms
        .iter()
        .map(|alarm| {
            let end = if alarm.withdrawn { "withdrawn" } else { "open" };
            let cleared = alarm.cleared_at_ms.filter(|_| !alarm.withdrawn);
            vec![
                alarm.id.to_string(),
                names.identity(alarm.key.device).to_string(),
                alarm.rule_name.clone(),
                alarm.severity.clone(),
                moment(alarm.opened_at_ms),
                cleared.map_or_else(|| end.to_owned(), moment),
                alarm.value.clone().unwrap_or_default(),
                if alarm.late { "late" } else { "" }.to_owned(),
            ]
        })
        .collect();
    let headings = ["ALARM", "DEVICE", "RULE", "SEVERITY", "OPENED", "CLEARED", "VALUE", ""];
    print(&columns(&headings, &rows))
}

fn alarm_json(alarm: &Alarm, names: &DeviceNames) -> Value {
    json!({
        "alarm": alarm.id,
        "rule": alarm.key.rule,
        "rule_name": alarm.rule_name,
        "device_id": names.identity(alarm.key.device).to_string(),
        "episode": alarm.key.episode,
        "severity": alarm.severity,
        "opened_at": moment(alarm.opened_at_ms),
        "cleared_at": alarm.cleared_at_ms.map(moment),
        "withdrawn": alarm.withdrawn,
        "late": alarm.late,
        "value": alarm.value,
    })
}
