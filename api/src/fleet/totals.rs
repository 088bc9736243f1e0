//! Sums over a whole fleet, added up once for many requests: the database reads all sums of the
//! days for them, so those of a large fleet are good for some seconds, like the list of its
//! devices (`roster.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use nemeses_protocol::DeviceId;
use nemeses_reports::RULES;
use nemeses_store::history::FleetTotals;
use tokio::sync::Mutex;

use super::roster::{SMALL, good_for};
use crate::backend::Backend;
use crate::problem::Problem;

/// What was added up last, of all devices.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    days: (u32, u32),
    read_at: Instant,
    good_for: Duration,
    totals: Arc<FleetTotals>,
}

impl Totals {
    /// Of these devices, which are all of the fleet or some; from day to day, both included.
    /// Who asks for all while another does waits for the same answer.
    pub(crate) async fn get(
        &self,
        backend: &Backend,
        devices: &[DeviceId],
        are_all: bool,
        days: (u32, u32),
    ) -> Result<Arc<FleetTotals>, Problem> {
        let read = backend.stores.daily.totals(devices, days.0, days.1, RULES);
        if !are_all || devices.len() <= SMALL {
            return Ok(Arc::new(backend.history.ask(read).await?));
        }
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && held.days == days
            && held.read_at.elapsed() < held.good_for
        {
            return Ok(Arc::clone(&held.totals));
        }
        let read_at = Instant::now();
        let totals = Arc::new(backend.history.ask(read).await?);
        let good_for = good_for(read_at.elapsed());
        *held = Some(Held { days, read_at, good_for, totals: Arc::clone(&totals) });
        Ok(totals)
    }
}
