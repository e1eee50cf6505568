//! What people read, whole, for each verdict; and that no finding can bend it.

mod email;
mod hostile;
mod machine;

use crate::change::{Change, GroupRef, KeyStatus, Value};
use crate::finding::{Finding, FindingType, Remote, Severity, Subject, SubjectKind};
use crate::id::{AccountId, GroupId, Partition, Place};
use crate::incident::{Incident, Outcome, Part, StepResult};
use crate::plan::{Manual, NoSteps, Plan, Step};
use crate::policy::{Decision, Response};
use crate::setting::{AccessKeyStatus, InterfaceGroups, Setting};
use std::fmt;

/// An id that the test knows to be valid.
fn id<T: TryFrom<&'static str, Error: fmt::Debug>>(text: &'static str) -> T {
    T::try_from(text).unwrap()
}

fn at() -> Place {
    Place { partition: Partition::Aws, account: id("111122223333"), region: id("eu-west-1") }
}

/// A finding about a key that was used from a Tor exit node, 20 minutes before Quell began.
fn incident(parts: Vec<Part>) -> Incident {
    let finding = Finding {
        id: id("16afba5c5c43e07c9e3e5e2e544e95df"),
        arn: "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/16afba5c5c43e07c9e3e5e2e544e95df".to_owned(),
        kind: FindingType::try_from("UnauthorizedAccess:IAMUser/TorIPCaller".to_owned()).unwrap(),
        severity: Severity::try_from(5.0).unwrap(),
        detector: None,
        at: at(),
        title: "The API ListBuckets was invoked from a Tor exit node.".to_owned(),
        description: "The API ListBuckets was invoked from the Tor exit node 198.51.100.23.".to_owned(),
        created: Some("2026-11-21T02:39:30Z".parse().unwrap()),
        updated: Some("2026-11-21T02:59:18Z".parse().unwrap()),
        first_seen: Some("2026-11-21T02:40:00Z".parse().unwrap()),
        last_seen: Some("2026-11-21T02:41:07Z".parse().unwrap()),
        count: 3,
        sample: false,
        archived: false,
        role: None,
        remotes: vec![Remote {
            address: "198.51.100.23".parse().unwrap(),
            country: Some("Netherlands".to_owned()),
            city: Some("Amsterdam".to_owned()),
            network: Some("Example Hosting (AS64500)".to_owned()),
        }],
        ports: Vec::new(),
        action: Some("ListBuckets of s3.amazonaws.com".to_owned()),
        subjects: parts.iter().map(|part| part.plan.subject.clone()).collect(),
    };
    let contained = parts.iter().any(|part| part.results.iter().any(|result| result.outcome.holds()));
    let contained = contained.then(|| "2026-11-21T03:00:02.4Z".parse().unwrap());
    Incident { contained, ..Incident::new(finding, parts, "2026-11-21T03:00:00Z".parse().unwrap()) }
}

fn subject(kind: SubjectKind) -> Subject {
    Subject { at: at(), kind }
}

fn key_subject() -> Subject {
    subject(SubjectKind::UserKey { user: id("ann"), key: id("AKIAIOSFODNN7EXAMPLE") })
}

fn key_change() -> Change {
    Change {
        setting: Setting::AccessKeyStatus(AccessKeyStatus { user: id("ann"), key: id("AKIAIOSFODNN7EXAMPLE") }),
        from: Value::Status(KeyStatus::Active),
        to: Value::Status(KeyStatus::Inactive),
    }
}

fn key_plan() -> Plan {
    let why = "The key was used by someone who should not have it.";
    Plan { stages: vec![vec![Step::new(key_change(), why)]], ..Plan::new(&key_subject(), "exposed-key") }
        .residual(["Sessions that were started with the key go on until they expire."])
        .manual([
            Manual::run(
                "See what the key was used for.",
                "aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE",
            ),
            Manual::say("Give ann a new key, and find out how the old one leaked."),
        ])
}

fn instance_plan(interfaces: &[&'static str]) -> Plan {
    let groups = |id: GroupId| Value::Groups([GroupRef::Id(id)].into());
    let step = |interface: &&'static str| {
        let setting = Setting::InterfaceGroups(InterfaceGroups { interface: id(interface) });
        let change = Change { setting, from: groups(id("sg-0aa1")), to: groups(id("sg-0dead")) };
        Step::new(change, "Only the quarantine group stays, so nothing gets in or out.")
    };
    let subject = subject(SubjectKind::Instance {
        id: id("i-0c10c2c7863d1a356"),
        groups: Vec::new(),
        interfaces: Vec::new(),
        vpcs: Vec::new(),
    });
    let steps = interfaces.iter().map(step).collect();
    Plan { stages: vec![steps], ..Plan::new(&subject, "compromised-instance") }
        .residual(["Connections that are open now may stay open."])
}

fn part(plan: Plan, response: Response, outcomes: Vec<Outcome>) -> Part {
    let changes = plan.steps().map(|step| step.change.clone());
    let results = changes.zip(outcomes).map(|(change, outcome)| StepResult::new(change, outcome)).collect();
    Part { plan, decision: Decision::new(response, Some("keys".to_owned())), results, ends: None }
}

fn without_steps(subject: &Subject, why: NoSteps) -> Part {
    part(Plan::without_steps(subject, Some("some-remediation"), why), Response::Contain, Vec::new())
}

fn contained() -> Incident {
    incident(vec![part(key_plan(), Response::Contain, vec![Outcome::Changed])])
}

fn root() -> Incident {
    let account: AccountId = id("111122223333");
    let subject = subject(SubjectKind::Root { account });
    let why = NoSteps::Refused("nothing in the account can hold the root user back".to_owned());
    let mut part = without_steps(&subject, why);
    part.plan.manual = vec![
        Manual::say("Sign in as root, change the password, and end all sessions."),
        Manual::run(
            "See whether root has access keys; the number must be 0.",
            "aws iam get-account-summary --query SummaryMap.AccountAccessKeysPresent",
        ),
    ];
    incident(vec![part])
}
