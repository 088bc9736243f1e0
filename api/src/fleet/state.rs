//! What it takes to read the fleet.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::gathered::Gathered;
use super::late::LatePasts;
use super::roster::Roster;
use super::totals::Totals;
use crate::access::Principal;
use crate::backend::Backend;
use crate::problem::Problem;
use crate::stream::Hub;
use crate::turns::Reader;

/// The backend with what is remembered of the fleet. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FleetState {
    backend: Backend,
    pub(crate) hub: Arc<Hub>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) totals: Arc<Totals>,
    pub(super) late: Arc<LatePasts>,
    pub(super) gathered: Gathered,
}

impl FleetState {
    pub(crate) fn new(backend: Backend, hub: Arc<Hub>) -> Self {
        let (roster, totals, late) = (Arc::default(), Arc::default(), Arc::default());
        Self { backend, hub, roster, totals, late, gathered: Gathered::default() }
    }

    /// The same for a report, whose reads take turns among those of this reader.
    pub(crate) fn read_by(mut self, reader: Reader) -> Self {
        self.backend.reader = reader;
        self
    }
}

impl Deref for FleetState {
    type Target = Backend;

    fn deref(&self) -> &Backend {
        &self.backend
    }
}

/// The state for a report, whose reads take turns among those of its reader.
pub(crate) struct ForReports(pub(crate) FleetState);

impl<S: Send + Sync> FromRequestParts<S> for ForReports
where
    FleetState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let principal = Principal::from_request_parts(parts, state).await?;
        Ok(Self(FleetState::from_ref(state).read_by(principal.credential())))
    }
}
