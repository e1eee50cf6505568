//! The record that a claim goes on with: what was begun as it was planned, and what is newer of the rest.

use super::super::hold::both;
use super::super::key::{HoldKey, IncidentId, Placed};
use super::super::record::{Approval, IncidentRecord, Status};
use super::super::schema::Schema;
use super::claim::{Claim, Occasion};
use super::finish::SAID_NO_BEFORE;
use super::held_by;
use super::waiting::{
    after_a_no, after_an_undo, asked_anew, gives_way, has_a_no, in_place_of, is_rejected, is_shown, is_unseen, no_to,
    only_by_a_person, shown_after, shows_more, still_rejected, still_waiting, unnamed, with_earlier, with_what_is_lost,
};
use crate::change::{Change, Value};
use crate::finding::Finding;
use crate::incident::{Incident, News, Outcome, Part, StepResult};
use crate::plan::{NoSteps, Step};
use crate::policy::{Fallback, Response};
use crate::setting::Setting;
use std::collections::BTreeSet;
use std::mem;

/// What an update adds, and the rule does not decide on.
const FOUND_LATER: &str = ": found later, and not done, since it is held back to ";

/// What a newer state of the finding adds, and nobody may look at.
const NOT_SEEN: &str =
    "what the newest state of the finding adds is not known: it could not be looked at, or is refused";

pub(super) fn fresh(claim: &Claim) -> IncidentRecord {
    IncidentRecord {
        schema: Schema,
        version: 0,
        id: IncidentId::of(&claim.incident.finding),
        status: Status::Containing,
        lease: None,
        incident: claim.incident.clone(),
        holds: Vec::new(),
        let_go: BTreeSet::new(),
        by_hand: BTreeSet::new(),
        told: None,
        gathered: false,
        said: None,
        untried: BTreeSet::new(),
        said_left: None,
        approval: None,
        undo: None,
        ends: None,
        contained: None,
        runs: 0,
        failures: 0,
        unanswered: 0,
        due: None,
        history: Vec::new(),
    }
}

/// What was begun is finished as it was planned: its original values are those of before the crash. What waits stays as it
/// was shown, and is planned anew when a person decides; what comes to it is shown as another plan.
pub(super) fn resumed(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let (parts, approval, asked) = match &known.approval {
        _ if known.was_given_back() => (beside_what_was_given_back(claim, known), None, Some(News::More)),
        Some(approval) if known.status != Status::Rejected => {
            let parts = beside_what_waits(claim, known);
            let (approval, news) = asked_anew(approval, &parts, claim, known);
            (parts, Some(approval), news)
        }
        Some(_) | None => (merged(claim, known), None, (known.status == Status::Rejected).then_some(News::AskAgain)),
    };
    let newer = is_newer(&claim.incident.finding, &known.incident.finding);
    let more = || is_wider(known, &parts) || newer && is_shown_more(&parts, known);
    let (undone, before) = match known.incident.news.clone() {
        undone @ Some(News::GivenBack { .. }) => (undone, None),
        before => (None, before),
    };
    let news = claim.incident.news.clone().or(before).or(asked);
    let news = news.or_else(|| more().then_some(News::More)).or(undone);
    let incident = Incident { finding: newest(claim, known), parts, news, ..known.incident.clone() };
    let mut let_go = known.let_go.clone();
    if known.was_given_back() {
        // Nor is what could not be done then, or was over before.
        let keys = known.incident.parts.iter().filter(|part| is_begun(part)).flat_map(Part::keys);
        let_go.extend(keys.filter(|key| !known.holds.contains(key)));
    }
    IncidentRecord { incident, let_go, approval, ..known.clone() }
}

/// The parts of an incident of which some wait for a person: each goes on as it was, or gives way to what is planned by now.
fn beside_what_waits(claim: &Claim, known: &IncidentRecord) -> Vec<Part> {
    let newer = is_newer(&claim.incident.finding, &known.incident.finding);
    let old = known.incident.parts.iter().map(|part| match twin(part, &claim.incident.parts) {
        Some(new) if newer && has_ended(part, known) && has_a_no(part) => after_a_no(part, new),
        Some(new) if newer && has_ended(part, known) => new.clone(),
        Some(_) | None if has_ended(part, known) => ended(part),
        new if is_begun(part) => extended(part, new, known, newer),
        Some(_) | None if is_given_back(part, known) => part.clone(),
        Some(new) if gives_way(part, new) && has_a_no(part) => after_a_no(part, &in_place_of(part, new)),
        Some(new) if gives_way(part, new) => in_place_of(part, new),
        Some(_) | None => still_waiting(part, claim),
    });
    old.chain(added(claim, known).into_iter().map(|part| beside(part, known))).collect()
}

/// What the finding names later. A person is asked about it too, where one said no to something of the finding.
fn beside(part: &Part, known: &IncidentRecord) -> Part {
    let no = known.incident.parts.iter().find_map(no_to);
    no.map_or_else(|| part.clone(), |why| only_by_a_person(part, why))
}

/// What a person gave back stays so, and what the finding names beside it is asked about.
fn beside_what_was_given_back(claim: &Claim, known: &IncidentRecord) -> Vec<Part> {
    known.incident.parts.iter().cloned().chain(added(claim, known).into_iter().map(after_an_undo)).collect()
}

/// Whether there is more to write in what is only shown.
pub(super) fn is_shown_more(parts: &[Part], known: &IncidentRecord) -> bool {
    let is_plan = |old: &Part| !is_begun(old) && !is_unseen(old) && !has_a_no(old);
    let more = |part: &Part, old: &Part| is_plan(old) && shows_more(part, old);
    parts.iter().any(|part| twin(part, &known.incident.parts).is_some_and(|old| more(part, old)))
}

/// Whether a newer state of the finding would have something done that it did not name before.
pub(super) fn names_more(claim: &Claim, known: &IncidentRecord) -> bool {
    let is_new = |part: &&Part| part.decision.response >= Response::Approve && part.plan.is_something_new();
    added(claim, known).iter().any(is_new)
}

/// The parts that the incident does not have.
pub(super) fn added<'a>(claim: &'a Claim, known: &IncidentRecord) -> Vec<&'a Part> {
    claim.incident.parts.iter().filter(|part| twin(part, &known.incident.parts).is_none()).collect()
}

/// Nothing is held any more, so nothing is begun: what is there now is planned, guarded and counted as if it were new, but for
/// what a person said no to.
pub(super) fn renewed(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let parts = claim.incident.parts.iter().map(|part| match twin(part, &known.incident.parts) {
        Some(decided) if is_rejected(decided) => still_rejected(decided, part),
        Some(old) if is_given_back(old, known) => old.clone(),
        Some(decided) if has_a_no(decided) => after_a_no(decided, part),
        Some(old) if is_shown(old) && is_shown(part) => shown_after(old, part),
        Some(_) => part.clone(),
        None => beside(part, known),
    });
    let parts: Vec<Part> = parts.chain(unnamed(claim, known)).collect();
    let news = claim.incident.news.clone().or_else(|| is_shown_more(&parts, known).then_some(News::More));
    let incident = Incident { parts, news, ..claim.incident.clone() };
    IncidentRecord { incident, contained: None, ends: None, ..known.clone() }
}

/// Whether a newer state of a finding that a person said no to would have something else done.
pub(super) fn is_another_plan(claim: &Claim, known: &IncidentRecord) -> bool {
    let is_new = |part: &Part| part.decision.response >= Response::Approve && part.plan.is_something_new();
    merged(claim, known).iter().any(is_new)
}

/// What is left alone, with the newest state of the finding of which all was seen.
pub(super) fn updated(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let is_seen = out_of_sight(&claim.incident, known).is_none();
    let finding = if is_seen { newest(claim, known) } else { known.incident.finding.clone() };
    let incident = Incident { finding, ..known.incident.clone() };
    IncidentRecord { incident, ..known.clone() }
}

/// A person approved all that waits. Time approves only what the policy leaves to time, and no guard objects to.
pub(super) fn approved(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
    let parts = merged(claim, known).into_iter().map(|mut part| {
        let by_time = part.decision.approval.is_some_and(|approval| approval.fallback == Fallback::Contain);
        if part.decision.response == Response::Approve && (claim.occasion != Occasion::Expired || by_time) {
            (part.decision.response, part.decision.approved) = (Response::Contain, true);
        }
        part
    });
    let incident = Incident { parts: parts.collect(), news: claim.incident.news.clone(), ..known.incident.clone() };
    IncidentRecord { incident, approval: None, ..known.clone() }
}

pub(super) fn shown_again(claim: &Claim, known: &IncidentRecord) -> IncidentRecord {
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

/// The parts that were begun, as they were planned, with what only the newer look found; and the newer ones of the rest.
pub(super) fn merged(claim: &Claim, known: &IncidentRecord) -> Vec<Part> {
    if known.status == Status::Rejected {
        return after_rejection(claim, known);
    }
    let newer = is_newer(&claim.incident.finding, &known.incident.finding);
    let is_going_on = |part: &&Part| is_begun(part) && !has_ended(part, known);
    let old: Vec<&Part> = known.incident.parts.iter().filter(is_going_on).collect();
    let kept = old.iter().map(|part| extended(part, twin(part, &claim.incident.parts), known, newer));
    let over = known.incident.parts.iter().filter(|part| has_ended(part, known));
    let over = over.filter(|part| twin(part, &claim.incident.parts).is_none()).map(ended);
    let new = claim.incident.parts.iter().filter(|part| twin(part, old.iter().copied()).is_none());
    // What a person said no to is not asked again, nor done.
    let new = new.map(|part| match twin(part, &known.incident.parts) {
        Some(decided) if is_rejected(decided) => still_rejected(decided, part),
        Some(old) if is_given_back(old, known) => old.clone(),
        // What the finding does next has it contained again; a decision on something else, or another try, does not.
        Some(before) if !newer && has_ended(before, known) => ended(before),
        Some(old) if has_a_no(old) => after_a_no(old, &with_what_is_lost(old, part)),
        Some(old) if is_shown(old) && is_shown(part) => shown_after(old, part),
        Some(old) if !is_begun(old) => with_what_is_lost(old, part),
        Some(_) => part.clone(),
        None => beside(part, known),
    });
    let all = kept.chain(over).chain(unnamed(claim, known)).chain(unasked(claim, known)).chain(new);
    let mut parts: Vec<Part> = all.collect();
    // Steps keep the numbers that people read.
    let place = |part: &Part| known.incident.parts.iter().position(|old| twin(part, [old]).is_some());
    parts.sort_by_key(|part| place(part).unwrap_or(usize::MAX));
    parts
}

/// What a person was to decide on, and the finding does not name any more: that nothing of it is done is said.
fn unasked(claim: &Claim, known: &IncidentRecord) -> impl Iterator<Item = Part> {
    let waits = |part: &&Part| part.decision.response == Response::Approve && part.plan.no_steps.is_none();
    let is_unnamed = |part: &&Part| twin(part, &claim.incident.parts).is_none();
    let why = "the newest state of the finding does not name it any more";
    let unnamed = known.incident.parts.iter().filter(waits).filter(is_unnamed).cloned();
    unnamed.map(move |part| Part { decision: part.decision.clone().lowered_to(Response::Plan, why), ..part })
}

/// Nothing is done of a finding of which nothing was wanted, but what a person approves.
fn after_rejection(claim: &Claim, known: &IncidentRecord) -> Vec<Part> {
    let parts = claim.incident.parts.iter().map(|part| match twin(part, &known.incident.parts) {
        Some(decided) if is_rejected(decided) => still_rejected(decided, part),
        Some(old) if is_given_back(old, known) => old.clone(),
        Some(old) => after_a_no(old, part),
        None => only_by_a_person(part, SAID_NO_BEFORE),
    });
    parts.chain(unnamed(claim, known)).collect()
}

/// Whether the part was contained for a time that is over: nothing of it is held, and no person gave all of it back.
pub(super) fn has_ended(part: &Part, known: &IncidentRecord) -> bool {
    let is_back = part.results.iter().all(|result| result.outcome == Outcome::LetGo);
    let is_free = part.keys().all(|key| !known.holds.contains(&key));
    // What a person gave back of it stays so.
    let by_time = part.keys().any(|key| !known.let_go.contains(&key));
    !part.plan.stages.is_empty() && !part.results.is_empty() && is_back && is_free && by_time
}

/// Whether a person gave all of the part back, so that there is nothing left in its plan.
fn is_given_back(part: &Part, known: &IncidentRecord) -> bool {
    let at = &part.plan.subject.at;
    let is_back = |it: &StepResult| known.let_go.contains(&HoldKey::of(at, &it.change.setting));
    part.plan.stages.is_empty() && !part.results.is_empty() && part.results.iter().all(is_back)
}

fn ended(part: &Part) -> Part {
    let decision = part.decision.clone().lowered_to(Response::Plan, "it was contained for a time, which is over");
    Part { decision, ..part.clone() }
}

fn extended(old: &Part, new: Option<&Part>, known: &IncidentRecord, newer: bool) -> Part {
    let mut part = without(old, &known.let_go);
    let held: Vec<HoldKey> = old.keys().filter(|key| known.holds.contains(key)).collect();
    if !held.is_empty() && held.iter().all(|key| known.by_hand.contains(key)) {
        // A person wanted all of it back.
        return part;
    }
    // What of it was for a time that is over is contained again by what the finding does next, and by nothing else.
    let is_over = |step: &Step| {
        let key = HoldKey::of(&old.plan.subject.at, &step.change.setting);
        !newer && !known.holds.contains(&key) && was_let_go(old, &key)
    };
    for stage in &mut part.plan.stages {
        stage.retain(|step| !is_over(step));
    }
    part.plan.stages.retain(|stage| !stage.is_empty());
    let at = &old.plan.subject.at;
    let known_keys: BTreeSet<_> = held_by(&known.incident).iter().map(Placed::key).collect();
    let key = |step: &Step| HoldKey::of(at, &step.change.setting);
    for stage in &mut part.plan.stages {
        // What was refused is not ours: a person may have set it since, and then that is its original value.
        for step in stage.iter_mut().filter(|step| !known.holds.contains(&key(step))) {
            let newer = new.and_then(|new| new.plan.steps().find(|newer| key(newer) == key(step)));
            if let Some(newer) = newer {
                *step = newer.clone();
            }
        }
    }
    let Some(new) = new else { return part };
    match &new.plan.no_steps {
        None | Some(NoSteps::NothingToDo(_)) => {}
        // What may not be looked at says nothing of what is open, and trying again does not help.
        Some(NoSteps::Refused(_) | NoSteps::NotObserved { transient: false, .. }) if newer => {
            part.plan.left_out.retain(|what| what != NOT_SEEN);
            part.plan.left_out.push(NOT_SEEN.to_owned());
            return part;
        }
        Some(NoSteps::Refused(_) | NoSteps::NotObserved { .. } | NoSteps::Gone(_) | NoSteps::NotCovered(_)) => {
            return part;
        }
    }
    part.plan.left_out.retain(|what| !what.contains(FOUND_LATER) && what != NOT_SEEN);
    let found = || {
        let is_left = |key: &HoldKey| known.let_go.contains(key) || known.by_hand.contains(key);
        let found = new.plan.steps().filter(|step| !step.is_nothing_new() && !is_over(step));
        found.filter(move |step| !is_left(&key(step)))
    };
    let more: Vec<Step> = found().filter(|step| !known_keys.contains(&key(step))).cloned().collect();
    let held = |step: &Step| {
        let same = old.plan.steps().find(|old| key(old) == key(step) && known.holds.contains(&key(old)))?;
        Some((same.clone(), widened(same, step)?))
    };
    let wider: Vec<(Step, Step)> = found().filter_map(held).collect();
    if new.decision.response < Response::Contain {
        // What others keep closed is closed; it is not held by this one as well, and that is all.
        let closes = |setting: &Setting| {
            new.plan.steps().any(|step| step.change.setting == *setting && !step.change.is_already_so())
        };
        let later = more.iter().map(|step| &step.change).chain(wider.iter().map(|(_, wider)| wider.held()));
        let later = later.filter(|change| closes(&change.setting));
        let response = new.decision.response;
        let later: Vec<String> = later.map(|change| format!("{change}{FOUND_LATER}{response}")).collect();
        part.plan.left_out.extend(later);
        return part;
    }
    if !more.is_empty() {
        part.plan.stages.push(more);
        part.plan.no_steps = None;
    }
    for (before, wider) in wider {
        let again = closes_again(before.held(), new);
        for step in part.plan.stages.iter_mut().flatten().filter(|step| **step == before) {
            *step = wider.clone();
        }
        // What somebody opened again is told as that.
        for result in part.results.iter_mut().filter(|it| !again && it.change.setting == before.change.setting) {
            let why = "a newer state of the finding adds to it".to_owned();
            result.outcome = Outcome::Failed { why, transient: true };
        }
    }
    let earlier = mem::take(&mut part.plan.earlier);
    with_earlier(&part, &earlier)
}

/// The step with what a newer plan adds to it: a change of many settings in one.
fn widened(old: &Step, new: &Step) -> Option<Step> {
    let Setting::IngressRules(_) = &old.change.setting else { return None };
    let together = |old: &Change, new: &Change| {
        let (from, to) = both((&old.from, &old.to), (&new.from, &new.to))?;
        Some(Change { from, to, ..old.clone() })
    };
    let held = together(old.held(), new.held())?;
    if old.alone.is_none() && new.alone.is_none() {
        return Some(Step { change: held, ..old.clone() });
    }
    let change = together(&old.change, &new.change).unwrap_or_else(|| old.change.clone());
    Some(Step { change, alone: Some(held), ..old.clone() })
}

/// Whether the newer plan found open what the old change had closed.
fn closes_again(old: &Change, new: &Part) -> bool {
    let (Value::Rules(from), Value::Rules(to)) = (&old.from, &old.to) else { return false };
    let of_new = new.plan.steps().filter(|step| step.change.setting == old.setting);
    let found = of_new.filter_map(|step| match &step.change.from {
        Value::Rules(rules) => Some(rules),
        Value::Absent | Value::Status(_) | Value::Document(_) | Value::Groups(_) => None,
    });
    found.flatten().any(|rule| from.contains(rule) && !to.contains(rule))
}

/// Whether a newer state of the finding adds to what is held.
fn is_wider(known: &IncidentRecord, parts: &[Part]) -> bool {
    let held =
        |part: &Part, step: &Step| known.holds.contains(&HoldKey::of(&part.plan.subject.at, &step.change.setting));
    let before = |part: &Part| twin(part, &known.incident.parts).map(|old| old.plan.steps().collect::<Vec<_>>());
    parts.iter().filter(|part| is_begun(part)).any(|part| {
        let before = before(part).unwrap_or_default();
        let same = |step: &Step| before.iter().any(|old| old.change.setting == step.change.setting && *old != step);
        part.plan.steps().any(|step| held(part, step) && same(step))
    })
}

/// Whether the setting was held, and given back.
pub(super) fn was_let_go(part: &Part, key: &HoldKey) -> bool {
    let at = &part.plan.subject.at;
    let is_back =
        |result: &StepResult| result.outcome == Outcome::LetGo && HoldKey::of(at, &result.change.setting) == *key;
    part.results.iter().any(is_back)
}

/// The part without the steps whose settings were let go, if it is one that is carried out.
pub(super) fn without(part: &Part, let_go: &BTreeSet<HoldKey>) -> Part {
    let mut part = part.clone();
    if !is_begun(&part) {
        return part;
    }
    let at = &part.plan.subject.at;
    let is_let_go = |step: &Step| let_go.contains(&HoldKey::of(at, &step.change.setting));
    let stays: Vec<Change> =
        part.plan.steps().filter(|step| !is_let_go(step)).map(|step| step.change.clone()).collect();
    // The group that an interface moves into must be there, whoever gave it back.
    let is_needed = |step: &Step| match &step.change.setting {
        Setting::QuarantineGroup(group) => stays.iter().any(|change| change.to.waits_for() == Some(&group.vpc)),
        Setting::AccessKeyStatus(_)
        | Setting::InlinePolicy(_)
        | Setting::InterfaceGroups(_)
        | Setting::IngressRules(_) => false,
    };
    for stage in &mut part.plan.stages {
        stage.retain(|step| !is_let_go(step) || is_needed(step));
    }
    part.plan.stages.retain(|stage| !stage.is_empty());
    if part.plan.stages.is_empty() {
        part.plan.no_steps = Some(NoSteps::NothingToDo("what was contained was given back".to_owned()));
    }
    part
}

/// A state of the finding of which something could not be looked at, or asked, is not taken for seen: it comes again, and may
/// add to what is held.
fn newest(claim: &Claim, known: &IncidentRecord) -> Finding {
    let (new, old) = (&claim.incident.finding, &known.incident.finding);
    if is_newer(new, old) && unsure(&claim.incident, known).is_none() { new.clone() } else { old.clone() }
}

/// Why it is not known whether a state of the finding has something else done than what waits for a person, what one said no to,
/// or what is over: it could not be looked at, which may pass.
#[must_use]
pub fn out_of_sight<'a>(new: &'a Incident, known: &IncidentRecord) -> Option<&'a str> {
    let was_seen = |part: &Part| twin(part, &known.incident.parts).is_none_or(|old| !is_unseen(old));
    let why = |part: &'a Part| match &part.plan.no_steps {
        Some(NoSteps::NotObserved { why, transient: true }) if was_seen(part) => Some(why.as_str()),
        Some(_) | None => None,
    };
    match known.status {
        Status::Waiting | Status::Rejected | Status::Closed => new.parts.iter().find_map(why),
        Status::Held | Status::Containing | Status::Releasing | Status::Released => None,
    }
}

/// Why it is not known what a state of the finding adds to what is held and nothing else, or whether that may be done: it could
/// not be looked at, or something could not be asked, which may pass.
#[must_use]
pub fn unsure<'a>(new: &'a Incident, known: &IncidentRecord) -> Option<&'a str> {
    if new.is_made_up()
        || !matches!(known.status, Status::Held | Status::Containing)
        || new.parts.iter().any(|part| twin(part, &known.incident.parts).is_none())
    {
        return None;
    }
    let mut begun = known.incident.parts.iter().filter(|part| is_begun(part) && !has_ended(part, known));
    let adds = |old: &Part, new: &Part| {
        extended(old, Some(new), known, true).plan.left_out.iter().any(|what| what.contains(FOUND_LATER))
    };
    let why = |old: &Part| {
        let new = twin(old, &new.parts)?;
        match &new.plan.no_steps {
            Some(NoSteps::NotObserved { why, transient: true }) => Some(why.as_str()),
            None if new.is_unasked() && adds(old, new) => new.decision.lowered.last().map(String::as_str),
            Some(_) | None => None,
        }
    };
    begun.find_map(why)
}

/// GuardDuty sends a finding again with a later time and a higher count; one that overtook another has neither.
#[must_use]
pub fn is_newer(new: &Finding, known: &Finding) -> bool {
    new.updated > known.updated || (new.updated == known.updated && new.count > known.count)
}

/// Whether somebody set out to carry the part out.
pub(super) fn is_begun(part: &Part) -> bool {
    part.decision.response == Response::Contain && !part.plan.stages.is_empty()
}

pub(super) fn twin<'a>(part: &Part, others: impl IntoIterator<Item = &'a Part>) -> Option<&'a Part> {
    let same = |other: &&Part| {
        let (one, two) = (&other.plan.subject, &part.plan.subject);
        other.plan.remediation == part.plan.remediation && one.at == two.at && one.kind.is_same(&two.kind)
    };
    others.into_iter().find(same)
}
