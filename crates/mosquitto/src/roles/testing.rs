//! What the tests of this module share: logins, their history, and a broker's
//! file with things that are not ours.

use nemeses_protocol::{DeviceId, Topics};
use nemeses_store::history::{Login, LoginRole, PlainSecret, SecretHash};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::wanted::Wanted;

/// A login with a secret of its own, enabled.
pub(super) fn login(name: &str, role: LoginRole) -> Login {
    login_with_secret(name, role).0
}

/// The same with its secret.
pub(super) fn login_with_secret(name: &str, role: LoginRole) -> (Login, String) {
    let secret = PlainSecret::draw().unwrap();
    let login = Login {
        name: name.to_owned(),
        role,
        enabled: true,
        secret: SecretHash::of(&secret).unwrap(),
        created_at_ms: 0,
        updated_at_ms: 0,
    };
    (login, secret.reveal().to_owned())
}

/// Logins with their secrets.
pub(super) type Logins = Vec<(Login, String)>;

/// What the broker shall hold of these.
pub(super) fn wanted(logins: &Logins) -> Wanted {
    let logins: Vec<Login> = logins.iter().map(|(login, _)| login.clone()).collect();
    Wanted::of(&logins, &Topics::default())
}

/// Some logins of few names; `admin` and `guest` are taken in [`broker`].
fn logins() -> impl Strategy<Value = Logins> {
    let role = prop_oneof![
        (0_u32..4).prop_map(|number| LoginRole::Device(DeviceId::new(number))),
        Just(LoginRole::Gateway),
        Just(LoginRole::Worker),
        Just(LoginRole::Operator),
    ];
    let names = proptest::sample::subsequence(vec!["a", "admin", "b", "c", "d", "guest"], 0..=6);
    names.prop_flat_map(move |names| {
        let each = names.into_iter().map(|name| {
            (role.clone(), any::<bool>()).prop_map(move |(role, enabled)| {
                let (mut login, secret) = login_with_secret(name, role);
                login.enabled = enabled;
                (login, secret)
            })
        });
        each.collect::<Vec<_>>()
    })
}

/// Logins before and after: some new, some gone, some rotated, some only enabled
/// or disabled or of another role.
pub(super) fn before_and_after() -> impl Strategy<Value = (Logins, Logins)> {
    (logins(), logins(), any::<[bool; 6]>()).prop_map(|(before, mut after, kept)| {
        for ((login, secret), kept) in after.iter_mut().zip(kept) {
            let old = before.iter().find(|(old, _)| kept && old.name == login.name);
            if let Some((old, old_secret)) = old {
                login.secret = old.secret.clone();
                secret.clone_from(old_secret);
            }
        }
        (before, after)
    })
}

/// The plugin's file before we came: an administrator, a client without a role,
/// one that was lent a role of ours beside its own, a group.
pub(super) fn broker() -> Value {
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
            { "username": "guest", "clientid": "only-this", "roles": [], "groups": [] },
            {
                "username": "lent",
                "roles": [{ "rolename": "admin" }, { "rolename": "nemeses-operator", "priority": 2 }],
            },
        ],
        "roles": [
            {
                "rolename": "admin",
                "acls": [
                    { "acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": true },
                    { "acltype": "subscribePattern", "topic": "$CONTROL/#", "priority": 5, "allow": true },
                ],
            },
            { "rolename": "nemeses-of-an-old-version", "acls": [] },
        ],
        "groups": [{ "groupname": "people", "roles": [], "clients": [{ "username": "guest" }] }],
        "anonymousGroup": "people",
        "defaultACLAccess": { "publishClientSend": true, "subscribe": true },
    })
}
