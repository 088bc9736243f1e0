//! The reads of frames that others make.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;
use nemeses_protocol::{DeviceId, PositionRecord};

use super::seam::Product;
use super::{Engine, last_known, reads, recent};
use crate::StoreError;
use crate::history::{LastKnown, PositionStream, Positions, RangeQuery};
use crate::live::LiveEntry;

#[async_trait]
impl<P: Product> Positions for Engine<P> {
    fn positions(&self, query: RangeQuery) -> PositionStream<'_> {
        reads::positions(self, query)
    }

    async fn last_position(
        &self,
        device: DeviceId,
        not_after: u32,
        with_fix: bool,
    ) -> Result<Option<PositionRecord>, StoreError> {
        reads::last_position(self, device, not_after, with_fix)
            .await
            .map_err(|fault| fault.into_error(P::STORE))
    }

    async fn last_known(
        &self,
        devices: &[DeviceId],
        not_after: u32,
    ) -> Result<Vec<LastKnown>, StoreError> {
        last_known::last_known(self, devices, not_after).await
    }

    async fn knows_device(&self, device: DeviceId) -> Result<bool, StoreError> {
        reads::knows_device(self, device).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn devices_after(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceId>, StoreError> {
        reads::devices_after(self, after, limit).await.map_err(|fault| fault.into_error(P::STORE))
    }

    fn recent_entries(
        &self,
        since_ms: u64,
        recorded_from: u32,
    ) -> Pin<Box<dyn Stream<Item = Result<Vec<LiveEntry>, StoreError>> + Send + '_>> {
        recent::recent_entries(self, since_ms, recorded_from)
    }
}
