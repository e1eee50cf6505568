//! The message for machines: `quell.incident.v1`.
//!
//! Fields are added, never renamed or given another meaning. A list that was cut has a `…_left_out` beside it. Texts are
//! as the finding has them, cut but not escaped: whoever shows them escapes them for where they land.

use super::facts::{Row, rows_of, worst_first};
use super::text::became;
use super::{fit, words};
use crate::finding::{Finding, LocalPort, Remote, Subject};
use crate::incident::{Incident, News, Outcome, Part, Returned};
use crate::ledger::key::IncidentId;
use crate::plan::{Manual, NoSteps};
use serde::Serialize;
use serde_json::{Value, json};

/// The name of these fields' meaning.
pub const SCHEMA: &str = "quell.incident.v1";

/// The longest sentence.
const LINE: usize = 500;

/// Renders the structured message.
#[must_use]
pub fn json(incident: &Incident) -> Value {
    let (parts, more) = fit::values(&worst_first(incident), 56_000, |part| of_part(part));
    json!({
        "schema": SCHEMA,
        "verdict": incident.verdict().token(),
        "headline": words::headline(incident),
        "started": incident.started,
        "contained": incident.contained,
        "seconds_to_contain": incident.seconds_to_contain(),
        "worth_retrying": incident.is_worth_retrying(),
        "incident": IncidentId::of(&incident.finding),
        "news": words::news(incident),
        "repeated": incident.beside.repeated,
        "approval": incident.beside.approval,
        "ends": incident.beside.ends,
        "given_back": given_back(incident),
        "finding": of_finding(&incident.finding),
        "parts": parts,
        "parts_left_out": more,
        "links": { "console": words::console(&incident.finding) },
    })
}

/// Each setting that was to be given back; none where nothing was.
fn given_back(incident: &Incident) -> Value {
    let Some(News::GivenBack { settings, .. }) = &incident.news else { return Value::Null };
    let one = |it: &Returned| json!({ "setting": fit::text(&it.setting, LINE), "became": fit::text(&it.became, LINE), "is_back": it.is_back });
    fit::values(settings, 20_000, one).0.into()
}

fn of_finding(finding: &Finding) -> Value {
    let (remotes, remotes_left_out) = fit::values(&finding.remotes, 10_000, of_remote);
    let (ports, ports_left_out) = fit::values(&finding.ports, 3_000, of_port);
    let (subjects, subjects_left_out) = fit::values(&finding.subjects, 5_000, of_subject);
    json!({
        "id": finding.id,
        "arn": fit::text(&finding.arn, LINE),
        "type": finding.kind,
        "known_type": finding.kind.is_known(),
        "severity": finding.severity,
        "severity_band": finding.severity.band(),
        "partition": finding.at.partition,
        "account": finding.at.account,
        "region": finding.at.region,
        "title": fit::text(&finding.title, LINE),
        "description": fit::text(&finding.description, 1_000),
        "action": finding.action.as_ref().map(|action| fit::text(action, LINE)),
        "created": finding.created,
        "updated": finding.updated,
        "first_seen": finding.first_seen,
        "last_seen": finding.last_seen,
        "count": finding.count,
        "sample": finding.sample,
        "archived": finding.archived,
        "role": finding.role,
        "remotes": remotes,
        "remotes_left_out": remotes_left_out,
        "local_ports": ports,
        "local_ports_left_out": ports_left_out,
        "subjects": subjects,
        "subjects_left_out": subjects_left_out,
    })
}

fn of_remote(remote: &Remote) -> Value {
    let Remote { address, country, city, network } = remote;
    let short = |text: &Option<String>| text.as_ref().map(|text| fit::text(text, 120));
    json!({ "address": address, "country": short(country), "city": short(city), "network": short(network) })
}

fn of_port(port: &LocalPort) -> Value {
    let LocalPort { port, address } = port;
    json!({ "port": port, "address": address })
}

/// The subject in words, and its fields where they are not too large.
fn of_subject(subject: &Subject) -> Value {
    let Subject { at, kind } = subject;
    let words = fit::text(&kind.to_string(), 200);
    json!({ "words": words, "account": at.account, "region": at.region, "subject": small(kind, 1_500) })
}

fn of_part(part: &Part) -> Value {
    let plan = &part.plan;
    let (changes, changes_left_out) = fit::values(&rows_of(part), 18_000, of_row);
    let (manual, manual_left_out) = fit::values(&plan.manual, 9_000, of_manual);
    let sentences = |said: &[String]| fit::values(said, 3_000, |line| fit::text(line, LINE).into()).0;
    json!({
        "verdict": part.verdict().token(),
        "subject": of_subject(&plan.subject),
        "remediation": plan.remediation.as_ref().map(|name| fit::text(name, 64)),
        "response": part.decision.response,
        "rule": part.decision.rule.as_ref().map(|rule| fit::text(rule, 200)),
        "lowered": part.decision.lowered.iter().map(|why| fit::text(why, LINE)).collect::<Vec<_>>(),
        "no_steps": plan.no_steps.as_ref().map(of_no_steps),
        "changes": changes,
        "changes_left_out": changes_left_out,
        "manual": manual,
        "manual_left_out": manual_left_out,
        "residual": sentences(&plan.residual),
        "notes": sentences(&[plan.notes.as_slice(), part.decision.notes.as_slice()].concat()),
        "blast_radius": { "count": plan.blast.count, "says": sentences(&plan.blast.says), "unread": sentences(&plan.blast.unread) },
    })
}

fn of_no_steps(none: &NoSteps) -> Value {
    let kind = match none {
        NoSteps::NothingToDo(_) => "nothing-to-do",
        NoSteps::Gone(_) => "gone",
        NoSteps::Refused(_) => "refused",
        NoSteps::NotCovered(_) => "not-covered",
        NoSteps::NotObserved { .. } => "not-observed",
    };
    json!({ "kind": kind, "why": fit::text(none.why(), LINE) })
}

fn of_row(row: &Row) -> Value {
    let Row { change, why, outcome, at: _ } = row;
    json!({
        "setting": fit::text(&change.setting.to_string(), LINE),
        "from": fit::text(&change.from.to_string(), LINE),
        "to": fit::text(&change.to.to_string(), LINE),
        "why": fit::text(why, LINE),
        "outcome": outcome.map_or("not-tried", token),
        "outcome_words": outcome.map(became),
        "change": small(change, 4_000),
        "commands": small(&change.commands(), 3_000),
    })
}

/// The outcome's name, as the record has it.
pub(super) fn token(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Changed => "changed",
        Outcome::AlreadySo => "already-so",
        Outcome::LetGo => "let-go",
        Outcome::Drifted { .. } => "drifted",
        Outcome::Gone { .. } => "gone",
        Outcome::Refused { .. } => "refused",
        Outcome::Failed { .. } => "failed",
        Outcome::Unread { .. } => "unread",
    }
}

fn of_manual(manual: &Manual) -> Value {
    let Manual { say, command } = manual;
    json!({ "say": fit::text(say, LINE), "command": small(command, 4_000) })
}

/// The whole value, or null where it is too large: half a policy or half a command means something else.
fn small(value: &impl Serialize, room: usize) -> Value {
    let value = serde_json::to_value(value).unwrap_or_default();
    if fit::cost(&value) <= room { value } else { Value::Null }
}
