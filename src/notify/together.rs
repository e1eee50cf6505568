//! One message for all that waits beyond an hour's limit: a storm of findings must not be a storm of messages, and none of
//! its plans may be hidden behind the others. The gravest comes first.

use super::escape::{ascii, code, defanged, markdown, quoted, sentence};
use super::facts::{Row, rows};
use super::{Attribute, BESIDE_THE_BODY, LARGEST, Message, fit, remediations, words};
use crate::finding::Finding;
use crate::incident::{Incident, Part, Verdict};
use crate::ledger::key::IncidentId;
use crate::plan::Plan;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The most incidents in a message: what is said of so many always fits.
pub const TOGETHER: usize = 25;

/// The name of the structured message's meaning.
pub const SCHEMA: &str = "quell.incidents.v1";

/// The longest change or reason.
const LINE: usize = 300;

/// Renders the message of incidents of one account that wait for a person. `repeated` if people may have got it before.
#[must_use]
pub fn together(incidents: &[&Incident], repeated: bool) -> Message {
    let mut incidents = incidents.to_vec();
    incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.finding.severity), incident.started));
    let whole = json!({
        "default": structured(&incidents, repeated).to_string(),
        "email": email(&incidents, repeated),
        "https": chat(&incidents, repeated).to_string(),
        "sms": format!("{}. Decide now. See e-mail.", subject(&incidents)),
    });
    let fits = |body: &String| body.len() <= LARGEST - BESIDE_THE_BODY;
    let headline = || json!({ "default": headline(&incidents) }).to_string();
    let body = Some(whole.to_string()).filter(fits).unwrap_or_else(headline);
    Message { subject: subject(&incidents), body, attributes: attributes(&incidents) }
}

fn headline(incidents: &[&Incident]) -> String {
    let account = incidents.first().map(|incident| incident.finding.at.account.to_string()).unwrap_or_default();
    format!("WAITING FOR APPROVAL: {} findings beyond the hour's limit (account {account})", incidents.len())
}

fn subject(incidents: &[&Incident]) -> String {
    ascii(&headline(incidents), 99)
}

fn email(incidents: &[&Incident], repeated: bool) -> String {
    let mut lines = vec![headline(incidents)];
    lines.extend(repeated.then(|| format!("  News:    {}", words::MAYBE_KNOWN)));
    lines.push("  Now:     Quell changed nothing for these.".to_owned());
    lines.push(
        "  Act:     Yes, decide now. Approve or reject each; the commands are below, the gravest first.".to_owned(),
    );
    for (number, incident) in (1..).zip(incidents) {
        lines.push(String::new());
        lines.extend(one(number, incident));
    }
    lines.join("\n") + "\n"
}

fn one(number: usize, incident: &Incident) -> Vec<String> {
    let finding = &incident.finding;
    let id = IncidentId::of(finding);
    let mut lines = vec![
        format!("{number}. {}", words::headline(incident)),
        format!("  Finding: {}, severity {}", words::kind(&finding.kind), words::severity(finding)),
        format!("  GuardDuty says: {}", quoted(&finding.title, LINE)),
    ];
    let would = |row: &Row| vec![format!("  - would: {}", defanged(&row.change.to_string(), LINE))];
    lines.extend(fit::lines(&rows(&waiting(incident), false), 2_000, would));
    let why: BTreeSet<&String> = waiting(incident).into_iter().flat_map(|part| &part.decision.lowered).collect();
    lines.extend(fit::lines(&Vec::from_iter(why), 800, |why| vec![format!("  - held back: {}", sentence(why, LINE))]));
    let stops: Vec<String> = waiting(incident).iter().flat_map(|part| part.plan.blast.sentences()).collect();
    lines.extend(fit::lines(&stops, 800, |stops| vec![format!("  - what else stops: {}", sentence(stops, LINE))]));
    match &incident.beside.approval {
        Some(approval) => {
            lines.push(format!(
                "  Until {} a person decides; without an answer Quell drops it and says so.",
                words::second(approval.expires)
            ));
            lines.push(format!("quell approve {id} --plan {}", approval.plan));
            lines.push(format!("quell reject {id} --plan {}", approval.plan));
        }
        None => lines.push("  Somebody decides on it at this moment.".to_owned()),
    }
    lines.push(format!("quell show {id}"));
    lines
}

/// The parts that somebody decides on.
fn waiting(incident: &Incident) -> Vec<&Part> {
    incident.parts.iter().filter(|part| part.verdict() == Verdict::WaitingForApproval).collect()
}

fn structured(incidents: &[&Incident], repeated: bool) -> Value {
    let one = |incident: &&Incident| {
        let finding = &incident.finding;
        let steps: Vec<_> = waiting(incident).into_iter().flat_map(|part| Plan::steps(&part.plan)).collect();
        let (changes, changes_left_out) =
            fit::values(&steps, 1_500, |step| fit::text(&step.change.to_string(), LINE).into());
        json!({
            "incident": IncidentId::of(finding),
            "headline": words::headline(incident),
            "finding": finding.id,
            "type": finding.kind,
            "severity": finding.severity,
            "severity_band": finding.severity.band(),
            "account": finding.at.account,
            "region": finding.at.region,
            "title": fit::text(&finding.title, LINE),
            "changes": changes,
            "changes_left_out": changes_left_out,
            "approval": incident.beside.approval,
            "console": words::console(finding),
        })
    };
    let findings = || incidents.iter().map(|incident| &incident.finding);
    let bands: BTreeSet<_> = findings().map(|finding| finding.severity.band().as_str()).collect();
    json!({
        "schema": SCHEMA,
        // Where the message of one incident has them, for whoever filters on the body.
        "finding": {
            "type": findings().map(kind).collect::<BTreeSet<_>>(),
            "severity": findings().map(|finding| finding.severity).collect::<Vec<_>>(),
            "severity_band": bands,
            "account": findings().next().map(|finding| &finding.at.account),
            "region": findings().map(|finding| finding.at.region.as_str()).collect::<BTreeSet<_>>(),
        },
        "verdict": "waiting-for-approval",
        "why": "over-limit",
        "headline": headline(incidents),
        "repeated": repeated,
        "incidents": incidents.iter().map(one).collect::<Vec<_>>(),
    })
}

fn chat(incidents: &[&Incident], repeated: bool) -> Value {
    let headline = markdown(&headline(incidents));
    let line = |incident: &&Incident| {
        let what = code(&fit::text(&words::headline(incident), 160));
        vec![format!("• {} {what}", words::severity(&incident.finding))]
    };
    let mut lines = vec!["*Now:* Quell changed nothing for these.".to_owned()];
    lines.extend(repeated.then(|| format!("*News:* {}", words::MAYBE_KNOWN)));
    lines.extend(fit::lines(incidents, 2_400, line));
    let decide = |incident: &&Incident| {
        let id = IncidentId::of(&incident.finding);
        let plan = incident.beside.approval.as_ref()?.plan;
        Some(format!("`quell approve {id} --plan {plan}` or `quell reject {id} --plan {plan}`"))
    };
    let mut steps: Vec<String> = incidents.iter().filter_map(decide).take(8).collect();
    steps.push("all of them: `quell incidents --open`".to_owned());
    let account = incidents.first().map(|incident| incident.finding.at.account.to_string()).unwrap_or_default();
    json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": headline,
            "description": lines.join("\n"),
            "nextSteps": steps,
            "keywords": ["waiting-for-approval", "over-limit", account],
        },
        "metadata": { "threadId": format!("quell-over-limit-{account}"), "summary": headline },
    })
}

/// A type that nobody knows is somebody's text, and may be long.
fn kind(finding: &Finding) -> String {
    if finding.kind.is_known() { finding.kind.to_string() } else { "unknown".to_owned() }
}

/// As those of one incident; what differs between them is a list.
fn attributes(incidents: &[&Incident]) -> BTreeMap<&'static str, Attribute> {
    let findings = || incidents.iter().map(|incident| &incident.finding);
    let first = incidents.first().map(|incident| &incident.finding);
    let all = |values: BTreeSet<String>| Attribute::List(values.into_iter().collect());
    let parts: Vec<_> = incidents.iter().flat_map(|incident| incident.parts.clone()).collect();
    BTreeMap::from([
        ("verdict", Attribute::Text("waiting-for-approval".to_owned())),
        ("severity", all(findings().map(|finding| finding.severity.band().to_string()).collect())),
        ("account", Attribute::Text(first.map(|finding| finding.at.account.to_string()).unwrap_or_default())),
        ("region", all(findings().map(|finding| finding.at.region.to_string()).collect())),
        ("finding_type", all(findings().map(kind).collect())),
        ("remediation", Attribute::List(remediations(&parts))),
    ])
}
