//! What waits for a person, and what a newer look makes of it.

use super::super::hold::closes_more;
use super::super::record::{Approval, IncidentRecord};
use super::claim::{Claim, Occasion};
use super::finish::{SAID_NO, SAID_NO_BEFORE};
use super::merge::{is_begun, twin};
use crate::change::{Change, Rule, Value};
use crate::guard::ASKS_AGAIN;
use crate::incident::{News, Part};
use crate::plan::{NoSteps, Step};
use crate::policy::{self, Decision, Fallback, Response};
use crate::setting::Setting;
use std::collections::BTreeSet;

/// Why another plan of what a guard held back waits too.
const HELD_BACK_BEFORE: &str = "that was said of an earlier plan; what is planned since, a person decides too";

/// Why nothing else of a finding is done without a person, of which one gave back what was contained.
const GAVE_BACK_BEFORE: &str = "a person gave back what was contained before";

/// What an earlier state of a finding named, and nobody had decided on when the next one came.
pub(super) const EARLIER: &str = ": named by an earlier state of the finding, and not in this plan";

/// What is not decided anew though all could be asked by now is a person's.
pub(super) fn still_waiting(part: &Part, claim: &Claim) -> Part {
    let mut part = part.clone();
    if claim.occasion == Occasion::Asked && part.is_unasked() {
        left_to_a_person(&mut part.decision);
    }
    part
}

/// What is asked of a person who had been asked before, until when, and whether that is news. `parts` is what the incident is
/// by now.
pub(super) fn asked_anew(
    approval: &Approval,
    parts: &[Part],
    claim: &Claim,
    known: &IncidentRecord,
) -> (Approval, Option<News>) {
    let waits = |part: &Part| !is_unseen(part) && part.decision.response == Response::Approve;
    let is_answered = |old: &Part| {
        let new = twin(old, &claim.incident.parts).filter(|new| !new.is_unasked());
        old.is_unasked() && new.is_some_and(|new| gives_way(old, new))
    };
    let is_unread = |part: &Part| match twin(part, &known.incident.parts) {
        // Of what could not be asked then, the terms are others by now.
        Some(old) if waits(old) => is_answered(old),
        Some(_) | None => true,
    };
    let asks = |part: &Part| part.decision.response == Response::Approve;
    let asks_else = |part: &Part| {
        let new = twin(part, &claim.incident.parts).filter(|_| twin(part, parts).is_some_and(asks));
        asks(part) && new.is_some_and(|new| gives_way(part, new))
    };
    let plan = approval.plan + 1;
    let news = known.incident.parts.iter().any(asks_else).then_some(News::AskAgain);
    if parts.iter().filter(|part| waits(part)).any(is_unread) {
        // Those who decide get their whole time for what they have not seen.
        (Approval { plan, expires: claim.now, ..approval.clone() }, news)
    } else if news.is_some() {
        (Approval { plan, ..approval.clone() }, news)
    } else {
        // With what is done now of what could not be asked, the terms of the rest change too.
        let is_done = known.incident.parts.iter().any(is_answered);
        let expires = if is_done { claim.now } else { approval.expires };
        (Approval { expires, ..approval.clone() }, None)
    }
}

/// It is not asked again, and nobody is told that it is.
fn left_to_a_person(decision: &mut Decision) {
    decision.passing = false;
    for why in &mut decision.lowered {
        *why = why.trim_end_matches(ASKS_AGAIN).trim_end_matches("; ").to_owned();
    }
}

/// Whether what waits for a person gives way to what a newer look plans: it could not be seen before, the policy wants it
/// contained by now, what could not be asked can be, or something else is to be approved. The same plan that a guard held back
/// still waits.
pub(super) fn gives_way(old: &Part, new: &Part) -> bool {
    if is_unseen(old) {
        return !is_unseen(new);
    }
    if is_answered(old, new) && new.decision.refused.is_some() {
        return true;
    }
    if !is_begun(old) && !has_a_no(old) && old.decision.response < Response::Approve && shows_more(new, old) {
        return true;
    }
    if is_begun(old) || new.plan.no_steps.is_some() || new.decision.response < Response::Approve {
        return false;
    }
    if old.plan.no_steps.is_some() || is_answered(old, new) {
        return true;
    }
    let is_raised = new.decision.response > old.decision.response;
    if is_raised && old.decision.lowered.is_empty() {
        return true;
    }
    let is_asked = old.decision.response == Response::Approve || is_rejected(old);
    (is_asked || !is_raised) && !writes_the_same(old, new)
}

/// Whether there is a plan, and nobody is asked about it.
pub(super) fn is_shown(part: &Part) -> bool {
    part.plan.no_steps.is_none() && part.decision.response < Response::Approve
}

/// Whether a plan that is only shown has something to write that the older one had not.
pub(super) fn shows_more(new: &Part, old: &Part) -> bool {
    let known = || old.plan.steps().map(Step::held).chain(&old.plan.earlier);
    let is_known =
        |step: &Step| known().any(|old| old.setting == step.change.setting && !closes_more(step.held(), old));
    is_shown(new) && !new.plan.steps().filter(|step| !step.is_nothing_new()).all(is_known)
}

/// Whether what could not be asked can be by now.
fn is_answered(old: &Part, new: &Part) -> bool {
    old.is_unasked() && !new.is_unasked()
}

/// The newer plan in the place of one that is only shown, with what the older one named.
pub(super) fn shown_after(old: &Part, new: &Part) -> Part {
    with_earlier(new, old.plan.earlier.iter().chain(closings(old)))
}

/// What a plan closes of groups' rules.
fn closings(part: &Part) -> impl Iterator<Item = &Change> {
    part.plan.steps().map(Step::held).filter(|change| matches!(change.setting, Setting::IngressRules(_)))
}

/// The newer plan of what waits. It is made on what the finding names by now; what only an earlier state of it named is said.
/// What a guard held back is held back still.
pub(super) fn in_place_of(old: &Part, new: &Part) -> Part {
    let mut part = with_earlier(new, old.plan.earlier.iter().chain(closings(old)));
    let is_held_back = old.decision.response == Response::Approve
        && !old.decision.lowered.is_empty()
        && old.plan.no_steps.is_none()
        && !old.is_unasked();
    if is_held_back {
        // Nor has time it done.
        part.decision.approval = old.decision.approval;
    }
    if is_held_back && (new.decision.response > Response::Approve || new.is_unasked()) {
        part.decision.response = old.decision.response;
        part.decision.lowered.clone_from(&old.decision.lowered);
        push_once(&mut part.decision.lowered, HELD_BACK_BEFORE);
        new.decision.lowered.iter().for_each(|why| push_once(&mut part.decision.lowered, why));
        left_to_a_person(&mut part.decision);
    }
    part
}

fn push_once(lowered: &mut Vec<String>, why: &str) {
    if !lowered.iter().any(|known| known == why) {
        lowered.push(why.to_owned());
    }
}

/// The newer plan, with what was said before of what it has lost.
pub(super) fn with_what_is_lost(old: &Part, new: &Part) -> Part {
    with_earlier(new, &old.plan.earlier)
}

/// A plan, and those of the earlier changes that it does not make.
pub(super) fn with_earlier<'a>(part: &Part, earlier: impl IntoIterator<Item = &'a Change>) -> Part {
    let mut part = part.clone();
    let is_made = |change: &Change| {
        part.plan.steps().any(|step| step.change.setting == change.setting && !closes_more(change, step.held()))
    };
    let mut lost: Vec<Change> = Vec::new();
    for change in earlier.into_iter().filter(|change| !is_made(change)) {
        if !lost.contains(change) {
            lost.push(change.clone());
        }
    }
    part.plan.left_out.retain(|what| !what.contains(EARLIER));
    part.plan.left_out.extend(lost.iter().map(|change| format!("{change}{EARLIER}")));
    part.plan.earlier = lost;
    part
}

/// Whether two plans would end alike, in whatever order AWS named what they are about, and whatever of it others did meanwhile.
fn writes_the_same(one: &Part, other: &Part) -> bool {
    let writes = |part: &Part| -> Vec<_> { part.plan.steps().map(|step| write_of(step.held())).collect() };
    let (one, other) = (writes(one), writes(other));
    one.len() == other.len() && one.iter().all(|write| other.contains(write))
}

/// What a change makes of its setting, and which rules it closes.
fn write_of(change: &Change) -> (Setting, Value, Option<BTreeSet<Rule>>) {
    let closed = match (&change.from, &change.to) {
        (Value::Rules(from), Value::Rules(to)) => Some(from - to),
        _ => None,
    };
    (change.setting.clone(), change.to.clone(), closed)
}

pub(super) fn is_unseen(part: &Part) -> bool {
    matches!(part.plan.no_steps, Some(NoSteps::NotObserved { .. }))
}

/// What a person said no to, or nobody decided on after a no, and the finding does not name now, or nobody may look at: it may
/// again.
pub(super) fn unnamed(claim: &Claim, known: &IncidentRecord) -> impl Iterator<Item = Part> {
    let is_over = |part: &Part| has_a_no(part) && part.decision.response < Response::Approve;
    let is_unnamed = |part: &&Part| is_over(part) && twin(part, &claim.incident.parts).is_none();
    known.incident.parts.iter().filter(is_unnamed).cloned().collect::<Vec<_>>().into_iter()
}

/// Whether a person turned down what was shown. What nobody decided on in time nobody turned down.
pub(super) fn is_rejected(decided: &Part) -> bool {
    decided.decision.response < Response::Approve && decided.decision.lowered.last().is_some_and(|why| why == SAID_NO)
}

/// A no is to what was shown; of something else a person is asked, and that it was made up is news all the same.
pub(super) fn still_rejected(decided: &Part, now: &Part) -> Part {
    let is_else =
        now.plan.no_steps.is_none() && now.decision.response >= Response::Approve && !writes_the_same(decided, now);
    if is_else || now.decision.refused.is_some() { after_a_no(decided, now) } else { decided.clone() }
}

/// The part as it is planned after a person said no to what was planned of it, or of something else of the finding.
pub(super) fn after_a_no(decided: &Part, now: &Part) -> Part {
    only_by_a_person(now, no_to(decided).unwrap_or(SAID_NO_BEFORE))
}

/// The part as it is planned after a person gave back all that the finding had named before.
pub(super) fn after_an_undo(now: &Part) -> Part {
    only_by_a_person(now, GAVE_BACK_BEFORE)
}

/// The part so that only a person has it done, not time, nor an answer that comes late.
pub(super) fn only_by_a_person(now: &Part, why: &str) -> Part {
    let mut part = now.clone();
    let decision = &mut part.decision;
    decision.response = decision.response.min(Response::Approve);
    decision.approved = false;
    left_to_a_person(decision);
    decision.approval =
        decision.approval.take().map(|approval| policy::Approval { fallback: Fallback::Abandon, ..approval });
    push_once(&mut decision.lowered, why);
    part
}

pub(super) fn has_a_no(part: &Part) -> bool {
    no_to(part).is_some()
}

/// Why only a person has a part done, or what the finding names beside it: one said no, or gave back what there was before.
pub(super) fn no_to(part: &Part) -> Option<&'static str> {
    let says = |why: &str| part.decision.lowered.iter().any(|said| said == why);
    match (says(SAID_NO) || says(SAID_NO_BEFORE), says(GAVE_BACK_BEFORE)) {
        (true, _) => Some(SAID_NO_BEFORE),
        (false, true) => Some(GAVE_BACK_BEFORE),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::schema::SCHEMA;

    /// A no is known by the words that it was taken down in.
    #[test]
    fn a_no_of_any_release_is_known_for_one() {
        for schema in 1..=SCHEMA {
            let path = format!("{}/tests/records/{schema}-incident-rejected.json", env!("CARGO_MANIFEST_DIR"));
            let record: IncidentRecord = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            assert!(record.incident.parts.iter().all(|part| is_rejected(part) && has_a_no(part)), "{schema}");
        }
    }
}
