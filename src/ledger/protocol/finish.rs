//! What became of the work, and who knows.

use super::super::hold::Hold;
use super::super::key::{HoldKey, Placed};
use super::super::record::{Approval, IncidentRecord, Status, What, Worker};
use super::waiting::EARLIER;
use super::{Seen, Swap};
use crate::change::Change;
use crate::incident::{Incident, News, Outcome, Part, StepResult};
use crate::plan::Plan;
use crate::policy::Response;
use crate::setting::Setting;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

/// How often to put off what time decides, a minute at first and then twice as long each time: a quarter of an hour.
const POSTPONED: u32 = 4;

/// A little more than a minute, so that who was asked in vain is asked again before.
const PUT_OFF: SignedDuration = SignedDuration::from_secs(65);

/// Why a part is not done that a person turned down.
pub(super) const SAID_NO: &str = "a person said no";

/// Why nothing else of a finding is done without a person, of which one turned something down.
pub(super) const SAID_NO_BEFORE: &str = "a person said no to an earlier plan";

/// What became of the record's plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// The record's incident, with results.
    pub incident: Incident,
    /// Until when a person may decide, where a part of the plan waits for that; the record's own on a later look.
    pub approval: Option<Approval>,
    pub now: Timestamp,
}

/// The changes that an incident holds, in the order of its steps.
#[must_use]
pub fn held_by(incident: &Incident) -> Vec<Placed> {
    let contained = incident.parts.iter().filter(|part| part.decision.response == Response::Contain);
    let placed = contained.flat_map(|part| {
        let at = &part.plan.subject.at;
        part.plan.steps().map(|step| Placed { at: at.clone(), change: step.held().clone() })
    });
    placed.collect()
}

/// Held settings are not as they were left. Written before they are contained again, and people are to be told whatever
/// comes: a later run may find all as it should be. None if that is known.
#[must_use]
pub fn reopened(record: &IncidentRecord, by: &Worker, settings: &[String], now: Timestamp) -> Option<Swap> {
    let mut known = Vec::new();
    if let Some(News::Reopened { settings }) = &record.incident.news {
        known.clone_from(settings);
    }
    let more: Vec<String> = settings.iter().filter(|setting| !known.contains(setting)).cloned().collect();
    if more.is_empty() {
        return None;
    }
    let mut record = record.clone();
    record.note(now, by, What::Reopened { settings: more.clone() });
    known.extend(more);
    record.incident.news = Some(News::Reopened { settings: known });
    record.status = Status::Containing;
    record.told = None;
    record.version += 1;
    Some(Swap { incident: Some(record), ..Swap::default() })
}

/// When the first of what is held for a time is over. A setting of several parts is held as long as one of them.
pub(super) fn next_end(record: &IncidentRecord) -> Option<Timestamp> {
    let end_of = |key: &HoldKey| -> Option<Timestamp> {
        let held = record.incident.parts.iter().filter(|part| is_held(part, &record.holds));
        let ends: Option<Vec<Timestamp>> =
            held.filter(|part| part.keys().any(|it| it == *key)).map(|part| part.ends).collect();
        ends?.into_iter().max()
    };
    record.holds.iter().filter_map(end_of).min()
}

/// What is held for a time that is over by now. None if that is all: then the incident is over.
#[must_use]
pub fn over(record: &IncidentRecord, now: Timestamp) -> Option<Vec<HoldKey>> {
    let is_over = |part: &Part| part.ends.is_some_and(|ends| ends <= now);
    let on = kept_on(record, &is_over);
    let over: Vec<HoldKey> = record.holds.iter().filter(|key| !on.contains(key)).cloned().collect();
    (over.len() < record.holds.len()).then_some(over)
}

/// The settings of the held parts that are not over: one that is of several parts goes with the last.
pub(super) fn kept_on(record: &IncidentRecord, is_over: &dyn Fn(&Part) -> bool) -> BTreeSet<HoldKey> {
    let on = record.incident.parts.iter().filter(|part| is_held(part, &record.holds) && !is_over(part));
    on.flat_map(Part::keys).collect()
}

fn is_held(part: &Part, holds: &[HoldKey]) -> bool {
    part.decision.response == Response::Contain && part.keys().any(|key| holds.contains(&key))
}

fn is_reopened(record: &IncidentRecord) -> bool {
    matches!(record.incident.news, Some(News::Reopened { .. }))
}

/// Writes down results. The lease stays until people were told.
#[must_use]
pub fn finish(record: &IncidentRecord, by: &Worker, done: &Finish, seen: &Seen) -> Swap {
    let before = record;
    let mut record = before.clone();
    let not_ours = untouched(&record, &done.incident);
    record.incident = done.incident.clone();
    record.holds.retain(|key| !not_ours.contains(key));
    record.untried.clear();
    let transient = done.incident.is_worth_retrying();
    record.failures = if transient { record.failures + 1 } else { 0 };
    record.status = if transient && !record.is_given_up() {
        Status::Containing
    } else if done.approval.is_some() {
        Status::Waiting
    } else {
        at_rest(&record)
    };
    // Nobody can decide while it is still tried, so their time does not run yet.
    record.approval = done.approval.clone().filter(|_| record.status == Status::Waiting || before.approval.is_some());
    note_asked(&mut record, before, by, done.now);
    for part in record.incident.parts.iter_mut().filter(|part| is_held(part, &record.holds)) {
        let over = part.decision.expires.and_then(|expires| done.now.checked_add(expires).ok());
        part.ends = part.ends.or(over);
    }
    record.ends = next_end(&record);
    // The looks count from when something was last contained; where nothing could be, from when that was given up.
    let is_made = is_reopened(before) || newly_holds(before, &done.incident);
    if !record.holds.is_empty() && (is_made || (record.contained.is_none() && record.status != Status::Containing)) {
        record.contained = Some(done.now);
    }
    if record.is_given_up() && !before.is_given_up() && record.incident.news.is_none() {
        record.incident.news = Some(News::GivenUp { tries: record.failures });
    }
    let is_known = record.incident.news.is_none() && before.said == Some(saying(&record));
    record.told = before.told.filter(|_| is_known);
    let writes = new_writes(&record);
    record.note_writes(done.now, by, What::Finished { verdict: done.incident.verdict() }, writes);
    record.version += 1;
    let holds = seen.holds.values().filter_map(|hold| settled(hold, &record, &not_ours, done)).collect();
    Swap { incident: Some(record), holds, counters: Vec::new() }
}

/// Notes that a person is asked about a plan of another number, so that none has that number again.
pub(super) fn note_asked(record: &mut IncidentRecord, before: &IncidentRecord, by: &Worker, now: Timestamp) {
    let number = |record: &IncidentRecord| record.approval.as_ref().map(|approval| approval.plan);
    if let Some(plan) = number(record).filter(|plan| number(before) != Some(*plan)) {
        record.note(now, by, What::Asked { plan });
    }
}

/// What could not be looked at when nobody had decided in time is looked at again, each time later. None where that was
/// tried often enough.
#[must_use]
pub fn postponed(record: &IncidentRecord, now: Timestamp) -> Option<Swap> {
    let mut record = record.clone();
    record.failures += 1;
    let again = record.tried_again(now);
    let approval = record.approval.as_mut().filter(|_| record.failures <= POSTPONED)?;
    (approval.expires, record.due) = (again, Some(again));
    record.version += 1;
    Some(Swap { incident: Some(record), ..Swap::default() })
}

/// What could not be asked still cannot be: it is asked again, each time later.
#[must_use]
pub fn still_unasked(record: &IncidentRecord, now: Timestamp) -> Swap {
    let (unanswered, version) = (record.unanswered.saturating_add(1), record.version + 1);
    let mut record = IncidentRecord { version, unanswered, ..record.clone() };
    record.due = record.next_due(now);
    Swap { incident: Some(record), ..Swap::default() }
}

/// It is not asked now, since nobody answers for another: in a minute, and that counts for nothing.
#[must_use]
pub fn put_off(record: &IncidentRecord, now: Timestamp) -> Swap {
    let due = now.saturating_add(PUT_OFF).unwrap_or(Timestamp::MAX);
    let record = IncidentRecord { version: record.version + 1, due: Some(due), ..record.clone() };
    Swap { incident: Some(record), ..Swap::default() }
}

/// The writes behind its results that the history does not have.
fn new_writes(record: &IncidentRecord) -> Vec<String> {
    let known: BTreeSet<&String> = record.history.iter().flat_map(|entry| &entry.writes).collect();
    let writes = results(&record.incident).flat_map(|(_, result)| &result.requests);
    writes.filter(|id| !known.contains(id)).cloned().collect()
}

/// What people would be told of a record, as a fingerprint: equal where nothing about it is new. Which subjects came to
/// what, step by step, and whether a person is asked; not why, since that has times and ids in it.
#[must_use]
pub fn saying(record: &IncidentRecord) -> u64 {
    let part = |part: &Part| {
        let Plan { subject, remediation, .. } = &part.plan;
        let mut hasher = DefaultHasher::new();
        // What a finding saw of an instance changes with each update, and above all with what we do to it.
        (&subject.at, subject.kind.to_string(), remediation, part.verdict(), part.decision.refused).hash(&mut hasher);
        // What an earlier state named comes and goes.
        let left_out: Vec<&String> = part.plan.left_out.iter().filter(|what| !what.contains(EARLIER)).collect();
        left_out.hash(&mut hasher);
        for result in &part.results {
            let key = HoldKey::of(&subject.at, &result.change.setting);
            (key, mem::discriminant(&result.outcome), result.outcome.is_transient()).hash(&mut hasher);
        }
        hasher.finish()
    };
    let mut parts: Vec<u64> = record.incident.parts.iter().map(part).collect();
    parts.sort_unstable();
    let mut hasher = DefaultHasher::new();
    (record.approval.is_some(), parts).hash(&mut hasher);
    hasher.finish()
}

/// Whether a setting holds that did not before.
fn newly_holds(before: &IncidentRecord, done: &Incident) -> bool {
    let holding = |incident: &Incident| -> BTreeSet<HoldKey> {
        results(incident).filter(|(_, result)| result.outcome.holds()).map(|(key, _)| key).collect()
    };
    !holding(done).is_subset(&holding(&before.incident))
}

/// The holds that [`finish`] writes, and must see: steps that never came to be, values that only execution knew, and those
/// that others wait for.
#[must_use]
pub fn touched_by(record: &IncidentRecord, done: &Finish) -> BTreeSet<HoldKey> {
    let planned = held_by(&record.incident);
    let is_known =
        |change: &Change| change.to.waits_for().is_none() && !matches!(change.setting, Setting::IngressRules(_));
    let unknown = planned.iter().filter(|placed| !is_known(&placed.change)).map(Placed::key);
    untouched(record, &done.incident).into_iter().chain(unknown).collect()
}

fn settled(hold: &Hold, record: &IncidentRecord, not_ours: &BTreeSet<HoldKey>, done: &Finish) -> Option<Hold> {
    if not_ours.contains(&hold.key) {
        return Some(hold.without(&record.id, done.now));
    }
    if let Some(rested) = hold.rested(&record.id, done.now) {
        return Some(rested);
    }
    let mut results = results(&done.incident);
    let result = results.find(|(key, result)| *key == hold.key && result.change.to.waits_for().is_none())?;
    hold.with_result(&record.id, &result.1.change.to, done.now)
}

/// Settings that were refused at the first try: they are not ours, and if a person sets them by hand, undo must leave them.
/// A later run cannot know what an earlier one did before it crashed, and what was contained once stays held.
fn untouched(record: &IncidentRecord, done: &Incident) -> BTreeSet<HoldKey> {
    let never = |result: &StepResult| match result.outcome {
        Outcome::Refused { .. } | Outcome::Gone { .. } => true,
        Outcome::Changed
        | Outcome::AlreadySo
        | Outcome::LetGo
        | Outcome::Drifted { .. }
        | Outcome::Failed { .. }
        | Outcome::Unread { .. } => false,
    };
    let all: Vec<_> = results(done).collect();
    let touched: BTreeSet<_> = all.iter().filter(|(_, result)| !never(result)).map(|(key, _)| key.clone()).collect();
    let never = all.into_iter().filter(|(key, result)| never(result) && !touched.contains(key)).map(|(key, _)| key);
    never.filter(|key| record.untried.contains(key)).collect()
}

fn results(incident: &Incident) -> impl Iterator<Item = (HoldKey, &StepResult)> {
    incident.parts.iter().flat_map(|part| {
        let at = &part.plan.subject.at;
        part.results.iter().map(|result| (HoldKey::of(at, &result.change.setting), result))
    })
}

/// Everything held is as it was left: nothing to write down, and nobody to tell.
#[must_use]
pub fn verified(record: &IncidentRecord, now: Timestamp) -> Swap {
    let status = if record.approval.is_some() { Status::Waiting } else { at_rest(record) };
    let mut record = IncidentRecord { status, failures: 0, ..record.clone() };
    record.due = record.next_due(now);
    let_rest(record)
}

/// People were told. Only ever called after the message went out.
#[must_use]
pub fn told(record: &IncidentRecord, now: Timestamp) -> Swap {
    let mut record = record.clone();
    if let Some(News::StaysGivenBack { .. } | News::LeftAlone) = record.incident.news.take() {
        record.said_left = Some(now);
    }
    match record.status {
        Status::Released | Status::Rejected if record.told.is_some() => record.said_left = Some(now),
        Status::Containing
        | Status::Waiting
        | Status::Held
        | Status::Releasing
        | Status::Released
        | Status::Rejected
        | Status::Closed => record.told = Some(now),
    }
    record.said = Some(saying(&record));
    record.due = record.next_due(now);
    let_rest(record)
}

/// Gives up the lease where something went wrong: the next delivery, or the sweep, goes on. At once, where people do not
/// know of it.
#[must_use]
pub fn put_down(record: &IncidentRecord, now: Timestamp) -> Swap {
    let due = if record.told.is_some() { record.next_due(now) } else { Some(now) };
    let_rest(IncidentRecord { due, ..record.clone() })
}

/// Gives up the lease of what nobody was told of: the next tick tells it with others.
#[must_use]
pub fn gathered(record: &IncidentRecord, now: Timestamp) -> Swap {
    let_rest(IncidentRecord { due: Some(now), gathered: true, ..record.clone() })
}

fn let_rest(record: IncidentRecord) -> Swap {
    let record = IncidentRecord { lease: None, version: record.version + 1, ..record };
    Swap { incident: Some(record), ..Swap::default() }
}

fn at_rest(record: &IncidentRecord) -> Status {
    if record.holds.is_empty() { Status::Closed } else { Status::Held }
}

/// Who said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum No {
    /// Then updates of the finding are left alone.
    Person,
    /// Nobody decided in time, and the rule says to leave it then.
    Time,
}

/// A person says no to the plan, or their time ran out and the rule says to leave it. None if there is nothing to
/// decide, or somebody is at it.
#[must_use]
pub fn reject(record: &IncidentRecord, by: &Worker, no: No, news: News, now: Timestamp) -> Option<Swap> {
    if record.status != Status::Waiting || record.busy_until(now).is_some() {
        return None;
    }
    let mut record = record.clone();
    // What was contained without asking stays so.
    let (status, what) = match no {
        No::Person if record.holds.is_empty() => (Status::Rejected, What::Rejected),
        No::Person => (Status::Held, What::Rejected),
        No::Time => (at_rest(&record), What::Expired),
    };
    let why = match no {
        No::Person => SAID_NO,
        No::Time => "nobody decided in time",
    };
    // Where there is no plan, nobody said no to one.
    for part in record.incident.parts.iter_mut().filter(|part| no == No::Time || part.plan.no_steps.is_none()) {
        if part.decision.response == Response::Approve {
            part.decision = part.decision.clone().lowered_to(Response::Plan, why);
        }
    }
    record.status = status;
    record.approval = None;
    record.incident.news = Some(news);
    record.note(now, by, what);
    record.told = None;
    record.due = Some(by.lease.until);
    record.lease = Some(by.lease.clone());
    record.gathered = false;
    record.version += 1;
    Some(Swap { incident: Some(record), ..Swap::default() })
}
