use nemeses_protocol::DeviceId;
use nemeses_store::history::LoginRole;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::testing::{Logins, before_and_after, broker, login_with_secret, wanted};
use super::super::words::Outcome;
use super::*;

/// As much of the plugin as its commands of ours need, after its source (2.0.11).
struct Plugin(Value);

impl Plugin {
    fn present(&self) -> Present {
        Present::of_file(&self.0).unwrap()
    }

    fn client(&mut self, name: &str) -> Option<&mut Value> {
        entry(&mut self.0["clients"], "username", name)
    }

    fn role(&mut self, name: &str) -> Option<&mut Value> {
        entry(&mut self.0["roles"], "rolename", name)
    }

    fn take(&mut self, command: &Value) -> Result<(), &'static str> {
        let text = |key: &str| command[key].as_str().unwrap_or_default().to_owned();
        let (client, role) = (text("username"), text("rolename"));
        match command["command"].as_str().unwrap() {
            "setDefaultACLAccess" => {
                for acl in command["acls"].as_array().unwrap() {
                    self.0["defaultACLAccess"][acl["acltype"].as_str().unwrap()] =
                        acl["allow"].clone();
                }
            }
            "createRole" if self.role(&role).is_some() => return Err("Role already exists"),
            "createRole" => {
                let made = json!({ "rolename": role, "acls": command["acls"] });
                push(&mut self.0["roles"], made);
            }
            "modifyRole" => {
                self.role(&role).ok_or("Role does not exist")?["acls"] = command["acls"].clone();
            }
            "deleteRole" => {
                self.role(&role).ok_or("Role not found")?;
                drop_entry(&mut self.0["roles"], "rolename", &role);
                for client in self.0["clients"].as_array_mut().unwrap() {
                    drop_entry(&mut client["roles"], "rolename", &role);
                }
            }
            "createClient" if self.client(&client).is_some() => {
                return Err("Client already exists");
            }
            "createClient" => {
                for role in command["roles"].as_array().unwrap() {
                    self.role(role["rolename"].as_str().unwrap()).ok_or("Role not found")?;
                }
                let mut made = command.clone();
                made["plain"] = made["password"].take();
                push(&mut self.0["clients"], made);
            }
            "modifyClient" => {
                let held = self.client(&client).ok_or("Client not found")?;
                held["plain"] = command["password"].clone();
                held["textdescription"] = command["textdescription"].clone();
            }
            "deleteClient" => {
                self.client(&client).ok_or("Client not found")?;
                drop_entry(&mut self.0["clients"], "username", &client);
            }
            "enableClient" => {
                self.client(&client).ok_or("Client not found")?["disabled"] = json!(false);
            }
            "disableClient" => {
                self.client(&client).ok_or("Client not found")?["disabled"] = json!(true);
            }
            "addClientRole" => {
                self.role(&role).ok_or("Role not found")?;
                let held = self.client(&client).ok_or("Client not found")?;
                push(&mut held["roles"], json!({ "rolename": role }));
            }
            "removeClientRole" => {
                self.role(&role).ok_or("Role not found")?;
                let held = self.client(&client).ok_or("Client not found")?;
                drop_entry(&mut held["roles"], "rolename", &role);
            }
            _ => return Err("Unknown command"),
        }
        Ok(())
    }

    fn bring_into_line(&mut self, wanted: &Wanted, known: &BTreeMap<String, Secret>) -> Plan {
        let plan = plan(wanted, &self.present(), Secrets::Plain(known));
        for step in &plan.steps {
            let command = step.command().unwrap();
            assert_eq!(self.take(&command), Ok(()), "{command}");
        }
        plan
    }
}

fn entry<'a>(list: &'a mut Value, key: &str, name: &str) -> Option<&'a mut Value> {
    list.as_array_mut().unwrap().iter_mut().find(|entry| entry[key] == name)
}

fn push(list: &mut Value, entry: Value) {
    list.as_array_mut().unwrap().push(entry);
}

fn drop_entry(list: &mut Value, key: &str, name: &str) {
    list.as_array_mut().unwrap().retain(|entry| entry[key] != name);
}

fn secrets_of(logins: &Logins) -> BTreeMap<String, Secret> {
    let pair = |(login, secret): &(_, String)| {
        let login: &nemeses_store::history::Login = login;
        (login.name.clone(), Secret::new(secret.as_str()))
    };
    logins.iter().map(pair).collect()
}

/// Nobody gets in as another than the identity store says.
fn check(plugin: &mut Plugin, logins: &Logins, plan: &Plan) {
    let wanted = wanted(logins);
    for (login, secret) in logins {
        let why = plan.unresolved.get(&login.name);
        let held = plugin.client(&login.name).map(|held| held.clone());
        let open = held.as_ref().is_some_and(|held| held["disabled"] != true);
        match why {
            Some(Why::NotOurs) => assert!(["admin", "guest"].contains(&&*login.name)),
            Some(_) => assert!(login.enabled && !open, "{}: {why:?}", login.name),
            None => {
                assert_eq!(open, login.enabled, "{}", login.name);
                let Some(held) = held.filter(|_| open) else { continue };
                assert_eq!(held["plain"], secret.as_str());
                let roles = &held["roles"];
                assert_eq!(roles.as_array().unwrap().len(), 1, "{roles}");
                assert_eq!(roles[0]["rolename"], wanted.clients[&login.name].role);
            }
        }
    }
    let present = plugin.present();
    let expected = Present::of_file(&broker()).unwrap();
    for name in ["admin", "guest"] {
        assert_eq!(present.clients[name], expected.clients[name]);
    }
    assert!(present.clients["lent"].roles.contains("admin"));
    assert_eq!(present.roles["admin"], expected.roles["admin"]);
    let ours = present.roles.keys().filter(|role| is_ours(role));
    assert!(ours.eq(wanted.roles.keys()));
    let strangers = ["admin", "guest", "lent"];
    let known = |name: &String| strangers.contains(&&**name) || wanted.clients.contains_key(name);
    assert!(present.clients.keys().all(known), "{:?}", present.clients.keys());
}

proptest! {
    #[test]
    fn a_broker_is_in_line_after_one_go(
        (before, after) in before_and_after(),
        forgotten in any::<[bool; 6]>(),
    ) {
        let mut plugin = Plugin(broker());
        let plan = plugin.bring_into_line(&wanted(&before), &secrets_of(&before));
        check(&mut plugin, &before, &plan);

        // The clear secrets of some are lost, or another is given.
        let mut known = secrets_of(&after);
        for ((login, _), forgotten) in after.iter().zip(forgotten) {
            if forgotten {
                known.remove(&login.name);
            } else if login.name == "b" {
                known.insert(login.name.clone(), Secret::new("mistyped"));
            }
        }
        let done = plugin.bring_into_line(&wanted(&after), &known);
        check(&mut plugin, &after, &done);

        // Again changes nothing; with all secrets nothing is left but what is not ours.
        let again = plan_for(&plugin, &after, &known);
        prop_assert_eq!(&again.steps, &[]);
        prop_assert_eq!(&again.unresolved, &done.unresolved);
        let all = plugin.bring_into_line(&wanted(&after), &secrets_of(&after));
        check(&mut plugin, &after, &all);
        prop_assert!(all.unresolved.values().all(|why| *why == Why::NotOurs));
    }
}

fn plan_for(plugin: &Plugin, logins: &Logins, known: &BTreeMap<String, Secret>) -> Plan {
    plan(&wanted(logins), &plugin.present(), Secrets::Plain(known))
}

fn told(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| {
            let (what, whom) = step.words();
            format!("{what} {whom}")
        })
        .collect()
}

/// One device with its secret, and a broker that holds just that.
fn in_line() -> (Plugin, Logins) {
    let role = LoginRole::Device(DeviceId::new(0x0A_3F73));
    let logins = vec![login_with_secret("0A3F73", role)];
    let mut plugin = Plugin(broker());
    plugin.bring_into_line(&wanted(&logins), &secrets_of(&logins));
    (plugin, logins)
}

#[test]
fn doors_are_closed_before_others_are_opened() {
    let role = LoginRole::Device(DeviceId::new(0x0A_3F73));
    let logins = vec![login_with_secret("0A3F73", role)];
    let plugin = Plugin(broker());
    assert_eq!(
        told(&plan_for(&plugin, &logins, &secrets_of(&logins))),
        [
            "deny by default publish, subscribe",
            "create role nemeses-device-0A3F73",
            "create role nemeses-gateway",
            "create role nemeses-operator",
            "create role nemeses-worker",
            "create client 0A3F73",
            "delete role nemeses-of-an-old-version",
        ]
    );
}

#[test]
fn what_each_change_of_a_login_leads_to() {
    type Change = fn(&mut Logins);
    let nothing = BTreeMap::new();
    let cases: [(&str, Change, &[&str], Option<Why>); 6] = [
        ("nothing", |_| {}, &[], None),
        ("disabled", |all| all[0].0.enabled = false, &["disable client 0A3F73"], None),
        (
            "removed",
            |all| all.clear(),
            &["delete client 0A3F73", "delete role nemeses-device-0A3F73"],
            None,
        ),
        (
            "rotated",
            |all| all[0] = login_with_secret("0A3F73", all[0].0.role),
            &["disable client 0A3F73"],
            Some(Why::OldSecret),
        ),
        (
            "of another role",
            |all| all[0].0.role = LoginRole::Gateway,
            &["give role to 0A3F73", "take role from 0A3F73", "delete role nemeses-device-0A3F73"],
            None,
        ),
        (
            "another login with the name of a stranger",
            |all| all.push(login_with_secret("guest", LoginRole::Worker)),
            &[],
            Some(Why::NotOurs),
        ),
    ];
    for (name, change, steps, why) in cases {
        let (plugin, mut logins) = in_line();
        change(&mut logins);
        let plan = plan_for(&plugin, &logins, &nothing);
        assert_eq!(told(&plan), steps, "{name}");
        assert_eq!(plan.unresolved.values().next().copied(), why, "{name}");
    }
}

#[test]
fn a_rotated_login_comes_back_with_its_new_secret() {
    let (mut plugin, mut logins) = in_line();
    logins[0] = login_with_secret("0A3F73", logins[0].0.role);
    plugin.bring_into_line(&wanted(&logins), &BTreeMap::new());
    let wrong = BTreeMap::from([("0A3F73".to_owned(), Secret::new("guessed"))]);
    let plan = plan_for(&plugin, &logins, &wrong);
    assert_eq!((plan.steps.len(), plan.unresolved["0A3F73"]), (0, Why::WrongSecret));
    let plan = plugin.bring_into_line(&wanted(&logins), &secrets_of(&logins));
    assert_eq!(told(&plan), ["set secret of 0A3F73", "enable client 0A3F73"]);
}

#[test]
fn rights_that_someone_changed_are_put_right() {
    let (mut plugin, logins) = in_line();
    let rights = &mut plugin.role("nemeses-worker").unwrap()["acls"];
    push(rights, json!({ "acltype": "subscribePattern", "topic": "#", "allow": true }));
    plugin.0["defaultACLAccess"]["subscribe"] = json!(true);
    let plan = plugin.bring_into_line(&wanted(&logins), &BTreeMap::new());
    assert_eq!(told(&plan), ["deny by default publish, subscribe", "change role nemeses-worker"]);
    assert_eq!(plan_for(&plugin, &logins, &BTreeMap::new()), Plan::default());
}

#[test]
fn neither_a_plan_nor_its_outcome_shows_a_secret() {
    let logins = vec![login_with_secret("p", LoginRole::Worker)];
    let plan = plan_for(&Plugin(broker()), &logins, &secrets_of(&logins));
    let outcome = Outcome::from(&plan);
    for text in [format!("{outcome:?}"), format!("{plan:?}")] {
        assert!(!text.contains(&logins[0].1), "{text}");
    }
    assert!(outcome.changes.iter().any(|change| change.what == "create client"), "{outcome:?}");
}
