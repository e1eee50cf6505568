//! Who may work on a finding, and on which plan.

use super::super::hold::Hold;
use super::super::key::{CounterKey, HoldKey, IncidentId, Placed};
use super::super::record::{Approval, IncidentRecord, SCHEMA, Status, What, Worker};
use super::{Seen, Swap, held_by};
use crate::change::Change;
use crate::finding::{Finding, Subject, SubjectKind};
use crate::incident::{Incident, News, Part};
use crate::plan::{NoSteps, Step};
use crate::policy::{Fallback, Response};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Somebody wants to work on a finding, and this is what they have planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The finding and its parts; no results yet.
    pub incident: Incident,
    pub by: Worker,
    pub occasion: Occasion,
    /// Counters that this containment counts for.
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
}

/// At most so many containments in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub counter: CounterKey,
    pub at_most: u32,
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
    Busy {
        until: Timestamp,
    },
    /// A setting is being given back at this moment: nothing is recorded yet, so come again.
    Wait {
        until: Timestamp,
    },
    /// Done already, and people know.
    Known(Box<IncidentRecord>),
    /// The approval is for a plan that is no longer the newest.
    OtherPlan(Box<IncidentRecord>),
    OverLimit(CounterKey),
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
    if let Some(until) = known.busy_until(claim.now) {
        return denied(Denied::Busy { until });
    }
    match reason(claim, known) {
        Ok(How::Fresh | How::Resumed) => begin(claim, seen, resumed(claim, known), How::Resumed),
        Ok(How::Again) if claim.occasion == Occasion::Verify => take(claim, known.clone(), How::Again),
        Ok(How::Again) if known.status == Status::Closed && is_new(claim, known) => {
            begin(claim, seen, renewed(claim, known), How::Fresh)
        }
        Ok(How::Again) if known.status == Status::Closed => take(claim, updated(claim, known), How::Again),
        Ok(How::Again) => begin(claim, seen, resumed(claim, known), How::Again),
        Ok(How::Approved) => begin(claim, seen, approved(claim, known), How::Approved),
        Ok(How::AskAgain) => take(claim, shown_again(claim, known), How::AskAgain),
        Ok(how @ (How::Announce | How::LeftAlone)) => take(claim, known.clone(), how),
        Err(why) => denied(why),
    }
}

fn denied(why: Denied) -> Decided {
    Decided::Denied(why)
}

/// What there is to do about an incident that is known and that nobody is at.
fn reason(claim: &Claim, known: &IncidentRecord) -> Result<How, Denied> {
    let nothing = || Err(Denied::Known(Box::new(known.clone())));
    let newer = is_newer(&claim.incident.finding, &known.incident.finding);
    let untold = known.told.is_none();
    match (claim.occasion, known.status) {
        (Occasion::Delivery, Status::Containing) => Ok(How::Resumed),
        (Occasion::Delivery | Occasion::Announce | Occasion::Verify, _) if untold && is_finished(known.status) => {
            Ok(How::Announce)
        }
        (Occasion::Delivery, Status::Held | Status::Closed) if newer => Ok(How::Again),
        (Occasion::Delivery, Status::Waiting)
            if newer && !(known.holds.is_empty() && added(claim, known).is_empty()) =>
        {
            Ok(How::Again)
        }
        (Occasion::Verify, Status::Held | Status::Waiting) if !known.holds.is_empty() => Ok(How::Again),
        (Occasion::Delivery, Status::Released | Status::Rejected) if newer && known.said_left.is_none() => {
            Ok(How::LeftAlone)
        }
        (Occasion::Approve { plan }, Status::Waiting) => answer(claim, known, plan),
        (Occasion::Expired, Status::Waiting) if is_over(known.approval.as_ref(), claim.now) => Ok(How::Approved),
        (
            Occasion::Delivery | Occasion::Verify | Occasion::Announce | Occasion::Expired | Occasion::Approve { .. },
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
    let asked_now = claim.incident.parts.iter().filter(|part| twin(part, begun.iter().copied()).is_none());
    let asked_now = changes(asked_now.filter(|part| part.decision.response >= Response::Approve));
    let asked = changes(known.incident.parts.iter().filter(|part| part.decision.response == Response::Approve));
    Ok(if asked_now == asked { How::Approved } else { How::AskAgain })
}

/// GuardDuty sends a finding again with a later time and a higher count; one that overtook another has neither.
fn is_newer(new: &Finding, known: &Finding) -> bool {
    new.updated > known.updated || (new.updated == known.updated && new.count > known.count)
}

fn fresh(claim: &Claim) -> IncidentRecord {
    IncidentRecord {
        schema: SCHEMA,
        version: 0,
        id: IncidentId::of(&claim.incident.finding),
        status: Status::Containing,
        lease: None,
        incident: claim.incident.clone(),
        holds: Vec::new(),
        let_go: BTreeSet::new(),
        told: None,
        said: None,
        untried: BTreeSet::new(),
        said_left: None,
        approval: None,
        undo: None,
        ends: None,
        contained: None,
        runs: 0,
        failures: 0,
        due: None,
        history: Vec::new(),
    }
}

/// What was begun is finished as it was planned: its original values are those of before the crash. What waits stays as it
/// was shown, and is planned anew when a person decides; what comes to it is shown as another plan.
fn resumed(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let news = claim.incident.news.clone().or_else(|| known.incident.news.clone());
    let (parts, approval) = match &known.approval {
        Some(approval) => {
            let unseen = |part: &Part| matches!(part.plan.no_steps, Some(NoSteps::NotObserved { .. }));
            let old = known.incident.parts.iter().map(|part| match twin(part, &claim.incident.parts) {
                new if is_begun(part) => extended(part, new, known),
                Some(new) if unseen(part) => new.clone(),
                Some(_) | None => part.clone(),
            });
            let parts: Vec<Part> = old.chain(added(claim, known).into_iter().cloned()).collect();
            let waiting = |parts: &[Part]| {
                parts.iter().filter(|part| !unseen(part) && part.decision.response == Response::Approve).count()
            };
            // Those who decide get their whole time for what they have not seen.
            let approval = if waiting(&parts) > waiting(&known.incident.parts) {
                Approval { plan: approval.plan + 1, expires: claim.now, ..approval.clone() }
            } else {
                approval.clone()
            };
            (parts, Some(approval))
        }
        None => (merged(claim, known), None),
    };
    let incident = Incident { finding: newest(claim, known), parts, news, ..known.incident.clone() };
    IncidentRecord { incident, approval, ..known.clone() }
}

/// The parts that the incident does not have.
fn added<'a>(claim: &'a Claim, known: &IncidentRecord) -> Vec<&'a Part> {
    claim.incident.parts.iter().filter(|part| twin(part, &known.incident.parts).is_none()).collect()
}

/// Nothing is held any more, so nothing is begun: what is there now is planned, guarded and counted as if it were new.
fn renewed(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    IncidentRecord { incident: claim.incident.clone(), contained: None, ends: None, ..known.clone() }
}

fn updated(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let incident = Incident { finding: newest(claim, known), ..known.incident.clone() };
    IncidentRecord { incident, ..known.clone() }
}

/// Whether there is something to do about an incident that was over, or something else to say.
fn is_new(claim: &Claim, known: &IncidentRecord) -> bool {
    let acts = |part: &Part| {
        part.decision.response >= Response::Approve && part.plan.steps().any(|step| !step.change.is_already_so())
    };
    let said = |incident: &Incident| -> Vec<_> {
        incident.parts.iter().map(|part| (part.plan.remediation.clone(), part.verdict())).collect()
    };
    claim.incident.parts.iter().any(acts) || said(&claim.incident) != said(&known.incident)
}

/// A person approved all that waits. Time approves only what the policy leaves to time, and no guard objects to.
fn approved(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let parts = merged(claim, known).into_iter().map(|mut part| {
        let by_time = part.decision.approval.is_some_and(|approval| approval.fallback == Fallback::Contain);
        if part.decision.response == Response::Approve && (claim.occasion != Occasion::Expired || by_time) {
            part.decision.response = Response::Contain;
        }
        part
    });
    let incident = Incident { parts: parts.collect(), news: claim.incident.news.clone(), ..known.incident.clone() };
    IncidentRecord { incident, approval: None, ..known.clone() }
}

fn shown_again(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let approval = known.approval.clone().map(|approval| Approval { plan: approval.plan + 1, ..approval });
    let begun: Vec<&Part> = known.incident.parts.iter().filter(|part| is_begun(part)).collect();
    let why = "what would be done is no longer what was approved";
    let parts = merged(claim, known).into_iter().map(|part| match twin(&part, begun.iter().copied()) {
        Some(_) => part,
        None => Part { decision: part.decision.clone().lowered_to(Response::Approve, why), ..part },
    });
    let incident = Incident { parts: parts.collect(), news: Some(News::AskAgain), ..known.incident.clone() };
    IncidentRecord { incident, approval, told: None, ..known.clone() }
}

fn newest(claim: &Claim, known: &IncidentRecord) -> Finding {
    let (new, old) = (&claim.incident.finding, &known.incident.finding);
    if is_newer(new, old) { new.clone() } else { old.clone() }
}

/// Takes the incident to contain: the lease, the holds, the counters.
fn begin(claim: &Claim, seen: &Seen, mut record: IncidentRecord, how: How) -> Decided {
    let wanted = to_hold(&record);
    let holds = match joined(claim, seen, &record.id, &wanted) {
        Ok(holds) => holds,
        Err(until) => return denied(Denied::Wait { until }),
    };
    // What a person approved is theirs to answer for, however much there was in the hour.
    let by_a_person = matches!(claim.occasion, Occasion::Approve { .. });
    // What was tried and refused before is tried once more, and is nothing new.
    let known = seen.incident.as_ref().filter(|_| matches!(how, How::Resumed | How::Again));
    let tried: BTreeSet<HoldKey> =
        known.into_iter().flat_map(|known| held_by(&known.incident)).map(|placed| placed.key()).collect();
    let begins = wanted.iter().map(Placed::key).any(|key| !record.holds.contains(&key) && !tried.contains(&key));
    let is_new = record.holds.is_empty() && begins && !by_a_person;
    let counters = if is_new { claim.limits.clone() } else { Vec::new() };
    if let Some(full) = counters.iter().find(|limit| limit.at_most == 0 || seen.full.contains(&limit.counter)) {
        return denied(Denied::OverLimit(full.counter.clone()));
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
    if how == How::Approved || (how != How::Again && record.contained.is_none()) {
        record.incident.parts.iter_mut().for_each(|part| part.results.clear());
    }
    record.status = Status::Containing;
    record.runs += 1;
    let count = record.incident.finding.count;
    let what = match how {
        How::Fresh if !record.history.is_empty() => What::Updated { count },
        How::Fresh => What::Claimed,
        How::Again => What::Updated { count },
        How::Approved if claim.occasion == Occasion::Expired => What::Expired,
        How::Approved => What::Approved { plan: plan_of(seen) },
        How::Resumed | How::AskAgain | How::Announce | How::LeftAlone => What::Resumed,
    };
    record.note(claim.now, &claim.by, what);
    Decided::Write(Box::new(Swap { incident: Some(leased(claim, record)), holds, counters }), how)
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
    record.version += 1;
    record
}

fn plan_of(seen: &Seen) -> u32 {
    let approval = seen.incident.as_ref().and_then(|known| known.approval.as_ref());
    approval.map_or(0, |approval| approval.plan)
}

/// The record's changes that its incident does not hold yet, or may hold no longer: after a crash either may be so.
fn to_hold(record: &IncidentRecord) -> Vec<Placed> {
    held_by(&record.incident).into_iter().filter(|placed| !record.let_go.contains(&placed.key())).collect()
}

fn joined(claim: &Claim, seen: &Seen, id: &IncidentId, wanted: &[Placed]) -> Result<Vec<Hold>, Timestamp> {
    let mut holds: BTreeMap<_, Hold> = BTreeMap::new();
    for placed in wanted {
        let key = placed.key();
        let before = seen.holds.get(&key);
        let mut hold = Hold::joined(holds.get(&key).or(before), placed, id, claim.now)?;
        // Two steps of one setting are one write.
        hold.version = before.map_or(0, |hold| hold.version) + 1;
        holds.insert(key, hold);
    }
    Ok(holds.into_values().collect())
}

fn changes<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<&'a Change> {
    parts.flat_map(|part| part.plan.steps()).map(|step| &step.change).collect()
}

/// Whether somebody set out to carry the part out.
fn is_begun(part: &Part) -> bool {
    part.decision.response == Response::Contain && !part.plan.stages.is_empty()
}

/// The parts that were begun, as they were planned, with what only the newer look found; and the newer ones of the rest.
fn merged(claim: &Claim, known: &IncidentRecord) -> Vec<Part> {
    let old: Vec<&Part> = known.incident.parts.iter().filter(|part| is_begun(part)).collect();
    let kept = old.iter().map(|part| extended(part, twin(part, &claim.incident.parts), known));
    let new = claim.incident.parts.iter().filter(|part| twin(part, old.iter().copied()).is_none());
    // What a person said no to is not asked again.
    let rejected = known.history.iter().any(|entry| entry.what == What::Rejected);
    let new = new.map(|part| match twin(part, &known.incident.parts) {
        Some(decided) if rejected && part.decision.response == Response::Approve => decided.clone(),
        Some(_) | None => part.clone(),
    });
    kept.chain(new).collect()
}

fn twin<'a>(part: &Part, others: impl IntoIterator<Item = &'a Part>) -> Option<&'a Part> {
    let same = |other: &&Part| {
        other.plan.remediation == part.plan.remediation && is_same(&other.plan.subject, &part.plan.subject)
    };
    others.into_iter().find(same)
}

/// What a finding says about an instance beside its id may change from one update to the next.
fn is_same(one: &Subject, other: &Subject) -> bool {
    match (&one.kind, &other.kind) {
        (SubjectKind::Instance { id: one_id, .. }, SubjectKind::Instance { id: other_id, .. }) => {
            one.at == other.at && one_id == other_id
        }
        _ => one == other,
    }
}

fn extended(old: &Part, new: Option<&Part>, known: &IncidentRecord) -> Part {
    let mut part = old.clone();
    let at = &old.plan.subject.at;
    let known_keys: BTreeSet<_> = held_by(&known.incident).iter().map(Placed::key).collect();
    let key = |step: &Step| Placed { at: at.clone(), change: step.change.clone() }.key();
    for stage in &mut part.plan.stages {
        stage.retain(|step| !known.let_go.contains(&key(step)));
        // What was refused is not ours: a person may have set it since, and then that is its original value.
        for step in stage.iter_mut().filter(|step| !known.holds.contains(&key(step))) {
            let newer = new.and_then(|new| new.plan.steps().find(|newer| key(newer) == key(step)));
            if let Some(newer) = newer {
                *step = newer.clone();
            }
        }
    }
    let may = new.filter(|new| new.decision.response == Response::Contain);
    let found = may.into_iter().flat_map(|new| new.plan.steps());
    let more: Vec<Step> = found
        .filter(|step| !known_keys.contains(&key(step)) && !known.let_go.contains(&key(step)))
        .filter(|step| !step.change.is_already_so())
        .cloned()
        .collect();
    part.plan.stages.push(more);
    part.plan.stages.retain(|stage| !stage.is_empty());
    if part.plan.stages.is_empty() {
        part.plan.no_steps = Some(NoSteps::NothingToDo("an operator gave back what was contained".to_owned()));
    }
    part
}
