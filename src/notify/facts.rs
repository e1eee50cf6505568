//! What the record says, in the order that people need it.

use crate::change::Change;
use crate::id::Place;
use crate::incident::{Incident, News, Outcome, Part, StepResult, Verdict};
use crate::plan::{NoSteps, Step};
use crate::policy::Response;
use std::collections::BTreeSet;

/// The parts, the worst first, so that what is cut off at the end is the best news.
pub(super) fn worst_first(incident: &Incident) -> Vec<&Part> {
    let mut parts: Vec<&Part> = incident.parts.iter().collect();
    parts.sort_by_cached_key(|part| part.verdict());
    parts
}

/// The parts that people are told of, the worst first. What was given back no longer holds: then only that is told, and what
/// waits for a person.
pub(super) fn told_of(incident: &Incident) -> Vec<&Part> {
    let mut parts = worst_first(incident);
    if is_given_back(incident) {
        parts.retain(|part| part.verdict() == Verdict::WaitingForApproval);
    }
    parts
}

pub(super) fn is_given_back(incident: &Incident) -> bool {
    matches!(incident.news, Some(News::GivenBack { .. }))
}

/// One step of a part's plan, and what became of it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub change: &'a Change,
    pub why: &'a str,
    /// None where the step was not tried.
    pub outcome: Option<&'a Outcome>,
    pub at: &'a Place,
}

/// The rows of the parts that were to be executed, or of those that were not.
pub(super) fn rows<'a>(parts: &[&'a Part], executed: bool) -> Vec<Row<'a>> {
    let wanted = |part: &&&Part| was_executed(part) == executed;
    parts.iter().filter(wanted).flat_map(|part| rows_of(part)).collect()
}

pub(super) fn rows_of(part: &Part) -> Vec<Row<'_>> {
    // Of a step that was let go the result is left, and of one that was added there is none yet.
    let result = |step: &Step| part.results.iter().find(|result| result.change.setting == step.change.setting);
    part.plan.steps().map(|step| row(&part.plan.subject.at, step, result(step))).collect()
}

/// A result says what was done; before that, the plan says what would be.
fn row<'a>(at: &'a Place, step: &'a Step, result: Option<&'a StepResult>) -> Row<'a> {
    let Step { change, why, alone: _, narrowed: _ } = step;
    match result {
        Some(StepResult { change, outcome, requests: _ }) => Row { change, why, outcome: Some(outcome), at },
        None => Row { change, why, outcome: None, at },
    }
}

fn was_executed(part: &Part) -> bool {
    part.decision.response == Response::Contain
}

/// How many steps were planned, and how many of them hold.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    pub planned: usize,
    pub tried: usize,
    pub holding: usize,
    /// Those that a person wanted back and Quell could not give back: they are counted by nothing else.
    pub left_to_people: usize,
    /// Of those that hold, the ones that were so before.
    pub already: usize,
}

pub(super) fn tally(incident: &Incident) -> Tally {
    let outcomes = || incident.parts.iter().flat_map(|part| &part.results).map(|result| &result.outcome);
    let left_to_people = outcomes().filter(|outcome| outcome.is_left_to_people()).count();
    let planned: usize = incident.parts.iter().map(|part| part.plan.steps().count()).sum();
    Tally {
        planned: planned.saturating_sub(left_to_people),
        tried: outcomes().filter(|it| **it != Outcome::LetGo && !it.is_left_to_people()).count(),
        left_to_people,
        holding: outcomes().filter(|outcome| outcome.holds()).count(),
        already: outcomes().filter(|outcome| **outcome == Outcome::AlreadySo).count(),
    }
}

/// Why less is done than the policy wants. Where no remediation covers it there is nothing to hold back.
pub(super) fn lowered(part: &Part) -> &[String] {
    match part.plan.no_steps {
        Some(NoSteps::NotCovered(_)) if part.decision.refused.is_none() => &[],
        Some(_) | None => &part.decision.lowered,
    }
}

/// Something for people to do, with the commands that do it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ToDo<'a> {
    pub at: &'a Place,
    pub say: String,
    pub commands: Vec<String>,
}

/// What people can do, in the order to do it: the changes that Quell did not make, then what only people can do.
pub(super) fn to_do<'a>(parts: &[&'a Part]) -> Vec<ToDo<'a>> {
    let mut all: Vec<ToDo> = Vec::new();
    for part in parts {
        let at = &part.plan.subject.at;
        if part.is_made_up() {
            let say = "Find out who put this finding on Quell's event bus, or invoked its function. Do nothing about \
                what it names.";
            all.push(ToDo { at, say: say.to_owned(), commands: Vec::new() });
            continue;
        }
        // What waits for a person is done by approving it; by hand, Quell would not know of it.
        let waits = part.verdict() == Verdict::WaitingForApproval;
        let open = |row: &Row| is_open(*row) && !waits;
        all.extend(rows_of(part).into_iter().filter(open).filter_map(by_hand));
        for manual in &part.plan.manual {
            let commands = manual.command.iter().cloned().collect();
            all.push(ToDo { at, say: manual.say.clone(), commands });
        }
    }
    without_repeats(all)
}

fn is_open(row: Row) -> bool {
    match row.outcome {
        // Done, it would be contained again.
        Some(outcome) if outcome.is_left_to_people() => false,
        None
        | Some(Outcome::Drifted { .. } | Outcome::Refused { .. } | Outcome::Failed { .. } | Outcome::Unread { .. }) => {
            true
        }
        Some(Outcome::Changed | Outcome::AlreadySo | Outcome::LetGo | Outcome::Gone { .. }) => false,
    }
}

fn by_hand(row: Row) -> Option<ToDo> {
    let commands = row.change.commands();
    (!commands.is_empty()).then(|| ToDo { at: row.at, say: format!("Make this change: {}", row.change), commands })
}

/// Parts of one finding often ask for the same; the first stays in its place.
fn without_repeats(all: Vec<ToDo>) -> Vec<ToDo> {
    let mut seen = BTreeSet::new();
    all.into_iter().filter(|to_do| seen.insert(to_do.clone())).collect()
}
