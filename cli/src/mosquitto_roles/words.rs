//! Plans in words: for people, for programs, and for the plugin's control topic.

use serde_json::{Value, json};

use super::plan::{Key, Plan, Step, Why};
use super::wanted::{DEFAULT_ACCESS, Rights};
use crate::tools::columns;

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

impl Plan {
    /// The steps one by one, or only how many when `in_full` is not asked.
    pub(super) fn as_text(&self, in_full: bool) -> String {
        let mut text = match (self.steps.len(), in_full) {
            (0, _) => "Nothing to change.\n".to_owned(),
            (_, true) => {
                let rows = self.steps.iter().map(|step| {
                    let (what, whom) = step.words();
                    [what, whom, step.role()].map(ToOwned::to_owned).into()
                });
                columns(&["change", "of", "role"], &rows.collect::<Vec<_>>())
            }
            (1, false) => "1 change made.\n".to_owned(),
            (count, false) => format!("{count} changes made.\n"),
        };
        if !self.unresolved.is_empty() {
            text.push_str("\nLogins that are not in order:\n\n");
            let rows = self.unresolved.iter().map(|(name, why)| {
                let (state, to_do) = why.words();
                [name.as_str(), state, to_do].map(ToOwned::to_owned).into()
            });
            text.push_str(&columns(&["login", "state", "to do"], &rows.collect::<Vec<_>>()));
        }
        text
    }

    /// For programs; no secrets.
    pub(super) fn as_json(&self, made: bool) -> Value {
        let steps = self.steps.iter().map(|step| {
            let (what, whom) = step.words();
            let role = Some(step.role()).filter(|role| !role.is_empty());
            json!({ "change": what, "of": whom, "role": role })
        });
        let unresolved = self.unresolved.iter().map(|(name, why)| {
            let (state, to_do) = why.words();
            json!({ "login": name, "state": state, "to_do": to_do })
        });
        json!({
            "made": made,
            "changes": steps.collect::<Vec<_>>(),
            "not_in_order": unresolved.collect::<Vec<_>>(),
        })
    }
}
