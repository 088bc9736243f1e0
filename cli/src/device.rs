//! `nemeses device`: logins for the MQTT listener. A secret is printed once,
//! when it is drawn, and is nowhere afterwards.

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use nemeses_protocol::{DeviceId, DeviceNames, Identity, ParseIdentityError};
use nemeses_runtime::Clock;
use nemeses_store::history::{Database, Login, LoginRole, PlainSecret, device_login_name};
use serde_json::{Value, json};

use crate::args::DatabaseArgs;
use crate::tools::{
    OutputArgs, columns, device_to_be, moment, names, open_database, print, print_json,
};

/// What follows for those who are connected.
const CLOSED_SOON: &str = "Running nodes close its open connections within seconds.";
/// Logins read at once.
const PAGE: u32 = 500;

/// Logins of trackers, gateways, workers and operators.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Create a login and show its secret, once
    Add(AddArgs),
    /// List the logins
    List(ListArgs),
    /// Disable a login; its open connections are closed within seconds
    Disable(NameArgs),
    /// Enable a disabled login
    Enable(NameArgs),
    /// Create a new secret and show it, once; the old one stops working, and open
    /// connections are closed
    Rotate(NameArgs),
    /// Delete a login; its frames remain
    Remove(NameArgs),
    /// Put a device in a retention class, or show its class
    Class(crate::retention::ClassArgs),
}

/// `nemeses device add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The login's name: for a device its id, six hex digits such as 0A3F73
    name: String,
    /// What the login may do
    #[arg(long, env = "NEMESES_DEVICE_ROLE", default_value = "device")]
    role: RoleName,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses device list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Commands that take a login's name.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The login's name
    name: String,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Publish for the one device that it is named after
    Device,
    /// Publish for any device
    Gateway,
    /// Work as a parser or exporter
    Worker,
    /// Send commands and subscribe to all topics
    Operator,
}

/// Runs a `device` command.
///
/// # Errors
/// Wrong arguments, an unknown or taken name, or what the database reports.
pub(crate) async fn run(command: DeviceCommand) -> anyhow::Result<()> {
    let now_ms = Clock::system().now_ms();
    match command {
        DeviceCommand::Add(args) => add(&args, now_ms).await,
        DeviceCommand::List(args) => list(&args).await,
        DeviceCommand::Disable(args) => set_enabled(&args, false, now_ms).await,
        DeviceCommand::Enable(args) => set_enabled(&args, true, now_ms).await,
        DeviceCommand::Rotate(args) => rotate(&args, now_ms).await,
        DeviceCommand::Remove(args) => remove(&args).await,
        DeviceCommand::Class(args) => crate::retention::class(args, now_ms).await,
    }
}

async fn add(args: &AddArgs, now_ms: u64) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (name, role) = login_of(&database, &args.name, args.role, now_ms).await?;
    let secret = database.logins().add(&name, role, now_ms).await?;
    show_secret(&name, &secret, args.output)?;
    if args.output.json { Ok(()) } else { print(&format!("# {}\n", hint(&name, role))) }
}

/// How the login is used; behind a `#`, which whoever reads the secret skips.
fn hint(name: &str, role: LoginRole) -> String {
    let publish =
        |what: &str| format!("mosquitto_pub -h HOST -p 1883 -u {name} -P PASSWORD -q 1 {what}");
    match role {
        LoginRole::Device(device) if device.number() > DeviceId::MAX_SFT9001 => format!(
            "A value of this device: {}",
            publish(&format!("-t /telemetry/{name} -m '{{\"temperature\": 21.5}}'"))
        ),
        LoginRole::Device(device) => format!(
            "A ping as this device: {}",
            publish(&format!("-t /messenger/{device} -m 50F7{device}0150494E4773C4"))
        ),
        LoginRole::Gateway => {
            format!("Frames of any device: {}", publish("-t /messenger -f FILE"))
        }
        LoginRole::Worker => {
            format!("A station: nemeses parser --mqtt-url mqtt://{name}:PASSWORD@HOST:1883 ...")
        }
        LoginRole::Operator => {
            format!("A command: {}", publish("-t /command/DEVICE -m TEXT"))
        }
    }
}

/// A login's name is its device's id as a segment, so that one may be given as well.
fn identity_of(name: &str) -> Result<Identity, ParseIdentityError> {
    if name.contains('%') { Identity::from_segment(name) } else { name.parse() }
}

/// A device's login bears its id in the one canonical spelling.
async fn login_of(
    database: &Database,
    name: &str,
    role: RoleName,
    now_ms: u64,
) -> anyhow::Result<(String, LoginRole)> {
    Ok(match role {
        RoleName::Device => {
            let identity = identity_of(name)
                .with_context(|| format!("'{name}' cannot name a device's login"))?;
            let device = device_to_be(database, &identity, now_ms).await?;
            let identity = names(database).await?.identity(device);
            (device_login_name(device, &identity), LoginRole::Device(device))
        }
        RoleName::Gateway => (name.to_owned(), LoginRole::Gateway),
        RoleName::Worker => (name.to_owned(), LoginRole::Worker),
        RoleName::Operator => (name.to_owned(), LoginRole::Operator),
    })
}

/// The name as given or, where that is an id in small letters, in its canonical spelling.
async fn known_name(database: &Database, name: &str) -> anyhow::Result<String> {
    let logins = database.logins();
    if logins.find(name).await?.is_some() {
        return Ok(name.to_owned());
    }
    let Ok(identity) = identity_of(name) else { return Ok(name.to_owned()) };
    let number = match identity.number() {
        Some(device) => Some(device),
        None => database.identities().number_of(&identity).await?,
    };
    let Some(device) = number else { return Ok(name.to_owned()) };
    Ok(device_login_name(device, &names(database).await?.identity(device)))
}

async fn set_enabled(args: &NameArgs, enabled: bool, now_ms: u64) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (logins, name) = (database.logins(), known_name(&database, &args.name).await?);
    anyhow::ensure!(
        logins.set_enabled(&name, enabled, now_ms).await?,
        "there is no login '{name}'"
    );
    if args.output.json {
        return print_json(&json!({ "name": name, "enabled": enabled }));
    }
    print(&if enabled {
        format!("{name} is enabled.\n")
    } else {
        format!("{name} is disabled. {CLOSED_SOON}\n")
    })
}

async fn remove(args: &NameArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (logins, name) = (database.logins(), known_name(&database, &args.name).await?);
    anyhow::ensure!(logins.remove(&name).await?, "there is no login '{name}'");
    if args.output.json {
        return print_json(&json!({ "name": name, "removed": true }));
    }
    print(&format!("{name} is removed. {CLOSED_SOON} What it sent stays.\n"))
}

async fn rotate(args: &NameArgs, now_ms: u64) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (logins, name) = (database.logins(), known_name(&database, &args.name).await?);
    let secret = logins.rotate(&name, None, now_ms).await?;
    let secret = secret.with_context(|| format!("there is no login '{name}'"))?;
    show_secret(&name, &secret, args.output)
}

fn show_secret(name: &str, secret: &PlainSecret, output: OutputArgs) -> anyhow::Result<()> {
    if output.json {
        return print_json(&json!({ "name": name, "secret": secret.reveal() }));
    }
    print(&format!(
        "user name  {name}\npassword   {}\nThe password is not kept anywhere and cannot be shown again.\n",
        secret.reveal()
    ))
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let (logins, names) = (database.logins(), names(&database).await?);
    let mut all: Vec<Login> = Vec::new();
    loop {
        let page = logins.list(all.last().map(|login| login.name.as_str()), PAGE).await?;
        let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        all.extend(page);
        if whole {
            break;
        }
    }
    if args.output.json {
        return print_json(&Value::Array(
            all.iter().map(|login| login_as_json(login, &names)).collect(),
        ));
    }
    let rows: Vec<Vec<String>> = all.iter().map(login_as_row).collect();
    print(&columns(&["name", "role", "enabled", "created", "changed"], &rows))
}

fn login_as_row(login: &Login) -> Vec<String> {
    let enabled = if login.enabled { "yes" } else { "no" };
    vec![
        login.name.clone(),
        login.role.name().to_owned(),
        enabled.to_owned(),
        moment(login.created_at_ms),
        moment(login.updated_at_ms),
    ]
}

fn login_as_json(login: &Login, names: &DeviceNames) -> Value {
    json!({
        "name": login.name,
        "role": login.role.name(),
        "device_id": login.role.device().map(|device| names.identity(device).to_string()),
        "enabled": login.enabled,
        "created_at": moment(login.created_at_ms),
        "updated_at": moment(login.updated_at_ms),
    })
}

#[cfg(test)]
mod tests {
    use nemeses_protocol::{Frame, Item};
    use nemeses_store::history::{Options, open};

    use super::*;

    #[test]
    fn a_hint_can_be_used_as_it_is() {
        let device = DeviceId::new(0x0A_3F73);
        let shown = hint("0A3F73", LoginRole::Device(device));
        assert!(shown.contains("-u 0A3F73 -P PASSWORD") && shown.contains("-t /messenger/0A3F73"));
        let payload = shown.rsplit(' ').next().unwrap();
        let bytes = nemeses_protocol::normalise(payload.as_bytes());
        let items: Vec<_> = nemeses_protocol::frames(&bytes.bytes).collect();
        assert!(
            matches!(items.as_slice(), [Item::Frame { frame: Frame::Ping { device: of, .. }, .. }] if *of == device),
            "{items:?}"
        );
    }

    #[tokio::test]
    async fn a_devices_login_is_its_id_in_its_one_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("n.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        let login = async |name: &str, role| login_of(&database, name, role, 1).await;
        let device = |number| LoginRole::Device(DeviceId::new(number));
        let long = format!("id:{}", "x".repeat(100));
        for (name, login_name, number) in [
            ("0a3f73", "0A3F73", 0x0A_3F73),
            ("ffffffff", "FFFFFFFF", u32::MAX),
            ("host:WEB1", "host:web1", 1 << 24),
            ("host:web1", "host:web1", 1 << 24),
            ("01000000", "host:web1", 1 << 24),
            ("owntracks:jane/phone", "owntracks:jane%2Fphone", (1 << 24) + 1),
            ("owntracks:jane%2Fphone", "owntracks:jane%2Fphone", (1 << 24) + 1),
            (&long, "01000002", (1 << 24) + 2),
        ] {
            let made = login(name, RoleName::Device).await.unwrap();
            assert_eq!(made, (login_name.to_owned(), device(number)), "{name}");
            assert_eq!(known_name(&database, name).await.unwrap(), login_name, "{name}");
        }
        let made = login("depot", RoleName::Gateway).await.unwrap();
        assert_eq!(made, ("depot".to_owned(), LoginRole::Gateway));
        let error = format!("{:#}", login("671603x", RoleName::Device).await.unwrap_err());
        assert!(error.contains("'671603x'") && error.contains("six hex digits"), "{error}");
    }
}
