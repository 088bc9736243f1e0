//! What one client's events are written into before they are sent: text, or messages of gRPC.

use nemeses_protocol::DeviceNames;
use nemeses_store::live::LiveValue;

use super::event::Event;
use super::id::EventId;
use super::service::Hello;
use super::status::Status;

/// Takes events in the order in which the client gets them.
pub(crate) trait EventWriter: Send + 'static {
    /// What is sent at once.
    type Sent: Default + Send + 'static;

    /// Whether nothing waits to be sent.
    fn is_empty(&self) -> bool;
    /// Whether another event may be written before what waits is sent.
    fn has_room(&self) -> bool;
    /// All that waits, if anything does.
    fn take(&mut self) -> Option<Self::Sent>;

    /// The first word, and the word that something is missing.
    fn hello(&mut self, id: EventId, hello: Hello);
    /// Nothing else happened.
    fn heartbeat(&mut self, id: EventId, at_ms: u64);
    /// So many events were left out.
    fn thinned(&mut self, dropped: u64);
    /// The last word.
    fn end(&mut self, reason: &'static str);
    /// An event, after which the client may resume from this id.
    fn event(&mut self, names: &DeviceNames, id: EventId, event: &Event);
    /// A position from before the stream began, with the device's status of now.
    fn standing(&mut self, names: &DeviceNames, id: EventId, event: &Event, status: Status);
    /// Newest values of a device's channels.
    fn values(&mut self, id: EventId, device_id: String, values: Vec<&LiveValue>);
}
