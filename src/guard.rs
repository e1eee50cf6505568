//! What lowers a response, and why. A guard never raises one.
//!
//! A guard is a function from a case to its objections, and a line in [`GUARDS`]. All of them are asked, the one that
//! wants least decides, and people are told what each of them said.

mod finding;
mod own;
mod protected;
#[cfg(test)]
mod tests;

pub use own::Own;
pub use protected::last_way_in;

use crate::finding::Finding;
use crate::observed::{Checks, KillSwitch, Observed};
use crate::plan::{Limit, Plan};
use crate::policy::{Approval, Decision, Fallback, Policy, Refusal, Response, Ruling, Terms};
use jiff::{SignedDuration, Timestamp};

/// All that is known before anything is done about one subject.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    pub finding: &'a Finding,
    pub plan: &'a Plan,
    pub ruling: &'a Ruling,
    pub policy: &'a Policy,
    /// None where the subject could not be looked at.
    pub observed: Option<&'a Observed>,
    pub checks: &'a Checks,
    pub own: &'a Own,
    pub now: Timestamp,
    /// How long Quell itself has waited with it, for a person: the finding is no older for that.
    pub waited: SignedDuration,
}

/// What a guard has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Objection {
    /// Quell does not do it, whoever asks; the plan is left as the manual steps.
    Refuse(Refusal, String),
    AtMost(Response, String),
    /// Something could not be asked: a person is, until it can be.
    NotAsked(String),
    /// Lowers nothing, but people should know.
    Note(String),
}

/// What comes of it where nothing else is in the way.
pub(crate) const ASKS_AGAIN: &str = "Quell asks again, and then does what the rule says unless a person decides first";

const GUARDS: &[fn(&Case<'_>) -> Vec<Objection>] = &[
    finding::unverified,
    protected::protected,
    finding::sample,
    finding::nameless,
    finding::archived,
    finding::unknown_type,
    finding::stale,
    kill_switch,
    left_out_by_the_rule,
    doubted_by_the_plan,
    blast_radius,
];

/// The rule's response, lowered by the guard that wants least.
#[must_use]
pub fn lowered(case: &Case<'_>) -> Decision {
    let Ruling::Decided { response, rule, remediations: _, terms } = case.ruling else {
        let why = "the policy asks for tags, and they could not be read";
        return Decision::new(Response::Plan, None).lowered_to(Response::Notify, why);
    };
    let objections: Vec<Objection> = GUARDS.iter().flat_map(|guard| guard(case)).collect();
    let least = objections.iter().filter_map(Objection::most).min();
    let decided = least.map_or(*response, |least| least.min(*response));
    let refused = objections.iter().filter_map(Objection::refusal).min();
    let Terms { max_blast: _, expires, approval } = *terms;
    let acts_in_the_end = approval.is_some_and(|approval| approval.fallback == Fallback::Contain);
    let wanted = if acts_in_the_end { Response::Contain } else { *response };
    let passes = |objection: &&Objection| matches!(objection, Objection::NotAsked(_));
    let lasting = objections.iter().filter(|it| !passes(it)).filter_map(Objection::most).min();
    // Nothing else keeps it from being done, by now or when the time to decide is over.
    let passing = least.is_some_and(|least| least < lasting.map_or(wanted, |most| most.min(wanted)));
    let (lowered, notes) = told(objections, wanted, passing);
    let approval = if least.is_none() { approval } else { approval.map(only_by_a_person) };
    let rule = rule.clone();
    Decision { response: decided, rule, lowered, approved: false, passing, refused, notes, expires, approval }
}

/// A team that lets time decide did not mean plans that a guard objects to.
fn only_by_a_person(approval: Approval) -> Approval {
    Approval { fallback: Fallback::Abandon, ..approval }
}

/// The reasons, the one that wants least first, and the notes. A refusal is always told; other objections are where
/// they make a difference.
fn told(mut objections: Vec<Objection>, wanted: Response, passing: bool) -> (Vec<String>, Vec<String>) {
    objections.sort_by_key(|objection| (objection.refusal().is_none(), objection.most()));
    let (mut lowered, mut notes) = (Vec::new(), Vec::new());
    for objection in objections {
        match objection {
            Objection::Refuse(_, why) => lowered.push(why),
            Objection::AtMost(most, why) if most < wanted => lowered.push(why),
            Objection::NotAsked(why) if passing => lowered.push(format!("{why}; {ASKS_AGAIN}")),
            Objection::NotAsked(why) if Response::Approve < wanted => lowered.push(why),
            Objection::AtMost(..) | Objection::NotAsked(_) => {}
            Objection::Note(note) => notes.push(note),
        }
    }
    (lowered, notes)
}

impl Objection {
    fn most(&self) -> Option<Response> {
        match self {
            // Not less: people need the plan to do by hand what is refused.
            Self::Refuse(..) => Some(Response::Plan),
            Self::AtMost(response, _) => Some(*response),
            Self::NotAsked(_) => Some(Response::Approve),
            Self::Note(_) => None,
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refuse(refusal, _) => Some(*refusal),
            Self::AtMost(..) | Self::NotAsked(_) | Self::Note(_) => None,
        }
    }
}

fn plan_only(why: impl Into<String>) -> Objection {
    Objection::AtMost(Response::Plan, why.into())
}

/// What could not be asked may be asked in a minute, where that was for a moment only.
fn not_asked(why: String, transient: bool) -> Objection {
    if transient { Objection::NotAsked(why) } else { ask_a_person(why) }
}

fn ask_a_person(why: impl Into<String>) -> Objection {
    Objection::AtMost(Response::Approve, why.into())
}

/// A switch that cannot be read may be on, and somebody had a reason; one that says what nobody understands was moved
/// by somebody in a hurry. Neither is a licence to go on.
fn kill_switch(case: &Case<'_>) -> Vec<Objection> {
    match &case.checks.kill_switch {
        KillSwitch::Open => Vec::new(),
        KillSwitch::AtMost(response) => {
            vec![Objection::AtMost(*response, format!("the kill switch says \"{response}\""))]
        }
        unclear @ KillSwitch::Unclear { .. } => unclear.stops().into_iter().map(plan_only).collect(),
        KillSwitch::Unreadable { why, transient } => {
            vec![not_asked(format!("the kill switch may be on: it could not be read ({why})"), *transient)]
        }
    }
}

/// A remediation that the rule does not list is still planned, so that people see what could be done.
fn left_out_by_the_rule(case: &Case<'_>) -> Vec<Objection> {
    let (Ruling::Decided { remediations: Some(wanted), .. }, Some(name)) = (case.ruling, &case.plan.remediation) else {
        return Vec::new();
    };
    if wanted.contains(name) { Vec::new() } else { vec![plan_only(format!("the policy's rule does not use {name}"))] }
}

fn doubted_by_the_plan(case: &Case<'_>) -> Vec<Objection> {
    let limit = case.plan.at_most.iter();
    limit.map(|Limit { response, why }| Objection::AtMost(*response, why.clone())).collect()
}

/// What could not be counted may be more than the rule allows.
fn blast_radius(case: &Case<'_>) -> Vec<Objection> {
    let Ruling::Decided { terms: Terms { max_blast: Some(most), .. }, .. } = case.ruling else { return Vec::new() };
    let blast = &case.plan.blast;
    if blast.count > *most {
        let things = if blast.count == 1 { "thing" } else { "things" };
        let why = format!("{} other {things} would stop, the rule allows {most} without a person", blast.count);
        return vec![ask_a_person(why)];
    }
    if blast.count + blast.may_be > *most {
        let (least, up_to) = (blast.count, blast.count + blast.may_be);
        let why = format!("{least} to {up_to} other things would stop, the rule allows {most} without a person");
        return vec![ask_a_person(why)];
    }
    let unread = blast.unread.iter();
    unread.map(|why| ask_a_person(format!("what else would stop is not known: {why}"))).collect()
}
