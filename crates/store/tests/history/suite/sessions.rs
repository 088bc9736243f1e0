//! Sessions, what people hand out, and the set-up token.

use nemeses_protocol::DeviceId;
use nemeses_store::StoreError;
use nemeses_store::history::{
    FirstPlace, MAX_TOKENS, NO_HISTORY, NewSession, NewToken, NewUser, Previous, Role, Rotation,
    Scope, Scopes, TokenKind,
};

use crate::site::Site;

const NEW: NewSession<'static> = NewSession {
    user_id: 7,
    family: &[1; 32],
    current: &[2; 32],
    expires_at_ms: 1000,
    user_agent: "A browser ✓",
};

pub(crate) async fn sessions_live_their_life(site: Site) {
    let site = site.migrated().await;
    let sessions = site.database.sessions();
    let id = sessions.begin(NEW, 10).await.unwrap();
    let other = sessions.begin(NewSession { family: &[3; 32], ..NEW }, 11).await.unwrap();
    let found = sessions.by_family(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((found.id, found.user_id, found.current), (id, 7, [2; 32]));
    assert!(found.previous.is_none());
    assert_eq!((found.created_at_ms, found.used_at_ms, found.expires_at_ms), (10, 10, 1000));
    assert_eq!(found.user_agent, "A browser ✓");
    assert_eq!(sessions.by_family(&[9; 32]).await.unwrap(), None);

    let rotation =
        Rotation { from: &[2; 32], to: &[4; 32], nonce: &[0xFF; 32], expires_at_ms: 2000 };
    assert!(sessions.rotate(id, rotation, 20).await.unwrap());
    assert!(!sessions.rotate(id, rotation, 21).await.unwrap(), "it is not the good one any more");
    let found = sessions.by_family(&[1; 32]).await.unwrap().unwrap();
    let previous = Previous { digest: [2; 32], nonce: [0xFF; 32] };
    assert!(found.current == [4; 32] && found.previous == Some(previous));
    assert_eq!((found.created_at_ms, found.used_at_ms, found.expires_at_ms), (10, 20, 2000));

    assert!(sessions.goes_on(id, 7, 1999).await.unwrap());
    assert!(!sessions.goes_on(id, 7, 2000).await.unwrap());
    assert!(!sessions.goes_on(id, 8, 20).await.unwrap());
    let ids = async |now_ms| {
        let of_user = sessions.of_user(7, now_ms).await.unwrap();
        of_user.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(20).await, [id, other]);
    assert_eq!(ids(1000).await, [id]);
    assert!(!sessions.end(id, 8).await.unwrap());
    assert!(sessions.end(id, 7).await.unwrap());
    assert!(!sessions.end(id, 7).await.unwrap());
    assert!(!sessions.goes_on(id, 7, 20).await.unwrap());

    let third = sessions.begin(NewSession { family: &[5; 32], ..NEW }, 30).await.unwrap();
    assert!(third > other, "numbers are not given again");
    sessions.end_others(7, Some(third)).await.unwrap();
    assert_eq!(ids(31).await, [third]);
    sessions.end_others(7, None).await.unwrap();
    assert_eq!(ids(31).await, [0; 0]);
}

pub(crate) async fn a_person_has_so_many_sessions(site: Site) {
    let site = site.migrated().await;
    let sessions = site.database.sessions();
    let expired = NewSession { family: &[0xEE; 32], expires_at_ms: 50, ..NEW };
    sessions.begin(expired, 1).await.unwrap();
    let strangers = NewSession { user_id: 8, family: &[0xEF; 32], ..NEW };
    sessions.begin(strangers, 1).await.unwrap();
    for n in 0..103_u8 {
        let family = [n; 32];
        sessions.begin(NewSession { family: &family, ..NEW }, 100 + u64::from(n)).await.unwrap();
    }
    assert_eq!(site.number("SELECT COUNT(*) FROM sessions WHERE user_id = 7").await, 100);
    assert!(sessions.by_family(&[2; 32]).await.unwrap().is_none(), "unused for longest");
    assert!(sessions.by_family(&[3; 32]).await.unwrap().is_some());
    assert_eq!(sessions.of_user(8, 1).await.unwrap().len(), 1);
}

pub(crate) async fn of_rotations_at_once_one_counts(site: Site) {
    let site = site.migrated().await;
    let id = site.database.sessions().begin(NEW, 10).await.unwrap();
    let mut rotating = tokio::task::JoinSet::new();
    for n in 0..8_u8 {
        let instance = site.another().await;
        rotating.spawn(async move {
            let (to, nonce) = ([100 + n; 32], [n; 32]);
            let rotation = Rotation { from: &[2; 32], to: &to, nonce: &nonce, expires_at_ms: 2000 };
            instance.sessions().rotate(id, rotation, 20).await.unwrap()
        });
    }
    let rotated = rotating.join_all().await;
    assert_eq!(rotated.iter().filter(|rotated| **rotated).count(), 1, "{rotated:?}");
}

pub(crate) async fn tokens_and_links_live_their_life(site: Site) {
    let site = site.migrated().await;
    let tokens = site.database.tokens();
    let devices = [DeviceId::new(5), DeviceId::new(0x0A_3F73)];
    let new = NewToken {
        user_id: 7,
        kind: TokenKind::Token,
        name: "plotter ✓",
        devices: &devices,
        scopes: [Scope::Read, Scope::Command].into_iter().collect(),
        history_from: 0,
        secret: None,
        expires_at_ms: 1000,
    };
    let id = tokens.add(new, 10).await.unwrap();
    let another = tokens.add(new, 11).await.unwrap();
    let link = NewToken {
        kind: TokenKind::Share,
        scopes: Scopes::LOOK,
        history_from: NO_HISTORY,
        secret: Some(&[9; 32]),
        expires_at_ms: 2000,
        ..new
    };
    let link = tokens.add(link, 12).await.unwrap();
    let kept = tokens.get(id, 999).await.unwrap().unwrap();
    assert_eq!((kept.user_id, kept.kind, kept.name.as_str()), (7, TokenKind::Token, "plotter ✓"));
    assert_eq!((kept.devices.as_slice(), kept.scopes), (devices.as_slice(), new.scopes));
    assert_eq!((kept.history_from, kept.created_at_ms, kept.expires_at_ms), (0, 10, 1000));
    assert_eq!(tokens.get(id, 1000).await.unwrap(), None);
    let found = tokens.by_secret(&[9; 32], 1999).await.unwrap().unwrap();
    assert_eq!((found.id, found.kind, found.scopes), (link, TokenKind::Share, Scopes::LOOK));
    assert_eq!(found.history_from, NO_HISTORY);
    assert_eq!(tokens.by_secret(&[9; 32], 2000).await.unwrap(), None);
    assert_eq!(tokens.by_secret(&[8; 32], 20).await.unwrap(), None);
    let ids = async |user_id, kind| {
        let of_user = tokens.of_user(user_id, kind, 20).await.unwrap();
        of_user.into_iter().map(|token| token.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(7, TokenKind::Token).await, [another, id]);
    assert_eq!(ids(7, TokenKind::Share).await, [link]);
    assert_eq!(ids(8, TokenKind::Token).await, [0; 0]);
    assert!(!tokens.revoke(id, 8, TokenKind::Token).await.unwrap());
    assert!(!tokens.revoke(id, 7, TokenKind::Share).await.unwrap());
    assert!(tokens.revoke(id, 7, TokenKind::Token).await.unwrap());
    assert!(!tokens.revoke(id, 7, TokenKind::Token).await.unwrap());
    assert_eq!(tokens.get(id, 20).await.unwrap(), None);

    let many: Vec<DeviceId> = (0..100).map(|n| DeviceId::new(0xFF_FF00 + n)).collect();
    let many = NewToken { devices: &many, name: &"ü".repeat(100), expires_at_ms: 9000, ..new };
    let id = tokens.add(many, 5000).await.unwrap();
    assert_eq!(tokens.get(id, 5000).await.unwrap().unwrap().devices, many.devices);
    assert_eq!(site.number("SELECT COUNT(*) FROM scoped_tokens").await, 1, "the rest expired");
}

pub(crate) async fn of_tokens_made_at_once_no_more_than_the_bound_are_made(site: Site) {
    let site = site.migrated().await;
    let user_id = site.database.users().add(FIRST, 1).await.unwrap().id;
    let instances = [site.another().await, site.another().await];
    let tokens = instances.each_ref().map(nemeses_store::history::Database::tokens);
    let new = NewToken {
        user_id,
        kind: TokenKind::Share,
        name: "n",
        devices: &[DeviceId::new(1)],
        scopes: Scopes::LOOK,
        history_from: 0,
        secret: None,
        expires_at_ms: u64::from(u32::MAX),
    };
    for _ in 0..MAX_TOKENS - 2 {
        tokens[0].add(new, 1).await.unwrap();
    }
    let at_once = (0..12).map(|turn| tokens[turn % 2].add(new, 2));
    let made = futures_util::future::join_all(at_once).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 2, "{made:?}");
    let full = |made: &Result<u64, StoreError>| matches!(made, Err(StoreError::Full(_)));
    assert_eq!(made.iter().filter(|made| full(made)).count(), 10, "{made:?}");
    // The other kind, and other people, have room of their own.
    tokens[0].add(NewToken { kind: TokenKind::Token, ..new }, 3).await.unwrap();
    tokens[0].add(NewToken { user_id: user_id + 1, ..new }, 3).await.unwrap();

    tokens[0].revoke_all(user_id).await.unwrap();
    for kind in [TokenKind::Token, TokenKind::Share] {
        assert_eq!(tokens[1].of_user(user_id, kind, 4).await.unwrap(), []);
    }
    assert_eq!(tokens[1].of_user(user_id + 1, TokenKind::Share, 4).await.unwrap().len(), 1);
}

const FIRST: NewUser<'static> = NewUser {
    email: "a@b.c",
    name: "A",
    password_hash: "$h$",
    role: Role::Admin,
    first: FirstPlace::Takes,
    disabled: false,
};

pub(crate) async fn a_set_up_token_makes_the_first_account_only(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    assert!(users.offer_setup(&[1; 32], 100).await.unwrap());
    assert!(users.offer_setup(&[2; 32], 200).await.unwrap(), "another instance starts");
    assert_eq!(users.add_first(FIRST, &[3; 32], 0, 300).await.unwrap(), None, "made up");
    assert_eq!(users.add_first(FIRST, &[1; 32], 150, 300).await.unwrap(), None, "too old");
    let first = users.add_first(FIRST, &[1; 32], 100, 300).await.unwrap().unwrap();
    assert_eq!(first.role, Role::Admin);
    assert_eq!(users.by_email("a@b.c").await.unwrap().unwrap().id, first.id);
    let second = NewUser { email: "b@b.c", ..FIRST };
    assert_eq!(users.add_first(second, &[2; 32], 0, 300).await.unwrap(), None, "not first");
    assert!(!users.offer_setup(&[4; 32], 400).await.unwrap());
    assert_eq!(site.number("SELECT COUNT(*) FROM setup_tokens").await, 0);
}

pub(crate) async fn any_first_account_ends_the_set_up_tokens(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    assert!(users.offer_setup(&[1; 32], 100).await.unwrap());
    users.add(NewUser { role: Role::Viewer, ..FIRST }, 200).await.unwrap();
    let late = NewUser { email: "b@b.c", ..FIRST };
    assert_eq!(users.add_first(late, &[1; 32], 0, 300).await.unwrap(), None);
    assert_eq!(users.list(0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_disabled_account_may_nothing(site: Site) {
    let site = site.migrated().await;
    let users = site.database.users();
    let id = users.add(FIRST, 1).await.unwrap().id;
    assert!(!users.by_id(id).await.unwrap().unwrap().disabled);
    assert!(users.set_disabled(id, true).await.unwrap());
    assert!(users.by_id(id).await.unwrap().unwrap().disabled);
    assert_eq!(users.access(id).await.unwrap(), None);
    assert!(users.set_disabled(id, false).await.unwrap());
    assert_eq!(users.access(id).await.unwrap().unwrap().role, Role::Admin);
    assert!(!users.set_disabled(id + 1000, true).await.unwrap());
}
