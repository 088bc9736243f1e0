//! Plans in words: for whoever asked, and for the plugin's control topic.

use serde_json::{Value, json};

use super::plan::{Key, Plan, Step, Why};
use super::wanted::{DEFAULT_ACCESS, Rights};

impl Step {
    /// What is done, and to whom.
    pub(super) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::SetDefaults => ("deny by default", "publish, subscribe"),
            Self::DeleteClient { client } => ("delete client", client),
            Self::Disable { client } => ("disable client", client),
            Self::CreateRole { role, .. } => ("create role", role),
            Self::ModifyRole { role, .. } => ("change role", role),
            Self::CreateClient { client, .. } => ("create client", client),
            Self::SetSecret { client, .. } => ("set secret of", client),
            Self::AddRole { client, .. } => ("give role to", client),
            Self::RemoveRole { client, .. } => ("take role from", client),
            Self::Enable { client } => ("enable client", client),
            Self::DeleteRole { role } => ("delete role", role),
        }
    }

    /// The role given or taken.
    fn role(&self) -> &str {
        match self {
            Self::CreateClient { role, .. }
            | Self::AddRole { role, .. }
            | Self::RemoveRole { role, .. } => role,
            _ => "",
        }
    }

    /// The command for `$CONTROL/dynamic-security/v1`; `None` for a secret that
    /// only the file can take.
    pub(super) fn command(&self) -> Option<Value> {
        Some(match self {
            Self::SetDefaults => {
                let acls =
                    DEFAULT_ACCESS.map(|(kind, allow)| json!({ "acltype": kind, "allow": allow }));
                json!({ "command": "setDefaultACLAccess", "acls": acls })
            }
            Self::DeleteClient { client } => about("deleteClient", client),
            Self::Disable { client } => about("disableClient", client),
            Self::Enable { client } => about("enableClient", client),
            Self::CreateRole { role, rights } => with_rights("createRole", role, rights),
            Self::ModifyRole { role, rights } => with_rights("modifyRole", role, rights),
            Self::DeleteRole { role } => json!({ "command": "deleteRole", "rolename": role }),
            Self::CreateClient { client, role, key: Key::Plain(secret), mark } => json!({
                "command": "createClient",
                "username": client,
                "password": secret.expose(),
                "textdescription": mark,
                "roles": [{ "rolename": role }],
            }),
            Self::SetSecret { client, key: Key::Plain(secret), mark } => json!({
                "command": "modifyClient",
                "username": client,
                "password": secret.expose(),
                "textdescription": mark,
            }),
            Self::CreateClient { .. } | Self::SetSecret { .. } => return None,
            Self::AddRole { client, role } => {
                json!({ "command": "addClientRole", "username": client, "rolename": role })
            }
            Self::RemoveRole { client, role } => {
                json!({ "command": "removeClientRole", "username": client, "rolename": role })
            }
        })
    }
}

fn about(command: &str, client: &str) -> Value {
    json!({ "command": command, "username": client })
}

fn with_rights(command: &str, role: &str, rights: &Rights) -> Value {
    let acls: Vec<Value> = rights.iter().map(super::wanted::Right::as_json).collect();
    json!({ "command": command, "rolename": role, "acls": acls })
}

impl Why {
    /// The state, and what to do.
    fn words(self) -> (&'static str, &'static str) {
        const HOW: &str = "write the file with --write and restart the broker, or rotate the login and give its new secret with --secrets";
        match self {
            Self::NoSecret => ("not there", HOW),
            Self::OldSecret => ("has another secret, shut out", HOW),
            Self::WrongSecret => {
                ("the secret given is not the login's", "look for its newest secret, or rotate it")
            }
            Self::NotOurs => (
                "a client of this name is not ours",
                "delete that client, or name the login differently",
            ),
        }
    }
}

/// One change of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is done, such as `create role`.
    pub what: &'static str,
    /// The client or role that it is done to.
    pub of: String,
    /// The role given or taken.
    pub role: Option<String>,
}

/// A login that is not as it should be after the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInOrder {
    /// Its name.
    pub login: String,
    /// What is wrong.
    pub state: &'static str,
    /// What to do about it.
    pub to_do: &'static str,
}

/// What was done, or would be, and what that leaves undone. No secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In order.
    pub changes: Vec<Change>,
    /// By name.
    pub not_in_order: Vec<NotInOrder>,
}

impl From<&Plan> for Outcome {
    fn from(plan: &Plan) -> Self {
        let changes = plan.steps.iter().map(|step| {
            let (what, whom) = step.words();
            let role = Some(step.role()).filter(|role| !role.is_empty());
            Change { what, of: whom.to_owned(), role: role.map(ToOwned::to_owned) }
        });
        let not_in_order = plan.unresolved.iter().map(|(login, why)| {
            let (state, to_do) = why.words();
            NotInOrder { login: login.clone(), state, to_do }
        });
        Self { changes: changes.collect(), not_in_order: not_in_order.collect() }
    }
}
