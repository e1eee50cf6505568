//! What holds for each message, whatever became of whatever finding.

use quell::change::Change;
use quell::incident::Incident;
use quell::ledger::key::IncidentId;
use quell::notify::{log_lines, message, metrics, text};
use serde_json::Value;

/// What SNS takes for body, subject and attributes together.
const LARGEST: usize = 262_144;

/// Renders all that people and machines are told of the incident, and looks at each.
pub fn check(incident: &Incident) {
    let verdict = incident.verdict();
    let message = message(incident);
    let attributes: usize = message.attributes.iter().map(|(name, it)| name.len() + it.value().len() + 12).sum();
    assert!(message.body.len() + message.subject.len() + attributes <= LARGEST, "{} bytes", message.body.len());
    assert!(message.subject.len() < 100 && is_one_line_of_ascii(&message.subject), "{:?}", message.subject);
    assert!(message.subject.starts_with(verdict.words()), "{:?}", message.subject);
    assert!(message.attributes.values().all(|attribute| !attribute.value().is_empty()));

    let body: Value = serde_json::from_str(&message.body).expect("the body is JSON");
    let form = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no form for {name}")).to_owned();
    assert_eq!(form("email"), text(incident));
    email(incident, &form("email"));
    chat(&serde_json::from_str(&form("https")).expect("chats get JSON"));
    assert!(form("sms").len() <= 140 && is_one_line_of_ascii(&form("sms")), "{:?}", form("sms"));
    let machine: Value = serde_json::from_str(&form("default")).expect("machines get JSON");
    assert_eq!(machine["verdict"], verdict.token());

    let lines = log_lines(incident);
    assert!(lines.iter().all(|line| line["finding"] == incident.finding.id.as_str()));
    assert!(lines.iter().all(|line| !line.to_string().contains('\n')));
    let metrics = metrics(incident, incident.started);
    assert_eq!((&metrics["Verdict"], &metrics["Findings"]), (&verdict.token().into(), &1.into()));
}

/// At the margin stand headings and commands, and nothing else: no text of a finding passes for either.
fn email(incident: &Incident, email: &str) {
    assert!(email.starts_with(incident.verdict().words()), "{email}");
    let hidden = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(c));
    assert!(!email.contains(hidden), "{email:?}");
    let commands = commands(incident);
    for line in email.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with("  ")) {
        let heading = line.chars().all(|c| c.is_ascii_uppercase() || " ,".contains(c));
        let command = line.starts_with("export AWS_REGION=") || commands.iter().any(|command| command == line);
        assert!(heading || command, "{line:?} in\n{email}");
    }
    for heading in ["\nLINKS\n", "  Now:     ", "  Act:     "] {
        assert_eq!(email.matches(heading).count(), 1, "{heading:?} in\n{email}");
    }
}

fn commands(incident: &Incident) -> Vec<String> {
    let changes = incident.parts.iter().flat_map(|part| part.plan.steps()).map(|step| &step.change);
    let results = incident.parts.iter().flat_map(|part| &part.results).map(|result| &result.change);
    let manual = incident.parts.iter().flat_map(|part| &part.plan.manual).filter_map(|manual| manual.command.clone());
    let id = IncidentId::of(&incident.finding);
    let ours = ["approve", "reject", "undo"].map(|verb| format!("quell {verb} {id}"));
    let others =
        [format!("quell undo {id} --dry-run"), "aws sts get-caller-identity --query Account --output text".to_owned()];
    changes.chain(results).flat_map(Change::commands).chain(manual).chain(ours).chain(others).collect()
}

/// No text of a finding is a mention, or a link, where a chat would make one of it.
fn chat(chat: &Value) {
    let content = &chat["content"];
    let said = [&content["title"], &chat["metadata"]["summary"], &chat["metadata"]["eventType"]];
    let steps = content["nextSteps"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(steps.len() <= 10, "{steps:?}");
    for text in said.into_iter().chain(steps).map(|text| text.as_str().expect("a text")) {
        assert!(text.matches('`').count() % 2 == 0, "{text:?}");
        assert!(!text.contains(['<', '>', '\u{202e}', '\u{1b}']), "{text:?}");
        let outside: String = text.split('`').step_by(2).collect();
        assert!(!outside.contains(['@', '[', ']', '~']) && !outside.contains("://"), "{text:?}");
    }
}

fn is_one_line_of_ascii(text: &str) -> bool {
    text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}
