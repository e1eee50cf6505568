//! What was done, durably: incidents, holds and counters.
//!
//! [`protocol`] has the rules, pure; [`store`] swaps records in DynamoDB; this module runs the one on the other. Nothing
//! is changed in AWS before a claim is won, and nobody is marked as told before they were.

mod error;
pub mod hold;
mod item;
pub mod key;
pub mod protocol;
pub mod record;
pub mod schedule;
pub mod schema;
mod store;

pub use error::LedgerError;
pub use item::EXPIRES;
pub use store::PERMISSIONS;

use crate::incident::News;
use aws_sdk_dynamodb::Client;
use futures_util::future::try_join_all;
use hold::Hold;
use jiff::Timestamp;
use key::{CounterKey, HoldKey, IncidentId};
use protocol::{Claim, Decided, Denied, Done, Finish, How, Limit, No, NoUndo, Occasion, Seen, Swap};
use record::{IncidentRecord, Worker};
use std::collections::BTreeMap;
use store::{Store, Swapped, TRIES, pause};

/// The ledger's table.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Store,
}

/// The claim's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// The record is ours until its lease ends: what to do with it is in `How`.
    Won(Box<IncidentRecord>, How),
    Denied(Denied),
}

/// What a claim will probably meet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Foreseen {
    pub seen: Seen,
    pub counted: Counted,
}

/// How many containments each of these counters, of the hour of the clock before, counts in the last sixty minutes.
pub type Counted = BTreeMap<CounterKey, u32>;

impl From<Seen> for Foreseen {
    fn from(seen: Seen) -> Self {
        Self { seen, ..Self::default() }
    }
}

/// The incidents that the ledger has, in no order, and why some cannot be read: a later release wrote them, say.
#[derive(Debug, Default)]
pub struct Kept {
    pub records: Vec<IncidentRecord>,
    pub unreadable: Vec<LedgerError>,
}

impl Ledger {
    #[must_use]
    pub fn new(client: Client, table: &str) -> Self {
        Self { store: Store { client, table: table.to_owned() } }
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.store.table
    }

    /// Reads what a claim will probably meet, so that it need not learn it by being refused: an incident that may be
    /// there, holds that may be, and counters.
    pub async fn foresee(
        &self,
        id: &IncidentId,
        holds: &[HoldKey],
        counters: &[CounterKey],
        now: Timestamp,
    ) -> Result<Foreseen, LedgerError> {
        self.store.early(id, holds, counters, now).await
    }

    /// What these limits still leave at `now`, when what was counted in the hour of the clock before, and lies in the last
    /// sixty minutes, is taken from them. What is not among the `known` is read.
    pub async fn left_of(
        &self,
        limits: Vec<Limit>,
        mut known: Counted,
        now: Timestamp,
    ) -> Result<Vec<Limit>, LedgerError> {
        let before = |limit: &Limit| limit.counter.before(now);
        let unknown: Vec<_> = limits.iter().map(before).filter(|counter| !known.contains_key(counter)).collect();
        if !unknown.is_empty() {
            known.extend(self.store.counted(&unknown, now).await?);
        }
        let left = limits.into_iter().map(|limit| {
            let counted = known.get(&before(&limit)).copied().unwrap_or_default();
            Limit { at_most: limit.at_most.saturating_sub(counted), ..limit }
        });
        Ok(left.collect())
    }

    /// Claims a finding, its settings and its place under the limits: one round trip where nobody was here before.
    pub async fn claim(&self, claim: &Claim) -> Result<Claimed, LedgerError> {
        self.claim_seeing(claim, Seen::default()).await
    }

    /// Takes a known incident for the sweep, to look after what it holds or to tell what was not told.
    pub async fn take(
        &self,
        id: &IncidentId,
        by: &Worker,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Claimed, LedgerError> {
        let record = self.get(id).await?;
        let claim = Claim { incident: record.incident.clone(), by: by.clone(), occasion, limits: Vec::new(), now };
        self.claim_seeing(&claim, Seen::incident(record)).await
    }

    /// Claims as [`Ledger::claim`] does: one round trip also where what stands in the way was seen, and still is so.
    pub async fn claim_seeing(&self, claim: &Claim, mut seen: Seen) -> Result<Claimed, LedgerError> {
        let mut wanted = How::Fresh;
        for attempt in 0..TRIES {
            let swap = match protocol::claim(claim, &seen) {
                Decided::Write(swap, how) => {
                    wanted = how;
                    swap
                }
                Decided::Won(record) => return Ok(Claimed::Won(record, wanted)),
                Decided::Denied(why) => return Ok(Claimed::Denied(why)),
                Decided::Unsure => {
                    seen = Seen::default();
                    continue;
                }
            };
            match (self.store.swap(&swap, claim.now).await?, swap.incident) {
                (Swapped::Done, Some(record)) => return Ok(Claimed::Won(Box::new(record), wanted)),
                (Swapped::Lost(there), _) => {
                    seen.learn(*there);
                    // The first loss is to what nobody had read; the next is to others who come at the same time.
                    if attempt > 0 {
                        pause(attempt - 1).await;
                    }
                }
                (Swapped::Disturbed | Swapped::Done, _) => pause(attempt).await,
            }
        }
        Err(LedgerError::Contended)
    }

    /// Writes down what became of the record's plan. People are to be told next.
    pub async fn finish(
        &self,
        record: &IncidentRecord,
        by: &Worker,
        done: &Finish,
    ) -> Result<IncidentRecord, LedgerError> {
        let mut seen = Seen::default();
        let keys: Vec<HoldKey> = protocol::touched_by(record, done).into_iter().collect();
        let holds = try_join_all(keys.iter().map(|key| self.store.hold(key))).await?;
        seen.holds = holds.into_iter().flatten().map(|hold| (hold.key.clone(), hold)).collect();
        self.follow(record, seen, done.now, |seen| protocol::finish(record, by, done, seen)).await
    }

    /// Writes down that held settings are not as they were left, before they are contained again; nothing where there are
    /// none, or that is known.
    pub async fn reopened(
        &self,
        record: IncidentRecord,
        by: &Worker,
        settings: &[String],
        now: Timestamp,
    ) -> Result<IncidentRecord, LedgerError> {
        let Some(swap) = protocol::reopened(&record, by, settings, now) else { return Ok(record) };
        self.follow(&record, Seen::default(), now, |_| swap.clone()).await
    }

    /// Writes down that everything held is as it was left; there is nothing to tell.
    pub async fn verified(&self, record: &IncidentRecord, now: Timestamp) -> Result<IncidentRecord, LedgerError> {
        self.follow(record, Seen::default(), now, |_| protocol::verified(record, now)).await
    }

    /// Writes down that people were told. Only after they were.
    pub async fn told(&self, record: &IncidentRecord, now: Timestamp) -> Result<IncidentRecord, LedgerError> {
        self.follow(record, Seen::default(), now, |_| protocol::told(record, now)).await
    }

    /// Puts off what time decides about an incident that nobody is at. False where that was done often enough.
    pub async fn postpone(&self, record: &IncidentRecord, now: Timestamp) -> Result<bool, LedgerError> {
        let Some(swap) = protocol::postponed(record, now) else { return Ok(false) };
        // Who wrote it in between has seen to it.
        self.store.swap(&swap, now).await.map(|_| true)
    }

    /// Puts off what still cannot be asked about an incident that nobody is at.
    pub async fn still_unasked(&self, record: &IncidentRecord, now: Timestamp) -> Result<(), LedgerError> {
        // Who wrote it in between has seen to it.
        self.store.swap(&protocol::still_unasked(record, now), now).await.map(drop)
    }

    /// Puts off by a minute what is not asked now.
    pub async fn put_off(&self, record: &IncidentRecord, now: Timestamp) -> Result<(), LedgerError> {
        self.store.swap(&protocol::put_off(record, now), now).await.map(drop)
    }

    /// Lets go of the incident unfinished, so that the next delivery or the sweep goes on at once.
    pub async fn put_down(&self, record: &IncidentRecord, now: Timestamp) -> Result<IncidentRecord, LedgerError> {
        self.follow(record, Seen::default(), now, |_| protocol::put_down(record, now)).await
    }

    /// Lets go of an incident that nobody was told of, for the next tick to tell with others.
    pub async fn gather(&self, record: &IncidentRecord, now: Timestamp) -> Result<IncidentRecord, LedgerError> {
        self.follow(record, Seen::default(), now, |_| protocol::gathered(record, now)).await
    }

    /// Whether nobody asked this before about a counter.
    pub async fn is_first_beyond(&self, counter: &CounterKey, now: Timestamp) -> Result<bool, LedgerError> {
        self.store.mark(counter, now).await
    }

    /// Writes the next state of a record that we have the lease of.
    async fn follow(
        &self,
        record: &IncidentRecord,
        mut seen: Seen,
        now: Timestamp,
        next: impl Fn(&Seen) -> Swap,
    ) -> Result<IncidentRecord, LedgerError> {
        for attempt in 0..TRIES {
            let swap = next(&seen);
            match (self.store.swap(&swap, now).await?, swap.incident) {
                (Swapped::Done, Some(written)) => return Ok(written),
                (Swapped::Lost(there), Some(written)) => {
                    // What is there may be our own write, whose answer was lost.
                    match &there.incident {
                        Some(there) if *there == written => return Ok(written),
                        Some(_) => return Err(LedgerError::TakenOver(record.id.to_string())),
                        None => seen.learn(*there),
                    }
                }
                (Swapped::Disturbed | Swapped::Done | Swapped::Lost(_), _) => pause(attempt).await,
            }
        }
        Err(LedgerError::Contended)
    }

    /// A person says no to what was read in this record, or nobody decided in time. None if there is nothing to decide (any
    /// more).
    pub async fn reject(
        &self,
        record: &IncidentRecord,
        by: &Worker,
        no: No,
        news: News,
        now: Timestamp,
    ) -> Result<Option<IncidentRecord>, LedgerError> {
        let Some(swap) = protocol::reject(record, by, no, news, now) else { return Ok(None) };
        match self.follow(record, Seen::default(), now, |_| swap.clone()).await {
            Err(LedgerError::TakenOver(_)) => Ok(None),
            done => done.map(Some),
        }
    }

    /// Takes an incident to give back all it holds, or these settings.
    pub async fn begin_undo(
        &self,
        id: &IncidentId,
        by: &Worker,
        keys: Option<&[HoldKey]>,
        now: Timestamp,
    ) -> Result<Result<IncidentRecord, NoUndo>, LedgerError> {
        for attempt in 0..TRIES {
            let record = self.get(id).await?;
            let swap = match protocol::begin_undo(&record, by, keys, now) {
                Ok(swap) => swap,
                Err(why) => return Ok(Err(why)),
            };
            match self.follow(&record, Seen::default(), now, |_| swap.clone()).await {
                Err(LedgerError::TakenOver(_)) => pause(attempt).await,
                done => return done.map(Ok),
            }
        }
        Err(LedgerError::Contended)
    }

    /// The holds of these settings, in the order given. One that is not there was let go long ago.
    pub async fn holds(&self, keys: &[HoldKey]) -> Result<Vec<Hold>, LedgerError> {
        let holds = try_join_all(keys.iter().map(|key| self.store.hold(key))).await?;
        Ok(holds.into_iter().flatten().collect())
    }

    /// Writes the next state of a hold: [`Hold::marked`], [`Hold::released_by`], [`Hold::corrected`] or [`Hold::moved_on`].
    ///
    /// # Errors
    /// The inner error is the hold as it is now, where somebody else wrote it: decide again on that.
    pub async fn swap_hold(&self, next: Hold, now: Timestamp) -> Result<Result<Hold, Box<Hold>>, LedgerError> {
        let swap = Swap { holds: vec![next.clone()], ..Swap::default() };
        for attempt in 0..TRIES {
            match self.store.swap(&swap, now).await? {
                Swapped::Done => return Ok(Ok(next)),
                Swapped::Lost(there) => match there.holds.into_values().next() {
                    Some(there) if there == next => return Ok(Ok(next)),
                    Some(there) => return Ok(Err(Box::new(there))),
                    None => pause(attempt).await,
                },
                Swapped::Disturbed => pause(attempt).await,
            }
        }
        Err(LedgerError::Contended)
    }

    /// Writes down what came back. People are to be told next.
    pub async fn finish_undo(
        &self,
        record: &IncidentRecord,
        by: &Worker,
        done: &[Done],
        news: &News,
        now: Timestamp,
    ) -> Result<IncidentRecord, LedgerError> {
        let next = |_: &Seen| protocol::finish_undo(record, by, done, news.clone(), now);
        self.follow(record, Seen::default(), now, next).await
    }

    /// Reads an incident.
    pub async fn get(&self, id: &IncidentId) -> Result<IncidentRecord, LedgerError> {
        self.store.incident(id).await?.ok_or_else(|| LedgerError::Unknown(id.to_string()))
    }

    /// All incidents, or those that are open. Reads the whole table.
    pub async fn incidents(&self, open_only: bool) -> Result<Kept, LedgerError> {
        self.store.incidents(open_only).await
    }

    /// At most `limit` incidents that the sweep should look at, the longest overdue first. Ask the record itself what
    /// is due ([`IncidentRecord::is_due`]): the index may be late.
    pub async fn due(&self, now: Timestamp, limit: i32) -> Result<Vec<IncidentId>, LedgerError> {
        self.store.due(now, limit).await
    }
}
