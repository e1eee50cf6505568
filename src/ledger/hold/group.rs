//! The rules of one group, which several incidents may hold: each closes its own of them, and what is between those belongs to
//! all.

use super::{Hold, Holder, settled};
use crate::change::{Change, Rule, Value};
use crate::holes::Holes;
use crate::ledger::key::IncidentId;
use crate::observed::KeptClosed;
use crate::setting::Setting;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How soon to plan again on what another incident has just changed.
pub(super) const PLAN_AGAIN: SignedDuration = SignedDuration::from_secs(3);

impl Hold {
    /// When to plan again, where the plan was made on a rule that another incident is replacing: what that puts in its place
    /// could open what this one closes. Where that is there already, the plan was made on it.
    pub(super) fn in_the_way_of(&self, new: &Holder, planned: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let holes = new.holes();
        let known = self.holders.iter().find(|holder| holder.incident == new.incident);
        if known.is_some_and(|known| holes.is_within(&known.holes())) {
            return None;
        }
        let others = self.holders.iter().filter(|other| other.incident != new.incident && other.is_busy(planned));
        let clashes = others.filter(|other| other.holes() != holes && other.replaces_what(new));
        let until = clashes.filter_map(|other| other.busy).max()?;
        // Who is at it still may be done sooner than that.
        let soon = now.saturating_add(PLAN_AGAIN).unwrap_or(Timestamp::MAX);
        Some(if until <= settled(now) { until.max(now) } else { soon })
    }

    /// Of the rules that a plan was made on those that are not among the `known`.
    pub(super) fn unknown(&self, new: &Holder, known: &BTreeSet<Rule>) -> BTreeSet<Rule> {
        let Setting::IngressRules(_) = &self.setting else { return BTreeSet::new() };
        rules(&new.from).into_iter().flatten().filter(|rule| !known.contains(rule)).cloned().collect()
    }

    /// All rules that may be there of the holders' doing, or that were there before.
    pub(super) fn concerned(&self) -> BTreeSet<Rule> {
        self.spoken_of().into_iter().chain(self.made.iter().cloned()).collect()
    }

    /// All rules that the original or a holder speaks of, or that are wanted, or would be without one of the holders.
    pub(super) fn spoken_of(&self) -> BTreeSet<Rule> {
        let ends = self.holders.iter().flat_map(|holder| [holder.from.clone(), holder.to.clone()]);
        let without = self.holders.iter().map(|one| self.wanted_by(&|other| other.incident != one.incident));
        let all = ends.chain(without).chain([self.original.clone(), self.wanted()]);
        all.flat_map(|value| rules(&value).cloned().unwrap_or_default()).collect()
    }

    /// What of a change that an incident planned is to be made, by what the hold was before it joined: others close more of
    /// the same rules, and what they had left open of one may be what this one closes.
    #[must_use]
    pub fn made_of(&self, change: &Change, before: Option<&Self>) -> Change {
        let (Setting::IngressRules(_), Value::Rules(from)) = (&self.setting, &change.from) else {
            return change.clone();
        };
        let wanted = self.wanted();
        let Some(wanted) = rules(&wanted) else { return change.clone() };
        let stale = before.filter(|hold| !hold.holders.is_empty()).map_or(Value::Absent, Self::wanted);
        let stale = rules(&stale).map_or_else(BTreeSet::new, |stale| stale - wanted);
        let own = rules(&change.to).map_or_else(BTreeSet::new, |to| from | to);
        let to = within(wanted, &own);
        Change { setting: change.setting.clone(), from: Value::Rules(from | &stale), to: Value::Rules(to) }
    }

    /// The rules that `incident` found open when it planned, though others who were not at it then hold them closed; and
    /// which incidents those are.
    #[must_use]
    pub fn open_though_held(
        &self,
        incident: &IncidentId,
        change: &Change,
        planned: Timestamp,
    ) -> Vec<(Rule, IncidentId)> {
        let closed = only_in(&change.from, &change.to);
        let others = self.holders.iter().filter(|other| other.incident != *incident && !other.is_busy(planned));
        others
            .flat_map(|other| {
                let holes = other.holes();
                let open = closed.iter().filter(move |rule| holes.is_open_in(rule));
                open.map(|rule| (rule.clone(), other.incident.clone())).collect::<Vec<_>>()
            })
            .collect()
    }

    /// What others than `incident` keep closed of a group's rules; none where there are no others.
    #[must_use]
    pub fn kept_closed_beside(&self, incident: &IncidentId) -> Option<KeptClosed> {
        let (Setting::IngressRules(_), Value::Rules(original)) = (&self.setting, &self.original) else { return None };
        let others = self.holders.iter().filter(|other| other.incident != *incident);
        let by: BTreeMap<_, _> = others.map(|other| (other.incident.clone(), other.holes())).collect();
        (!by.is_empty()).then(|| KeptClosed { rules: original.clone(), by })
    }

    /// What to read a group with, so that rules are seen that are neither before nor after a change.
    #[must_use]
    pub fn seen_with(&self, change: &Change) -> Change {
        match (&self.setting, &change.from) {
            (Setting::IngressRules(_), Value::Rules(from)) => {
                Change { from: Value::Rules(from | &self.concerned()), ..change.clone() }
            }
            _ => change.clone(),
        }
    }
}

impl Holder {
    /// What it closes of a group's rules.
    pub(super) fn holes(&self) -> Holes {
        match (rules(&self.from), rules(&self.to)) {
            (Some(from), Some(to)) => Holes::between(from, to),
            _ => Holes::default(),
        }
    }

    /// The rules that it opens, other than in the place of one that it closes.
    pub(super) fn adds(&self) -> Vec<Rule> {
        let closed = only_in(&self.from, &self.to);
        let opened = only_in(&self.to, &self.from).into_iter();
        opened.filter(|rule| !closed.iter().any(|wide| rule.is_within(wide))).collect()
    }

    /// Whether both replace the same rule.
    pub(super) fn replaces_what(&self, other: &Self) -> bool {
        let others = only_in(&other.from, &other.to);
        only_in(&self.from, &self.to).iter().any(|rule| others.contains(rule))
    }

    /// Whether both close something of one rule.
    pub(super) fn shares_a_rule_with(&self, other: &Self) -> bool {
        let (closed, others) = (only_in(&self.from, &self.to), only_in(&other.from, &other.to));
        closed.iter().any(|rule| others.iter().any(|other| rule.is_within(other) || other.is_within(rule)))
    }
}

/// Two plans of one incident on a group's rules as one: what either closes of the rules that either was made on. None where
/// they are of something else, or the new one closes no port and no rule more.
#[must_use]
pub fn both((from, to): (&Value, &Value), (new_from, new_to): (&Value, &Value)) -> Option<(Value, Value)> {
    let (from, to, new_from, new_to) = (rules(from)?, rules(to)?, rules(new_from)?, rules(new_to)?);
    let (holes, more) = (Holes::between(from, to), Holes::between(new_from, new_to));
    if more.is_within(&holes) && (new_from - new_to).is_subset(from) {
        return None;
    }
    let holes = holes.and(&more);
    let (before, after) = (from | new_from, to | new_to);
    let after = before.union(&after).flat_map(|rule| holes.rest_of(rule)).collect();
    Some((Value::Rules(before), Value::Rules(after)))
}

/// Whether a change of a group's rules closes a TCP port.
#[must_use]
pub fn closes_tcp(change: &Change, port: u16) -> bool {
    let lets_in = |rule: &Rule| rule.lets_in_tcp(i32::from(port));
    only_in(&change.from, &change.to).iter().any(lets_in) && !rules(&change.to).into_iter().flatten().any(lets_in)
}

/// Whether a change of a group's rules closes what another does not.
#[must_use]
pub fn closes_more(change: &Change, than: &Change) -> bool {
    match (&change.from, &change.to, &than.from, &than.to) {
        (Value::Rules(from), Value::Rules(to), Value::Rules(other_from), Value::Rules(other_to)) => {
            !Holes::between(from, to).is_within(&Holes::between(other_from, other_to))
        }
        _ => false,
    }
}

/// Those of the rules that are within one of the others.
pub(super) fn within(rules: &BTreeSet<Rule>, wide: &BTreeSet<Rule>) -> BTreeSet<Rule> {
    rules.iter().filter(|rule| wide.iter().any(|wide| rule.is_within(wide))).cloned().collect()
}

pub(super) fn rules(value: &Value) -> Option<&BTreeSet<Rule>> {
    match value {
        Value::Rules(rules) => Some(rules),
        Value::Absent | Value::Status(_) | Value::Document(_) | Value::Groups(_) => None,
    }
}

pub(super) fn only_in(these: &Value, those: &Value) -> Vec<Rule> {
    match (these, those) {
        (Value::Rules(these), Value::Rules(those)) => these.difference(those).cloned().collect(),
        _ => Vec::new(),
    }
}
