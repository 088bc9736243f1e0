//! What the broker holds: read from the plugin's file, or from its answers to
//! list commands. Both spell roles and clients alike. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use nemeses_store::history::SecretHash;
use serde_json::Value;

use super::wanted::{DEFAULT_ACCESS, ROLE_PREFIX, Right, Rights};

/// Begins the text description of a client that we made; the salt of the secret
/// in the identity store follows. The broker never tells a secret's hash, so this
/// is how a rotated secret is noticed. A salt needs no hiding.
const MARK: &str = "nemeses secret ";

/// Where Mosquitto 2.1 keeps a secret, all in one.
pub(super) const ENCODED_SECRET: &str = "encoded_password";

/// The mark of a secret.
pub(super) fn mark_of(secret: &SecretHash) -> String {
    format!("{MARK}{}", secret.salt)
}

/// A client as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// All its roles, others than ours too.
    pub(super) roles: BTreeSet<String>,
    /// Whether it is let in.
    pub(super) enabled: bool,
    /// Our mark, if it bears one.
    pub(super) mark: Option<String>,
    /// The secret's hash, which only the file tells.
    pub(super) secret: Option<SecretHash>,
}

impl Held {
    /// Roles that are ours.
    pub(super) fn our_roles(&self) -> impl Iterator<Item = &String> {
        self.roles.iter().filter(|role| is_ours(role))
    }

    /// Whether the client may be changed: we made it, or it has a role of ours.
    pub(super) fn is_known(&self) -> bool {
        self.mark.is_some() || self.our_roles().next().is_some()
    }

    /// Whether the client may be deleted: we made it, or it has roles of ours and
    /// no others. An administrator who was lent a role of ours stays.
    pub(super) fn is_ours(&self) -> bool {
        let only_ours = !self.roles.is_empty() && self.roles.iter().all(|role| is_ours(role));
        self.mark.is_some() || only_ours
    }
}

/// Whether a role of this name is ours.
pub(super) fn is_ours(role: &str) -> bool {
    role.starts_with(ROLE_PREFIX)
}

/// All that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// Default access by kind.
    pub(super) defaults: BTreeMap<String, bool>,
    /// By name.
    pub(super) roles: BTreeMap<String, Rights>,
    /// By name.
    pub(super) clients: BTreeMap<String, Held>,
}

impl Present {
    /// Reads the plugin's file.
    ///
    /// # Errors
    /// It does not have the plugin's form.
    pub(super) fn of_file(file: &Value) -> anyhow::Result<Self> {
        anyhow::ensure!(file.is_object(), "the file is no JSON object");
        let mut present = Self::default();
        if let Some(defaults) = file.get("defaultACLAccess") {
            let defaults = defaults.as_object().context("defaultACLAccess is no object")?;
            for (kind, allow) in defaults {
                present.default_is(kind, allow);
            }
        }
        present.take_roles(list(file, "roles")?)?;
        present.take_clients(list(file, "clients")?)?;
        Ok(present)
    }

    /// Takes the `data` of an answer to `getDefaultACLAccess`.
    ///
    /// # Errors
    /// It does not have the plugin's form.
    pub(super) fn take_defaults(&mut self, data: &Value) -> anyhow::Result<()> {
        for acl in list(data, "acls")? {
            self.default_is(text(acl, "acltype")?, &acl["allow"]);
        }
        Ok(())
    }

    fn default_is(&mut self, kind: &str, allow: &Value) {
        if DEFAULT_ACCESS.iter().any(|(known, _)| *known == kind) {
            self.defaults.insert(kind.to_owned(), allow.as_bool().unwrap_or(false));
        }
    }

    /// Takes `roles` as the file and `listRoles` have them.
    ///
    /// # Errors
    /// They do not have the plugin's form.
    pub(super) fn take_roles(&mut self, roles: &[Value]) -> anyhow::Result<()> {
        for role in roles {
            let rights = list(role, "acls")?.iter().map(right).collect::<Result<_, _>>()?;
            self.roles.insert(text(role, "rolename")?.to_owned(), rights);
        }
        Ok(())
    }

    /// Takes `clients` as the file and `listClients` have them.
    ///
    /// # Errors
    /// They do not have the plugin's form.
    pub(super) fn take_clients(&mut self, clients: &[Value]) -> anyhow::Result<()> {
        for client in clients {
            let name = text(client, "username")?;
            anyhow::ensure!(
                self.clients.insert(name.to_owned(), held(client)?).is_none(),
                "the client '{name}' is listed twice"
            );
        }
        Ok(())
    }
}

fn held(client: &Value) -> anyhow::Result<Held> {
    let roles = list(client, "roles")?.iter().map(|role| Ok(text(role, "rolename")?.to_owned()));
    let description = client.get("textdescription").and_then(Value::as_str);
    Ok(Held {
        roles: roles.collect::<anyhow::Result<_>>()?,
        enabled: client.get("disabled").and_then(Value::as_bool) != Some(true),
        mark: description.filter(|text| text.starts_with(MARK)).map(ToOwned::to_owned),
        secret: secret(client),
    })
}

/// In Mosquitto 2.1's spelling, which goes first there, or in 2.0's, which 2.1
/// reads too.
fn secret(client: &Value) -> Option<SecretHash> {
    if let Some(encoded) = client.get(ENCODED_SECRET) {
        return encoded_secret(encoded.as_str()?);
    }
    Some(SecretHash {
        salt: text(client, "salt").ok()?.to_owned(),
        hash: text(client, "password").ok()?.to_owned(),
        iterations: u32::try_from(client.get("iterations")?.as_u64()?).ok()?,
    })
}

/// `$7$ITERATIONS$SALT$HASH`: type 7 is PBKDF2-HMAC-SHA512.
fn encoded_secret(text: &str) -> Option<SecretHash> {
    let mut parts = text.strip_prefix("$7$")?.split('$').map(ToOwned::to_owned);
    let (iterations, salt, hash) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    Some(SecretHash { salt, iterations, hash })
}

fn right(acl: &Value) -> anyhow::Result<Right> {
    Ok(Right {
        kind: text(acl, "acltype")?.to_owned(),
        topic: text(acl, "topic")?.to_owned(),
        priority: acl.get("priority").and_then(Value::as_i64).unwrap_or(0),
        allow: acl.get("allow").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// A list; empty when it is missing.
fn list<'a>(holder: &'a Value, key: &str) -> anyhow::Result<&'a [Value]> {
    match holder.get(key) {
        None => Ok(&[]),
        Some(list) => {
            list.as_array().map(Vec::as_slice).with_context(|| format!("{key} is no list"))
        }
    }
}

fn text<'a>(holder: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    holder.get(key).and_then(Value::as_str).with_context(|| format!("{key} is missing"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As `mosquitto_ctrl dynsec init` writes it, and a client of ours.
    fn file() -> Value {
        json!({
            "clients": [
                {
                    "username": "admin",
                    "textName": "Dynsec admin user",
                    "password": "cGFzc3dvcmQ=",
                    "salt": "c2FsdA==",
                    "iterations": 101,
                    "roles": [{ "rolename": "admin" }],
                },
                {
                    "username": "0A3F73",
                    "textdescription": "nemeses secret c2FsdA==",
                    "disabled": true,
                    "roles": [{ "rolename": "nemeses-device-0A3F73", "priority": 3 }],
                    "groups": [],
                },
            ],
            "roles": [{
                "rolename": "admin",
                "acls": [{ "acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": true }],
            }],
            "defaultACLAccess": { "publishClientSend": false, "unsubscribe": true },
        })
    }

    #[test]
    fn a_file_is_read() {
        let present = Present::of_file(&file()).unwrap();
        let admin = &present.clients["admin"];
        assert!(admin.enabled && !admin.is_known() && !admin.is_ours());
        assert_eq!(admin.secret.as_ref().unwrap().iterations, 101);
        let device = &present.clients["0A3F73"];
        assert!(!device.enabled && device.is_known() && device.is_ours());
        assert_eq!(device.mark.as_deref(), Some("nemeses secret c2FsdA=="));
        assert_eq!(present.roles["admin"].len(), 1);
        assert_eq!(present.defaults.len(), 2);
        assert_eq!(Present::of_file(&json!({})).unwrap(), Present::default());
    }

    #[test]
    fn a_secret_is_read_as_2_0_and_as_2_1_spell_it() {
        let (salt, hash) = ("c2FsdA==".to_owned(), "aGFzaA==".to_owned());
        let expected = Some(SecretHash { salt, iterations: 101, hash });
        let old = json!({ "salt": "c2FsdA==", "password": "aGFzaA==", "iterations": 101 });
        assert_eq!(secret(&old), expected);
        let mut new = json!({ "encoded_password": "$7$101$c2FsdA==$aGFzaA==" });
        assert_eq!(secret(&new), expected);
        for other in ["$8$x", "$7$x$c2FsdA==$aGFzaA==", "$7$101$c2FsdA==", ""] {
            new["encoded_password"] = json!(other);
            assert_eq!(secret(&new), None, "{other}");
        }
    }

    #[test]
    fn an_administrator_with_a_role_of_ours_is_not_ours() {
        let roles = |roles: &[&str]| Held {
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Held::default()
        };
        let lent = roles(&["admin", "nemeses-operator"]);
        assert!(lent.is_known() && !lent.is_ours());
        assert!(roles(&["nemeses-operator"]).is_ours());
        assert!(!roles(&[]).is_ours());
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for (wrong, word) in [
            (json!([]), "object"),
            (json!({ "clients": {} }), "clients"),
            (json!({ "clients": [{}] }), "username"),
            (json!({ "roles": [{ "acls": [] }] }), "rolename"),
            (json!({ "clients": [{ "username": "a" }, { "username": "a" }] }), "twice"),
        ] {
            let error = format!("{:#}", Present::of_file(&wrong).unwrap_err());
            assert!(error.contains(word), "{wrong}: {error}");
        }
    }
}
