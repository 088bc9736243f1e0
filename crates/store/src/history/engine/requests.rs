//! Keys of requests, as claims: whoever writes a claim first has it.

use async_trait::async_trait;

use super::Engine;
use super::books::{SUMS, totals_of};
use super::fault::Fault;
use super::seam::{Product, Session, fixed, sql};
use super::value::{Fields as _, Value};
use super::work::{Execute, Work};
use crate::StoreError;
use crate::history::requests::{Booked, REQUEST_KEPT_MS, Requests};

const FIND: &str = "SELECT claimed_at_ms FROM claims WHERE name = ?";
const CLAIM: &str = "INSERT INTO claims (name, claimed_at_ms) VALUES (?, ?)";
const FORGET: &str =
    "DELETE FROM claims WHERE name > 'request-' AND name < 'request.' AND claimed_at_ms < ?";
/// Old claims leave with one in so many new ones.
const FORGET_EACH: u64 = 256;

/// Finds a claim or makes it.
struct Claim<'a> {
    name: &'a str,
    now_ms: u64,
}

#[async_trait]
impl<P: Product> Work<P> for Claim<'_> {
    type Output = u64;

    async fn run(&self, session: &mut P::Session) -> Result<u64, Fault> {
        let found = session.rows(fixed(FIND), &[self.name.into()]).await?;
        if let Some(row) = found.first() {
            return row.need(0);
        }
        let values: [Value<'_>; 2] = [self.name.into(), self.now_ms.into()];
        session.execute(fixed(CLAIM), &values).await.map_err(Fault::lost_race)?;
        Ok(self.now_ms)
    }
}

impl<P: Product> Engine<P> {
    async fn claim_request(&self, key: u64, now_ms: u64) -> Result<u64, Fault> {
        let name = format!("request-{key:016x}");
        let first = self.transact(Claim { name: &name, now_ms }).await?;
        if key.is_multiple_of(FORGET_EACH) {
            let before = [now_ms.saturating_sub(REQUEST_KEPT_MS).into()];
            self.transact(Execute { text: FORGET, values: &before }).await?;
        }
        Ok(first)
    }

    async fn booked_run(&self, worker: &str, run: u64) -> Result<Option<Booked>, Fault> {
        let text = format!(
            "SELECT sequence, {SUMS} FROM books WHERE worker = ? AND run = ? \
             GROUP BY sequence ORDER BY sequence LIMIT 1"
        );
        let rows = self.product.rows(sql(text), &[worker.into(), Value::Hash(run)]).await?;
        let booked =
            |row| Ok(Booked { sequence: P::Row::hash(row, 0)?, totals: totals_of(row, 1)? });
        rows.first().map(booked).transpose()
    }
}

#[async_trait]
impl<P: Product> Requests for Engine<P> {
    async fn first_arrival(&self, key: u64, now_ms: u64) -> Result<u64, StoreError> {
        self.claim_request(key, now_ms).await.map_err(|fault| fault.into_error(P::STORE))
    }

    async fn booked(&self, worker: &str, run: u64) -> Result<Option<Booked>, StoreError> {
        self.booked_run(worker, run).await.map_err(|fault| fault.into_error(P::STORE))
    }
}
