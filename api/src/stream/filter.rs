//! Which events a client gets: what it asked for, of what it may see. Pure.

use nemeses_protocol::DeviceId;

use super::event::{Event, EventKind};
use super::values::{Among, Channels};
use crate::access::Principal;
use crate::fleet::BoundingBox;

/// What a client asked for; without anything, everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    /// In order of number.
    pub(crate) devices: Option<Vec<DeviceId>>,
    pub(crate) bbox: Option<BoundingBox>,
    pub(crate) channels: Channels,
}

impl Filter {
    /// Whether the event is wanted, and may be seen by this caller. Of a device
    /// without any known position nothing is in a rectangle.
    pub(crate) fn passes(&self, caller: &Principal, event: &Event) -> bool {
        let wanted = |devices: &Vec<DeviceId>| devices.binary_search(&event.device).is_ok();
        let inside = |bbox: &BoundingBox| event.place.is_some_and(|place| bbox.contains(place));
        self.devices.as_ref().is_none_or(wanted)
            && self.bbox.as_ref().is_none_or(inside)
            && caller.sees(event.device)
            && event.alarmed().is_none_or(|news| caller.sees_alarm(event.device, news.alarm.owner))
            && if event.kind == EventKind::Values {
                !self.channels.of_these(event.valued(), caller).is_empty()
            } else {
                self.channels.among != Among::Only
            }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nemeses_store::history::{Access, Role};
    use proptest::prelude::*;

    use super::super::id::EventId;
    use super::super::status::Status;
    use super::*;
    use crate::access::SignedIn;
    use crate::fleet::Place;

    fn event(device: u32, place: Option<Place>) -> Event {
        Event::status(EventId::at(1), DeviceId::new(device), place, Status::Late, 0)
    }

    fn caller(role: Role, devices: &[u32]) -> Principal {
        let devices = devices.iter().copied().map(DeviceId::new).collect();
        let access = Access { role, devices, groups: Vec::new() };
        Principal::User(Arc::new(SignedIn::by_session(7, 1, access)))
    }

    proptest! {
        #[test]
        fn nobody_gets_what_he_may_not_see(
            device in 0..9_u32,
            granted in proptest::collection::btree_set(0..9_u32, 0..9),
            wanted in proptest::option::of(proptest::collection::btree_set(0..9_u32, 0..9)),
        ) {
            let granted: Vec<u32> = granted.into_iter().collect();
            let devices =
                wanted.as_ref().map(|wanted| wanted.iter().copied().map(DeviceId::new).collect());
            let filter = Filter { devices, ..Filter::default() };
            let asked = wanted.is_none_or(|wanted| wanted.contains(&device));
            let event = event(device, None);
            let viewer = caller(Role::Viewer, &granted);
            prop_assert_eq!(filter.passes(&viewer, &event), asked && granted.contains(&device));
            prop_assert_eq!(filter.passes(&caller(Role::Operator, &[]), &event), asked);
            prop_assert!(!filter.passes(&Principal::Anyone, &event));
        }
    }

    #[test]
    fn in_a_rectangle_is_what_has_a_position_there() {
        let admin = caller(Role::Admin, &[]);
        let bbox = BoundingBox::parse("bbox", "-44,-20,-43,0").unwrap();
        let filter = Filter { bbox: Some(bbox), ..Filter::default() };
        let at = |latitude_udeg, longitude_udeg| Some(Place { latitude_udeg, longitude_udeg });
        assert!(filter.passes(&admin, &event(1, at(-19_932_833, -43_938_493))));
        assert!(!filter.passes(&admin, &event(1, at(1, -43_938_493))));
        assert!(!filter.passes(&admin, &event(1, None)));
    }
}
