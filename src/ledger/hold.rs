//! A setting that one or more incidents keep changed, and what its value must be as they come and go.
//!
//! What is wanted follows from the first original value and the holders, so letting one go is the same computation
//! without it. Most settings have one value, and the last holder's counts. The ingress rules of a group are many
//! settings in one: each rule is there or not, and one incident's rules come back while another's stay closed.

mod found;

pub use found::{GiveBack, again, give_back};

use super::key::{HoldKey, IncidentId, Placed};
use super::record::Lease;
use super::schema::Schema;
use crate::change::{Change, Rule, Value};
use crate::id::{GroupId, Place, VpcId};
use crate::setting::Setting;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So long after a setting was given back nobody joins its hold: AWS may still show what it was before, and that would be
/// taken for the original value.
pub const SETTLES: SignedDuration = SignedDuration::from_secs(10);

/// How soon to plan again on what another incident has just changed.
const PLAN_AGAIN: SignedDuration = SignedDuration::from_secs(3);

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
    /// Another incident is just giving it back.
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
        let busy = matches!(setting, Setting::IngressRules(_)).then_some(busy);
        let holder = Holder { incident: by.clone(), from, to, busy };
        let mut hold = match seen {
            Some(hold) => hold.clone(),
            None => Self::unheld(placed, now),
        };
        if let Some(giving) = hold.giving_back.take().filter(|giving| giving.until > now && giving.incident != *by) {
            return Err(giving.until);
        }
        // What was just given back of a group's rules may still be seen as it was, whoever holds others of them.
        let is_new = !hold.holders.iter().any(|holder| holder.incident == *by);
        let is_changed = hold.holders.is_empty() || is_new && matches!(setting, Setting::IngressRules(_));
        if let Some(settled) = hold.given_back.map(settled).filter(|settled| is_changed && *settled > planned) {
            return Err(settled.max(now));
        }
        if hold.holders.is_empty() {
            (hold.original, hold.setting) = (holder.from.clone(), setting);
        }
        if let Some(again) = hold.in_the_way_of(&holder, planned, now) {
            return Err(again);
        }
        hold.learn(&holder);
        match hold.holders.iter_mut().find(|known| known.incident == *by) {
            Some(known) => known.again(&holder),
            None => hold.holders.push(holder),
        }
        Ok(hold.touched(now))
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
            touched: now,
        }
    }

    /// When to plan again, where the plan was made on a rule that another incident has replaced since: both would open what
    /// the other closes.
    fn in_the_way_of(&self, new: &Holder, planned: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let closes = |holder: &Holder, rule: &Rule| only_in(&holder.from, &holder.to).contains(rule);
        let is_known = self.holders.iter().any(|holder| holder.incident == new.incident);
        let differs = |other: &&Holder| only_in(&other.to, &other.from) != only_in(&new.to, &new.from);
        let closed = only_in(&new.from, &new.to);
        let clashes = |other: &&Holder| closed.iter().any(|rule| closes(other, rule));
        let others = self.holders.iter().filter(|other| other.is_busy(planned)).filter(differs).filter(clashes);
        let until = others.filter(|_| !is_known).filter_map(|other| other.busy).max()?;
        // Who is at it still may be done sooner than that.
        let soon = now.saturating_add(PLAN_AGAIN).unwrap_or(Timestamp::MAX);
        Some(if until <= settled(now) { until.max(now) } else { soon })
    }

    /// Who has closed a rule that `incident` opened: what it replaced cannot come back while they hold.
    fn built_on(&self, incident: &IncidentId) -> Vec<IncidentId> {
        let Some(own) = self.holders.iter().find(|holder| holder.incident == *incident) else { return Vec::new() };
        let opened = only_in(&own.to, &own.from);
        let builds = |other: &&Holder| {
            other.incident != *incident && only_in(&other.from, &other.to).iter().any(|rule| opened.contains(rule))
        };
        self.holders.iter().filter(builds).map(|holder| holder.incident.clone()).collect()
    }

    /// Adds to the original what no holder spoke of before. What is known stays.
    fn learn(&mut self, new: &Holder) {
        let known = self.concerned();
        if let (Value::Rules(original), Value::Rules(from), Setting::IngressRules(_)) =
            (&mut self.original, &new.from, &self.setting)
        {
            original.extend(from.difference(&known).cloned());
        }
    }

    /// All rules that the original or a holder speaks of.
    fn concerned(&self) -> BTreeSet<Rule> {
        let ends = self.holders.iter().flat_map(|holder| [&holder.from, &holder.to]).chain([&self.original]);
        ends.filter_map(rules).flatten().cloned().collect()
    }

    /// What the setting must be while its holders hold it.
    #[must_use]
    pub fn wanted(&self) -> Value {
        self.wanted_by(&|_| true)
    }

    fn wanted_by(&self, counts: &dyn Fn(&Holder) -> bool) -> Value {
        let holders = || self.holders.iter().filter(|holder| counts(holder));
        if let (Setting::IngressRules(_), Value::Rules(original)) = (&self.setting, &self.original) {
            let leaves = |holder: &Holder, rule: &Rule| holders().all(|other| other.leaves(holder, rule));
            // What a holder left as it was may be what another has opened: it stays as long as one of them wants it.
            let left = |holder: &Holder| rules(&holder.to).into_iter().flatten().cloned().collect::<Vec<_>>();
            let added: BTreeSet<Rule> = holders()
                .flat_map(|holder| left(holder).into_iter().filter(move |rule| leaves(holder, rule)))
                .collect();
            let closed: BTreeSet<Rule> = holders().flat_map(|holder| only_in(&holder.from, &holder.to)).collect();
            let all: BTreeSet<Rule> = original.union(&added).cloned().collect();
            return Value::Rules(all.difference(&closed).cloned().collect());
        }
        holders().last().map_or_else(|| self.original.clone(), |holder| holder.to.clone())
    }

    /// From the first original value to what is wanted: what to read the setting with.
    #[must_use]
    pub fn change(&self) -> Change {
        Change { setting: self.setting.clone(), from: self.original.clone(), to: self.wanted() }
    }

    /// The part of the change that `incident` looks after: to read the setting with, to compare with what is read, and to
    /// write again. None if the incident does not hold it. Of a group's rules only its own: another's may be on their way
    /// back.
    #[must_use]
    pub fn kept_by(&self, incident: &IncidentId) -> Option<Change> {
        let own = self.holders.iter().find(|holder| holder.incident == *incident)?;
        let setting = self.setting.clone();
        Some(match self.setting {
            Setting::IngressRules(_) => {
                let change = self.wanted_of(&Change { setting, from: own.from.clone(), to: own.to.clone() });
                // What it left as it was, another may close and give back.
                Change { from: Value::Rules(only_in(&own.from, &own.to).into_iter().collect()), ..change }
            }
            Setting::AccessKeyStatus(_)
            | Setting::InlinePolicy(_)
            | Setting::InterfaceGroups(_)
            | Setting::QuarantineGroup(_) => Change { setting, from: self.original.clone(), to: self.wanted() },
        })
    }

    /// What of a holder's change is wanted: another may close a rule that it opens, or a part of that. Whoever closes a rule
    /// that others close too opens all that is to stay open of it: the others may have opened theirs before somebody put the
    /// rule back, or not have come to it.
    #[must_use]
    pub fn wanted_of(&self, change: &Change) -> Change {
        let to = match (&change.from, &change.to, self.wanted()) {
            (Value::Rules(from), Value::Rules(to), Value::Rules(wanted)) => {
                let closed = from - to;
                let known = rules(&self.original);
                let is_new = |rule: &Rule| !known.is_some_and(|known| known.contains(rule));
                let is_within = |rule: &Rule, any: &BTreeSet<Rule>| any.iter().any(|wide| rule.is_within(wide));
                let is_part = |rule: &Rule| is_new(rule) && is_within(rule, &closed) && is_within(rule, to);
                Value::Rules(wanted.into_iter().filter(|rule| to.contains(rule) || is_part(rule)).collect())
            }
            (_, to, _) => to.clone(),
        };
        Change { to, ..change.clone() }
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
                let both = only_in(&other.from, &other.to).into_iter().filter(|rule| closed.contains(rule));
                both.map(|rule| (rule, other.incident.clone())).collect::<Vec<_>>()
            })
            .collect()
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
        let built_on = self.built_on(incident);
        if !built_on.is_empty() {
            return Release::KeptBy(built_on);
        }
        let (from, to) = (self.wanted(), self.wanted_by(&|holder| holder.incident != *incident));
        let others: Vec<_> = self.holders.iter().map(|holder| &holder.incident).filter(|id| *id != incident).collect();
        if from == to && !others.is_empty() {
            return Release::KeptBy(others.into_iter().cloned().collect());
        }
        Release::Back(Change { setting: self.setting.clone(), from, to })
    }

    /// The hold with the mark that `incident` writes the setting back within its lease. None if the lease is over: such a
    /// mark would keep nobody away.
    #[must_use]
    pub fn marked(&self, incident: &IncidentId, lease: &Lease, now: Timestamp) -> Option<Self> {
        let giving_back = Some(GivingBack { incident: incident.clone(), until: lease.until });
        lease.is_alive(now).then(|| Self { giving_back, ..self.clone() }.touched(now))
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

    /// The hold after `incident` gave the setting back, or left it to others. What another incident has built on goes over
    /// to that one: its own undo gives back both.
    #[must_use]
    pub fn released_by(&self, incident: &IncidentId, now: Timestamp) -> Self {
        let mut hold = self.clone();
        let own = hold.holders.iter().find(|holder| holder.incident == *incident).cloned();
        if let (Some(own), Some(heir)) = (own, self.built_on(incident).first()) {
            hold.holders
                .iter_mut()
                .filter(|holder| holder.incident == *heir)
                .for_each(|holder| holder.takes_over(&own));
        }
        Self { given_back: Some(now), ..hold.without(incident, now) }
    }

    /// The hold without `incident`.
    #[must_use]
    pub fn without(&self, incident: &IncidentId, now: Timestamp) -> Self {
        let mut hold = self.clone().touched(now);
        hold.holders.retain(|holder| holder.incident != *incident);
        hold.giving_back = hold.giving_back.filter(|giving| giving.incident != *incident);
        hold
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
    /// on to another group. Of a group's rules the plan may add some.
    fn again(&mut self, new: &Self) {
        let rules = (&mut self.from, &mut self.to, &new.from, &new.to);
        if let (Value::Rules(from), Value::Rules(to), Value::Rules(new_from), Value::Rules(new_to)) = rules {
            let (closed, kept, more) = left_by_both((from, to), (new_from, new_to));
            // What the first plan had opened may be what the second closes.
            from.extend(closed);
            // A plan that was narrowed to what others leave open has parts of what is its own.
            let more = more.into_iter().filter(|rule| !kept.iter().any(|own| rule.is_within(own)));
            *to = kept.iter().cloned().chain(more).collect();
        }
        self.busy = new.busy;
    }
}

/// Of two plans of one incident, each from what it was made on to what it leaves: what the new one was made on beside what the
/// old one left and stays, and what stays open of the old one, and of the new one. Where both close the same rule, since
/// somebody put it back in between, what one leaves of it may be what the other closes.
#[must_use]
pub fn left_by_both(
    (from, to): (&BTreeSet<Rule>, &BTreeSet<Rule>),
    (new_from, new_to): (&BTreeSet<Rule>, &BTreeSet<Rule>),
) -> (BTreeSet<Rule>, BTreeSet<Rule>, BTreeSet<Rule>) {
    let both_close = &(from - to) & &(new_from - new_to);
    let leaves = |other: &BTreeSet<Rule>, rule: &Rule| {
        !both_close.iter().any(|wide| rule.is_within(wide)) || other.iter().any(|left| rule.is_within(left))
    };
    let kept = (to - new_from).into_iter().filter(|rule| leaves(new_to, rule)).collect();
    let more = new_to.iter().filter(|rule| leaves(to, rule)).cloned().collect();
    (new_from - &(new_to & to), kept, more)
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

    /// Whether this holder, too, lets pass what another opens of a rule that both close. Plans that were made on the same
    /// rule each leave open what the other closes.
    fn leaves(&self, other: &Self, opened: &Rule) -> bool {
        let closed = only_in(&self.from, &self.to);
        let shared =
            only_in(&other.from, &other.to).into_iter().any(|rule| closed.contains(&rule) && opened.is_within(&rule));
        !shared || rules(&self.to).is_some_and(|left| left.iter().any(|rule| opened.is_within(rule)))
    }

    /// Its own change and another's, as one: closed is what either closes, open what either opens and none closes.
    fn takes_over(&mut self, other: &Self) {
        let (Value::Rules(from), Value::Rules(to), Value::Rules(first), Value::Rules(then)) =
            (&self.from, &self.to, &other.from, &other.to)
        else {
            return;
        };
        let both =
            |one: BTreeSet<Rule>, other: BTreeSet<Rule>| one.into_iter().chain(other).collect::<BTreeSet<Rule>>();
        let closed = both(from - to, first - then);
        let opened = &both(to - from, then - first) - &closed;
        let kept = &(&both(from & to, first & then) - &closed) - &opened;
        (self.from, self.to) = (Value::Rules(&closed | &kept), Value::Rules(&opened | &kept));
    }
}

fn rules(value: &Value) -> Option<&BTreeSet<Rule>> {
    match value {
        Value::Rules(rules) => Some(rules),
        Value::Absent | Value::Status(_) | Value::Document(_) | Value::Groups(_) => None,
    }
}

fn only_in(these: &Value, those: &Value) -> Vec<Rule> {
    match (these, those) {
        (Value::Rules(these), Value::Rules(those)) => these.difference(those).cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Direction, KeyStatus, Peer};
    use crate::setting::{AccessKeyStatus, IngressRules};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const LEASE: SignedDuration = SignedDuration::from_secs(60);

    fn id(n: u8) -> IncidentId {
        format!("111122223333/eu-west-1/{n}").parse().unwrap()
    }

    fn at() -> Place {
        let (account, region) = ("111122223333".try_into().unwrap(), "eu-west-1".try_into().unwrap());
        Place { partition: crate::id::Partition::Aws, account, region }
    }

    fn rule(port: i32) -> Rule {
        Rule {
            id: None,
            direction: Direction::In,
            protocol: "tcp".to_owned(),
            ports: Some((port, port)),
            peer: Peer::Unknown,
            description: None,
            tags: Vec::new(),
        }
    }

    fn rules(ports: &[i32]) -> Value {
        Value::Rules(ports.iter().map(|port| rule(*port)).collect())
    }

    fn group(from: &[i32], to: &[i32]) -> Placed {
        let setting = Setting::IngressRules(IngressRules { group: "sg-0a1b".try_into().unwrap() });
        Placed { at: at(), change: Change { setting, from: rules(from), to: rules(to) } }
    }

    fn key(from: KeyStatus, to: KeyStatus) -> Placed {
        let (user, key) = ("ann".try_into().unwrap(), "AKIAIOSFODNN7EXAMPLE".try_into().unwrap());
        let setting = Setting::AccessKeyStatus(AccessKeyStatus { user, key });
        Placed { at: at(), change: Change { setting, from: Value::Status(from), to: Value::Status(to) } }
    }

    /// The hold after each of these joined, numbered from zero, a minute after the one before.
    fn held(changes: &[Placed]) -> Hold {
        let join = |hold: Option<Hold>, (n, placed): (u8, &Placed)| {
            Some(
                Hold::joined(
                    hold.as_ref(),
                    placed,
                    &id(n),
                    NOW + LEASE * i32::from(n + 1),
                    NOW + LEASE * i32::from(n),
                    NOW + LEASE * i32::from(n),
                )
                .unwrap(),
            )
        };
        (0..).zip(changes).fold(None, join).unwrap()
    }

    fn back(hold: &Hold, n: u8) -> (Value, Value) {
        match hold.release(&id(n), NOW) {
            Release::Back(change) => (change.from, change.to),
            other @ (Release::NotHeld | Release::Wait { .. } | Release::KeptBy(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_value_stays_and_comes_back_when_the_last_lets_go() {
        use KeyStatus::{Active, Inactive};
        let hold = held(&[key(Active, Inactive), key(Inactive, Inactive)]);
        assert_eq!(hold.original, Value::Status(Active));
        assert_eq!(hold.release(&id(1), NOW), Release::KeptBy(vec![id(0)]));
        let hold = hold.without(&id(0), NOW);
        assert_eq!(back(&hold, 1), (Value::Status(Inactive), Value::Status(Active)));
        assert_eq!(hold.release(&id(0), NOW), Release::NotHeld);
    }

    #[test]
    fn what_another_has_built_on_comes_back_when_both_let_go() {
        // As where one closes a port within all of them, and another one within what the first left open.
        let hold = held(&[group(&[1], &[2, 3]), group(&[3], &[4, 5])]);
        assert_eq!(hold.wanted(), rules(&[2, 4, 5]));
        assert_eq!(hold.release(&id(0), NOW), Release::KeptBy(vec![id(1)]));
        let left = hold.released_by(&id(0), NOW);
        assert_eq!((left.wanted(), left.holders.len()), (rules(&[2, 4, 5]), 1));
        let Release::Back(back) = left.release(&id(1), NOW) else { panic!("nobody else holds it") };
        assert_eq!((back.from, back.to), (rules(&[2, 4, 5]), rules(&[1])));
        // The other way round each has its own to give back.
        let Release::Back(back) = hold.release(&id(1), NOW) else { panic!("nobody builds on it") };
        assert_eq!(back.to, rules(&[2, 3]));
        let Release::Back(back) = hold.released_by(&id(1), NOW).release(&id(0), NOW) else { panic!("it is the last") };
        assert_eq!(back.to, rules(&[1]));
    }

    #[test]
    fn a_plan_on_what_another_has_just_replaced_is_made_again() {
        let hold = held(&[group(&[1], &[2])]);
        let join = |placed: &Placed, now: Timestamp| {
            Hold::joined(Some(&hold), placed, &id(1), now + LEASE, now, now).map(|it| it.wanted())
        };
        assert_eq!(join(&group(&[1], &[3]), NOW), Err(NOW + PLAN_AGAIN));
        assert_eq!(join(&group(&[1], &[2]), NOW), Ok(rules(&[2])), "both want the same");
        assert_eq!(join(&group(&[4], &[5]), NOW), Ok(rules(&[2, 5])), "they have nothing to do with each other");
        assert!(join(&group(&[1], &[3]), NOW + LEASE).is_ok(), "the other is done");
        assert!(Hold::joined(Some(&hold), &group(&[1], &[3]), &id(0), NOW, NOW, NOW).is_ok(), "it is its own");
    }

    #[test]
    fn nobody_waits_for_a_run_that_may_have_crashed_until_lambda_gives_up() {
        let long = NOW + SignedDuration::from_mins(15);
        let hold = Hold::joined(None, &group(&[1], &[2]), &id(0), long, NOW, NOW).unwrap();
        let join = |now: Timestamp| Hold::joined(Some(&hold), &group(&[1], &[3]), &id(1), long, now, now);
        assert!(join(NOW + SignedDuration::from_secs(60)).is_err());
        assert!(join(NOW + SignedDuration::from_secs(180)).is_ok(), "the last time that Lambda brings it");
        let again = hold.at_work(&id(0), long, NOW + SignedDuration::from_mins(5)).unwrap();
        let join = |seconds: i64| {
            let now = NOW + SignedDuration::from_secs(seconds);
            Hold::joined(Some(&again), &group(&[1], &[3]), &id(1), long, now, now)
        };
        assert_eq!((join(301).is_ok(), join(460).is_ok()), (false, true));
        assert_eq!(held(&[key(KeyStatus::Active, KeyStatus::Inactive)]).at_work(&id(0), long, NOW), None);
    }

    #[test]
    fn two_plans_of_one_incident_on_the_same_rule_leave_what_both_leave() {
        type Ends<'a> = (&'a [(i32, i32)], &'a [(i32, i32)]);
        let range = |first, last| Rule { ports: Some((first, last)), ..rule(0) };
        let some =
            |ports: &[(i32, i32)]| ports.iter().map(|(first, last)| range(*first, *last)).collect::<BTreeSet<_>>();
        let check = |old: Ends, new: Ends, expect: &[(i32, i32)]| {
            let (_, kept, more) = left_by_both((&some(old.0), &some(old.1)), (&some(new.0), &some(new.1)));
            assert_eq!(&kept | &more, some(expect));
        };
        let old: Ends = (&[(20, 30)], &[(20, 21), (23, 30)]);
        // On what the first had left.
        check(old, (&[(23, 30)], &[(23, 24), (26, 30)]), &[(20, 21), (23, 24), (26, 30)]);
        // On the rule that somebody put back, alone and beside the rest.
        check(old, (&[(20, 30)], &[(20, 24), (26, 30)]), &[(20, 21), (26, 30)]);
        check(old, (&[(20, 30), (23, 30)], &[(20, 24), (23, 24), (26, 30)]), &[(20, 21), (23, 24), (26, 30)]);
        check(old, (&[(20, 30)], &[(20, 21), (23, 24), (26, 30)]), &[(20, 21), (23, 24), (26, 30)]);
        // On the rule that is still there beside what the first has opened: it crashed.
        check(old, (&[(20, 21), (20, 30), (23, 30)], &[(20, 21), (23, 30)]), &[(20, 21), (23, 30)]);
        // On the rule that somebody put back, where all of it is to be closed by now.
        check((&[(22, 23)], &[(23, 23)]), (&[(22, 23)], &[]), &[]);
        // On another rule.
        check(old, (&[(80, 90)], &[(81, 90)]), &[(20, 21), (23, 30), (81, 90)]);
    }

    #[test]
    fn a_hold_that_nobody_holds_begins_anew_and_counts_on() {
        use KeyStatus::{Active, Inactive};
        let empty = held(&[key(Active, Inactive)]).released_by(&id(0), NOW);
        let settled = NOW + SETTLES;
        let join = |now| Hold::joined(Some(&empty), &key(Inactive, Inactive), &id(1), now, now, now);
        assert_eq!(join(settled - SignedDuration::from_nanos(1)), Err(settled), "AWS may show what it was before");
        let hold = join(settled).unwrap();
        assert_eq!((hold.version, &hold.original), (3, &Value::Status(Inactive)));
        let hold = hold.corrected(&id(1), &Value::Status(Active), NOW).unwrap();
        assert_eq!(back(&hold, 1).1, Value::Status(Active));
        assert_eq!(hold.corrected(&id(1), &Value::Status(Inactive), NOW), None);
    }

    #[test]
    fn what_was_just_given_back_of_a_group_is_waited_for_whoever_else_holds_rules_of_it() {
        let hold = held(&[group(&[1], &[2]), group(&[80], &[])]).released_by(&id(0), NOW);
        let join = |now, n| Hold::joined(Some(&hold), &group(&[2], &[3]), &id(n), now, now, now);
        assert_eq!(join(NOW, 2), Err(NOW + SETTLES));
        assert!(join(NOW + SETTLES, 2).is_ok());
        assert!(join(NOW, 1).is_ok(), "it holds others of them already");
    }

    #[test]
    fn a_look_opens_nothing_but_in_the_place_of_what_somebody_opened() {
        let range = |first, last| Rule { ports: Some((first, last)), ..rule(first) };
        let of = |rules: &[&Rule]| Value::Rules(rules.iter().copied().cloned().collect());
        let (whole, low, high) = (range(20, 30), range(20, 21), range(23, 30));
        let split = Change { to: of(&[&low, &high]), from: of(&[&whole]), ..group(&[], &[]).change };
        let to = |found: &[&Rule]| again(&split, &of(found)).map(|change| change.to);
        assert_eq!(to(&[&low, &high]), None);
        assert_eq!((to(&[&low]), to(&[])), (None, None), "a person closed the rest");
        assert_eq!(to(&[&whole]), Some(split.to.clone()));
        assert_eq!(to(&[&whole, &low]), Some(split.to.clone()));

        let back = split.undo();
        assert!(matches!(give_back(&back, &split.to), GiveBack::Write(_)));
        assert!(matches!(give_back(&back, &of(&[&whole, &low])), GiveBack::Write(_)), "half given back");
        assert_eq!(give_back(&back, &of(&[&whole])), GiveBack::Already);
        assert_eq!(give_back(&back, &of(&[&low])), GiveBack::Drifted);

        let other = range(3389, 3389);
        let only_other = Change { from: split.to.clone(), to: of(&[&low, &high, &other]), ..split.clone() };
        let GiveBack::Write(change) = give_back(&only_other, &of(&[&high])) else { panic!("the other one comes back") };
        assert_eq!(change.to, of(&[&high, &other]), "and not what a person closed");
        let both = Change { to: of(&[&whole, &other]), ..back };
        let GiveBack::WriteBut { change, rules } = give_back(&both, &of(&[&low])) else { panic!("one comes back") };
        assert_eq!((change.to, rules), (of(&[&low, &other]), of(&[&whole])));
    }

    #[test]
    fn rules_come_back_one_incident_at_a_time() {
        let hold = held(&[group(&[22, 80], &[8022]), group(&[80, 3389], &[])]);
        assert_eq!((&hold.original, hold.wanted()), (&rules(&[22, 80, 3389]), rules(&[8022])));
        assert_eq!(back(&hold, 0), (rules(&[8022]), rules(&[22])));
        assert_eq!(back(&hold, 1), (rules(&[8022]), rules(&[3389, 8022])));
        assert_eq!(back(&hold.without(&id(1), NOW), 0), (rules(&[3389, 8022]), rules(&[22, 80, 3389])));
        assert_eq!(hold.kept_by(&id(1)).unwrap().to, rules(&[]));
    }

    #[test]
    fn what_is_being_given_back_is_waited_for_while_that_may_last() {
        use KeyStatus::{Active, Inactive};
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        let lease = Lease { request: String::new(), token: String::new(), until: after(10) };
        let hold = held(&[key(Active, Inactive)]).marked(&id(0), &lease, NOW).unwrap();
        let join = |now| Hold::joined(Some(&hold), &key(Inactive, Inactive), &id(1), now, now, now);
        assert_eq!(join(after(9)), Err(after(10)));
        assert_eq!(join(after(10)).map(|hold| hold.giving_back), Ok(None));
        assert_eq!(hold.release(&id(1), after(9)), Release::Wait { until: after(10) });
        assert_eq!(hold.marked(&id(0), &lease, after(10)), None);
    }

    #[test]
    fn a_value_of_somebody_elses_is_left() {
        let hold = held(&[key(KeyStatus::Active, KeyStatus::Inactive)]);
        let Release::Back(change) = hold.release(&id(0), NOW) else { panic!("nobody else holds it") };
        assert_eq!(give_back(&change, &change.from), GiveBack::Write(change.clone()));
        assert_eq!(give_back(&change, &change.to), GiveBack::Already);
        assert_eq!(give_back(&change, &Value::Absent), GiveBack::Drifted);
    }
}
