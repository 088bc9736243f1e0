use nemeses_store::history::{LoginRole, SecretHash};
use proptest::prelude::*;

use super::super::plan::{Plan, Secrets, Why, plan};
use super::super::present::Present;
use super::super::testing::{Logins, before_and_after, broker, login_with_secret, wanted};
use super::*;

fn bring_into_line(file: &mut Value, logins: &Logins) -> Plan {
    let present = Present::of_file(file).unwrap();
    let plan = plan(&wanted(logins), &present, Secrets::Hashes);
    carry_out(file, &plan.steps);
    plan
}

fn client<'a>(file: &'a Value, name: &str) -> Option<&'a Value> {
    file["clients"].as_array().unwrap().iter().find(|client| client["username"] == name)
}

fn role<'a>(file: &'a Value, name: &str) -> Option<&'a Value> {
    file["roles"].as_array().unwrap().iter().find(|role| role["rolename"] == name)
}

fn check(file: &Value, logins: &Logins, plan: &Plan) {
    let before = broker();
    for name in ["admin", "guest"] {
        assert_eq!(client(file, name), client(&before, name));
    }
    assert_eq!(role(file, "admin"), role(&before, "admin"));
    assert_eq!(role(file, "nemeses-of-an-old-version"), None);
    for kept in ["groups", "anonymousGroup"] {
        assert_eq!(file[kept], before[kept]);
    }
    for (login, secret) in logins {
        if ["admin", "guest"].contains(&&*login.name) {
            assert_eq!(plan.unresolved[&login.name], Why::NotOurs);
            continue;
        }
        let held = client(file, &login.name).unwrap();
        assert_eq!(held["disabled"] == true, !login.enabled);
        assert_eq!(held["salt"], login.secret.salt.as_str());
        assert_eq!(held["password"], login.secret.hash.as_str());
        assert_eq!(held["iterations"], login.secret.iterations);
        assert!(!held.to_string().contains(secret));
        let role = role(file, held["roles"][0]["rolename"].as_str().unwrap()).unwrap();
        assert_eq!(held["roles"].as_array().unwrap().len(), 1);
        assert!(!role["acls"].as_array().unwrap().is_empty());
    }
    let strangers = if client(file, "lent").is_some() { 3 } else { 2 };
    let ours = logins.len() - plan.unresolved.len();
    assert_eq!(file["clients"].as_array().unwrap().len(), strangers + ours);
}

proptest! {
    #[test]
    fn a_file_is_in_line_after_one_go_and_keeps_what_is_not_ours(
        (before, after) in before_and_after()
    ) {
        let mut file = broker();
        for logins in [&before, &after] {
            let plan = bring_into_line(&mut file, logins);
            check(&file, logins, &plan);
            prop_assert_eq!(&bring_into_line(&mut file.clone(), logins).steps, &[]);
        }
    }
}

#[test]
fn a_client_lent_a_role_of_ours_keeps_what_it_has() {
    let mut file = broker();
    bring_into_line(&mut file, &Vec::new());
    assert_eq!(client(&file, "lent"), client(&broker(), "lent"));
}

/// Mosquitto 2.1 reads our spelling of a secret and writes its own, which goes first.
#[test]
fn a_secret_in_the_spelling_of_2_1_is_known_and_replaced() {
    let role = LoginRole::Worker;
    let mut logins = vec![login_with_secret("w", role)];
    let mut file = broker();
    bring_into_line(&mut file, &logins);
    let made = file["clients"].as_array_mut().unwrap().last_mut().unwrap();
    let made = made.as_object_mut().unwrap();
    let SecretHash { salt, iterations, hash } = &logins[0].0.secret;
    for key in ["salt", "password", "iterations"] {
        made.remove(key).unwrap();
    }
    made.insert("encoded_password".to_owned(), json!(format!("$7${iterations}${salt}${hash}")));
    assert_eq!(bring_into_line(&mut file, &logins).steps, []);

    logins[0] = login_with_secret("w", role);
    bring_into_line(&mut file, &logins);
    let held = client(&file, "w").unwrap();
    assert_eq!(held.get("encoded_password"), None);
    assert_eq!(held["password"], logins[0].0.secret.hash.as_str());
}

#[test]
fn a_file_is_made_and_replaced_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dynamic-security.json");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(read(&path).unwrap(), json!({}));
    fs::write(&path, "\n").unwrap();
    assert_eq!(read(&path).unwrap(), json!({}));
    fs::remove_file(&path).unwrap();

    replace(&path, &broker()).unwrap();
    assert_eq!((read(&path).unwrap(), mode(&path)), (broker(), 0o600));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    close_to_others(&path).unwrap();
    assert_eq!(mode(&path), 0o600);

    // Through a link; the link stays.
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    replace(&link, &json!({})).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!((read(&path).unwrap(), mode(&path)), (json!({}), 0o600));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dynamic-security.json");
    fs::write(&path, "{").unwrap();
    let error = format!("{:#}", read(&path).unwrap_err());
    assert!(error.contains("dynamic-security.json cannot be understood"), "{error}");
    let nowhere = folder.path().join("no").join("such.json");
    let error = format!("{:#}", replace(&nowhere, &json!({})).unwrap_err());
    assert!(error.contains("such.json cannot be written"), "{error}");
}
