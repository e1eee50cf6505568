//! `quell show`: one incident, whole.

use super::cli::Common;
use super::exit::{Exit, Failure};
use super::function::{ask, known};
use super::report::{Entry, Report, Section};
use super::wire::{Command, Event, Hold, IncidentId, Shown};
use super::words::{about, results, steps, tone};
use crate::incident::{Incident, Part};
use crate::ledger::record::Approval;
use crate::plan::NoSteps;
use serde::Deserialize;
use serde_json::Value;

/// Shows an incident.
///
/// # Errors
/// There is no such incident, or the function could not be asked.
pub async fn show(common: &Common, incident: IncidentId) -> Result<Report, Failure> {
    let answer = ask(common, Command::Show { incident }).await?;
    Ok(report(answer))
}

fn report(answer: Value) -> Report {
    let sections = known::<Shown>(&answer).and_then(|shown| {
        let incident: Incident = known(&shown.incident)?;
        let status = shown.incident.get("status").and_then(Value::as_str);
        let history = shown.incident.get("history").map(Vec::<Event>::deserialize);
        let history = history.and_then(Result::ok).unwrap_or_default();
        let waits = shown.incident.get("approval").and_then(|approval| Approval::deserialize(approval).ok());
        let parts = [of_incident(&incident, status, waits), held(&shown.holds), told(&history)];
        Ok(parts.into_iter().flatten().collect())
    });
    Report::told(Exit::Done, sections.unwrap_or_else(|as_it_came| as_it_came), answer)
}

fn of_incident(incident: &Incident, status: Option<&str>, waits: Option<Approval>) -> Vec<Section> {
    let Incident { finding, parts, started, contained, news: _, beside: _ } = incident;
    let verdict = incident.verdict();
    let mut facts = about(finding);
    facts.extend(status.map(|status| ("Status", status.to_owned())));
    let of_waiting = |approval: Approval| format!("plan {} (--plan), until {}", approval.plan, approval.expires);
    facts.extend(waits.map(|approval| ("Waits", of_waiting(approval))));
    facts.push(("Started", started.to_string()));
    facts.extend(contained.map(|at| ("Contained", format!("{at}, read back"))));
    let mut sections = vec![Section::Said(tone(verdict.token()), verdict.to_string()), Section::Facts(facts)];
    let mut number = 1;
    for part in parts {
        sections.extend(of_part(part, number));
        number += part.listed().count();
    }
    sections
}

/// The steps as they went, or as they were planned where nothing was tried.
fn of_part(part: &Part, number: usize) -> Vec<Section> {
    let Part { plan, decision, results: tried, ends } = part;
    let rule = decision.rule.as_ref().map_or_else(|| "no rule decides".to_owned(), |rule| format!("\"{rule}\""));
    let approved = if decision.approved { ", as approved" } else { "" };
    let rule = format!("{rule}: {}{approved}", decision.response);
    let mut facts = vec![("Verdict", part.verdict().to_string()), ("Rule", rule)];
    facts.extend(ends.map(|ends| ("Until", ends.to_string())));
    facts.extend(decision.lowered.iter().map(|why| ("Lowered", why.clone())));
    facts.extend(plan.remediation.as_ref().map(|name| ("Remediation", name.clone())));
    facts.extend(plan.no_steps.as_ref().map(NoSteps::why).map(|why| ("No steps", why.to_owned())));
    let entries = if tried.is_empty() { steps(plan.steps(), number) } else { results(tried, number) };
    let mut sections = vec![Section::Heading(plan.subject.kind.to_string()), Section::Facts(facts)];
    if !entries.is_empty() {
        sections.extend([Section::Heading("  Steps".to_owned()), Section::List(entries)]);
    }
    sections.extend(Section::listed("  What else stops", &plan.blast.sentences()));
    sections
}

fn held(holds: &[Hold]) -> Vec<Section> {
    let line = |hold: &Hold| {
        let Hold { setting, original, held_by } = hold;
        let by: Vec<String> = held_by.iter().map(ToString::to_string).collect();
        let lines = vec![format!("{setting}: was {original}"), format!("held by {}", by.join(", "))];
        Entry { mark: "-".to_owned(), lines }
    };
    if holds.is_empty() {
        return Vec::new();
    }
    vec![Section::Heading("Holds".to_owned()), Section::List(holds.iter().map(line).collect())]
}

fn told(history: &[Event]) -> Vec<Section> {
    let line = |Event { at, who, what }: &Event| Entry {
        mark: at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        lines: vec![what.clone(), format!("by {who}")],
    };
    if history.is_empty() {
        return Vec::new();
    }
    vec![Section::Heading("History".to_owned()), Section::List(history.iter().map(line).collect())]
}
