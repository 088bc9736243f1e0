//! Logins: made, found, rotated, disabled, removed.

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::{LoginRole, PlainSecret};

use crate::site::Site;

pub(crate) async fn logins_live_their_life(site: Site) {
    let site = site.migrated().await;
    let logins = site.database.logins();
    let role = LoginRole::Device(DeviceId::new(0x0A_3F73));
    let first = logins.add("0A3F73", role, 1_000).await.unwrap();
    let gateway = logins.add("gate", LoginRole::Gateway, 1_000).await.unwrap();
    logins.add("parser-0", LoginRole::Worker, 1_000).await.unwrap();
    logins.add("ops", LoginRole::Operator, 1_000).await.unwrap();
    assert!(matches!(logins.add("gate", role, 1).await, Err(StoreError::Exists(_))));
    assert!(matches!(logins.add("no way", role, 1).await, Err(StoreError::Refused { .. })));

    let login = logins.find("0A3F73").await.unwrap().unwrap();
    assert_eq!((login.role, login.created_at_ms, login.updated_at_ms), (role, 1_000, 1_000));
    assert!(login.admits(first.reveal().as_bytes()));
    assert!(!login.admits(gateway.reveal().as_bytes()));
    assert_eq!(logins.find("0a3f73").await.unwrap(), None);

    let second = logins.rotate("0A3F73", None, 2_000).await.unwrap().unwrap();
    let rotated = logins.find("0A3F73").await.unwrap().unwrap();
    assert!(!rotated.admits(first.reveal().as_bytes()));
    assert!(rotated.admits(second.reveal().as_bytes()));
    assert_ne!(rotated.secret.salt, login.secret.salt);
    assert_ne!(rotated.revision(), login.revision());
    assert_eq!((rotated.created_at_ms, rotated.updated_at_ms), (1_000, 2_000));

    assert!(logins.set_enabled("0A3F73", false, 3_000).await.unwrap());
    assert!(logins.set_enabled("0A3F73", false, 3_000).await.unwrap());
    let disabled = logins.find("0A3F73").await.unwrap().unwrap();
    assert!(!disabled.admits(second.reveal().as_bytes()));
    assert!(logins.set_enabled("0A3F73", true, 4_000).await.unwrap());
    assert!(logins.find("0A3F73").await.unwrap().unwrap().admits(second.reveal().as_bytes()));

    let names = async |after: Option<&str>, limit| {
        let page = logins.list(after, limit).await.unwrap();
        page.into_iter().map(|login| login.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 10).await, ["0A3F73", "gate", "ops", "parser-0"]);
    assert_eq!(names(Some("gate"), 1).await, ["ops"]);

    let found = async |names: &[&str]| {
        let mut found: Vec<String> =
            logins.find_all(names).await.unwrap().into_iter().map(|login| login.name).collect();
        found.sort();
        found
    };
    assert_eq!(found(&[]).await, [""; 0]);
    assert_eq!(
        found(&["ops", "nobody", "0a3f73", "0A3F73", "gate"]).await,
        ["0A3F73", "gate", "ops"]
    );
    let strangers: Vec<String> = (0..1234).map(|number| format!("x{number}")).collect();
    let many: Vec<&str> = strangers.iter().map(String::as_str).chain(["ops"]).collect();
    assert_eq!(found(&many).await, ["ops"]);
    let before = logins.find("gate").await.unwrap().unwrap();
    assert_eq!(before.revision(), logins.find("gate").await.unwrap().unwrap().revision());

    assert!(logins.remove("gate").await.unwrap());
    assert!(!logins.remove("gate").await.unwrap());
    assert!(!logins.set_enabled("gate", true, 5_000).await.unwrap());
    assert!(logins.rotate("gate", None, 5_000).await.unwrap().is_none());
    logins.add("gate", LoginRole::Gateway, before.created_at_ms).await.unwrap();
    let again = logins.find("gate").await.unwrap().unwrap();
    assert_ne!(again.revision(), before.revision(), "made again, it is another login");
}

pub(crate) async fn a_secret_is_rotated_for_its_role_alone(site: Site) {
    let site = site.migrated().await;
    let logins = site.database.logins();
    let device = |number| LoginRole::Device(DeviceId::new(number));
    // A worker whose name looks like a device's id.
    let worker = logins.add("0A3F73", LoginRole::Worker, 1).await.unwrap();
    let tracker = logins.add("van", device(5), 1).await.unwrap();
    let rotate = async |name: &str, only| logins.rotate(name, Some(only), 2).await.unwrap();
    assert!(rotate("0A3F73", device(0x0A_3F73)).await.is_none());
    assert!(rotate("0A3F73", LoginRole::Gateway).await.is_none());
    assert!(rotate("van", device(6)).await.is_none());
    assert!(rotate("van", LoginRole::Worker).await.is_none());
    let admits = async |name: &str, secret: &PlainSecret| {
        logins.find(name).await.unwrap().unwrap().admits(secret.reveal().as_bytes())
    };
    assert!(admits("0A3F73", &worker).await && admits("van", &tracker).await);
    let new = rotate("0A3F73", LoginRole::Worker).await.unwrap();
    assert!(admits("0A3F73", &new).await && !admits("0A3F73", &worker).await);
    assert!(rotate("van", device(5)).await.is_some());
}
