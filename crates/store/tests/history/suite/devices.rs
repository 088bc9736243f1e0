//! Profiles and groups: kept, changed, deleted, and what they let people see.

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::{
    Access, FirstPlace, KnownDevice, LoginRole, NewUser, Profile, Rhythm, Role,
};

use crate::frames::{BASE, frame, part};
use crate::site::{Product, Site};

const ONE: DeviceId = DeviceId::new(1);
const TWO: DeviceId = DeviceId::new(2);
const TRUCK: DeviceId = DeviceId::new(0x0A_3F73);

fn viewer(email: &str) -> NewUser<'_> {
    NewUser {
        email,
        name: "V",
        password_hash: "$h$",
        role: Role::Viewer,
        first: FirstPlace::Takes,
        disabled: false,
    }
}

pub(crate) async fn profiles_live_their_life(site: Site) {
    let site = site.migrated().await;
    let devices = site.database.devices();
    assert_eq!(devices.find(TRUCK).await.unwrap(), None);
    let plain = Profile::new(TRUCK, 5);
    assert!(devices.put(&plain).await.unwrap());
    assert_eq!(devices.find(TRUCK).await.unwrap(), Some(plain.clone()));
    let whole = Profile {
        name: "Lörry ✓ 7".into(),
        vehicle: "' OR 1=1 --".into(),
        tags: vec!["cold".into(), "north, east".into()],
        live_ttl_s: Some(60),
        motion_kmh: Some(3),
        stop_s: Some(600),
        retention: "long".into(),
        created_at_ms: 99,
        updated_at_ms: 7,
        ..plain
    };
    assert!(!devices.put(&whole).await.unwrap());
    let kept = Profile { created_at_ms: 5, ..whole };
    assert_eq!(devices.find(TRUCK).await.unwrap(), Some(kept));
    assert!(devices.is_registered(TRUCK).await.unwrap());
    assert!(devices.remove(TRUCK).await.unwrap());
    assert!(!devices.remove(TRUCK).await.unwrap());
    assert_eq!(devices.find(TRUCK).await.unwrap(), None);
    assert!(!devices.is_registered(TRUCK).await.unwrap());
}

pub(crate) async fn every_device_with_a_trace_is_known(site: Site) {
    let site = site.migrated().await;
    let devices = site.database.devices();
    assert_eq!(devices.known().await.unwrap(), []);
    let records = vec![frame(7, BASE, 1), frame(7, BASE + 86_400, 2), frame(9, BASE, 3)];
    site.history().commit(&[part("w", 1, records)], "x").await.unwrap();
    let login = LoginRole::Device(TWO);
    site.database.logins().add("000002", login, 1).await.unwrap();
    site.database.logins().add("depot", LoginRole::Gateway, 1).await.unwrap();
    let profile = Profile { name: "Seven".into(), ..Profile::new(DeviceId::new(7), 3) };
    devices.put(&profile).await.unwrap();
    let group = site.database.groups().add("G", 1).await.unwrap();
    site.database.groups().put(group, ONE, 1).await.unwrap();

    let known = |device, has_rows| KnownDevice {
        device: DeviceId::new(device),
        profile: None,
        has_rows,
        rhythm: Rhythm::default(),
    };
    let seven = KnownDevice { profile: Some(profile), ..known(7, true) };
    let expected = [known(1, false), known(2, false), seven, known(9, true)];
    assert_eq!(devices.known().await.unwrap(), expected);
    let [_, two, seven, _] = &expected;
    let named = [7, 2, 10, 7].map(DeviceId::new);
    assert_eq!(devices.known_among(&named).await.unwrap(), [two.clone(), seven.clone()]);
    assert_eq!(devices.known_among(&[]).await.unwrap(), []);
    for (device, registered) in [(1, true), (2, true), (7, true), (9, false), (10, false)] {
        let found = devices.is_registered(DeviceId::new(device)).await.unwrap();
        assert_eq!(found, registered, "{device}");
    }
    let numbers = |devices: Vec<DeviceId>| {
        let mut numbers: Vec<u32> = devices.into_iter().map(DeviceId::number).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(devices.registered().await.unwrap()), [1, 2, 7]);
    assert_eq!(numbers(devices.with_rows().await.unwrap()), [7, 9]);
    // Deleting what is said of a device deletes nothing of what it sent.
    devices.remove(DeviceId::new(7)).await.unwrap();
    assert_eq!(devices.known().await.unwrap()[2], known(7, true));
    assert_eq!(site.number("SELECT COUNT(*) FROM positions").await, 3);
}

pub(crate) async fn groups_live_their_life(site: Site) {
    let site = site.migrated().await;
    let groups = site.database.groups();
    let north = groups.add("North", 5).await.unwrap();
    let east = groups.add("East", 6).await.unwrap();
    assert!(matches!(groups.add("North", 7).await, Err(StoreError::Exists(_))));
    let names = |list: Vec<nemeses_store::history::Group>| {
        list.into_iter().map(|group| (group.name, group.devices)).collect::<Vec<_>>()
    };
    assert_eq!(names(groups.list().await.unwrap()), [("East".into(), 0), ("North".into(), 0)]);

    assert!(groups.put(north, TRUCK, 1).await.unwrap());
    assert!(!groups.put(north, TRUCK, 2).await.unwrap());
    assert!(groups.put(north, ONE, 2).await.unwrap());
    assert!(groups.put(east, ONE, 2).await.unwrap());
    let missing = groups.put(east + 1_000, ONE, 2).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    assert_eq!(groups.devices(north).await.unwrap(), [ONE, TRUCK]);
    let all = groups.memberships().await.unwrap();
    let mut of_one = [north, east];
    of_one.sort_unstable();
    assert_eq!(all, [(ONE, of_one[0]), (ONE, of_one[1]), (TRUCK, north)]);
    assert_eq!(groups.memberships_of(&[TRUCK, TWO]).await.unwrap(), [(TRUCK, north)]);
    let found = groups.find(north).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.devices, found.created_at_ms), ("North", 2, 5));

    assert!(groups.rename(north, "Nord").await.unwrap());
    assert!(groups.rename(north, "Nord").await.unwrap());
    assert!(matches!(groups.rename(north, "East").await, Err(StoreError::Exists(_))));
    assert!(!groups.rename(north + 1_000, "West").await.unwrap());
    assert!(groups.take(north, ONE).await.unwrap());
    assert!(!groups.take(north, ONE).await.unwrap());
    assert!(groups.remove(north).await.unwrap());
    assert!(!groups.remove(north).await.unwrap());
    assert_eq!(groups.find(north).await.unwrap(), None);
    assert_eq!(groups.memberships().await.unwrap(), [(ONE, east)]);
}

pub(crate) async fn a_viewer_sees_granted_devices_and_granted_groups(site: Site) {
    let site = site.migrated().await;
    let (users, groups) = (site.database.users(), site.database.groups());
    let ana = users.add(viewer("a@example.org"), 1).await.unwrap().id;
    let bob = users.add(viewer("b@example.org"), 1).await.unwrap().id;
    let north = groups.add("North", 1).await.unwrap();
    groups.put(north, TWO, 1).await.unwrap();
    groups.put(north, TRUCK, 1).await.unwrap();
    users.grant(ana, ONE, 1).await.unwrap();
    users.grant(ana, TWO, 1).await.unwrap();
    let sees = async |user| users.access(user).await.unwrap().unwrap();
    let access = |devices: &[DeviceId], groups: &[u64]| Access {
        role: Role::Viewer,
        devices: devices.to_vec(),
        groups: groups.to_vec(),
    };
    assert_eq!(sees(ana).await, access(&[ONE, TWO], &[]));

    assert!(groups.grant(ana, north, 2).await.unwrap());
    assert!(!groups.grant(ana, north, 2).await.unwrap());
    for (user, group) in [(ana, north + 1_000), (ana + 1_000, north)] {
        let missing = groups.grant(user, group, 2).await;
        assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    }
    assert_eq!(groups.granted(ana).await.unwrap(), [north]);
    assert_eq!(sees(ana).await, access(&[ONE, TWO, TRUCK], &[north]));
    assert_eq!(users.grants(ana).await.unwrap(), [ONE, TWO]);
    assert_eq!(sees(bob).await, access(&[], &[]));

    // What changes in the group changes for whoever sees it.
    groups.take(north, TRUCK).await.unwrap();
    assert_eq!(sees(ana).await, access(&[ONE, TWO], &[north]));
    groups.put(north, TRUCK, 3).await.unwrap();
    assert!(groups.revoke(ana, north).await.unwrap());
    assert!(!groups.revoke(ana, north).await.unwrap());
    assert_eq!(sees(ana).await, access(&[ONE, TWO], &[]));
    groups.grant(bob, north, 4).await.unwrap();
    assert_eq!(sees(bob).await, access(&[TWO, TRUCK], &[north]));
    groups.remove(north).await.unwrap();
    assert_eq!(sees(bob).await, access(&[], &[]));
    users.set_role("b@example.org", Role::Operator).await.unwrap();
    assert_eq!(sees(bob).await.role, Role::Operator);
}

pub(crate) async fn what_a_viewer_sees_by_groups_has_a_bound(site: Site) {
    let site = site.migrated().await;
    let (users, groups) = (site.database.users(), site.database.groups());
    let ana = users.add(viewer("a@example.org"), 1).await.unwrap().id;
    let group = groups.add("All", 1).await.unwrap();
    assert_eq!((ana, group), (1, 1));
    site.run(match site.product {
        Product::MariaDb => "INSERT INTO group_devices SELECT 1, seq, 0 FROM seq_1_to_9999",
        Product::MySql => {
            "SET SESSION cte_max_recursion_depth = 10000; INSERT INTO group_devices \
             WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 9999) \
             SELECT 1, n, 0 FROM seq"
        }
        Product::Sqlite => {
            "WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 9999) \
             INSERT INTO group_devices SELECT 1, n, 0 FROM seq"
        }
    })
    .await;
    // Seen twice, by itself and by the group, a device counts once.
    users.grant(ana, ONE, 1).await.unwrap();
    groups.grant(ana, group, 1).await.unwrap();
    assert!(groups.put(group, DeviceId::new(10_000), 1).await.unwrap());
    let full = groups.put(group, DeviceId::new(10_001), 1).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    assert_eq!(users.access(ana).await.unwrap().unwrap().devices.len(), 10_000);
    assert_eq!(groups.find(group).await.unwrap().unwrap().devices, 10_000);
}
