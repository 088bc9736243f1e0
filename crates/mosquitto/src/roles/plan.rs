//! From what is wanted and what is present to the steps between them, the same
//! for the plugin's file and for a running broker. Pure.
//!
//! The order closes doors before it opens any: access is denied and clients are
//! shut out first, roles come before the clients that have them, and nobody is
//! enabled before his secret is right.

use std::collections::BTreeMap;

use nemeses_runtime::Secret;
use nemeses_store::history::SecretHash;

use super::present::{Held, Present, is_ours, mark_of};
use super::wanted::{Client, DEFAULT_ACCESS, Rights, Wanted};

/// In which form secrets can be handed over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Secrets<'a> {
    /// As the identity store keeps them: into the file.
    Hashes,
    /// In the clear, as far as they are known: a running broker takes no other.
    Plain(&'a BTreeMap<String, Secret>),
}

/// A secret on its way. Not shown by `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Hash(SecretHash),
    Plain(Secret),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SetDefaults,
    DeleteClient { client: String },
    Disable { client: String },
    CreateRole { role: String, rights: Rights },
    ModifyRole { role: String, rights: Rights },
    CreateClient { client: String, role: String, key: Key, mark: String },
    SetSecret { client: String, key: Key, mark: String },
    AddRole { client: String, role: String },
    RemoveRole { client: String, role: String },
    Enable { client: String },
    DeleteRole { role: String },
}

/// Why a login is not as it should be after the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// The client is not there and its secret is not known in the clear.
    NoSecret,
    /// The client has another secret than the login, most likely the one before a
    /// rotation; it is shut out.
    OldSecret,
    /// The secret given is not the login's.
    WrongSecret,
    /// A client of this name was made by someone else.
    NotOurs,
}

/// What to do, and what that leaves undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In order.
    pub(super) steps: Vec<Step>,
    /// By login.
    pub(super) unresolved: BTreeMap<String, Why>,
}

/// The steps from `present` to `wanted`.
pub(super) fn plan(wanted: &Wanted, present: &Present, secrets: Secrets<'_>) -> Plan {
    let mut draft = Draft::default();
    for (name, client) in &wanted.clients {
        draft.client(name, client, present.clients.get(name), secrets);
    }
    let unwanted = present.clients.iter().filter(|(name, held)| {
        let wanted = wanted.clients.contains_key(*name);
        !wanted && held.is_ours()
    });
    let delete = unwanted.map(|(name, _)| Step::DeleteClient { client: name.clone() });
    let denied = DEFAULT_ACCESS.iter().all(|(kind, allow)| {
        let held = present.defaults.get(*kind).copied();
        held == Some(*allow)
    });
    let mut steps: Vec<Step> = if denied { Vec::new() } else { vec![Step::SetDefaults] };
    steps.extend(delete);
    steps.append(&mut draft.shut_out);
    steps.extend(roles(wanted, present));
    steps.append(&mut draft.changes);
    steps.append(&mut draft.let_in);
    let unwanted = present.roles.keys().filter(|role| is_ours(role));
    let unwanted = unwanted.filter(|role| !wanted.roles.contains_key(*role));
    steps.extend(unwanted.map(|role| Step::DeleteRole { role: role.clone() }));
    Plan { steps, unresolved: draft.unresolved }
}

fn roles<'a>(wanted: &'a Wanted, present: &'a Present) -> impl Iterator<Item = Step> + 'a {
    wanted.roles.iter().filter_map(|(role, rights)| {
        let (role, rights) = (role.clone(), rights.clone());
        match present.roles.get(&role) {
            None => Some(Step::CreateRole { role, rights }),
            Some(held) if *held != rights => Some(Step::ModifyRole { role, rights }),
            Some(_) => None,
        }
    })
}

/// Steps for clients, by their place in the order.
#[derive(Default)]
struct Draft {
    shut_out: Vec<Step>,
    changes: Vec<Step>,
    let_in: Vec<Step>,
    unresolved: BTreeMap<String, Why>,
}

impl Draft {
    fn client(&mut self, name: &str, client: &Client, held: Option<&Held>, secrets: Secrets<'_>) {
        match held {
            None => self.missing(name, client, secrets),
            Some(held) if held.is_known() => self.there(name, client, held, secrets),
            Some(_) => {
                self.unresolved.insert(name.to_owned(), Why::NotOurs);
            }
        }
    }

    /// A disabled login that a broker does not know is shut out as it is.
    fn missing(&mut self, name: &str, client: &Client, secrets: Secrets<'_>) {
        if !client.enabled && matches!(secrets, Secrets::Plain(_)) {
            return;
        }
        match secrets.key(name, client) {
            Ok(key) => {
                let (role, mark) = (client.role.clone(), mark_of(&client.secret));
                let client_name = name.to_owned();
                self.changes.push(Step::CreateClient { client: client_name, role, key, mark });
                if !client.enabled {
                    self.changes.push(Step::Disable { client: name.to_owned() });
                }
            }
            Err(why) => {
                self.unresolved.insert(name.to_owned(), why);
            }
        }
    }

    fn there(&mut self, name: &str, client: &Client, held: &Held, secrets: Secrets<'_>) {
        let mark = mark_of(&client.secret);
        let in_line = secrets.in_line(client, held, &mark);
        let key = if in_line { None } else { Some(secrets.key(name, client)) };
        let may_enter = client.enabled && !matches!(key, Some(Err(_)));
        match key {
            Some(Ok(key)) => {
                self.changes.push(Step::SetSecret { client: name.to_owned(), key, mark });
            }
            Some(Err(why)) if client.enabled => {
                let why = if why == Why::NoSecret { Why::OldSecret } else { why };
                self.unresolved.insert(name.to_owned(), why);
            }
            _ => {}
        }
        self.roles(name, client, held);
        match (held.enabled, may_enter) {
            (true, false) => self.shut_out.push(Step::Disable { client: name.to_owned() }),
            (false, true) => self.let_in.push(Step::Enable { client: name.to_owned() }),
            _ => {}
        }
    }

    fn roles(&mut self, name: &str, client: &Client, held: &Held) {
        if !held.roles.contains(&client.role) {
            let (client, role) = (name.to_owned(), client.role.clone());
            self.changes.push(Step::AddRole { client, role });
        }
        for role in held.our_roles().filter(|role| **role != client.role) {
            let (client, role) = (name.to_owned(), role.clone());
            self.changes.push(Step::RemoveRole { client, role });
        }
    }
}

impl Secrets<'_> {
    fn key(self, name: &str, client: &Client) -> Result<Key, Why> {
        let Self::Plain(known) = self else { return Ok(Key::Hash(client.secret.clone())) };
        let secret = known.get(name).ok_or(Why::NoSecret)?;
        if client.secret.verify(secret.expose().as_bytes()) {
            Ok(Key::Plain(secret.clone()))
        } else {
            Err(Why::WrongSecret)
        }
    }

    /// Whether the client has the login's secret. A broker hashes a secret under
    /// a salt of its own, so that only the file can be compared in full.
    fn in_line(self, client: &Client, held: &Held, mark: &str) -> bool {
        let marked = held.mark.as_deref() == Some(mark);
        match self {
            Self::Hashes => marked && held.secret.as_ref() == Some(&client.secret),
            Self::Plain(_) => marked,
        }
    }
}

#[cfg(test)]
mod tests;
