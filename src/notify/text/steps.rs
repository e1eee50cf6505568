//! What was done, what was not, and what is left to people.

use crate::id::Place;
use crate::incident::{Incident, News, Outcome, Part, Verdict};
use crate::ledger::key::IncidentId;
use crate::notify::escape::{defanged, is_pasteable, sentence};
use crate::notify::facts::{Row, ToDo, is_given_back, lowered, rows};
use crate::notify::{fit, words};
use crate::plan::NoSteps;
use crate::policy::Fallback;
use crate::setting::be_there;

/// The longest change or reason in a line.
const LINE: usize = 600;
/// The longest command in an e-mail.
const COMMAND: usize = 6_000;

/// Numbered steps with their commands, after a way to be sure of account and region.
pub(super) fn to_do(steps: &[ToDo], home: &Place, room: usize) -> Vec<String> {
    let first = steps.iter().find(|step| !step.commands.is_empty());
    let here = first.map_or(home, |step| step.at);
    let numbered: Vec<(usize, &ToDo)> = (1..).zip(steps).collect();
    let entry = |(number, step): &(usize, &ToDo)| {
        let elsewhere = if step.at == here { String::new() } else { format!(" (in {})", words::place(step.at)) };
        let mut lines = vec![format!("  {number}. {}{elsewhere}", sentence(&step.say, LINE))];
        lines.extend(step.commands.iter().map(|command| pasteable(command)));
        lines
    };
    let say = format!(
        "  First make sure that you are in {}; the second line must print {}:",
        words::place(here),
        here.account
    );
    let mut lines = Vec::new();
    if first.is_some() {
        lines.push(say);
        lines.extend(be_there(here));
        lines.push(String::new());
    }
    lines.extend(fit::lines(&numbered, room, entry));
    lines
}

/// A command stands at the margin, whole, or not at all: half a command does something else.
fn pasteable(command: &str) -> String {
    if is_pasteable(command) && command.len() <= COMMAND {
        return command.to_owned();
    }
    format!(
        "     (a command of {} characters, too long or too odd for an e-mail: see Quell's log)",
        command.chars().count()
    )
}

/// Each setting that was to be given back, and what became of it.
pub(super) fn given_back(incident: &Incident) -> Vec<String> {
    let Some(News::GivenBack { settings, .. }) = &incident.news else { return Vec::new() };
    fit::lines(settings, 12_000, |it| {
        vec![format!("  - {}: {}", defanged(&it.setting, LINE), sentence(&it.became, LINE))]
    })
}

/// The commands that decide on a plan that waits, and what comes without them.
pub(super) fn approve(incident: &Incident) -> Vec<String> {
    let Some(approval) = &incident.beside.approval else { return Vec::new() };
    let id = IncidentId::of(&incident.finding);
    let then = match approval.fallback {
        Fallback::Contain => "Quell looks again and does it",
        Fallback::Abandon => "Quell drops it and says so",
    };
    let until = words::second(approval.expires);
    vec![
        format!("  Until {until} a person decides; without an answer {then}."),
        format!("quell approve {id} --plan {}", approval.plan),
        format!("quell reject {id} --plan {}", approval.plan),
    ]
}

/// How what was changed is given back. By hand would not do: Quell would take it for the attacker's doing.
pub(super) fn way_back(incident: &Incident) -> Vec<String> {
    let results = incident.parts.iter().flat_map(|part| &part.results);
    let changed = results.into_iter().any(|result| result.outcome == Outcome::Changed);
    if !changed || is_given_back(incident) {
        return Vec::new();
    }
    vec![
        "  Quell gives back what it changed. Changed back by hand, it is contained again. First see what it would do:"
            .to_owned(),
        format!("quell undo {} --dry-run", IncidentId::of(&incident.finding)),
        format!("quell undo {}", IncidentId::of(&incident.finding)),
    ]
}

/// What else stops, or would; and what could not be counted.
pub(super) fn blast(parts: &[&Part]) -> Vec<String> {
    let acts = parts.iter().filter(|part| part.plan.steps().next().is_some());
    let said: Vec<String> = acts.flat_map(|part| part.plan.blast.sentences()).collect();
    listed(said.iter(), 4_000)
}

pub(super) fn done(parts: &[&Part]) -> Vec<String> {
    let holding: Vec<Row> = rows(parts, true).into_iter().filter(|row| holds(*row)).collect();
    fit::lines(&holding, 18_000, |row| {
        let end = if matches!(row.outcome, Some(Outcome::AlreadySo)) {
            "was so before, nothing to change"
        } else {
            "done, read back"
        };
        change(row, end)
    })
}

pub(super) fn planned(parts: &[&Part]) -> Vec<String> {
    let parts: Vec<&Part> = parts.iter().filter(|part| !part.is_made_up()).copied().collect();
    fit::lines(&rows(&parts, false), 12_000, |row| change(row, "not done"))
}

fn change(row: &Row, end: &str) -> Vec<String> {
    let why = if row.why.is_empty() { Vec::new() } else { vec![format!("      {}", sentence(row.why, LINE))] };
    [vec![format!("  - {}: {end}", defanged(&row.change.to_string(), LINE))], why].concat()
}

pub(super) fn not_done(parts: &[&Part]) -> Vec<String> {
    let held: Vec<&&Part> = parts.iter().filter(|part| is_held(part)).collect();
    let missed: Vec<Row> = rows(parts, true).into_iter().filter(|row| !holds(*row)).collect();
    let mut lines = fit::lines(&missed, 5_000, |row| vec![format!("  - {}", missed_step(*row))]);
    lines.extend(fit::lines(&held, 6_000, |part| withheld(part)));
    lines
}

fn is_held(part: &Part) -> bool {
    let lowered = !lowered(part).is_empty() && !part.decision.approved;
    let plans = [Verdict::Planned, Verdict::WaitingForApproval].contains(&part.verdict());
    part.plan.no_steps.is_some() || !part.plan.left_out.is_empty() || lowered || plans
}

fn withheld(part: &Part) -> Vec<String> {
    let subject = defanged(&part.plan.subject.kind.to_string(), 200);
    let none = part.plan.no_steps.as_ref();
    let none = none.map(|none| format!("{}: {}", nothing(none), sentence(none.why(), LINE)));
    let lowered = lowered(part).iter().filter(|_| !part.decision.approved);
    let lowered = lowered.map(|why| match part.decision.refused {
        Some(_) => format!("refused: {}", sentence(why, LINE)),
        None => format!("held back to {}: {}", part.decision.response, sentence(why, LINE)),
    });
    let verdict = part.verdict();
    let opt_in = (verdict == Verdict::Planned && part.decision.lowered.is_empty()).then(|| opt_in(part));
    let waits = (verdict == Verdict::WaitingForApproval).then(|| "waits for a person".to_owned());
    let left_out = part.plan.left_out.iter().map(|what| sentence(what, LINE));
    let reasons = none.into_iter().chain(left_out).chain(lowered).chain(opt_in).chain(waits);
    reasons.map(|reason| format!("  - {subject}: {reason}")).collect()
}

/// How a team lets Quell go further.
fn opt_in(part: &Part) -> String {
    let how = "the policy says plan. To let Quell do it, set response = \"contain\"";
    match &part.decision.rule {
        Some(rule) => format!("{how} in the rule \"{}\"", sentence(rule, 100)),
        None => format!("{how} in a rule that matches this finding"),
    }
}

pub(in crate::notify) fn nothing(none: &NoSteps) -> &'static str {
    match none {
        NoSteps::NothingToDo(_) => "nothing to do",
        NoSteps::Gone(_) => "no longer exists",
        NoSteps::Refused(_) => "cannot be contained by Quell",
        NoSteps::NotCovered(_) => "not covered",
        NoSteps::NotObserved { transient: false, .. } => "could not be looked at",
        NoSteps::NotObserved { transient: true, .. } => "could not be looked at (may work when tried again)",
    }
}

fn missed_step(row: Row) -> String {
    let change = defanged(&row.change.to_string(), LINE);
    match row.outcome {
        None => format!("{change}: not tried"),
        Some(outcome) => format!("{change}: {}", became(outcome)),
    }
}

/// What became of a step, in words.
pub(in crate::notify) fn became(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Changed => "done, read back".to_owned(),
        Outcome::AlreadySo => "was so before".to_owned(),
        Outcome::LetGo => "let go by an undo".to_owned(),
        Outcome::Drifted { found } => format!("written, but read back as {}", defanged(&found.to_string(), LINE)),
        Outcome::Gone { why } => format!("the resource no longer exists: {}", sentence(why, LINE)),
        Outcome::Refused { why } => format!("refused: {}", sentence(why, LINE)),
        Outcome::Failed { why, transient: false } => format!("failed: {}", sentence(why, LINE)),
        Outcome::Failed { why, transient: true } => {
            format!("failed, may work when tried again: {}", sentence(why, LINE))
        }
        Outcome::Unread { why, transient: _ } if outcome.is_left_to_people() => sentence(why, LINE),
        Outcome::Unread { why, transient: _ } => {
            format!("was so at the last look, and cannot be read now: {}", sentence(why, LINE))
        }
    }
}

pub(super) fn residual(parts: &[&Part]) -> Vec<String> {
    listed(parts.iter().flat_map(|part| &part.plan.residual), 6_000)
}

pub(super) fn notes(parts: &[&Part]) -> Vec<String> {
    listed(parts.iter().flat_map(|part| part.plan.notes.iter().chain(&part.decision.notes)), 4_000)
}

fn listed<'a>(said: impl Iterator<Item = &'a String>, room: usize) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let new: Vec<&String> = said.filter(|line| seen.insert(*line)).collect();
    fit::lines(&new, room, |line| vec![format!("  - {}", sentence(line, LINE))])
}

fn holds(row: Row) -> bool {
    row.outcome.is_some_and(Outcome::holds)
}
