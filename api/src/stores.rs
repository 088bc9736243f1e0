//! The stores that the API reads and writes.

use std::sync::Arc;

use nemeses_store::history::{
    Alarms, Books, Channels, Commands, Daily, Database, DeadLetters, Devices, Groups, Health,
    Identities, Logins, Positions, Receivers, Retention, Rules, ScopedTokens, Sessions, Users,
};
use nemeses_store::live::LiveStore;
use nemeses_store::named::NamedDevices;

use crate::commands::CommandSink;
use crate::letters::SecondChance;
use crate::posting::TelemetrySink;

/// What the API reads and, for accounts, writes.
#[derive(Clone)]
pub struct Stores {
    /// The newest state of each device.
    pub live: Arc<dyn LiveStore>,
    /// Every frame.
    pub history: Arc<dyn Positions>,
    /// Whether the history can be read and written.
    pub health: Arc<dyn Health>,
    /// The accounts.
    pub users: Arc<dyn Users>,
    /// The books.
    pub books: Arc<dyn Books>,
    /// The devices' profiles.
    pub devices: Arc<dyn Devices>,
    /// The channels of devices and their readings.
    pub channels: Arc<dyn Channels>,
    /// The numbers of devices that are known by a name.
    pub identities: Arc<dyn Identities>,
    /// Those that this process knows.
    pub named: NamedDevices,
    /// The groups of devices.
    pub groups: Arc<dyn Groups>,
    /// Who is signed in.
    pub sessions: Arc<dyn Sessions>,
    /// What people have handed out.
    pub tokens: Arc<dyn ScopedTokens>,
    /// The sums of days.
    pub daily: Arc<dyn Daily>,
    /// Rules and geofences.
    pub rules: Arc<dyn Rules>,
    /// Where notifications go.
    pub receivers: Arc<dyn Receivers>,
    /// What rules raised.
    pub alarms: Arc<dyn Alarms>,
    /// Bytes that did not become rows.
    pub letters: Arc<dyn DeadLetters>,
    /// What decodes them again; without it they are only shown.
    pub second_chance: Option<Arc<dyn SecondChance>>,
    /// What passes commands on to devices.
    pub commands: Option<Arc<dyn CommandSink>>,
    /// Where they are kept.
    pub kept_commands: Arc<dyn Commands>,
    /// What decodes and commits values that are sent to the API.
    pub telemetry: Option<Arc<dyn TelemetrySink>>,
    /// Who may connect to the MQTT listener.
    pub logins: Arc<dyn Logins>,
    /// What the history takes on disk.
    pub retention: Arc<dyn Retention>,
    /// Whether frames cannot be committed, where this process commits them.
    pub commits_fail: Option<CommitsFail>,
}

/// Asks whether frames cannot be committed at the moment.
pub type CommitsFail = Arc<dyn Fn() -> bool + Send + Sync>;

impl Stores {
    /// A live store and the handles of one database.
    pub fn new(live: Arc<dyn LiveStore>, database: &Database) -> Self {
        Self {
            live,
            history: database.history(),
            health: database.history(),
            users: database.users(),
            books: database.books(),
            devices: database.devices(),
            channels: database.channels(),
            identities: database.identities(),
            named: database.named(),
            groups: database.groups(),
            sessions: database.sessions(),
            tokens: database.tokens(),
            daily: database.daily(),
            rules: database.rules(),
            receivers: database.receivers(),
            alarms: database.alarms(),
            letters: database.dead_letters(),
            second_chance: None,
            commands: None,
            telemetry: None,
            kept_commands: database.commands(),
            logins: database.logins(),
            retention: database.retention(),
            commits_fail: None,
        }
    }

    /// The same with what decodes dead letters again.
    #[must_use]
    pub fn with_second_chance(self, second_chance: Arc<dyn SecondChance>) -> Self {
        Self { second_chance: Some(second_chance), ..self }
    }

    /// The same with what knows whether frames cannot be committed.
    #[must_use]
    pub fn with_commits_fail(self, commits_fail: CommitsFail) -> Self {
        Self { commits_fail: Some(commits_fail), ..self }
    }

    /// The same with what decodes and commits values.
    #[must_use]
    pub fn with_telemetry(self, telemetry: Arc<dyn TelemetrySink>) -> Self {
        Self { telemetry: Some(telemetry), ..self }
    }

    /// The same with what passes commands on.
    #[must_use]
    pub fn with_commands(self, commands: Arc<dyn CommandSink>) -> Self {
        Self { commands: Some(commands), ..self }
    }
}
