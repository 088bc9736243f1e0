//! The id of an event, opaque to clients: where in the store's stream it stands,
//! and for what this instance adds itself (a silence has no entry there) its
//! number behind that place.

use std::fmt;
use std::str::FromStr;

/// Ordered as events are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventId {
    /// The id in the store's stream.
    pub(crate) place: u64,
    /// 0 for the event of that place itself, then counting what this instance added.
    pub(crate) added: u32,
    /// Which instance added it; 0 when none did.
    pub(crate) instance: u32,
}

impl EventId {
    pub(crate) const fn at(place: u64) -> Self {
        Self { place, added: 0, instance: 0 }
    }

    /// What orders the events of one instance.
    pub(crate) const fn order(&self) -> (u64, u32) {
        (self.place, self.added)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.added {
            0 => write!(f, "{}", self.place),
            added => write!(f, "{}-{added}-{:08x}", self.place, self.instance),
        }
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let place = number(parts.next())?;
        let Some(added) = parts.next() else { return Ok(Self::at(place)) };
        let added = number(Some(added))?;
        let instance = parts.next().filter(|text| text.len() == 8).ok_or(())?;
        let instance = u32::from_str_radix(instance, 16).map_err(|_| ())?;
        let id = Self { place, added, instance };
        (added > 0 && parts.next().is_none()).then_some(id).ok_or(())
    }
}

/// Digits and nothing else.
fn number<T: FromStr>(text: Option<&str>) -> Result<T, ()> {
    let text = text.ok_or(())?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_is_read(place: u64, added: u32, instance: u32) {
            let instance = if added == 0 { 0 } else { instance };
            let id = EventId { place, added, instance };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(text in "[0-9a-f+ -]{0,24}|.*") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
    }
}
