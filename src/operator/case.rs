//! What a command judges: a finding, the team's policy, and what they come to together.

use super::exit::Failure;
use crate::finding::Finding;
use crate::guard::{self, Case, Own};
use crate::observed::{Checks, KillSwitch, Observed, Verification};
use crate::plan::Plan;
use crate::policy::{Decision, Policy, PolicyError, Response, Ruling};
use crate::remediation;
use crate::request::{self, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Reads the policy of a file.
///
/// # Errors
/// Every problem of the policy, a line each.
pub fn policy(file: &Path) -> Result<Policy, Failure> {
    judged(file)?.map_err(|error| Failure::asked(error.to_string()))
}

/// Reads the policy of a file, or says what is wrong with what is in it.
///
/// # Errors
/// Why the file cannot be read.
pub fn judged(file: &Path) -> Result<Result<Policy, PolicyError>, Failure> {
    let name = file.display().to_string();
    let hint = "the team's policy.toml is named with --policy";
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::asked(format!("{name}: cannot be read: {error}")).hint(hint))?;
    Ok(Policy::parse(&text, &remediation::names()).map_err(|error| PolicyError { file: name, ..error }))
}

/// Reads the finding of a file, or of standard input for `-`.
///
/// # Errors
/// Says why there is no finding in it.
pub fn finding(file: &Path) -> Result<Finding, Failure> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        ("standard input".to_owned(), read.map(|_| text))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    let text = text.map_err(|error| Failure::asked(format!("{name}: cannot be read: {error}")))?;
    read(&text).map_err(|why| Failure::asked(format!("{name}: {why}")))
}

fn read(text: &str) -> Result<Finding, String> {
    let event: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    match request::read(only(event)?).map_err(|error| format!("the finding cannot be read: {error}"))? {
        Request::Finding(finding) => Ok(*finding),
        Request::Other(what) => Err(format!("holds no finding, but: {what}")),
        Request::Tick | Request::Order(_) | Request::NoOrder(_) => Err("holds an order, and no finding".to_owned()),
    }
}

/// The finding of an answer of `GetFindings`, if there is one in it.
fn only(mut event: Value) -> Result<Value, String> {
    let Some(Value::Array(findings)) = event.get_mut("Findings").map(Value::take) else { return Ok(event) };
    let count = findings.len();
    let mut findings = findings.into_iter();
    match (findings.next(), findings.next()) {
        (Some(finding), None) => Ok(finding),
        (None | Some(_), _) => Err(format!("holds {count} findings; give one")),
    }
}

/// What is not asked here, and may lower the response further.
pub const NOT_ASKED: &str = "\
Not asked here: whether GuardDuty knows the finding, the kill switch, the limit of the hour, and what
is Quell's own. The function asks, and does less where one of them objects.";

/// What the policy's ruling comes to for this plan. Where no remediation made the plan, people are told. GuardDuty and the
/// kill switch are the function's to ask, and who it runs as is not known here.
#[must_use]
pub fn decided(
    policy: &Policy,
    ruling: &Ruling,
    finding: &Finding,
    plan: &Plan,
    observed: Option<&Observed>,
) -> Decision {
    let checks = Checks { verification: Verification::NotAsked, kill_switch: KillSwitch::Open };
    let (own, now, waited) = (Own::default(), Timestamp::now(), SignedDuration::ZERO);
    match (&plan.remediation, ruling) {
        (Some(_), _) => {
            guard::lowered(&Case { finding, plan, ruling, policy, observed, checks: &checks, own: &own, now, waited })
        }
        (None, Ruling::Decided { rule, .. }) => Decision::new(Response::Notify, rule.clone()),
        (None, Ruling::NeedsTags) => Decision::new(Response::Notify, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_finding_is_said_to_be_none() {
        let check = |text: &str, expect: &str| match read(text) {
            Ok(finding) => assert_eq!(finding.kind.as_str(), expect),
            Err(why) => assert_eq!(why, expect),
        };
        check(r#"{"Findings":[{"Type":"Recon:EC2/Portscan","Id":"0a1b"}]}"#, "Recon:EC2/Portscan");
        check(r#"{"Findings":[]}"#, "holds 0 findings; give one");
        check(r#"{"Findings":[{},{}]}"#, "holds 2 findings; give one");
        check("{", "is no JSON: EOF while parsing an object at line 1 column 1");
        check(r#"{"id":"0a1b"}"#, "the finding cannot be read: type: missing");
        check(
            r#"{"source":"aws.s3","detail-type":"Object Created","detail":{}}"#,
            "holds no finding, but: Object Created from aws.s3",
        );
    }
}
