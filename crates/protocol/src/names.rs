//! Which device has which name, for whoever reads or writes a device id: a handle on what
//! a process knows, kept by `nemeses_store::named`.

use alloc::sync::Arc;
use core::fmt;

use crate::{DeviceId, Identity};

/// Where numbers and names are looked up.
pub trait NameTable: Send + Sync {
    /// The number that was given to a name.
    fn number_of(&self, name: &Identity) -> Option<DeviceId>;

    /// The name of a device that has one.
    fn name_of(&self, device: DeviceId) -> Option<Identity>;
}

/// The names that a process knows; without a table there are none. All are equal.
#[derive(Clone, Default)]
pub struct DeviceNames(Option<Arc<dyn NameTable>>);

impl DeviceNames {
    /// Those of a table.
    pub fn new(table: Arc<dyn NameTable>) -> Self {
        Self(Some(table))
    }

    /// These and no others, for tests.
    pub fn of_these(names: &[(DeviceId, Identity)]) -> Self {
        Self::new(Arc::new(alloc::vec::Vec::from(names)))
    }

    /// The number of a device; `None` for a name that has none yet.
    pub fn number(&self, identity: &Identity) -> Option<DeviceId> {
        match identity {
            Identity::Number(device) => Some(*device),
            Identity::Named { .. } => self.0.as_ref()?.number_of(identity),
        }
    }

    /// How a device is written outside: by its name if it has one.
    pub fn identity(&self, device: DeviceId) -> Identity {
        let table = self.0.as_ref().filter(|_| device.number() > DeviceId::MAX_SFT9001);
        table.and_then(|table| table.name_of(device)).unwrap_or(Identity::Number(device))
    }
}

impl NameTable for alloc::vec::Vec<(DeviceId, Identity)> {
    fn number_of(&self, name: &Identity) -> Option<DeviceId> {
        self.iter().find(|(_, own)| own == name).map(|(device, _)| *device)
    }

    fn name_of(&self, device: DeviceId) -> Option<Identity> {
        self.iter().find(|(own, _)| *own == device).map(|(_, name)| name.clone())
    }
}

impl fmt::Debug for DeviceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceNames")
    }
}

impl PartialEq for DeviceNames {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for DeviceNames {}
