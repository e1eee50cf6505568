//! What may arrive: a finding, or something else.

use crate::finding::{Finding, ParseError, parse};
use crate::operator::wire::{Envelope, Order};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use serde_json::Value;

const SOURCE: &str = "aws.guardduty";
const DETAIL_TYPE: &str = "GuardDuty Finding";

/// An event, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Finding(Box<Finding>),
    /// The minute's tick: `{"quell": "tick"}`.
    Tick,
    /// An operator's order: `{"quell": {"command": …}}`.
    Order(Order),
    /// Something that was meant as an order, and what is wrong with it.
    NoOrder(String),
    /// An event that is no finding, and what it is: untrusted text.
    Other(String),
}

/// Reads an event: EventBridge's envelope, or the bare finding as an export or `GetFindings` gives it; also in the record of
/// an invocation that failed ("Capturing records of Lambda asynchronous invocations"), as the failed queue has it.
///
/// # Errors
/// Names the place in the JSON of a finding that cannot be used. Events that are no findings are no errors.
pub fn read(event: Value) -> Result<Request, ParseError> {
    let event = unpacked(event);
    if let Some(order) = event.get("quell") {
        return Ok(if order == "tick" { Request::Tick } else { order_of(event) });
    }
    let is_envelope = event.get("detail-type").is_some() || event.get("detail").is_some();
    if !is_envelope {
        return parse(event).map(|finding| Request::Finding(Box::new(finding)));
    }
    let envelope = open(event)?;
    if envelope.source != SOURCE || envelope.detail_type != DETAIL_TYPE {
        return Ok(Request::Other(format!("{} from {}", envelope.detail_type, envelope.source)));
    }
    let finding = parse(envelope.detail).map_err(|error| error.within("detail"))?;
    Ok(Request::Finding(Box::new(finding)))
}

/// What Lambda was asked when it failed.
fn unpacked(mut event: Value) -> Value {
    let is_record = event.get("requestContext").is_some();
    match event.get_mut("requestPayload").filter(|_| is_record) {
        Some(payload) => payload.take(),
        None => event,
    }
}

fn order_of(event: Value) -> Request {
    match serde_json::from_value::<Envelope>(event) {
        Ok(Envelope { quell }) => Request::Order(quell),
        Err(error) => Request::NoOrder(error.to_string()),
    }
}

/// The envelope's own time, account and region are not used, so an odd one in them must not cost us the finding; nor may
/// an input transformer that left out the words around it.
fn open(mut event: Value) -> Result<EventBridgeEvent, ParseError> {
    if let Value::Object(fields) = &mut event {
        fields.retain(|key, _| matches!(key.as_str(), "source" | "detail-type" | "detail"));
        fields.entry("source").or_insert_with(|| SOURCE.into());
        fields.entry("detail-type").or_insert_with(|| DETAIL_TYPE.into());
    }
    serde_path_to_error::deserialize(event).map_err(ParseError::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(event: Value, expect: &str) {
        let said = match read(event) {
            Ok(Request::Finding(finding)) => finding.kind.to_string(),
            Ok(Request::Other(what)) => format!("other: {what}"),
            Ok(Request::Tick) => "tick".to_owned(),
            Ok(Request::Order(order)) => format!("order: {:?}", order.command),
            Ok(Request::NoOrder(why)) => format!("no order: {why}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expect);
    }

    fn finding() -> Value {
        json!({ "id": "0a1b", "accountId": "111122223333", "region": "eu-west-1", "type": "Recon:EC2/Portscan" })
    }

    #[test]
    fn a_finding_is_known_in_its_envelope_and_bare() {
        let envelope =
            json!({ "source": SOURCE, "detail-type": DETAIL_TYPE, "detail": finding(), "time": "XXXX-XX-XX" });
        check(envelope, "Recon:EC2/Portscan");
        check(json!({ "detail": finding() }), "Recon:EC2/Portscan");
        check(finding(), "Recon:EC2/Portscan");
    }

    #[test]
    fn a_finding_is_known_in_the_record_of_its_failure() {
        let record = |payload: Value| {
            let context = json!({ "condition": "RetriesExhausted", "approximateInvokeCount": 3 });
            json!({ "version": "1.0", "requestContext": context, "requestPayload": payload })
        };
        check(record(finding()), "Recon:EC2/Portscan");
        check(record(json!({ "detail": finding() })), "Recon:EC2/Portscan");
        check(record(json!({ "detail": {} })), "detail.type: missing");
    }

    #[test]
    fn a_tick_and_an_order_are_no_findings() {
        check(json!({ "quell": "tick" }), "tick");
        check(json!({ "quell": { "command": "incidents" } }), "order: Incidents { open: false }");
        check(json!({ "quell": { "command": "undo" } }), "no order: `incident` is missing");
    }

    #[test]
    fn other_events_are_no_errors_and_broken_findings_are() {
        let other = json!({ "source": SOURCE, "detail-type": "GuardDuty Runtime Protection Healthy", "detail": {} });
        check(other, "other: GuardDuty Runtime Protection Healthy from aws.guardduty");
        check(
            json!({ "source": "aws.s3", "detail-type": DETAIL_TYPE, "detail": finding() }),
            "other: GuardDuty Finding from aws.s3",
        );
        check(
            json!({ "source": SOURCE, "detail-type": DETAIL_TYPE, "detail": { "id": "0a1b" } }),
            "detail.type: missing",
        );
        check(json!({ "source": 5, "detail": finding() }), "source: expected a string, found integer `5`");
        check(json!([]), "expected an object, found sequence");
    }
}
