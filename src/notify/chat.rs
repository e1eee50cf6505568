//! The message for chats, in the custom-notification schema of AWS's chat integration.
//!
//! A notification that breaks the schema is dropped without a word, and AWS documents no lengths; these stay well below
//! what Slack and Teams show of a message. Whatever is cut here is in the e-mail.

use super::escape::{code, defanged, is_pasteable, markdown, sentence};
use super::facts::{Row, ToDo, rows, to_do, told_of};
use super::text::{became, nothing, of_remote};
use super::{fit, words};
use crate::finding::Remote;
use crate::incident::{Incident, Part};
use crate::ledger::key::IncidentId;
use crate::plan::NoSteps;
use serde_json::{Value, json};

const TITLE: usize = 240;
const STEP: usize = 340;
const STEPS: usize = 9;

/// Renders the chat notification. All messages of a finding share a thread.
#[must_use]
pub fn chat(incident: &Incident) -> Value {
    let finding = &incident.finding;
    let parts = told_of(incident);
    let headline = markdown(&words::headline(incident));
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": fit::text(&headline, TITLE),
            "description": description(incident, &parts),
            "nextSteps": next_steps(incident, &to_do(&parts)),
            "keywords": [
                incident.verdict().token(),
                finding.severity.band().as_str(),
                finding.at.account.as_str(),
                finding.at.region.as_str(),
            ],
        },
        "metadata": {
            "threadId": finding.id,
            "summary": fit::text(&headline, TITLE),
            "eventType": fit::text(&markdown(&words::kind(&finding.kind)), 100),
            "relatedResources": resources(&parts),
            "additionalContext": { "verdict": incident.verdict().token(), "console": words::console(finding) },
        },
    })
}

/// Lines of bold words, code spans and our own sentences.
fn description(incident: &Incident, parts: &[&Part]) -> String {
    let finding = &incident.finding;
    let has_steps = !to_do(parts).is_empty();
    let mut lines = vec![
        format!("*Finding:* {}, severity {}", code(&words::kind(&finding.kind)), words::severity(finding)),
        format!("*Now:* {}", words::standing(incident)),
        format!("*Act:* {}", words::act(incident, has_steps)),
        format!("*GuardDuty says:* {}", code(&defanged(&finding.title, 200))),
    ];
    lines.extend(words::news(incident).iter().map(|news| format!("*News:* {}", markdown(&fit::text(news, 400)))));
    lines.extend(finding.last_seen.map(|seen| format!("*Last seen:* {}", words::second(seen))));
    let from = |remote: &Remote| vec![format!("*From:* {}", code(&of_remote(remote)))];
    lines.extend(fit::lines(&finding.remotes, 300, from));
    lines.extend(fit::lines(&rows(parts, true), 600, |row| changed(row)));
    lines.extend(fit::lines(&rows(parts, false), 600, |row| planned(row)));
    let held = parts.iter().filter_map(|part| Some((*part, part.plan.no_steps.as_ref()?))).collect::<Vec<_>>();
    lines.extend(fit::lines(&held, 600, withheld));
    lines.push(format!("<{}|Open the finding in GuardDuty>", words::console(finding)));
    lines.join("\n")
}

fn changed(row: &Row) -> Vec<String> {
    let became = row.outcome.map_or_else(|| "not tried".to_owned(), became);
    vec![format!("• {}: {}", code(&defanged(&row.change.to_string(), 200)), markdown(&fit::text(&became, 200)))]
}

fn planned(row: &Row) -> Vec<String> {
    vec![format!("• planned, not done: {}", code(&defanged(&row.change.to_string(), 200)))]
}

fn withheld((part, none): &(&Part, &NoSteps)) -> Vec<String> {
    let subject = code(&defanged(&part.plan.subject.kind.to_string(), 120));
    vec![format!("• {subject}: {}: {}", nothing(none), markdown(&sentence(none.why(), 200)))]
}

fn next_steps(incident: &Incident, steps: &[ToDo]) -> Vec<String> {
    let id = IncidentId::of(&incident.finding);
    let decide = incident.beside.approval.as_ref().map(|approval| {
        let (until, plan) = (words::second(approval.expires), approval.plan);
        format!("Decide until {until}: `quell approve {id} --plan {plan}` or `quell reject {id} --plan {plan}`")
    });
    let mut lines: Vec<String> = decide.into_iter().chain(steps.iter().take(STEPS).map(next_step)).collect();
    if steps.len() > STEPS {
        lines.push(format!("{} more in the e-mail", steps.len() - STEPS));
    }
    lines
}

/// A step with its commands if they fit whole, and can stand in a code span as they are.
fn next_step(step: &ToDo) -> String {
    let say = markdown(&sentence(&step.say, 160));
    let say = format!("{say} ({})", words::place(step.at));
    let commands: Vec<String> = step.commands.iter().map(|command| format!("`{command}`")).collect();
    let whole = [say.clone(), commands.join(" ")].join(" ");
    let pasteable =
        step.commands.iter().all(|command| is_pasteable(command) && !command.contains(['`', '<', '>', '&']));
    match (commands.is_empty(), pasteable && whole.chars().count() <= STEP) {
        (true, _) => say,
        (false, true) => whole,
        (false, false) => format!("{say} (commands in the e-mail)"),
    }
}

fn resources(parts: &[&Part]) -> Vec<String> {
    let name = |part: &&Part| fit::text(&markdown(&defanged(&part.plan.subject.kind.to_string(), 120)), 140);
    let mut names: Vec<String> = parts.iter().take(10).map(name).collect();
    names.dedup();
    names
}
