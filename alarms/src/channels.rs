//! Names of channels, as an evaluator remembers them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_protocol::{DeviceId, Unpacked};
use nemeses_rules::Sample;
use nemeses_store::StoreError;
use nemeses_store::history::{Channel, Channels, MarkedReadings, named_values};

/// How long a device's channels are taken to be the same, unless a new number comes.
const KEPT: Duration = Duration::from_secs(60);
/// Devices whose channels are remembered: 1 KiB each with ten of them.
const MAX_DEVICES: usize = 20_000;

/// The channels of devices.
pub(crate) struct ChannelNames {
    channels: Arc<dyn Channels>,
    known: HashMap<DeviceId, (Instant, Arc<Vec<Channel>>)>,
}

impl ChannelNames {
    pub(crate) fn new(channels: Arc<dyn Channels>) -> Self {
        Self { channels, known: HashMap::new() }
    }

    /// A row of readings as rules see it.
    pub(crate) async fn sample(&mut self, row: &MarkedReadings) -> Result<Sample, StoreError> {
        let list = self.of(row.device, &row.values).await?;
        let read = named_values(&list, &row.values);
        let read = read.iter().map(|(name, value)| (*name, value));
        Ok(Sample::of_readings(row.recorded_at_ms, row.received_at_ms, row.content_hash, read))
    }

    async fn of(
        &mut self,
        device: DeviceId,
        values: &Unpacked,
    ) -> Result<Arc<Vec<Channel>>, StoreError> {
        if let Some((read, list)) = self.known.get(&device)
            && read.elapsed() < KEPT
            && values.iter().all(|(number, _)| list.iter().any(|channel| channel.number == *number))
        {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(self.channels.channels(device).await?);
        if self.known.len() >= MAX_DEVICES {
            self.known.clear();
        }
        self.known.insert(device, (Instant::now(), Arc::clone(&list)));
        Ok(list)
    }
}
