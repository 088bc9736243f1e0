//! The door's way to devices on other nodes.

use nemeses_broker::{DoorHandle, Undelivered};
use nemeses_runtime::Tasks;
use nemeses_store::relay::{Relay, RelaySender, Relayed};

/// Passes on what no connection here takes.
pub(crate) struct DoorRelay(pub(crate) RelaySender);

impl nemeses_broker::Relay for DoorRelay {
    fn relay(&self, undelivered: Undelivered) {
        let message = match undelivered {
            Undelivered::Reply(device, payload) => Relayed::Reply(device, payload.to_vec()),
            Undelivered::Command(device, payload) => Relayed::Command(device, payload.to_vec()),
        };
        if !self.0.send(message) {
            tracing::debug!("no room to pass a reply or command on to other nodes; dropped");
        }
    }
}

/// Delivers here what other nodes passed on.
pub(crate) fn listen(tasks: &Tasks, relay: Relay, door: DoorHandle) {
    let stop = tasks.stop().all;
    let deliver = move |message| {
        // Nobody here listens either: the device is on a third node, or nowhere.
        let _taken = match message {
            Relayed::Reply(device, payload) => door.reply(device, payload),
            Relayed::Command(device, payload) => door.command(device, payload),
        };
    };
    tasks.spawn_rest("relay", async move {
        relay.run(deliver, stop).await;
        Ok(())
    });
}
