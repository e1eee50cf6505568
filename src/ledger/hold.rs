//! A setting that one or more incidents keep changed, and what its value must be as they come and go.
//!
//! What is wanted follows from the first original value and the holders, so letting one go is the same computation
//! without it. Most settings have one value, and the last holder's counts. The ingress rules of a group are many
//! settings in one: what is wanted is what the rules were without all that is closed of them ([`crate::holes`]).

mod found;
mod group;

pub use found::{GiveBack, again};
pub use group::{both, closes_more, closes_tcp};

use super::key::{HoldKey, IncidentId, Placed};
use super::record::Lease;
use super::schema::Schema;
use crate::change::{Change, Rule, Value};
use crate::holes::Holes;
use crate::id::{GroupId, Place, VpcId};
use crate::setting::Setting;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So long after a setting was given back nobody joins its hold: AWS may still show what it was before, and that would be
/// taken for the original value.
pub const SETTLES: SignedDuration = SignedDuration::from_secs(10);

/// So long at the most a plan waits for a run that may have crashed: Lambda brings a finding for the last time three minutes
/// after the first.
const MOST_BUSY: SignedDuration = SignedDuration::from_secs(150);

/// The first original value of a setting, and who keeps it changed.
///
/// A hold that nobody holds stays for a while as an empty record, so that its version never starts again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub schema: Schema,
    pub version: u64,
    pub key: HoldKey,
    pub at: Place,
    pub setting: Setting,
    /// As it was before the first write; undo of the last holder gives it back.
    pub original: Value,
    /// In the order they came.
    pub holders: Vec<Holder>,
    /// Somebody is about to write the setting back.
    pub giving_back: Option<GivingBack>,
    /// When it was last given back.
    #[serde(default)]
    pub given_back: Option<Timestamp>,
    /// Of a group's rules those that were to be open in the place of others, at any time since somebody holds it. Where a run
    /// died on the way, they may be there though nobody wants them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub made: BTreeSet<Rule>,
    pub touched: Timestamp,
}

/// An incident, and the change it wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    pub incident: IncidentId,
    pub from: Value,
    pub to: Value,
    /// Until when others may not see what it writes: a plan that was begun before is made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Timestamp>,
}

/// Which incident lets go, and until when it may write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GivingBack {
    pub incident: IncidentId,
    pub until: Timestamp,
}

/// What letting go of a setting takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Release {
    /// The incident does not hold it (any more).
    NotHeld,
    /// Others want just what is there.
    KeptBy(Vec<IncidentId>),
    /// Another incident is at it: it gives it back, or changes the same rules.
    Wait { until: Timestamp },
    /// From what we left to what should be, once the value is read.
    Back(Change),
}

impl Hold {
    /// The hold after the incident `by` joined it, to write until then what it began to plan at `planned`. The first original
    /// value stays; a hold that is being given back, or was just before, must be waited for.
    ///
    /// # Errors
    /// Until when to wait.
    pub fn joined(
        seen: Option<&Self>,
        placed: &Placed,
        by: &IncidentId,
        until: Timestamp,
        planned: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Timestamp> {
        let Change { setting, from, to } = placed.change.clone();
        let busy = until.min(now.saturating_add(MOST_BUSY).unwrap_or(Timestamp::MAX));
        let is_rules = matches!(setting, Setting::IngressRules(_));
        let busy = is_rules.then_some(busy);
        let holder = Holder { incident: by.clone(), from, to, busy };
        let mut hold = match seen {
            Some(hold) => hold.clone(),
            None => Self::unheld(placed, now),
        };
        if let Some(giving) = hold.giving_back.take().filter(|giving| giving.until > now && giving.incident != *by) {
            return Err(giving.until);
        }
        // What was just given back of a group's rules may still be seen as it was, whoever holds others of them.
        let known = hold.holders.iter().find(|holder| holder.incident == *by);
        let learns = !hold.unknown(&holder, &hold.spoken_of()).is_empty();
        let is_changed = hold.holders.is_empty() || known.is_none() && is_rules || learns;
        if let Some(settled) = hold.given_back.map(settled).filter(|settled| is_changed && *settled > planned) {
            return Err(settled.max(now));
        }
        if hold.holders.is_empty() {
            (hold.original, hold.setting, hold.made) = (holder.from.clone(), setting, BTreeSet::new());
        }
        if let Some(again) = hold.in_the_way_of(&holder, planned, now) {
            return Err(again);
        }
        let unknown = hold.unknown(&holder, &hold.concerned());
        if let Value::Rules(original) = &mut hold.original {
            original.extend(unknown);
        }
        match hold.holders.iter_mut().find(|known| known.incident == *by) {
            Some(known) => known.again(&holder),
            None => hold.holders.push(holder),
        }
        let wanted = hold.wanted();
        Ok(hold.making(&wanted).touched(now))
    }

    fn unheld(placed: &Placed, now: Timestamp) -> Self {
        Self {
            schema: Schema,
            version: 0,
            key: placed.key(),
            at: placed.at.clone(),
            setting: placed.change.setting.clone(),
            original: placed.change.from.clone(),
            holders: Vec::new(),
            giving_back: None,
            given_back: None,
            made: BTreeSet::new(),
            touched: now,
        }
    }

    /// The hold whose rules are to be these.
    fn making(mut self, wanted: &Value) -> Self {
        if let (Setting::IngressRules(_), Value::Rules(original), Value::Rules(wanted)) =
            (&self.setting, &self.original, wanted)
        {
            self.made.extend(wanted.difference(original).cloned());
        }
        self
    }

    /// What the setting must be while its holders hold it.
    #[must_use]
    pub fn wanted(&self) -> Value {
        self.wanted_by(&|_| true)
    }

    fn wanted_by(&self, counts: &dyn Fn(&Holder) -> bool) -> Value {
        let holders = || self.holders.iter().filter(|holder| counts(holder));
        if let (Setting::IngressRules(_), Value::Rules(original)) = (&self.setting, &self.original) {
            let holes = holders().fold(Holes::default(), |all, holder| all.and(&holder.holes()));
            let all = original.iter().cloned().chain(holders().flat_map(Holder::adds));
            return Value::Rules(all.flat_map(|rule| holes.rest_of(&rule)).collect());
        }
        holders().last().map_or_else(|| self.original.clone(), |holder| holder.to.clone())
    }

    /// From the first original value to what is wanted: what to read the setting with.
    #[must_use]
    pub fn change(&self) -> Change {
        Change { setting: self.setting.clone(), from: self.original.clone(), to: self.wanted() }
    }

    /// The part of the change that `incident` looks after: to read the setting with, to compare with what is read, and to
    /// write again. None if the incident does not hold it. Of a group's rules only those that let through what it closes:
    /// another's may be on their way back.
    #[must_use]
    pub fn kept_by(&self, incident: &IncidentId) -> Option<Change> {
        let own = self.holders.iter().find(|holder| holder.incident == *incident)?;
        let setting = self.setting.clone();
        let Value::Rules(wanted) = self.wanted() else {
            return Some(Change { setting, from: self.original.clone(), to: self.wanted() });
        };
        let Setting::IngressRules(_) = setting else {
            return Some(Change { setting, from: self.original.clone(), to: Value::Rules(wanted) });
        };
        let holes = own.holes();
        let open: BTreeSet<Rule> = self.concerned().into_iter().filter(|rule| holes.is_open_in(rule)).collect();
        let to = group::within(&wanted, &open);
        Some(Change { setting, from: Value::Rules(open), to: Value::Rules(to) })
    }

    /// Until when what is read of the setting may not be what it will be, or was: it is just given back, or was moments ago.
    #[must_use]
    pub fn unsettled(&self, now: Timestamp) -> Option<Timestamp> {
        let is_at_it = |giving: &&GivingBack| {
            giving.until > now && self.touched.checked_add(MOST_BUSY).is_ok_and(|most| now < most)
        };
        // Who gives it back is mostly done long before they must be.
        let at_it = self.giving_back.as_ref().filter(is_at_it).map(|giving| giving.until.min(settled(now)));
        self.given_back.map(settled).into_iter().chain(at_it).filter(|until| *until > now).max()
    }

    /// What it takes that `incident` lets go.
    #[must_use]
    pub fn release(&self, incident: &IncidentId, now: Timestamp) -> Release {
        if let Some(giving) = self.giving_back.as_ref().filter(|it| it.until > now && it.incident != *incident) {
            return Release::Wait { until: giving.until };
        }
        if !self.holders.iter().any(|holder| holder.incident == *incident) {
            return Release::NotHeld;
        }
        // What another is about to write of the same rules would leave what is given back now beside it.
        if let Some(until) = self.others_at_work(incident, now) {
            return Release::Wait { until };
        }
        let (from, to) = (self.wanted(), self.wanted_by(&|holder| holder.incident != *incident));
        let others = self.kept_by_others_too(incident);
        if from == to && !others.is_empty() {
            return Release::KeptBy(others);
        }
        Release::Back(Change { setting: self.setting.clone(), from, to })
    }

    /// The others that want what `incident` wants.
    #[must_use]
    pub fn kept_by_others_too(&self, incident: &IncidentId) -> Vec<IncidentId> {
        let own = self.holders.iter().find(|holder| holder.incident == *incident);
        own.map_or_else(Vec::new, |own| self.others_on(incident, &own.from, &own.to))
    }

    /// The others that want what `incident` does, or did, with this change: of a group's rules those that close some of what
    /// it closes.
    #[must_use]
    pub fn others_on(&self, incident: &IncidentId, from: &Value, to: &Value) -> Vec<IncidentId> {
        let others = self.holders.iter().filter(|other| other.incident != *incident);
        let is_on_it = |other: &&Holder| match (&self.setting, from, to) {
            (Setting::IngressRules(_), Value::Rules(from), Value::Rules(to)) => {
                Holes::between(from, to).meets(&other.holes())
            }
            _ => true,
        };
        others.filter(is_on_it).map(|other| other.incident.clone()).collect()
    }

    /// The hold with the mark that `incident` writes the setting back within its lease. None if the lease is over: such a
    /// mark would keep nobody away.
    #[must_use]
    pub fn marked(&self, incident: &IncidentId, lease: &Lease, now: Timestamp) -> Option<Self> {
        let giving_back = Some(GivingBack { incident: incident.clone(), until: lease.until });
        let after = self.wanted_by(&|holder| holder.incident != *incident);
        lease.is_alive(now).then(|| Self { giving_back, ..self.clone() }.making(&after).touched(now))
    }

    /// The hold where nothing more is written back for now. Others wait until AWS shows what may have been.
    #[must_use]
    pub fn unmarked(&self, incident: &IncidentId, now: Timestamp) -> Self {
        let mut hold = self.clone();
        if let Some(giving) = hold.giving_back.as_mut().filter(|giving| giving.incident == *incident) {
            giving.until = giving.until.min(settled(now));
        }
        hold.touched(now)
    }

    /// The hold where `incident` is about to write once more, until then: what others plan on what they see before that, they
    /// plan again. None where others need not know.
    #[must_use]
    pub fn at_work(&self, incident: &IncidentId, until: Timestamp, now: Timestamp) -> Option<Self> {
        let mut hold = self.clone();
        let holder = hold.holders.iter_mut().find(|holder| holder.incident == *incident)?;
        *holder.busy.as_mut()? = until.min(now.saturating_add(MOST_BUSY).unwrap_or(Timestamp::MAX));
        Some(hold.touched(now))
    }

    /// The hold after `incident` wrote what it had planned, or gave up; None if others need not know. AWS may not show it yet.
    #[must_use]
    pub fn rested(&self, incident: &IncidentId, now: Timestamp) -> Option<Self> {
        let mut hold = self.clone();
        let busy = &mut hold.holders.iter_mut().find(|holder| holder.incident == *incident)?.busy;
        *busy = Some((*busy)?.min(settled(now)));
        Some(hold.touched(now))
    }

    fn others_at_work(&self, incident: &IncidentId, now: Timestamp) -> Option<Timestamp> {
        let own = self.holders.iter().find(|holder| holder.incident == *incident)?;
        let others = self.holders.iter().filter(|other| other.incident != *incident && other.is_busy(now));
        // Who is at rest has ten seconds left of it, which whoever reads waits for.
        let until = others.filter(|other| other.shares_a_rule_with(own)).filter_map(|other| other.busy).max();
        until.filter(|until| *until > settled(now))
    }

    /// The hold after `incident` gave the setting back, or left it to others.
    #[must_use]
    pub fn released_by(&self, incident: &IncidentId, now: Timestamp) -> Self {
        Self { given_back: Some(now), ..self.without(incident, now) }
    }

    /// The hold without `incident`.
    #[must_use]
    pub fn without(&self, incident: &IncidentId, now: Timestamp) -> Self {
        let mut hold = self.clone().touched(now);
        hold.holders.retain(|holder| holder.incident != *incident);
        hold.giving_back = hold.giving_back.filter(|giving| giving.incident != *incident);
        let wanted = hold.wanted();
        hold.making(&wanted)
    }

    /// The hold with what execution made of the change: ids that the plan could not know. None if it knows.
    #[must_use]
    pub fn with_result(&self, incident: &IncidentId, to: &Value, now: Timestamp) -> Option<Self> {
        let mut hold = self.clone();
        let holder = hold.holders.iter_mut().find(|holder| holder.incident == *incident);
        holder.filter(|holder| holder.to.waits_for().is_some())?.to = to.clone();
        Some(hold.touched(now))
    }

    /// The hold after what its holders want was made anew under another id.
    #[must_use]
    pub fn moved_on(&self, old: &Value, new: &Value, now: Timestamp) -> Self {
        let mut hold = self.clone().touched(now);
        let stale = hold.holders.iter_mut().filter(|holder| holder.to == *old);
        stale.for_each(|holder| holder.to = new.clone());
        hold
    }

    /// Corrects the original where the plan saw the wanted value, and it was another's that was just being given back:
    /// allowed as long as nobody else holds it and nothing was written.
    #[must_use]
    pub fn corrected(&self, incident: &IncidentId, found: &Value, now: Timestamp) -> Option<Self> {
        let [holder] = self.holders.as_slice() else { return None };
        let untouched = holder.incident == *incident && holder.from == holder.to && self.original == holder.to;
        untouched.then(|| {
            let mut hold = self.clone().touched(now);
            hold.original = found.clone();
            hold.holders.iter_mut().for_each(|holder| holder.from = found.clone());
            hold
        })
    }

    /// The VPC whose quarantine group the wanted value still names by its VPC: a run crashed before it said which.
    #[must_use]
    pub fn waits_for(&self) -> Option<VpcId> {
        self.holders.iter().find_map(|holder| holder.to.waits_for()).cloned()
    }

    /// The hold with that group's id, to compare with what is read.
    #[must_use]
    pub fn resolved(&self, vpc: &VpcId, group: &GroupId) -> Self {
        let mut hold = self.clone();
        hold.holders.iter_mut().for_each(|holder| holder.to = holder.to.resolved(vpc, group));
        hold
    }

    fn touched(mut self, now: Timestamp) -> Self {
        self.version += 1;
        self.touched = now;
        self
    }
}

impl Holder {
    /// The same incident once more. Its plan is not newer than what it holds: since then a look may have moved an interface
    /// on to another group. Of a group's rules the plan may close more.
    fn again(&mut self, new: &Self) {
        if let Some((from, to)) = both((&self.from, &self.to), (&new.from, &new.to)) {
            (self.from, self.to) = (from, to);
        }
        self.busy = new.busy;
    }
}

/// From when on AWS shows what was written at that time.
#[must_use]
pub fn settled(written: Timestamp) -> Timestamp {
    written.saturating_add(SETTLES).unwrap_or(Timestamp::MAX)
}

impl Holder {
    fn is_busy(&self, at: Timestamp) -> bool {
        self.busy.is_some_and(|until| at < until)
    }
}

#[cfg(test)]
mod tests;
