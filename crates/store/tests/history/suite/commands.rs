//! Commands for devices: who may send one, and what becomes of it.

use nemeses_protocol::DeviceId;
use nemeses_store::history::{
    Command, CommandState, CommandStep, Commands, MAX_COMMAND_BYTES, MAX_OPEN_COMMANDS, NewCommand,
    OpenCommands,
};

use crate::site::Site;

const ONE: DeviceId = DeviceId::new(0x000A_3F73);
const OTHER: DeviceId = DeviceId::new(0);

fn new(device: DeviceId, payload: &[u8]) -> NewCommand<'_> {
    NewCommand { device, payload, user_id: 7, asked_by: "anna@example.org", expires_at_ms: 1000 }
}

fn queued_is_over(queued: &Command) -> bool {
    queued.is_open
        && queued.state_at(999) == CommandState::Queued
        && queued.state_at(1000) == CommandState::Expired
}

async fn add(commands: &dyn Commands, device: DeviceId, payload: &[u8]) -> u64 {
    commands.add(new(device, payload), 10).await.unwrap().unwrap()
}

/// Numbers that a holder gets.
async fn claimed(commands: &dyn Commands, holder: &str, now_ms: u64) -> Vec<u64> {
    let claimed = commands.claim(&[ONE, OTHER], holder, now_ms, now_ms + 100).await.unwrap();
    claimed.into_iter().map(|command| command.id).collect()
}

pub(crate) async fn commands_live_their_life(site: Site) {
    let site = site.migrated().await;
    let commands = &*site.database.commands();
    assert_eq!(commands.open().await.unwrap(), OpenCommands::default());
    let long = vec![0xFF; MAX_COMMAND_BYTES];
    let first = add(commands, ONE, &long).await;
    let second = add(commands, ONE, b"\0").await;
    let third = add(commands, OTHER, b"other").await;
    let open = OpenCommands { count: 3, first_expires_at_ms: Some(1000) };
    assert_eq!(commands.open().await.unwrap(), open);
    assert_eq!(commands.waiting(None, 10, 10).await.unwrap(), [OTHER, ONE]);
    assert_eq!(commands.waiting(Some(OTHER), 10, 10).await.unwrap(), [ONE]);
    assert_eq!(commands.waiting(Some(ONE), 10, 10).await.unwrap(), []);
    assert_eq!(commands.waiting(None, 1, 10).await.unwrap(), [OTHER]);

    let queued = commands.get(ONE, first).await.unwrap().unwrap();
    assert_eq!((queued.state, &queued.payload, queued.attempts), (CommandState::Queued, &long, 0));
    assert_eq!((queued.user_id, queued.asked_by.as_str()), (7, "anna@example.org"));
    assert_eq!((queued.created_at_ms, queued.expires_at_ms), (10, 1000));
    assert_eq!((queued.sent_at_ms, queued.closed_at_ms, &queued.answer), (None, None, &None));
    assert_eq!(commands.get(OTHER, first).await.unwrap(), None, "another device's");

    assert_eq!(claimed(commands, "a", 20).await, [first, second, third]);
    let steps = [
        (first, CommandStep::Sent),
        (second, CommandStep::Failed("refused")),
        (third, CommandStep::SentForGood),
        (first, CommandStep::Answered(Some(b"OK".to_vec()))),
        // Closed, it stays as it is.
        (first, CommandStep::Failed("late")),
        (third, CommandStep::Answered(None)),
        (second, CommandStep::Released(0)),
    ];
    commands.note("a", &steps, 30).await.unwrap();
    let listed = commands.of_device(ONE, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|command| command.id).collect::<Vec<_>>(), [second, first]);
    let (failed, answered) = (&listed[0], &listed[1]);
    assert_eq!((failed.state, failed.reason.as_str()), (CommandState::Failed, "refused"));
    assert_eq!((answered.state, answered.reason.as_str()), (CommandState::Answered, ""));
    assert_eq!(answered.answer.as_deref(), Some(&b"OK"[..]));
    assert_eq!(
        (answered.sent_at_ms, answered.closed_at_ms, answered.attempts),
        (Some(30), Some(30), 1)
    );
    let sent = commands.get(OTHER, third).await.unwrap().unwrap();
    assert_eq!((sent.state_at(9999), sent.closed_at_ms), (CommandState::Sent, None));
    assert!(!sent.is_open && queued_is_over(&queued));
    assert_eq!(commands.open().await.unwrap().count, 0);
    assert_eq!(claimed(commands, "a", 500).await, [0; 0]);

    let below = commands.of_device(ONE, Some(second), 10).await.unwrap();
    assert_eq!(below.iter().map(|command| command.id).collect::<Vec<_>>(), [first]);
    assert_eq!(commands.of_device(ONE, None, 1).await.unwrap().len(), 1);
    assert_eq!(commands.forget(10).await.unwrap(), 0);
    let open = add(commands, ONE, b"open").await;
    assert_eq!(commands.forget(11).await.unwrap(), 3);
    assert!(open > third, "numbers are not given again");
    assert_eq!(commands.of_device(ONE, None, 10).await.unwrap().len(), 1, "what is open stays");
}

pub(crate) async fn a_command_is_sent_by_one_holder(site: Site) {
    let site = site.migrated().await;
    let another = site.another().await;
    let (here, there) = (&*site.database.commands(), &*another.commands());
    let id = add(here, ONE, b"x").await;
    // Two nodes at once.
    let (mine, theirs) = tokio::join!(claimed(here, "a", 20), claimed(there, "b", 20));
    assert_eq!(mine.len() + theirs.len(), 1);
    let holder = if mine.is_empty() { "b" } else { "a" };
    assert_eq!(here.waiting(None, 10, 119).await.unwrap(), []);
    assert_eq!(claimed(there, "c", 119).await, [0; 0]);
    here.renew(holder, 300).await.unwrap();
    here.renew("c", 900).await.unwrap();
    assert_eq!(claimed(there, "c", 299).await, [0; 0]);
    // The holder was killed.
    assert_eq!(here.waiting(None, 10, 300).await.unwrap(), [ONE]);
    assert_eq!(claimed(there, "c", 300).await, [id]);
    // Of one that lost its claim, only what ends the command counts.
    here.note(holder, &[(id, CommandStep::Released(0))], 310).await.unwrap();
    assert_eq!(claimed(here, holder, 320).await, [0; 0]);
    there.note("c", &[(id, CommandStep::Released(350))], 330).await.unwrap();
    // Given back for later, it is nobody's to renew.
    there.renew("c", 900).await.unwrap();
    assert_eq!(claimed(here, "a", 349).await, [0; 0]);
    assert_eq!(claimed(here, "a", 350).await, [id]);
    here.renew("c", 900).await.unwrap();
    here.release_all().await.unwrap();
    assert_eq!(claimed(there, "d", 351).await, [id]);
    here.note("a", &[(id, CommandStep::Answered(None))], 360).await.unwrap();
    there.note("d", &[(id, CommandStep::Sent), (id, CommandStep::Released(0))], 370).await.unwrap();
    let closed = here.get(ONE, id).await.unwrap().unwrap();
    assert_eq!((closed.state, closed.sent_at_ms), (CommandState::Answered, None));
    assert_eq!(claimed(there, "d", 380).await, [0; 0]);
}

pub(crate) async fn commands_that_are_over_do_not_go_out(site: Site) {
    let site = site.migrated().await;
    let commands = &*site.database.commands();
    let id = add(commands, ONE, b"x").await;
    let late = NewCommand { expires_at_ms: 2000, ..new(ONE, b"late") };
    let late = commands.add(late, 10).await.unwrap().unwrap();
    assert_eq!(commands.expire(999).await.unwrap(), 0);
    assert_eq!(claimed(commands, "a", 1000).await, [late]);
    assert_eq!(commands.expire(1000).await.unwrap(), 1);
    let expired = commands.get(ONE, id).await.unwrap().unwrap();
    assert_eq!((expired.state, expired.closed_at_ms), (CommandState::Expired, Some(1000)));
    // On its way, and its acknowledgement may still come.
    assert_eq!(commands.expire(2000).await.unwrap(), 1, "the claim ended at 1100");
    let id = add(commands, ONE, b"x").await;
    assert_eq!(claimed(commands, "a", 950).await, [id]);
    assert_eq!(commands.expire(1049).await.unwrap(), 0);
    assert_eq!(commands.expire(1050).await.unwrap(), 1);

    let id = add(commands, ONE, b"x").await;
    assert!(!commands.withdraw(OTHER, id, "withdrawn", 20).await.unwrap());
    assert!(commands.withdraw(ONE, id, "withdrawn", 20).await.unwrap());
    assert!(!commands.withdraw(ONE, id, "withdrawn", 21).await.unwrap());
    let withdrawn = commands.get(ONE, id).await.unwrap().unwrap();
    assert_eq!((withdrawn.state, withdrawn.reason.as_str()), (CommandState::Failed, "withdrawn"));
    assert_eq!(claimed(commands, "a", 30).await, [0; 0]);
}

pub(crate) async fn open_commands_have_a_bound(site: Site) {
    let site = site.migrated().await;
    let commands = &*site.database.commands();
    for _ in 0..MAX_OPEN_COMMANDS {
        add(commands, ONE, b"x").await;
    }
    assert_eq!(commands.add(new(ONE, b"x"), 20).await.unwrap(), None);
    assert!(commands.add(new(OTHER, b"x"), 20).await.unwrap().is_some());
    // Those whose time is over do not count.
    assert!(
        commands
            .add(NewCommand { expires_at_ms: 2000, ..new(ONE, b"x") }, 1000)
            .await
            .unwrap()
            .is_some()
    );
    let claimed = claimed(commands, "a", 30).await;
    assert_eq!(claimed.len(), usize::try_from(MAX_OPEN_COMMANDS).unwrap() + 2);
    assert!(claimed.is_sorted());
}
