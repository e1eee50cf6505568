//! How many containments an account gets without a person.

use super::super::key::{CounterKey, HoldKey};
use super::super::record::IncidentRecord;
use super::merge::is_begun;
use crate::incident::Part;
use crate::setting::Setting;
use std::collections::BTreeSet;

/// At most so many containments in what is left of the counter's hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub counter: CounterKey,
    pub at_most: u32,
}

/// So many containments more for a counter, if they are within its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub counter: CounterKey,
    pub at_most: u32,
    pub more: u32,
}

impl Count {
    /// Whether there are more than the limit, however few were counted before.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.more > self.at_most
    }
}

/// The parts that are one containment more each: something of a resource is to change of which nothing is held, and nothing
/// was tried before.
pub(super) fn begun<'a>(record: &'a IncidentRecord, tried: &BTreeSet<HoldKey>) -> Vec<&'a Part> {
    let is_new = |part: &&Part| own(part).all(|key| !record.holds.contains(&key) && !tried.contains(&key));
    let changes = |part: &&Part| part.plan.writes();
    record.incident.parts.iter().filter(|part| is_begun(part)).filter(changes).filter(is_new).collect()
}

/// The settings of the resource itself. A quarantine group is shared by all of its VPC.
pub(super) fn own(part: &Part) -> impl Iterator<Item = HoldKey> {
    let steps = part.plan.steps().filter(|step| !matches!(step.change.setting, Setting::QuarantineGroup(_)));
    steps.map(|step| HoldKey::of(&part.plan.subject.at, &step.change.setting))
}

/// Whether the counter counts a containment of that part.
pub(super) fn is_counted(counter: &CounterKey, part: &Part) -> bool {
    let is_of_kind = counter.remediation.is_none() || counter.remediation == part.plan.remediation;
    counter.account == part.plan.subject.at.account && is_of_kind
}

/// What these containments add to the counters.
pub(super) fn counts(limits: &[Limit], begun: &[&Part]) -> Vec<Count> {
    let count = |Limit { counter, at_most }: &Limit| {
        let more = begun.iter().filter(|part| is_counted(counter, part)).count();
        Count { counter: counter.clone(), at_most: *at_most, more: u32::try_from(more).unwrap_or(u32::MAX) }
    };
    limits.iter().map(count).filter(|count| count.more > 0).collect()
}
