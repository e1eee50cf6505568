//! The remediations: one file a situation, each pure.

mod compromised_access_key;
mod compromised_instance;
pub(crate) mod exposed_port;
mod quarantine;
mod stolen_role_session;
mod told;

pub use quarantine::{quarantine_policy_name, session_policy_name};

use crate::finding::{Finding, FindingType, Subject, SubjectKind};
use crate::observed::{Observed, View};
use crate::plan::Plan;
use crate::setting::Setting;

/// One situation, and its plan.
#[derive(Debug)]
pub struct Remediation {
    pub name: &'static str,
    /// Patterns `Purpose:Resource/Family`; each part may be `*` or end in it.
    pub finding_types: &'static [&'static str],
    /// Whether this is the thing, and the role of it, that the remediation is for.
    pub covers: fn(&Finding, &SubjectKind) -> bool,
    /// What must be looked at to plan.
    pub view: View,
    /// The settings that it is about, as far as the finding names them: who holds them is asked while they are looked at.
    pub settings: fn(&SubjectKind) -> Vec<Setting>,
    /// Reads no clock, does no I/O, cannot fail.
    pub plan: fn(&Finding, &Subject, &Observed) -> Plan,
}

/// Every remediation there is; the first that fits a subject is the one. A new one is a file and a line here.
pub const ALL: &[&Remediation] = &[
    &compromised_access_key::REMEDIATION,
    &stolen_role_session::REMEDIATION,
    // Before the compromised instance: a brute force against us has the same type as one by us.
    &exposed_port::REMEDIATION,
    &compromised_instance::REMEDIATION,
];

/// Finding types that tell of a credential in wrong hands.
///
/// `Policy:S3/*` is not among them: a bucket made public tells of a mistake more often than of a stolen key.
const CREDENTIAL_TYPES: &[&str] = &[
    "*:IAMUser/*",
    "*:IAM/*",
    "AttackSequence:*/*",
    "Discovery:S3/*",
    "Exfiltration:S3/*",
    "Impact:S3/*",
    "PenTest:S3/*",
    "Stealth:S3/*",
    "UnauthorizedAccess:S3/*",
];

/// A subject, and the remediation for it.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    pub subject: &'a Subject,
    /// None: people are told what to do, and Quell does nothing.
    pub remediation: Option<&'static Remediation>,
}

/// The names that a policy may use.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|remediation| remediation.name).collect()
}

/// Says for each subject of the finding which remediation is for it.
#[must_use]
pub fn route(finding: &Finding) -> Vec<Route<'_>> {
    let one = |subject| Route { subject, remediation: remediation_for(finding, subject) };
    finding.subjects.iter().map(one).collect()
}

fn remediation_for(finding: &Finding, subject: &Subject) -> Option<&'static Remediation> {
    let fits = |remediation: &&&Remediation| {
        let types = remediation.finding_types;
        types.iter().any(|pattern| matches(pattern, &finding.kind)) && (remediation.covers)(finding, &subject.kind)
    };
    ALL.iter().find(fits).copied()
}

/// The plan for a subject that no remediation covers: told, with the manual steps.
#[must_use]
pub fn told(finding: &Finding, subject: &Subject) -> Plan {
    told::plan(finding, subject)
}

/// Whether the type fits a pattern `Purpose:Resource/Family`.
fn matches(pattern: &str, kind: &FindingType) -> bool {
    let part = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => text == pattern,
    };
    pattern.split_once(':').is_some_and(|(purpose, rest)| {
        rest.split_once('/').is_some_and(|(resource, family)| {
            part(purpose, kind.purpose()) && part(resource, kind.resource()) && part(family, kind.family())
        })
    })
}

#[cfg(test)]
mod check {
    //! Plans as lines, so that a test is what is seen, and what is planned.

    use crate::finding::{Finding, Subject, parse};
    use crate::id::GroupId;
    use crate::plan::{NoSteps, Plan};
    use serde_json::{Value, json};

    /// A finding about an instance, a user's key or a role's session.
    pub fn finding(kind: &str, about: &str) -> Finding {
        let key = |user_type: &str, user: &str, principal: &str, key: &str| {
            json!({ "accessKeyDetails": {
                "userType": user_type, "userName": user, "principalId": principal, "accessKeyId": key,
            }})
        };
        let resource: Value = match about {
            "instance" => json!({ "instanceDetails": { "instanceId": "i-0a" } }),
            "key" => key("IAMUser", "ann", "AIDACKCEVSQ6C2EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
            "session" => key("AssumedRole", "web-server", "AROADBQP57FF2AEXAMPLE:deploy", "ASIAIOSFODNN7EXAMPLE"),
            other => panic!("no finding about {other}"),
        };
        parse(json!({
            "id": "0a1b", "accountId": "111122223333", "region": "eu-west-1", "type": kind, "resource": resource,
        }))
        .unwrap()
    }

    pub fn subject(finding: &Finding) -> &Subject {
        &finding.subjects[0]
    }

    pub fn group(id: &str) -> GroupId {
        GroupId::try_from(id).unwrap()
    }

    #[track_caller]
    pub fn check(plan: &Plan, expect: &[&str]) {
        let stages = plan.stages.iter().zip(1..);
        let steps = stages.flat_map(|(stage, n)| stage.iter().map(move |step| format!("{n}: {}", step.change)));
        let none = plan.no_steps.iter().map(|why| match why {
            NoSteps::NothingToDo(why) => format!("nothing to do: {why}"),
            NoSteps::Gone(why) => format!("gone: {why}"),
            NoSteps::Refused(why) => format!("refused: {why}"),
            NoSteps::NotCovered(why) => format!("not covered: {why}"),
            NoSteps::NotObserved { why, .. } => format!("not observed: {why}"),
        });
        let notes = plan.notes.iter().map(|note| format!("note: {note}"));
        let left_out = plan.left_out.iter().map(|what| format!("left out: {what}"));
        assert_eq!(steps.chain(none).chain(left_out).chain(notes).collect::<Vec<_>>(), expect);
        assert_eq!(plan.stages.is_empty(), plan.no_steps.is_some(), "a plan without steps says why");
        assert!(plan.stages.is_empty() || !plan.residual.is_empty(), "a plan says what it does not stop");
    }
}
