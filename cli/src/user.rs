//! `nemeses user`: the accounts of the REST API, for whoever has the database. A
//! password is drawn, printed once, and is nowhere afterwards.

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use nemeses_api::{NewAccount, draw_password, hash_password};
use nemeses_protocol::Identity;
use nemeses_runtime::Clock;
use nemeses_store::history::{Database, FirstPlace, Role, User, Users};
use serde_json::{Value, json};

use crate::args::DatabaseArgs;
use crate::tools::{
    OutputArgs, columns, device, device_to_be, moment, names, open_database, print, print_json,
};

/// Accounts read at once.
const PAGE: u32 = 500;

/// Accounts of the REST API.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Create an account and show its password, once
    Add(AddArgs),
    /// List the accounts with their roles and number of granted devices
    List(ListArgs),
    /// Change what an account may do
    Role(RoleArgs),
    /// Let a viewer see devices
    Grant(DevicesArgs),
    /// Stop letting a viewer see devices
    Revoke(DevicesArgs),
    /// Create a new password and show it, once; the old one and all sessions end
    Reset(EmailArgs),
    /// Disable an account; its sessions end
    Disable(EmailArgs),
    /// Enable a disabled account
    Enable(EmailArgs),
}

/// `nemeses user add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// E-mail address to sign in with
    email: String,
    /// The person's name; without it, the address
    #[arg(long, env = "NEMESES_USER_NAME")]
    name: Option<String>,
    /// What the account may do
    #[arg(long, env = "NEMESES_USER_ROLE", default_value = "viewer")]
    role: RoleName,
    /// Short for --role admin
    #[arg(long, env = "NEMESES_USER_ADMIN", conflicts_with = "role")]
    admin: bool,
    /// Do not count as the first account: whoever registers first on loopback, or has
    /// the set-up token, can still become the admin
    #[arg(long, env = "NEMESES_USER_LEAVE_FIRST")]
    leave_first: bool,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses user list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses user role`.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    /// The account's e-mail address
    email: String,
    /// What it may do from now on
    role: RoleName,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses user grant` and `revoke`.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// The account's e-mail address
    email: String,
    /// Devices: six hex digits such as 0A3F73, or a name such as host:web1
    #[arg(required = true)]
    devices: Vec<Identity>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `nemeses user reset`, `disable` and `enable`.
#[derive(Debug, Args)]
pub(crate) struct EmailArgs {
    /// The account's e-mail address
    email: String,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Everything
    Admin,
    /// See every device
    Operator,
    /// See the devices that were granted
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Self::Admin,
            RoleName::Operator => Self::Operator,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

/// Runs a `user` command.
///
/// # Errors
/// Wrong arguments, an unknown or taken address, or what the database reports.
pub(crate) async fn run(command: UserCommand) -> anyhow::Result<()> {
    let now_ms = Clock::system().now_ms();
    match command {
        UserCommand::Add(args) => add(&args, now_ms).await,
        UserCommand::List(args) => list(&args).await,
        UserCommand::Role(args) => set_role(&args).await,
        UserCommand::Grant(args) => grant(&args, now_ms).await,
        UserCommand::Revoke(args) => revoke(&args).await,
        UserCommand::Reset(args) => reset(&args).await,
        UserCommand::Disable(args) => set_disabled(&args, true).await,
        UserCommand::Enable(args) => set_disabled(&args, false).await,
    }
}

async fn add(args: &AddArgs, now_ms: u64) -> anyhow::Result<()> {
    let password = draw_password()?;
    let name = args.name.as_deref().unwrap_or(&args.email);
    let account = NewAccount::new(&args.email, password.clone(), name)?;
    let users = open_database(&args.database).await?.users();
    let role = if args.admin { Role::Admin } else { args.role.into() };
    let email = account.email().to_owned();
    let first = if args.leave_first { FirstPlace::Leaves } else { FirstPlace::Takes };
    account.keep_in(users.as_ref(), role, first, now_ms).await?;
    show_password(&email, role, &password, args.output)
}

async fn reset(args: &EmailArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let users = database.users();
    let user = known(users.as_ref(), &args.email).await?;
    let password = draw_password()?;
    let hash = hash_password(password.clone()).await?;
    anyhow::ensure!(users.set_password(user.id, &hash).await?, nobody(&args.email));
    database.sessions().end_others(user.id, None).await?;
    database.tokens().revoke_all(user.id).await?;
    show_password(&user.email, user.role, &password, args.output)
}

async fn set_disabled(args: &EmailArgs, disabled: bool) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let users = database.users();
    let user = known(users.as_ref(), &args.email).await?;
    anyhow::ensure!(users.set_disabled(user.id, disabled).await?, nobody(&args.email));
    if disabled {
        database.sessions().end_others(user.id, None).await?;
    }
    if args.output.json {
        return print_json(&json!({ "email": user.email, "disabled": disabled }));
    }
    let now = if disabled { "disabled" } else { "enabled" };
    print(&format!("{} is {now}; running instances follow within 2 s.\n", user.email))
}

fn show_password(
    email: &str,
    role: Role,
    password: &str,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let role = role.name();
    if output.json {
        return print_json(&json!({ "email": email, "role": role, "password": password }));
    }
    print(&format!(
        "e-mail    {email}\nrole      {role}\npassword  {password}\nThe password is not kept anywhere and cannot be shown again.\n"
    ))
}

async fn set_role(args: &RoleArgs) -> anyhow::Result<()> {
    let users = open_database(&args.database).await?.users();
    let user = known(users.as_ref(), &args.email).await?;
    let role = Role::from(args.role);
    anyhow::ensure!(users.set_role(&user.email, role).await?, nobody(&args.email));
    if args.output.json {
        return print_json(&json!({ "email": user.email, "role": role.name() }));
    }
    print(&format!("{} is {} {} now.\n", user.email, article(role), role.name()))
}

const fn article(role: Role) -> &'static str {
    match role {
        Role::Admin | Role::Operator => "an",
        Role::Viewer => "a",
    }
}

async fn grant(args: &DevicesArgs, now_ms: u64) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let users = database.users();
    let user = known(users.as_ref(), &args.email).await?;
    for identity in &args.devices {
        let device = device_to_be(&database, identity, now_ms).await?;
        let granted = users.grant(user.id, device, now_ms).await;
        granted.with_context(|| format!("{identity} was not granted to {}", user.email))?;
    }
    show_devices(&database, &user, args.output).await
}

async fn revoke(args: &DevicesArgs) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let users = database.users();
    let user = known(users.as_ref(), &args.email).await?;
    for identity in &args.devices {
        users.revoke(user.id, device(&database, identity).await?).await?;
    }
    show_devices(&database, &user, args.output).await
}

async fn show_devices(database: &Database, user: &User, output: OutputArgs) -> anyhow::Result<()> {
    let (devices, names) = (database.users().grants(user.id).await?, names(database).await?);
    let devices: Vec<String> =
        devices.iter().map(|device| names.identity(*device).to_string()).collect();
    if output.json {
        return print_json(
            &json!({ "email": user.email, "role": user.role.name(), "device_ids": devices }),
        );
    }
    print(&sees(user, &devices))
}

fn sees(user: &User, devices: &[String]) -> String {
    let email = &user.email;
    match user.role {
        Role::Viewer if devices.is_empty() => format!("{email} sees no device.\n"),
        Role::Viewer => format!("{email} sees {}.\n", devices.join(" ")),
        role => {
            let (article, role) = (article(role), role.name());
            format!("{email} is {article} {role} and sees every device, whatever is granted.\n")
        }
    }
}

async fn known(users: &dyn Users, email: &str) -> anyhow::Result<User> {
    users.by_email(email).await?.with_context(|| nobody(email))
}

fn nobody(email: &str) -> String {
    format!("there is no account of '{email}'")
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let users = open_database(&args.database).await?.users();
    let mut all: Vec<(User, usize)> = Vec::new();
    loop {
        let page = users.list(all.last().map_or(0, |(user, _)| user.id), PAGE).await?;
        let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for user in page {
            let granted = users.grants(user.id).await?.len();
            all.push((user, granted));
        }
        if whole {
            break;
        }
    }
    if args.output.json {
        return print_json(&Value::Array(all.iter().map(user_as_json).collect()));
    }
    let rows: Vec<Vec<String>> = all.iter().map(user_as_row).collect();
    print(&columns(&["id", "e-mail", "name", "role", "devices", "created"], &rows))
}

fn user_as_row((user, granted): &(User, usize)) -> Vec<String> {
    let devices = match user.role {
        Role::Viewer => granted.to_string(),
        Role::Admin | Role::Operator => "all".to_owned(),
    };
    vec![
        user.id.to_string(),
        user.email.clone(),
        user.name.clone(),
        format!("{}{}", user.role.name(), if user.disabled { ", disabled" } else { "" }),
        devices,
        moment(user.created_at_ms),
    ]
}

fn user_as_json((user, granted): &(User, usize)) -> Value {
    json!({
        "user_id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role.name(),
        "disabled": user.disabled,
        "granted_devices": granted,
        "created_at": moment(user.created_at_ms),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use nemeses_protocol::DeviceId;

    use super::*;
    use crate::args::{Cli, Command, EngineArgs};

    fn parse(line: &str) -> UserCommand {
        let words = format!("nemeses user {line}");
        match Cli::try_parse_from(words.split(' ')).unwrap().command {
            Command::User(command) => command,
            other => panic!("{other:?}"),
        }
    }

    async fn run_line(line: &str, folder: &std::path::Path) -> anyhow::Result<()> {
        run(parse(&format!("{line} --data-dir {}", folder.display()))).await
    }

    #[tokio::test]
    async fn an_account_is_made_granted_promoted_and_reset() {
        let folder = tempfile::tempdir().unwrap();
        let UserCommand::List(args) =
            parse(&format!("list --data-dir {}", folder.path().display()))
        else {
            panic!("not a list");
        };
        crate::tools::migrate(&args.database, EngineArgs { database_engine: None }).await.unwrap();
        let line = async |line: &str| run_line(line, folder.path()).await;
        line("add Ana@example.org --name Ana").await.unwrap();
        line("add root@example.org --admin").await.unwrap();
        let taken = line("add ana@EXAMPLE.org").await.unwrap_err();
        assert!(taken.to_string().contains("exists already"), "{taken}");
        let bad = line("add no-address").await.unwrap_err();
        assert!(bad.to_string().starts_with("email: "), "{bad}");

        let users = open_database(&args.database).await.unwrap().users();
        let ana = users.by_email("ana@example.org").await.unwrap().unwrap();
        assert_eq!((ana.name.as_str(), ana.role), ("Ana", Role::Viewer));
        let root = users.by_email("root@example.org").await.unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.role), ("root@example.org", Role::Admin));

        line("grant ana@example.org 0A3F73 000005").await.unwrap();
        line("grant ana@example.org 0a3f73").await.unwrap();
        let granted = [DeviceId::new(5), DeviceId::new(0x0A_3F73)];
        assert_eq!(users.grants(ana.id).await.unwrap(), granted);
        line("revoke ana@example.org 000005 000006").await.unwrap();
        assert_eq!(users.grants(ana.id).await.unwrap(), granted[1..]);
        line("role ana@example.org operator").await.unwrap();
        line("reset ana@example.org").await.unwrap();
        line("disable ana@example.org").await.unwrap();
        assert_eq!(users.access(ana.id).await.unwrap(), None);
        line("enable ana@example.org --json").await.unwrap();
        assert!(users.access(ana.id).await.unwrap().is_some());
        line("list").await.unwrap();
        line("list --json").await.unwrap();
        let changed = users.by_id(ana.id).await.unwrap().unwrap();
        assert_eq!(changed.role, Role::Operator);
        assert_ne!(changed.password_hash, ana.password_hash);
        for unknown in ["grant x@y.z 0A3F73", "role x@y.z admin", "reset x@y.z", "disable x@y.z"] {
            let error = line(unknown).await.unwrap_err();
            assert_eq!(error.to_string(), "there is no account of 'x@y.z'");
        }
    }

    #[test]
    fn what_an_account_sees_is_said() {
        let user = |role| User {
            id: 1,
            email: "a@b.c".into(),
            name: "A".into(),
            password_hash: String::new(),
            role,
            disabled: false,
            created_at_ms: 0,
        };
        let devices = ["000005".to_owned(), "0A3F73".to_owned()];
        assert_eq!(sees(&user(Role::Viewer), &devices), "a@b.c sees 000005 0A3F73.\n");
        assert_eq!(sees(&user(Role::Viewer), &[]), "a@b.c sees no device.\n");
        assert!(sees(&user(Role::Operator), &devices).contains("every device"));
        assert_eq!(user_as_row(&(user(Role::Viewer), 2))[4], "2");
        assert_eq!(user_as_row(&(user(Role::Admin), 2))[4], "all");
    }
}
