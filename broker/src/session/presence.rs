//! A client's entries in what connections share, gone when it is dropped, also
//! by a panic.

use std::sync::Arc;

use nemeses_protocol::DeviceId;

use crate::auth::Role;
use crate::hub::{Call, Client, ClientKey, Listening, Standing, TooMany};
use crate::mailbox::Mailbox;
use crate::rights::Wanted;
use crate::shared::Shared;

use super::subscriptions::{Subscription, Subscriptions};

/// The entries.
pub(crate) struct Presence {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    key: ClientKey,
    pub(super) role: Role,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(super) subscriptions: Subscriptions,
}

impl Presence {
    /// Enters a client; one with the same login and id is told to go.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn enter(
        shared: &Arc<Shared>,
        number: u64,
        key: ClientKey,
        (role, revision): (Role, u64),
    ) -> Result<Self, TooMany> {
        let mailbox = Arc::new(Mailbox::default());
        let client = Client { connection: number, revision, mailbox: Arc::clone(&mailbox) };
        shared.hub.enter(key.clone(), client)?;
        shared.metrics().accepted.inc();
        shared.metrics().connections.inc();
        let subscriptions = Subscriptions::default();
        Ok(Self { shared: Arc::clone(shared), number, key, role, mailbox, subscriptions })
    }

    /// Adds a subscription or replaces it; whether it is new.
    pub(super) fn subscribe(&mut self, subscription: Subscription) -> bool {
        for call in self.calls(subscription.wanted) {
            let listening = Listening {
                mailbox: Arc::clone(&self.mailbox),
                topic: (*subscription.filter).into(),
                qos: subscription.qos,
                standing: self.standing(),
            };
            self.shared.hub.listen(call, self.number, listening);
        }
        let is_new = !self.subscriptions.contains(&subscription.filter);
        if is_new && subscription.wanted == Wanted::Routed {
            self.shared.hub.add_filter(&subscription.filter);
        }
        let wanted = subscription.wanted;
        let is_new = self.subscriptions.set(subscription);
        if let (Wanted::CommandsFor(device), Some(keeper)) = (wanted, &self.shared.commands)
            && self.standing() > Standing::Watcher
        {
            keeper.listened_for(device);
        }
        is_new
    }

    /// Gets the commands of the device whose own connection this is.
    pub(crate) fn take_commands_of(&mut self, device: DeviceId) {
        self.role = Role::Device(device);
        let filter = self.shared.config.topics.command_of(device);
        self.subscribe(Subscription::to_commands(filter, device));
    }

    const fn standing(&self) -> Standing {
        match self.role {
            Role::Device(_) => Standing::Device,
            Role::Gateway | Role::Anonymous => Standing::Gateway,
            Role::Worker | Role::Operator => Standing::Watcher,
        }
    }

    /// Removes a subscription; whether it was there.
    pub(super) fn unsubscribe(&mut self, filter: &str) -> bool {
        let removed = self.subscriptions.remove(filter);
        removed.is_some_and(|subscription| {
            self.withdraw(&subscription);
            true
        })
    }

    fn withdraw(&self, subscription: &Subscription) {
        if subscription.wanted == Wanted::Routed {
            self.shared.hub.remove_filter(&subscription.filter);
        }
        for call in self.calls(subscription.wanted) {
            self.shared.hub.unlisten(call, self.number);
        }
    }

    /// What a subscription listens to. With an intake, replies on the shared topic
    /// are known by their ping; without, a station publishes them for everybody.
    fn calls(&self, wanted: Wanted) -> impl Iterator<Item = Call> + use<> {
        let own = match self.role {
            Role::Device(own) => Some(Call::ReplyShared(own)),
            _ => None,
        };
        let any = self.shared.intake.is_none().then_some(Call::AnyReply);
        let calls = match wanted {
            Wanted::RepliesTo(device) => [Some(Call::Reply(device)), None],
            Wanted::CommandsFor(device) => [Some(Call::Command(device)), None],
            Wanted::OwnReplies => [own, any],
            Wanted::Routed => [None, None],
        };
        calls.into_iter().flatten()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.mailbox.close();
        self.shared.hub.leave(&self.key, self.number);
        for subscription in self.subscriptions.take_all() {
            self.withdraw(&subscription);
        }
        self.shared.metrics().connections.dec();
    }
}
