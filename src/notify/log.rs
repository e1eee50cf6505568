//! The lines for the log: one for the finding, one for each step, each with the finding's id.

use super::facts::{Row, rows_of};
use super::json::token;
use super::text::became;
use super::{fit, words};
use crate::finding::Finding;
use crate::incident::{Incident, Part};
use serde_json::{Value, json};

const LINE: usize = 1_000;

/// Renders the log lines, as objects to be printed one a line.
#[must_use]
pub fn log_lines(incident: &Incident) -> Vec<Value> {
    let finding = &incident.finding;
    let steps = incident.parts.iter().flat_map(|part| rows_of(part).into_iter().map(move |row| (part, row)));
    let mut lines = vec![of_incident(incident)];
    lines.extend(steps.map(|(part, row)| of_step(finding, part, row)));
    lines
}

fn of_incident(incident: &Incident) -> Value {
    let finding = &incident.finding;
    json!({
        "event": "finding",
        "finding": finding.id,
        "verdict": incident.verdict().token(),
        "message": words::headline(incident),
        "type": finding.kind,
        "known_type": finding.kind.is_known(),
        "severity": finding.severity,
        "account": finding.at.account,
        "region": finding.at.region,
        "sample": finding.sample,
        "count": finding.count,
        "parts": incident.parts.len(),
        "remotes": finding.remotes.len(),
        "seconds_to_contain": incident.seconds_to_contain(),
    })
}

/// One step. Its commands stand here whole, whatever a message had no room for.
fn of_step(finding: &Finding, part: &Part, row: Row) -> Value {
    let Row { change, why, outcome, at } = row;
    json!({
        "event": "step",
        "finding": finding.id,
        "verdict": part.verdict().token(),
        "remediation": part.plan.remediation.as_ref().map(|name| fit::text(name, 64)),
        "response": part.decision.response,
        "subject": fit::text(&part.plan.subject.kind.to_string(), LINE),
        "account": at.account,
        "region": at.region,
        "message": fit::text(&change.to_string(), LINE),
        "why": fit::text(why, LINE),
        "outcome": outcome.map_or("not-tried", token),
        "outcome_words": outcome.map(became),
        "commands": change.commands(),
    })
}
