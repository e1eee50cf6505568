//! The ledger's rules, pure: what was read and what is asked for in, what to write out.
//!
//! The store is a compare-and-swap over several records: a [`Swap`] is written whole, or not at all if one of its records
//! is no longer the version before. Then what is there comes back, and the same rule decides again. The code and the
//! model in the tests run these functions and no others.

mod claim;
mod finish;
mod limit;
mod merge;
mod undo;
mod waiting;

pub use claim::{Claim, Decided, Denied, How, Occasion, claim};
pub use finish::{
    Finish, No, finish, gathered, held_by, over, postponed, put_down, put_off, reject, reopened, saying, still_unasked,
    told, touched_by, verified,
};
pub use limit::{Count, Limit};
pub use merge::{is_newer, out_of_sight, unsure};
pub use undo::{Done, LetGo, NoUndo, begin_undo, finish_undo, not_asked_any_more};

use super::hold::Hold;
use super::key::{CounterKey, HoldKey};
use super::record::IncidentRecord;
use std::collections::{BTreeMap, BTreeSet};

/// What is known to be in the ledger. What is not here is taken to be absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    pub incident: Option<IncidentRecord>,
    pub holds: BTreeMap<HoldKey, Hold>,
    /// Counters that cannot take what was to be added.
    pub full: BTreeSet<CounterKey>,
    /// It was read some time before: good enough to write on, since a write verifies it, and not to turn anybody away.
    pub is_early: bool,
}

impl Seen {
    #[must_use]
    pub fn incident(record: IncidentRecord) -> Self {
        Self { incident: Some(record), ..Self::default() }
    }

    /// What was read before looking and planning, which takes its time.
    #[must_use]
    pub fn early(record: IncidentRecord) -> Self {
        Self { is_early: true, ..Self::incident(record) }
    }

    /// Takes in what stood in the way of a swap.
    pub fn learn(&mut self, there: Self) {
        let Self { incident, holds, full, is_early: _ } = there;
        self.is_early = false;
        self.incident = incident.or(self.incident.take());
        self.holds.extend(holds);
        self.full.extend(full);
    }
}

/// What is written together. Each record replaces the version before its own; version 1 replaces nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Swap {
    pub incident: Option<IncidentRecord>,
    pub holds: Vec<Hold>,
    /// Counters to raise, if they stay within their limit.
    pub counters: Vec<Count>,
}
