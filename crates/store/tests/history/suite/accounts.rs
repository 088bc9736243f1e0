//! Accounts: made once an address, found by it, with a role and with devices.

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::{Access, FirstPlace, MAX_GRANTS, NewUser, Role};

use crate::site::{Product, Site};

const ANA: NewUser<'static> = NewUser {
    email: " Ana@Example.org ",
    name: "Ana ✓",
    password_hash: "$h$",
    role: Role::Viewer,
    first: FirstPlace::Takes,
    disabled: false,
};

pub(crate) async fn accounts_live_their_life(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    let ana = users.add(ANA, 77).await.unwrap();
    assert_eq!(ana.role, Role::Viewer);
    let again = NewUser { email: "ana@EXAMPLE.org", ..ANA };
    assert!(matches!(users.add(again, 78).await, Err(StoreError::Exists(_))));
    let other = users.add(NewUser { email: "b@example.org", ..ANA }, 79).await.unwrap();
    assert_ne!(ana.id, other.id);

    let user = users.by_email("ANA@example.org").await.unwrap().unwrap();
    assert_eq!(
        (user.id, user.email.as_str(), user.name.as_str()),
        (ana.id, "ana@example.org", "Ana ✓")
    );
    assert_eq!((user.password_hash.as_str(), user.created_at_ms), ("$h$", 77));
    assert_eq!(user.role, Role::Viewer);
    assert_eq!(users.by_id(ana.id).await.unwrap(), Some(user));
    assert_eq!(users.by_id(ana.id + 1_000).await.unwrap(), None);
    assert_eq!(users.by_email("nobody@example.org").await.unwrap(), None);
    let listed = |page: Vec<nemeses_store::history::User>| {
        page.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(users.list(0, 10).await.unwrap()), [ana.id, other.id]);
    assert_eq!(listed(users.list(0, 1).await.unwrap()), [ana.id]);
    assert_eq!(listed(users.list(ana.id, 10).await.unwrap()), [other.id]);

    for role in Role::ALL {
        assert!(users.set_role("Ana@example.org", role).await.unwrap());
        assert_eq!(users.by_id(ana.id).await.unwrap().unwrap().role, role);
        assert_eq!(users.access(ana.id).await.unwrap().unwrap().role, role);
    }
    assert!(!users.set_role("nobody@example.org", Role::Admin).await.unwrap());
    assert_eq!(users.access(ana.id + 1_000).await.unwrap(), None);

    assert!(users.set_password(ana.id, "$new$").await.unwrap());
    assert!(!users.set_password(ana.id + 1_000, "$new$").await.unwrap());
    assert_eq!(users.by_id(ana.id).await.unwrap().unwrap().password_hash, "$new$");
    assert_eq!(users.by_id(other.id).await.unwrap().unwrap().password_hash, "$h$");
}

pub(crate) async fn devices_are_granted_and_taken_away(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    let ana = users.add(ANA, 1).await.unwrap().id;
    let bob = users.add(NewUser { email: "b@example.org", ..ANA }, 1).await.unwrap().id;
    let (one, two) = (DeviceId::new(0x0A_3F73), DeviceId::new(5));
    assert!(users.grant(ana, one, 2).await.unwrap());
    assert!(!users.grant(ana, one, 3).await.unwrap());
    assert!(users.grant(ana, two, 3).await.unwrap());
    assert!(users.grant(bob, one, 3).await.unwrap());

    assert_eq!(users.grants(ana).await.unwrap(), [two, one]);
    let access = users.access(ana).await.unwrap().unwrap();
    assert_eq!(access, Access { role: Role::Viewer, devices: vec![two, one], groups: vec![] });
    assert!(users.set_role("ana@example.org", Role::Operator).await.unwrap());
    let access = users.access(ana).await.unwrap().unwrap();
    assert_eq!(access, Access { role: Role::Operator, devices: vec![], groups: vec![] });
    assert_eq!(users.grants(ana).await.unwrap(), [two, one]);

    assert!(users.revoke(ana, one).await.unwrap());
    assert!(!users.revoke(ana, one).await.unwrap());
    assert_eq!(users.grants(ana).await.unwrap(), [two]);
    assert_eq!(users.grants(bob).await.unwrap(), [one]);
}

pub(crate) async fn grants_have_a_bound(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    let ana = users.add(ANA, 1).await.unwrap().id;
    assert_eq!((ana, MAX_GRANTS), (1, 10_000));
    site.run(match site.product {
        Product::MariaDb => "INSERT INTO user_devices SELECT 1, seq, 0 FROM seq_1_to_9999",
        Product::MySql => {
            "SET SESSION cte_max_recursion_depth = 10000; INSERT INTO user_devices \
             WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 9999) \
             SELECT 1, n, 0 FROM seq"
        }
        Product::Sqlite => {
            "WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 9999) \
             INSERT INTO user_devices SELECT 1, n, 0 FROM seq"
        }
    })
    .await;
    assert!(users.grant(ana, DeviceId::new(10_000), 1).await.unwrap());
    let refused = users.grant(ana, DeviceId::new(10_001), 1).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    assert_eq!(users.grants(ana).await.unwrap().len(), 10_000);
}

pub(crate) async fn an_account_may_leave_the_first_place_free(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    assert!(users.offer_setup(&[1; 32], 100).await.unwrap());
    let guest = NewUser { email: "guest@example.org", first: FirstPlace::Leaves, ..ANA };
    assert_eq!(users.add(guest, 1).await.unwrap().role, Role::Viewer);
    assert_eq!(site.number("SELECT COUNT(*) FROM setup_tokens").await, 1);
    let first = NewUser { first: FirstPlace::TakesAsAdmin, ..ANA };
    assert_eq!(users.add(first, 2).await.unwrap().role, Role::Admin);
}

pub(crate) async fn of_accounts_made_at_once_one_is_the_first(site: Site) {
    let site = site.migrated().await;
    let mut making = tokio::task::JoinSet::new();
    for n in 0..8 {
        let instance = site.another().await;
        making.spawn(async move {
            let email = format!("user{n}@example.org");
            let user = NewUser { email: &email, first: FirstPlace::TakesAsAdmin, ..ANA };
            instance.users().add(user, n).await.unwrap().role
        });
    }
    let roles = making.join_all().await;
    assert_eq!(roles.iter().filter(|role| **role == Role::Admin).count(), 1, "{roles:?}");
    // Nobody becomes the first again, not even when all are gone.
    site.run("DELETE FROM users").await;
    let late = NewUser { first: FirstPlace::TakesAsAdmin, ..ANA };
    assert_eq!(site.database.users().add(late, 9).await.unwrap().role, Role::Viewer);
}
