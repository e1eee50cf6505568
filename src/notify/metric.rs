//! The numbers, in CloudWatch's embedded metric format.

use crate::finding::FindingType;
use crate::incident::{Incident, News, Outcome};
use crate::plan::NoSteps;
use jiff::Timestamp;
use serde_json::{Value, json};

const NAMESPACE: &str = "Quell";

/// What alarms watch: types that nobody knows, steps that failed, findings over the hour's limit, settings that somebody
/// opened again, findings that GuardDuty did not send.
const COUNTED: [&str; 5] = ["UnknownFindingTypes", "Failures", "OverLimit", "Reopened", "MadeUp"];

/// Renders the metrics, as an object to be printed on one line of its own.
///
/// `now` is when it is printed, also of what is found long after the finding: an alarm looks at the last minutes only.
///
/// Dimensions take few values: ten verdicts, the families of documented types, and one constant for what alarms watch
/// as a whole. Names from a finding never become a dimension: each new value is a metric that is paid for.
#[must_use]
pub fn metrics(incident: &Incident, now: Timestamp) -> Value {
    let by = |dimensions: &[&[&str]], names: Value| json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": names });
    let count = |name: &str| json!({ "Name": name, "Unit": "Count" });
    let mut directives = vec![
        by(&[&["Service"], &["Verdict"], &["TypeFamily"]], json!([count("Findings")])),
        by(&[&["Service"]], json!(COUNTED.map(count))),
    ];
    // Of what is told later, again or of what was given back, the time says nothing.
    let is_news =
        !incident.beside.repeated && !matches!(incident.news, Some(News::GivenBack { .. } | News::Reopened { .. }));
    let seconds = incident.seconds_to_contain().filter(|_| is_news);
    if seconds.is_some() {
        let name = json!([{ "Name": "SecondsToContain", "Unit": "Seconds" }]);
        directives.push(by(&[&["Service"], &["TypeFamily"]], name));
    }
    let kind = &incident.finding.kind;
    let mut metrics = json!({
        "_aws": { "Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives },
        "Service": "quell",
        "Verdict": incident.verdict().token(),
        "TypeFamily": family(kind),
        "Findings": 1,
        "UnknownFindingTypes": u8::from(!kind.is_known()),
        "Failures": failures(incident),
        "OverLimit": u8::from(matches!(incident.news, Some(News::OverLimit { .. }))),
        "Reopened": u8::from(matches!(incident.news, Some(News::Reopened { .. }))),
        "MadeUp": u8::from(incident.is_made_up()),
        "finding": incident.finding.id,
    });
    if let (Some(seconds), Some(fields)) = (seconds, metrics.as_object_mut()) {
        fields.insert("SecondsToContain".to_owned(), seconds.into());
    }
    metrics
}

fn family(kind: &FindingType) -> String {
    if kind.is_known() { format!("{}:{}", kind.purpose(), kind.resource()) } else { "Unknown".to_owned() }
}

/// What should have worked and did not: someone has to look at Quell, its role, or AWS.
fn failures(incident: &Incident) -> usize {
    let step = |outcome: &Outcome| match outcome {
        Outcome::Drifted { .. } | Outcome::Refused { .. } | Outcome::Failed { .. } | Outcome::Unread { .. } => true,
        Outcome::Changed | Outcome::AlreadySo | Outcome::LetGo | Outcome::Gone { .. } => false,
    };
    let steps = incident.parts.iter().flat_map(|part| &part.results).filter(|result| step(&result.outcome)).count();
    let unseen = |none: &Option<NoSteps>| matches!(none, Some(NoSteps::NotObserved { .. }));
    steps + incident.parts.iter().filter(|part| unseen(&part.plan.no_steps)).count()
}
