//! Operations that moto lacks, answered from what the test supplies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::Response;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::naming::{Asked, Protocol};
use super::refusal;

/// `LookupEvents` gives at most so many at a time.
const PAGE: usize = 50;

/// The one detector that an account has.
const DETECTOR: &str = "12abc34d567e8fa901bc2d34e56789f0";

/// CloudTrail's events and GuardDuty's findings, which only tests can know.
#[derive(Default)]
pub struct Gaps {
    trail: Mutex<Vec<Value>>,
    findings: Mutex<Vec<Value>>,
    is_off: AtomicBool,
}

impl Gaps {
    /// Adds a record in the form that CloudTrail writes it: `eventName`, `eventTime`, `userIdentity`, …
    pub fn record(&self, event: Value) {
        let mut trail = self.trail.lock().expect("no holder panics");
        trail.push(event);
        trail.sort_by_key(|event| std::cmp::Reverse(happened(event)));
    }

    /// Adds a finding in GuardDuty's own form: `id`, `type`, `service`, …
    pub fn find(&self, finding: Value) {
        let mut findings = self.findings.lock().expect("no holder panics");
        findings.retain(|known| known["id"] != finding["id"]);
        findings.push(finding);
    }

    /// Deletes the account's detector: what it found nobody is told any more.
    pub fn switch_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// The findings as they are now, with `service.archived` as the calls left it.
    pub fn findings(&self) -> Vec<Value> {
        self.findings.lock().expect("no holder panics").clone()
    }

    /// The answer, if the operation is one of those.
    pub fn answer(&self, asked: &Asked) -> Option<Response<Bytes>> {
        let body = match (asked.service.as_str(), asked.operation.as_str()) {
            ("cloudtrail", "LookupEvents") => self.lookup(&asked.parameters),
            ("guardduty", "ListDetectors") if self.is_off.load(Ordering::Relaxed) => json!({"detectorIds": []}),
            ("guardduty", "ListDetectors") => json!({"detectorIds": [DETECTOR]}),
            ("guardduty", "GetFindings") if self.is_off.load(Ordering::Relaxed) => {
                let why = "The request is rejected because the input detectorId is not owned by the current account.";
                return Some(refusal::answer(Protocol::RestJson, 400, "BadRequestException", why));
            }
            ("guardduty", "GetFindings") => json!({"findings": self.named(&asked.parameters)}),
            ("guardduty", "ArchiveFindings") => self.archive(&asked.parameters),
            ("securityhub", "BatchUpdateFindings") => {
                json!({"ProcessedFindings": asked.parameters["FindingIdentifiers"], "UnprocessedFindings": []})
            }
            _ => return None,
        };
        let answer = Response::builder().header("content-type", "application/json");
        Some(answer.body(body.to_string().into()).expect("a well-formed answer"))
    }

    fn lookup(&self, parameters: &Value) -> Value {
        let trail = self.trail.lock().expect("no holder panics");
        let matching: Vec<&Value> = trail.iter().filter(|event| is_asked_for(event, parameters)).collect();
        let size =
            parameters["MaxResults"].as_u64().map_or(PAGE, |most| PAGE.min(usize::try_from(most).unwrap_or(PAGE)));
        let from = parameters["NextToken"].as_str().map_or(0, |token| token.parse().expect("our own token"));
        let page: Vec<Value> = matching.iter().skip(from).take(size).map(|event| listed(event)).collect();
        let mut answer = json!({ "Events": page });
        if from + size < matching.len() {
            answer["NextToken"] = Value::String((from + size).to_string());
        }
        answer
    }

    fn named(&self, parameters: &Value) -> Vec<Value> {
        self.findings().into_iter().filter(|finding| is_named(finding, parameters)).collect()
    }

    fn archive(&self, parameters: &Value) -> Value {
        let mut findings = self.findings.lock().expect("no holder panics");
        for finding in findings.iter_mut().filter(|finding| is_named(finding, parameters)) {
            finding["service"]["archived"] = Value::Bool(true);
        }
        json!({})
    }
}

fn is_named(finding: &Value, parameters: &Value) -> bool {
    parameters["findingIds"].as_array().is_some_and(|ids| ids.contains(&finding["id"]))
}

fn happened(event: &Value) -> Timestamp {
    event["eventTime"].as_str().and_then(|time| time.parse().ok()).expect("an event has an eventTime")
}

fn is_asked_for(event: &Value, parameters: &Value) -> bool {
    let since_epoch = happened(event).as_duration();
    // Times come as seconds, with a fraction or without.
    let bound = |name: &str| parameters[name].as_f64().map(SignedDuration::from_secs_f64);
    let since = bound("StartTime").is_none_or(|start| start <= since_epoch);
    let until = bound("EndTime").is_none_or(|end| since_epoch <= end);
    let attributes = parameters["LookupAttributes"].as_array().map_or(&[][..], Vec::as_slice);
    since && until && attributes.iter().all(|wanted| has_attribute(event, wanted))
}

fn has_attribute(event: &Value, wanted: &Value) -> bool {
    let key = wanted["AttributeKey"].as_str().expect("an attribute has a key");
    listed(event)[key] == wanted["AttributeValue"]
}

/// An event as `LookupEvents` lists it: the record itself is text inside.
fn listed(event: &Value) -> Value {
    json!({
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "EventSource": event["eventSource"],
        "EventTime": happened(event).as_second(),
        "ReadOnly": event["readOnly"].as_bool().unwrap_or(false).to_string(),
        "AccessKeyId": event["userIdentity"]["accessKeyId"],
        "Username": user_name(&event["userIdentity"]),
        "CloudTrailEvent": event.to_string(),
    })
}

/// A role's session goes by its session name.
fn user_name(identity: &Value) -> Option<&str> {
    let session = || identity["principalId"].as_str().and_then(|id| id.split_once(':')).map(|(_, session)| session);
    identity["userName"].as_str().or_else(session)
}
