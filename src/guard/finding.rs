//! What speaks against acting on the finding itself.

use super::{Case, Objection, ask_a_person, not_asked, plan_only};
use crate::observed::Verification;
use crate::policy::Refusal;
use jiff::SignedDuration;

/// Whoever can send events to the function could otherwise have anybody contained.
pub fn unverified(case: &Case<'_>) -> Vec<Objection> {
    match &case.checks.verification {
        Verification::Known { .. } | Verification::NotAsked => Vec::new(),
        Verification::MadeUp { why } => {
            let why = format!("the finding was made up: {why}. Find out who can send events to Quell");
            vec![Objection::Refuse(Refusal::MadeUp, why)]
        }
        Verification::Overtaken { why } => {
            vec![ask_a_person(format!("the finding was updated after it was sent: {why}"))]
        }
        Verification::Unreachable { why, transient } => {
            let why = format!("GuardDuty could not be asked whether it knows the finding ({why})");
            vec![not_asked(why, *transient)]
        }
    }
}

pub fn sample(case: &Case<'_>) -> Vec<Objection> {
    objection_if(case.finding.sample, || plan_only("the finding is a sample: what it names does not exist"))
}

pub fn nameless(case: &Case<'_>) -> Vec<Objection> {
    let why = "the finding has no id or no account, so GuardDuty did not send it as it is";
    objection_if(!case.finding.is_named(), || plan_only(why))
}

pub fn archived(case: &Case<'_>) -> Vec<Objection> {
    objection_if(case.finding.archived, || plan_only("the finding is archived: somebody has dealt with it"))
}

pub fn unknown_type(case: &Case<'_>) -> Vec<Objection> {
    let why = "this release does not know the finding's type, so a person must say what it means";
    objection_if(!case.finding.kind.is_known(), || ask_a_person(why))
}

/// A finding that waited in a queue tells of a resource as it was. GuardDuty's own time of the last update counts
/// before the one that came with the event.
pub fn stale(case: &Case<'_>) -> Vec<Objection> {
    let theirs = match case.checks.verification {
        Verification::Known { updated } => updated,
        Verification::MadeUp { .. }
        | Verification::Overtaken { .. }
        | Verification::Unreachable { .. }
        | Verification::NotAsked => None,
    };
    let Some(updated) = theirs.or(case.finding.updated) else {
        return vec![ask_a_person("the finding does not say when it was updated, so it may be old")];
    };
    let age = case.now.duration_since(updated).saturating_sub(case.waited);
    let most = case.policy.guards().stale_after;
    let why = || format!("the finding was last updated {} ago, the policy allows {}", whole(age), whole(most));
    objection_if(age > most, || ask_a_person(why()))
}

/// A length of time in the unit that people think of it in.
fn whole(time: SignedDuration) -> String {
    match time.as_secs() {
        seconds if seconds < 7_200 => format!("{} minutes", seconds / 60),
        seconds if seconds < 3 * 86_400 => format!("{} hours", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn objection_if(wrong: bool, objection: impl FnOnce() -> Objection) -> Vec<Objection> {
    if wrong { vec![objection()] } else { Vec::new() }
}
