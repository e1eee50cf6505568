//! The words that several commands share.

use super::exit::Exit;
use super::report::{Entry, Tone};
use super::wire::IncidentId;
use crate::finding::Finding;
use crate::incident::{Outcome, StepResult};
use crate::plan::Step;

/// What a finding says of itself.
#[must_use]
pub fn about(finding: &Finding) -> Vec<(&'static str, String)> {
    let Finding { kind, severity, at, title, sample, archived, .. } = finding;
    let mut facts = vec![
        ("Incident", IncidentId::of(finding).to_string()),
        ("Type", kind.to_string()),
        ("Severity", format!("{} ({severity})", severity.band())),
        ("Where", at.to_string()),
    ];
    facts.extend((!title.is_empty()).then(|| ("Title", title.clone())));
    facts.extend(sample.then(|| ("Sample", "yes, GuardDuty made it for a test; what it names is invented".to_owned())));
    facts.extend(archived.then(|| ("Archived", "yes".to_owned())));
    facts
}

/// Steps as they are planned, counted from `first`.
pub fn steps<'a>(steps: impl Iterator<Item = &'a Step>, first: usize) -> Vec<Entry> {
    let entry = |(number, step): (usize, &Step)| {
        let Step { change, why, alone: _, narrowed: _ } = step;
        let why = Some(why.clone()).filter(|why| !why.is_empty());
        Entry { mark: format!("{number}."), lines: [change.to_string()].into_iter().chain(why).collect() }
    };
    (first..).zip(steps).map(entry).collect()
}

/// Steps as they went, counted from `first`.
pub fn results(results: &[StepResult], first: usize) -> Vec<Entry> {
    let entry = |(number, result): (usize, &StepResult)| {
        let StepResult { change, outcome, requests: _ } = result;
        Entry { mark: format!("{number}."), lines: vec![change.to_string(), became(outcome)] }
    };
    (first..).zip(results).map(entry).collect()
}

fn became(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Changed => "done, read back".to_owned(),
        Outcome::AlreadySo => "was so before".to_owned(),
        Outcome::LetGo => "let go by an undo".to_owned(),
        Outcome::Drifted { found } => format!("written, but read back as {found}"),
        Outcome::Gone { why } => format!("no longer exists: {why}"),
        Outcome::Refused { why } => format!("refused: {why}"),
        Outcome::Failed { why, transient: false } => format!("failed: {why}"),
        Outcome::Failed { why, transient: true } => format!("failed, may work when tried again: {why}"),
        Outcome::Unread { why, transient: _ } if outcome.is_left_to_people() => why.clone(),
        Outcome::Unread { why, transient: _ } => format!("was so at the last look, and cannot be read now: {why}"),
    }
}

/// How good a verdict is, by its token; a word of a later release is for people to look at.
#[must_use]
pub fn tone(verdict: &str) -> Tone {
    match verdict {
        "contained" | "released" | "rejected" | "gone" | "nothing-to-do" => Tone::Good,
        "not-contained" | "partial" | "failed" | "refused" => Tone::Bad,
        _ => Tone::Open,
    }
}

/// How an order ends that left the incident with this verdict.
#[must_use]
pub fn exit(verdict: &str) -> Exit {
    match (tone(verdict), verdict) {
        (Tone::Good, _) | (Tone::Open, "planned" | "told") => Exit::Done,
        (Tone::Open | Tone::Bad, _) => Exit::Partly,
    }
}

/// `1 thing`, `2 things`.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
