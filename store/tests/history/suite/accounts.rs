//! Accounts: made once an address, found by it.

use nemeses_store::StoreError;
use nemeses_store::history::NewUser;

use crate::site::Site;

pub(crate) async fn accounts_live_their_life(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    let ana =
        NewUser { email: " Ana@Example.org ", name: "Ana ✓", password_hash: "$h$", admin: false };
    let id = users.add(ana, 77).await.unwrap();
    let again = NewUser { email: "ana@EXAMPLE.org", ..ana };
    assert!(matches!(users.add(again, 78).await, Err(StoreError::Exists(_))));
    let other = users.add(NewUser { email: "b@example.org", ..ana }, 79).await.unwrap();
    assert_ne!(id, other);

    let user = users.by_email("ANA@example.org").await.unwrap().unwrap();
    assert_eq!(
        (user.id, user.email.as_str(), user.name.as_str()),
        (id, "ana@example.org", "Ana ✓")
    );
    assert_eq!((user.password_hash.as_str(), user.created_at_ms, user.admin), ("$h$", 77, false));
    assert_eq!(users.by_id(id).await.unwrap(), Some(user));
    assert_eq!(users.by_id(id + 1_000).await.unwrap(), None);
    assert_eq!(users.by_email("nobody@example.org").await.unwrap(), None);

    assert!(users.set_admin("Ana@example.org", true).await.unwrap());
    assert!(users.by_id(id).await.unwrap().unwrap().admin);
    assert!(!users.set_admin("nobody@example.org", true).await.unwrap());
}
