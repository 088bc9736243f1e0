//! Decisions on access, by the whole table and one by one.

use super::Because::{Hidden, NotSignedIn, Role as ByRole, Scope as ByScope};
use super::Decision::{Allow, Deny};
use super::*;

const GRANTED: DeviceId = DeviceId::new(0x0A_3F73);
const OTHER: DeviceId = DeviceId::new(0x0A_3F74);

fn access(role: Role, devices: &[DeviceId]) -> Access {
    Access { role, devices: devices.to_vec(), groups: vec![] }
}

fn user(role: Role, devices: &[DeviceId]) -> Principal {
    Principal::User(Arc::new(SignedIn::by_session(7, 1, access(role, devices))))
}

fn token(kind: TokenKind, scopes: &[Scope], maker: Access) -> Principal {
    let token = ScopedToken {
        id: 3,
        user_id: 7,
        kind,
        name: "n".into(),
        devices: vec![GRANTED],
        scopes: scopes.iter().copied().collect(),
        history_from: 0,
        created_at_ms: 0,
        expires_at_ms: 1,
    };
    Principal::User(Arc::new(SignedIn::by_token(token, maker)))
}

fn in_group(principal: Principal) -> Principal {
    let Principal::User(access) = principal else { panic!("nobody") };
    Principal::User(Arc::new(SignedIn { groups: vec![5, 7], ..(*access).clone() }))
}

#[test]
fn the_whole_table() {
    let principals = [
        Principal::Anyone,
        user(Role::Viewer, &[]),
        in_group(user(Role::Viewer, &[DeviceId::new(1), GRANTED, DeviceId::new(0xFF_FFFF)])),
        user(Role::Operator, &[]),
        user(Role::Admin, &[]),
    ];
    let anyone = Deny(NotSignedIn);
    let role = Deny(ByRole);
    let table = [
        (Right::Open, [Allow, Allow, Allow, Allow, Allow]),
        (Right::SignedIn, [anyone, Allow, Allow, Allow, Allow]),
        (Right::Devices, [anyone, Allow, Allow, Allow, Allow]),
        (Right::List, [anyone, Allow, Allow, Allow, Allow]),
        (Right::History, [anyone, Allow, Allow, Allow, Allow]),
        (Right::Groups, [anyone, Allow, Allow, Allow, Allow]),
        (Right::Stream, [anyone, Allow, Allow, Allow, Allow]),
        (Right::See(GRANTED), [anyone, Deny(Hidden), Allow, Allow, Allow]),
        (Right::See(OTHER), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
        (Right::SeeGroup(7), [anyone, Deny(Hidden), Allow, Allow, Allow]),
        (Right::SeeGroup(8), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
        (Right::Manage, [anyone, role, role, Allow, Allow]),
        (Right::Commands, [anyone, role, role, Allow, Allow]),
        // Viewers never learn whether there is a device.
        (Right::Command(GRANTED), [anyone, role, role, Allow, Allow]),
        (Right::Command(OTHER), [anyone, role, role, Allow, Allow]),
        (Right::Send, [anyone, role, role, Allow, Allow]),
        (Right::Books, [anyone, role, role, role, Allow]),
        (Right::System, [anyone, role, role, role, Allow]),
        (Right::People, [anyone, role, role, role, Allow]),
        (Right::Stream, [anyone, Allow, Allow, Allow, Allow]),
        (Right::Own, [anyone, Allow, Allow, Allow, Allow]),
        (Right::Alarms, [anyone, Allow, Allow, Allow, Allow]),
        (Right::AlarmChanges, [anyone, Allow, Allow, Allow, Allow]),
        (Right::Rules, [anyone, Allow, Allow, Allow, Allow]),
        (Right::RuleChanges, [anyone, Allow, Allow, Allow, Allow]),
        (Right::SeeRule(None), [anyone, Allow, Allow, Allow, Allow]),
        (Right::SeeRule(Some(7)), [anyone, Allow, Allow, Allow, Allow]),
        (Right::SeeRule(Some(8)), [anyone, Deny(Hidden), Deny(Hidden), Deny(Hidden), Allow]),
        (Right::ChangeRule(None), [anyone, role, role, Allow, Allow]),
        (Right::ChangeRule(Some(7)), [anyone, Allow, Allow, Allow, Allow]),
        (Right::ChangeRule(Some(8)), [anyone, Deny(Hidden), Deny(Hidden), Deny(Hidden), Allow]),
        (Right::SeeAlarm(GRANTED, None), [anyone, Deny(Hidden), Allow, Allow, Allow]),
        (Right::SeeAlarm(OTHER, None), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
        // The user's own rule, which does not widen what he sees of devices; and another's.
        (Right::SeeAlarm(GRANTED, Some(7)), [anyone, Deny(Hidden), Allow, Allow, Allow]),
        (
            Right::SeeAlarm(GRANTED, Some(8)),
            [anyone, Deny(Hidden), Deny(Hidden), Deny(Hidden), Allow],
        ),
        (Right::ChangeAlarm(GRANTED, None), [anyone, Deny(Hidden), role, Allow, Allow]),
        (Right::ChangeAlarm(OTHER, None), [anyone, Deny(Hidden), Deny(Hidden), Allow, Allow]),
        (Right::ChangeAlarm(GRANTED, Some(7)), [anyone, Deny(Hidden), Allow, Allow, Allow]),
        (
            Right::ChangeAlarm(GRANTED, Some(8)),
            [anyone, Deny(Hidden), Deny(Hidden), Deny(Hidden), Allow],
        ),
    ];
    for (right, decisions) in table {
        for (principal, expected) in principals.iter().zip(decisions) {
            assert_eq!(decide(principal, right), expected, "{principal:?} {right:?}");
        }
    }
}

#[test]
fn the_whole_table_of_tokens_and_links() {
    let all = Scope::ALL;
    let admin = access(Role::Admin, &[]);
    let principals = [
        token(TokenKind::Token, &all, admin.clone()),
        token(TokenKind::Token, &[Scope::Read], admin.clone()),
        token(TokenKind::Token, &[Scope::Stream], access(Role::Viewer, &[GRANTED, OTHER])),
        token(TokenKind::Token, &[], access(Role::Viewer, &[OTHER])),
        token(TokenKind::Share, &all, admin.clone()),
        token(TokenKind::Token, &[Scope::Command], access(Role::Operator, &[])),
        token(TokenKind::Token, &all, access(Role::Viewer, &[GRANTED])),
    ];
    let role = Deny(ByRole);
    let scope = Deny(ByScope);
    let table = [
        (Right::Open, [Allow; 7]),
        (Right::SignedIn, [Allow; 7]),
        (Right::Devices, [Allow, Allow, scope, scope, Allow, scope, Allow]),
        (Right::List, [Allow, Allow, scope, scope, Allow, scope, Allow]),
        (Right::Groups, [Allow, Allow, scope, scope, Allow, scope, Allow]),
        (Right::Stream, [Allow, scope, Allow, scope, Allow, scope, Allow]),
        (Right::See(GRANTED), [Allow, Allow, Allow, Deny(Hidden), Allow, Allow, Allow]),
        // Neither what the maker sees nor what the token names alone is enough.
        (Right::See(OTHER), [Deny(Hidden); 7]),
        (Right::SeeGroup(7), [Deny(Hidden); 7]),
        (Right::Own, [scope; 7]),
        (Right::Alarms, [Allow, Allow, scope, scope, scope, scope, Allow]),
        (Right::AlarmChanges, [scope; 7]),
        // Everybody's of a device, for who streams, too; never for a link.
        (
            Right::SeeAlarm(GRANTED, None),
            [Allow, Allow, Allow, Deny(Hidden), Deny(Hidden), Allow, Allow],
        ),
        (Right::Rules, [Allow, Allow, scope, scope, scope, scope, Allow]),
        (Right::RuleChanges, [scope; 7]),
        (Right::Manage, [scope; 7]),
        // Nor is the scope alone, where the maker is a viewer.
        (Right::Commands, [Allow, scope, scope, scope, scope, Allow, role]),
        (Right::Command(GRANTED), [Allow, scope, scope, scope, scope, Allow, role]),
        (Right::Command(OTHER), [Deny(Hidden), scope, scope, scope, scope, Deny(Hidden), role]),
        (Right::Send, [Allow, scope, scope, scope, scope, scope, role]),
        (Right::Books, [scope; 7]),
        (Right::System, [scope; 7]),
        (Right::People, [scope; 7]),
    ];
    for (right, decisions) in table {
        for (principal, expected) in principals.iter().zip(decisions) {
            assert_eq!(decide(principal, right), expected, "{principal:?} {right:?}");
        }
    }
}

#[test]
fn a_link_reaches_as_far_back_as_it_was_made_to() {
    let link = |history_from| {
        let token = ScopedToken {
            id: 3,
            user_id: 7,
            kind: TokenKind::Share,
            name: "n".into(),
            devices: vec![GRANTED],
            scopes: Scopes::LOOK,
            history_from,
            created_at_ms: 5000,
            expires_at_ms: 9000,
        };
        Principal::User(Arc::new(SignedIn::by_token(token, access(Role::Admin, &[]))))
    };
    assert_eq!(link(0).history_from(10, 20), Ok(10));
    assert_eq!((link(0).reach(), link(0).reach().since_ms()), (Reach::All, None));
    let some = link(15);
    assert_eq!(decide(&some, Right::History), Allow);
    assert_eq!((some.history_from(10, 20), some.history_from(16, 20)), (Ok(15), Ok(16)));
    assert_eq!(some.history_from(10, 14).unwrap_err().at_fault(), Some("to"));
    assert_eq!(some.reach().since_ms(), Some(15_000));
    let none = link(NO_HISTORY);
    assert_eq!(decide(&none, Right::Devices), Allow);
    assert_eq!(decide(&none, Right::History), Deny(Because::NoHistory));
    assert_eq!(none.history_from(0, u32::MAX).unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(none.reach().since_ms(), Some(5000));
}

#[test]
fn a_link_never_commands() {
    let Principal::User(by) =
        token(TokenKind::Share, &[Scope::Command, Scope::Read], access(Role::Admin, &[]))
    else {
        panic!("nobody");
    };
    assert_eq!(by.scopes.names(), ["read"]);
    assert_eq!((by.credential, by.session()), (Credential::Share(3), None));
}

#[test]
fn a_hidden_device_is_answered_like_an_unknown_one() {
    let hidden = user(Role::Viewer, &[GRANTED]).must_see(OTHER).unwrap_err();
    assert_eq!(hidden, unknown_device(OTHER));
    assert_eq!(Principal::Anyone.must_see(OTHER).unwrap_err().kind(), Kind::Unauthorized);
    let role = user(Role::Operator, &[]).must(Right::Books).unwrap_err();
    assert_eq!(role.kind(), Kind::Forbidden);
}
