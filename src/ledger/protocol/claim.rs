//! Who may work on a finding, and on which plan.

use super::super::hold::Hold;
use super::super::key::{CounterKey, HoldKey, IncidentId, Placed};
use super::super::record::{Approval, IncidentRecord, Status, What, Worker};
use super::finish::note_asked;
use super::limit::{Limit, begun, counts, is_counted, own};
use super::merge::{
    added, approved, fresh, has_ended, is_another_plan, is_begun, is_newer, is_shown_more, merged, names_more, renewed,
    resumed, shown_again, twin, updated, was_let_go, without,
};
use super::undo::TO_DECIDE;
use super::waiting::gives_way;
use super::{Seen, Swap, held_by};
use crate::change::Change;
use crate::finding::Finding;
use crate::incident::{Incident, News, Part};
use crate::plan::Plan;
use crate::policy::Response;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How soon to come again with a newer state of a finding that somebody is at: a run takes seconds.
const SOON: SignedDuration = SignedDuration::from_secs(5);

/// Somebody wants to work on a finding, and this is what they have planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The finding and its parts; no results yet.
    pub incident: Incident,
    pub by: Worker,
    pub occasion: Occasion,
    /// The limits of what is contained with it.
    pub limits: Vec<Limit>,
    pub now: Timestamp,
}

/// Why somebody wants to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// The finding came in, for the first time or again; or the sweep resumes it.
    Delivery,
    /// The sweep looks after what is held.
    Verify,
    /// The sweep tells what nobody is known to have told.
    Announce,
    /// A person approved the plan of this number.
    Approve { plan: u32 },
    /// The time to approve is over, and the rule says to contain then.
    Expired,
    /// What could not be asked when a person was can be asked by now.
    Asked,
}

/// The claim's answer, as far as it can be given without writing.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// Write this; once it is written, the claim is won.
    Write(Box<Swap>, How),
    /// It was written already: the answer to our own write was lost.
    Won(Box<IncidentRecord>),
    Denied(Denied),
    /// What was read early stands in the way, and may be over: decide as if nothing had been seen. What is there comes back
    /// with the refusal to write over it.
    Unsure,
}

/// What the claim was won for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// Nobody worked on this finding before: execute the record's plan.
    Fresh,
    /// Somebody began and did not finish: execute the record's plan, which is theirs.
    Resumed,
    /// It was finished, and there is reason to look again: read what is held, and contain again what is not as left.
    Again,
    /// A person approved, or the policy did when their time was over: execute the record's plan.
    Approved,
    /// The plan is no longer the one that was shown: show the record's, and ask again.
    AskAgain,
    /// Only tell what the record says: it is not known that people were told.
    Announce,
    /// Tell that the finding goes on, and that it is left alone because a person wanted so.
    LeftAlone,
}

/// Why the claim was not won.
#[derive(Debug, Clone, PartialEq)]
pub enum Denied {
    /// Another worker is at this incident: nothing to do here.
    Busy { until: Timestamp },
    /// A setting is being given back at this moment: nothing is recorded yet, so come again.
    Wait { until: Timestamp },
    /// Done already, and people know.
    Known(Box<IncidentRecord>),
    /// The approval is for a plan that is no longer the newest.
    OtherPlan(Box<IncidentRecord>),
    /// What came in is not the finding that is known by this id: its record is none of it.
    Another,
    /// With the containment of these settings there would be more than the limit.
    OverLimit { counter: CounterKey, settings: BTreeSet<HoldKey> },
}

/// Decides a claim on what was seen.
#[must_use]
pub fn claim(claim: &Claim, seen: &Seen) -> Decided {
    let decided = decide(claim, seen);
    if seen.is_early && matches!(decided, Decided::Denied(_)) { Decided::Unsure } else { decided }
}

fn decide(claim: &Claim, seen: &Seen) -> Decided {
    let Some(known) = &seen.incident else { return begin(claim, seen, fresh(claim), How::Fresh) };
    if known.is_leased_to(&claim.by.lease) {
        return Decided::Won(Box::new(known.clone()));
    }
    if claim.occasion == Occasion::Delivery && is_another(&claim.incident, &known.incident) {
        return denied(Denied::Another);
    }
    if let Some(until) = known.busy_until(claim.now) {
        // Who is at it works on what it knew.
        let is_lost =
            claim.occasion == Occasion::Delivery && is_newer(&claim.incident.finding, &known.incident.finding);
        return denied(if is_lost { Denied::Wait { until: soon(claim).min(until) } } else { Denied::Busy { until } });
    }
    match reason(claim, known) {
        Ok(How::Fresh | How::Resumed) => begin(claim, seen, resumed(claim, known), How::Resumed),
        Ok(How::Again) if claim.occasion == Occasion::Verify => {
            take(claim, with_time_to_decide(known, claim.now), How::Again)
        }
        Ok(How::Again) if known.status == Status::Closed => {
            let renewed = renewed(claim, known);
            if is_new(&renewed.incident, known) {
                begin(claim, seen, renewed, How::Fresh)
            } else {
                take(claim, updated(claim, known), How::Again)
            }
        }
        Ok(How::Again) => begin(claim, seen, resumed(claim, known), How::Again),
        Ok(How::Approved) => begin(claim, seen, approved(claim, known), How::Approved),
        Ok(How::AskAgain) => take(claim, shown_again(claim, known), How::AskAgain),
        Ok(How::LeftAlone) => {
            // Whoever comes next tells it, should this run not.
            let mut record = IncidentRecord { told: None, ..updated(claim, known) };
            record.incident.news = Some(News::LeftAlone);
            take(claim, record, How::LeftAlone)
        }
        Ok(How::Announce) => take(claim, with_time_to_decide(known, claim.now), How::Announce),
        Err(why) => denied(why),
    }
}

/// The record with time left to decide, where nobody was told of it yet: as much as the policy gives, and no more than an hour.
fn with_time_to_decide(known: &IncidentRecord, now: Timestamp) -> IncidentRecord {
    let waiting = known.incident.parts.iter().filter(|part| part.decision.response == Response::Approve);
    let within = waiting.filter_map(|part| part.decision.approval).map(|terms| terms.within).min();
    let until = now.saturating_add(within.map_or(TO_DECIDE, |within| within.min(TO_DECIDE))).unwrap_or(Timestamp::MAX);
    let approval = known.approval.clone().map(|approval| match known.told {
        None => Approval { expires: approval.expires.max(until), ..approval },
        Some(_) => approval,
    });
    IncidentRecord { approval, ..known.clone() }
}

/// Whether somebody made up what came in and gave it the id of a finding that GuardDuty did send. What is only told GuardDuty was
/// not asked about; but it never gives a finding another type, nor is one a sample later.
fn is_another(new: &Incident, known: &Incident) -> bool {
    let is_only_told = || new.parts.iter().all(|part| part.decision.response == Response::Notify);
    // The very state that was taken up goes on, whatever GuardDuty says of it by now.
    new.is_made_up() && !known.is_made_up() && new.finding != known.finding
        || new.finding.sample && !known.finding.sample
        || new.finding.kind != known.finding.kind && is_only_told()
}

/// Whether the known one was made up, and this one was not: whatever time that claims, this is no older state of it.
fn is_first(new: &Incident, known: &Incident) -> bool {
    known.is_made_up() && !new.is_made_up()
        || known.finding.sample && !new.finding.sample
        || known.finding.kind != new.finding.kind
}

fn soon(claim: &Claim) -> Timestamp {
    claim.now.saturating_add(SOON).unwrap_or(Timestamp::MAX)
}

/// Whether a newer look plans something else than what waits for a person, or anything for what was for a time that is over.
fn is_overtaken(claim: &Claim, known: &IncidentRecord) -> bool {
    let parts = known.incident.parts.iter();
    parts
        .filter(|part| !is_begun(part) || has_ended(part, known))
        .any(|part| twin(part, &claim.incident.parts).is_some_and(|new| has_ended(part, known) || gives_way(part, new)))
}

fn denied(why: Denied) -> Decided {
    Decided::Denied(why)
}

/// What there is to do about an incident that is known and that nobody is at.
fn reason(claim: &Claim, known: &IncidentRecord) -> Result<How, Denied> {
    let nothing = || Err(Denied::Known(Box::new(known.clone())));
    let newer =
        is_first(&claim.incident, &known.incident) || is_newer(&claim.incident.finding, &known.incident.finding);
    // GuardDuty may tell an earlier time of the very state that is known.
    let same = Finding { updated: known.incident.finding.updated, ..claim.incident.finding.clone() };
    let older = is_newer(&known.incident.finding, &claim.incident.finding) && same != known.incident.finding;
    let untold = known.told.is_none();
    match (claim.occasion, known.status) {
        // What only the newer state names would be dropped: the sweep goes on with that one.
        (Occasion::Delivery, Status::Containing) | (Occasion::Asked, _) if older => nothing(),
        (Occasion::Delivery, Status::Containing) => Ok(How::Resumed),
        // What comes of an update is told with all that nobody may have heard of before.
        (Occasion::Delivery, Status::Held) if newer && !known.is_wanted_back() => Ok(How::Again),
        (Occasion::Delivery, Status::Waiting)
            if newer && (!known.holds.is_empty() || !added(claim, known).is_empty() || is_overtaken(claim, known)) =>
        {
            Ok(How::Again)
        }
        (Occasion::Delivery, Status::Closed) if newer && !(untold && known.incident.news.is_some()) => Ok(How::Again),
        // The tick tells it with others.
        (Occasion::Delivery, _) if known.gathered => nothing(),
        // What comes of a look is told with that, too.
        (Occasion::Verify, Status::Held | Status::Waiting) if !known.holds.is_empty() => Ok(How::Again),
        (Occasion::Delivery | Occasion::Announce | Occasion::Verify, _) if untold && is_finished(known.status) => {
            Ok(How::Announce)
        }
        (Occasion::Delivery, Status::Rejected) if newer && is_another_plan(claim, known) => Ok(How::Again),
        (Occasion::Delivery, _) if newer && known.was_given_back() && names_more(claim, known) => Ok(How::Again),
        (Occasion::Delivery, Status::Released | Status::Rejected | Status::Held)
            if newer && known.said_left.is_none() =>
        {
            Ok(How::LeftAlone)
        }
        // It is decided on once that is over.
        (Occasion::Delivery, Status::Releasing) if newer => Err(Denied::Wait { until: soon(claim) }),
        (Occasion::Approve { plan }, Status::Waiting) => answer(claim, known, plan),
        (Occasion::Asked, Status::Waiting) if known.is_unasked() => Ok(How::Again),
        (Occasion::Expired, Status::Waiting) if is_over(known.approval.as_ref(), claim.now) => Ok(How::Approved),
        (
            Occasion::Delivery
            | Occasion::Verify
            | Occasion::Announce
            | Occasion::Expired
            | Occasion::Asked
            | Occasion::Approve { .. },
            _,
        ) => nothing(),
    }
}

fn is_finished(status: Status) -> bool {
    match status {
        Status::Waiting | Status::Held | Status::Released | Status::Rejected | Status::Closed => true,
        Status::Containing | Status::Releasing => false,
    }
}

fn is_over(approval: Option<&Approval>, now: Timestamp) -> bool {
    approval.is_some_and(|approval| approval.expires <= now)
}

/// A person approves what they read: the newest plan, and only if looking again gives the same.
fn answer(claim: &Claim, known: &IncidentRecord, plan: u32) -> Result<How, Denied> {
    if known.approval.as_ref().is_none_or(|approval| approval.plan != plan) {
        return Err(Denied::OtherPlan(Box::new(known.clone())));
    }
    // What the hour's limit held back, say, needs no approval by now: it is compared all the same.
    let begun: Vec<&Part> = known.incident.parts.iter().filter(|part| is_begun(part)).collect();
    let now = merged(claim, known);
    let asked_now = now.iter().filter(|part| twin(part, begun.iter().copied()).is_none());
    let asked_now = changes(asked_now.filter(|part| part.decision.response >= Response::Approve));
    let asked = changes(known.incident.parts.iter().filter(|part| part.decision.response == Response::Approve));
    // AWS lists the same things in any order.
    let is_same = asked_now.len() == asked.len() && asked_now.iter().all(|change| asked.contains(change));
    Ok(if is_same { How::Approved } else { How::AskAgain })
}

/// Whether there is something to do about an incident that was over, or something else to say.
fn is_new(now: &Incident, known: &IncidentRecord) -> bool {
    let acts = |part: &Part| part.decision.response >= Response::Approve && part.plan.is_something_new();
    let said = |incident: &Incident| -> Vec<_> {
        incident.parts.iter().map(|part| (part.plan.remediation.clone(), part.verdict())).collect()
    };
    now.parts.iter().any(acts) || is_shown_more(&now.parts, known) || said(now) != said(&known.incident)
}

/// Takes the incident to contain: the lease, the holds, the counters.
fn begin(claim: &Claim, seen: &Seen, mut record: IncidentRecord, how: How) -> Decided {
    // An undo that nobody was told of is told with what comes of this: by itself it would be taken for all there is to tell.
    let undone = seen.incident.as_ref().and_then(|known| known.incident.news.as_ref());
    if let (Some(News::GivenBack { settings, .. }), Some(part)) = (undone, record.incident.parts.first_mut()) {
        let notes = settings.iter().map(|it| format!("before this, and not told yet: {}: {}", it.setting, it.became));
        part.plan.notes.extend(notes);
    }
    if matches!(how, How::Again | How::Fresh) && matches!(record.incident.news, None | Some(News::GivenBack { .. })) {
        let settings = seen.incident.as_ref().map(given_back).unwrap_or_default();
        let is_new = record.said_left.is_none() && !settings.is_empty();
        record.incident.news = is_new.then_some(News::StaysGivenBack { settings });
    }
    // What is executed is what is held, so what was let go is in neither.
    record.incident.parts = record.incident.parts.iter().map(|part| without(part, &record.let_go)).collect();
    let wanted = held_by(&record.incident);
    record.let_go.retain(|key| !wanted.iter().any(|placed| placed.key() == *key));
    let holds = match joined(claim, seen, &record.id, &wanted) {
        Ok(holds) => holds,
        Err(until) => return denied(Denied::Wait { until }),
    };
    let IncidentRecord { id, holds: held, incident, .. } = &mut record;
    let before = &seen.holds;
    incident
        .parts
        .iter_mut()
        .filter(|part| is_begun(part))
        .for_each(|part| narrow(part, claim, id, held, before, &holds));
    // What was tried and refused before is tried once more, and is nothing new.
    let known = seen.incident.as_ref().filter(|_| matches!(how, How::Resumed | How::Again | How::Approved));
    let going_on =
        known.into_iter().flat_map(|known| known.incident.parts.iter().filter(|part| !has_ended(part, known)));
    let tried: BTreeSet<HoldKey> =
        going_on.filter(|part| part.decision.response == Response::Contain).flat_map(Part::keys).collect();
    let begins = wanted.iter().map(Placed::key).any(|key| !record.holds.contains(&key) && !tried.contains(&key));
    let begun = begun(&record, &tried);
    let mut counters = counts(&claim.limits, &begun);
    if matches!(claim.occasion, Occasion::Approve { .. }) {
        // What a person approved is theirs to answer for, however much there was in the hour: it counts, and is not held back.
        for count in &mut counters {
            count.at_most = u32::MAX;
        }
    }
    if let Some(full) = counters.iter().find(|count| count.is_beyond() || seen.full.contains(&count.counter)) {
        let counter = full.counter.clone();
        let settings = begun.iter().filter(|part| is_counted(&counter, part)).flat_map(|part| own(part)).collect();
        return denied(Denied::OverLimit { counter, settings });
    }
    // What is contained anew is not over yet.
    for part in &mut record.incident.parts {
        let is_over = part.ends.is_some_and(|ends| ends <= claim.now);
        let is_new = |key: &HoldKey| !record.holds.contains(key) && (is_over || was_let_go(part, key));
        let is_new = part.keys().any(|key| is_new(&key));
        part.ends = part.ends.filter(|_| !is_new);
    }
    if claim.occasion == Occasion::Asked || !seen.incident.as_ref().is_some_and(IncidentRecord::is_unasked) {
        record.unanswered = 0;
    }
    record.untried.clear();
    for placed in wanted {
        let key = placed.key();
        if !record.holds.contains(&key) {
            record.untried.insert(key.clone());
            record.holds.push(key);
        }
    }
    // What is begun anew has tries of its own.
    if matches!(how, How::Fresh | How::Approved) || begins {
        record.failures = 0;
    }
    // Looking again may find all as it was left, and then the results stand.
    if how != How::Again && record.contained.is_none() {
        record.incident.parts.iter_mut().filter(|part| is_begun(part)).for_each(|part| part.results.clear());
    }
    record.status = Status::Containing;
    record.runs += 1;
    if let Some(known) = &seen.incident {
        note_asked(&mut record, known, &claim.by, claim.now);
    }
    let count = record.incident.finding.count;
    let what = match how {
        How::Fresh if !record.history.is_empty() => What::Updated { count },
        How::Fresh => What::Claimed,
        How::Again if claim.occasion == Occasion::Asked => What::Resumed,
        How::Again => What::Updated { count },
        How::Approved if claim.occasion == Occasion::Expired => What::Expired,
        How::Approved => What::Approved { plan: plan_of(seen) },
        How::Resumed | How::AskAgain | How::Announce | How::LeftAlone => What::Resumed,
    };
    record.note(claim.now, &claim.by, what);
    Decided::Write(Box::new(Swap { incident: Some(leased(claim, record)), holds, counters }), how)
}

/// What a person gave back of an incident that is still held, as people call it.
fn given_back(record: &IncidentRecord) -> Vec<String> {
    let of_part = |part: &Part| {
        let at = part.plan.subject.at.clone();
        let settings = part.results.iter().map(|result| result.change.setting.clone()).collect::<Vec<_>>();
        settings.into_iter().filter(move |setting| record.let_go.contains(&HoldKey::of(&at, setting)))
    };
    let settings: BTreeSet<String> = record.incident.parts.iter().flat_map(of_part).map(|it| it.to_string()).collect();
    settings.into_iter().collect()
}

/// Puts together with what other holders close and leave open of the same rules.
fn narrow(
    part: &mut Part,
    claim: &Claim,
    id: &IncidentId,
    held: &[HoldKey],
    before: &BTreeMap<HoldKey, Hold>,
    holds: &[Hold],
) {
    let Plan { subject, stages, notes, .. } = &mut part.plan;
    for step in stages.iter_mut().flatten() {
        let key = HoldKey::of(&subject.at, &step.change.setting);
        let Some(hold) = holds.iter().find(|hold| hold.key == key) else { continue };
        // What is held already was planned before.
        if !held.contains(&key) {
            let open = hold.open_though_held(id, &step.change, claim.incident.started).into_iter();
            notes.extend(open.map(|(rule, other)| {
                format!("{rule} was open though incident {other} is to keep it closed: see what became of that")
            }));
        }
        // The plan stays as it was made: what the incident closes by itself is what its hold is about.
        step.narrowed = Some(hold.made_of(&step.change, before.get(&key))).filter(|made| *made != step.change);
    }
}

/// Takes the incident without touching what is held. The hourly looks leave no trace unless they find something.
fn take(claim: &Claim, mut record: IncidentRecord, how: How) -> Decided {
    if how == How::AskAgain {
        let plan = record.approval.as_ref().map_or(0, |approval| approval.plan);
        record.note(claim.now, &claim.by, What::Asked { plan });
    }
    Decided::Write(Box::new(Swap { incident: Some(leased(claim, record)), ..Swap::default() }), how)
}

fn leased(claim: &Claim, mut record: IncidentRecord) -> IncidentRecord {
    let lease = claim.by.lease.clone();
    record.due = Some(lease.until);
    record.lease = Some(lease);
    // Whoever has the lease tells it; should they die, the next one says that it may be a repeat.
    record.gathered = false;
    record.version += 1;
    record
}

fn plan_of(seen: &Seen) -> u32 {
    let approval = seen.incident.as_ref().and_then(|known| known.approval.as_ref());
    approval.map_or(0, |approval| approval.plan)
}

fn joined(claim: &Claim, seen: &Seen, id: &IncidentId, wanted: &[Placed]) -> Result<Vec<Hold>, Timestamp> {
    let mut holds: BTreeMap<_, Hold> = BTreeMap::new();
    let planned = claim.incident.started;
    for placed in wanted {
        let key = placed.key();
        let before = seen.holds.get(&key);
        let mut hold = Hold::joined(holds.get(&key).or(before), placed, id, claim.by.lease.until, planned, claim.now)?;
        // Two steps of one setting are one write.
        hold.version = before.map_or(0, |hold| hold.version) + 1;
        holds.insert(key, hold);
    }
    Ok(holds.into_values().collect())
}

/// What parts would write, and hold.
fn changes<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<(&'a Change, &'a Change)> {
    parts.flat_map(|part| part.plan.steps()).map(|step| (&step.change, step.held())).collect()
}
