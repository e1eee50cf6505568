//! ## When
//! A finding tells of misuse of a role's temporary credentials (`ASIA…`): an instance's credentials used elsewhere, a
//! session that behaves like nobody who uses the role.
//!
//! ## Plan
//! A deny policy of ours on the role, for this session only (`aws:userid`); all others who use the role go on.
//!
//! ## Undo
//! The policy is removed.
//!
//! ## Not covered
//! Whoever can assume the role can take another session name and is in again: whoever assumed it must be contained as
//! well. Service-linked and SSO-reserved roles cannot be changed.

use super::quarantine::{deny_session, session_policy_name};
use super::{CREDENTIAL_TYPES, Remediation};
use crate::change::{Change, Value};
use crate::finding::{Finding, Subject, SubjectKind};
use crate::id::{InstanceId, RoleName, SessionName, UniqueId};
use crate::observed::{Observed, Role, View};
use crate::plan::{BlastRadius, Manual, NoSteps, Plan, Step};
use crate::setting::{InlinePolicy, Principal, Setting};

pub const REMEDIATION: Remediation = Remediation {
    name: "stolen-role-session",
    finding_types: CREDENTIAL_TYPES,
    covers: |_, subject| matches!(subject, SubjectKind::RoleSession { .. }),
    view: View::Role,
    settings,
    plan,
};

const RESIDUAL: [&str; 3] = [
    "Whoever can assume the role can do so under another session name: contain who assumed it as well.",
    "Roles that this session assumed in turn live on until their sessions expire.",
    "IAM takes some seconds to enforce a change everywhere.",
];

fn plan(_: &Finding, subject: &Subject, observed: &Observed) -> Plan {
    let plan = Plan::new(subject, REMEDIATION.name);
    let (SubjectKind::RoleSession { role, role_id, session, .. }, Observed::Role(seen)) = (&subject.kind, observed)
    else {
        return plan;
    };
    if let Some(refused) = refusal(role, session, &seen.path) {
        return Plan { no_steps: Some(NoSteps::Refused(refused.why)), ..plan }.manual(refused.manual);
    }
    if seen.id != *role_id {
        let why = format!("role {role} was deleted and made anew since: a session of the former one can do nothing");
        return Plan { no_steps: Some(NoSteps::Gone(why)), ..plan };
    }
    let stages = vec![vec![step(role, role_id, session, seen)]];
    Plan { stages, blast: blast(session, seen), ..plan }.residual(RESIDUAL).manual([who_assumed(role)])
}

/// A service names the session after the instance or function that it is for, and so does every later one.
fn blast(session: &SessionName, seen: &Role) -> BlastRadius {
    let name = &seen.name;
    let mut blast = BlastRadius::default();
    if InstanceId::try_from(session.as_str()).is_ok() {
        let what = "The session has the name of an instance";
        blast.add(1, format!("{what}: what runs on {session} loses the role until this is undone."));
    } else {
        // A function, a task or a person may go by that name; IAM does not tell who does.
        blast.add(0, format!("Whoever else uses role {name} under the session name {session} stops as well."));
        blast.unread.push(format!("who else uses role {name} under the session name {session}"));
    }
    blast
}

fn settings(subject: &SubjectKind) -> Vec<Setting> {
    let SubjectKind::RoleSession { role, session, .. } = subject else { return Vec::new() };
    vec![policy(role, session)]
}

fn policy(role: &RoleName, session: &SessionName) -> Setting {
    let principal = Principal::Role(role.clone());
    Setting::InlinePolicy(InlinePolicy { principal, name: session_policy_name(session) })
}

fn step(role: &RoleName, role_id: &UniqueId, session: &SessionName, seen: &Role) -> Step {
    Step::new(
        Change {
            setting: policy(role, session),
            from: seen.session_policy.clone(),
            to: Value::Document(deny_session(role_id, session)),
        },
        format!("session {session} can do nothing any more; other sessions of the role go on"),
    )
}

struct Refusal {
    why: String,
    manual: Vec<Manual>,
}

/// Roles whose policies AWS does not let anybody in the account change (`UnmodifiableEntity`).
fn refusal(role: &RoleName, session: &SessionName, path: &str) -> Option<Refusal> {
    if path.starts_with("/aws-service-role/") {
        return Some(Refusal {
            why: format!("role {role} is service-linked: only the AWS service itself can change its policies"),
            manual: vec![
                Manual::say("Find out through the service what misuses the role, and stop it there."),
                who_assumed(role),
            ],
        });
    }
    if path.starts_with("/aws-reserved/sso.amazonaws.com/") {
        return Some(Refusal {
            why: format!("role {role} belongs to IAM Identity Center: it can be changed only there"),
            manual: vec![
                Manual::say(format!(
                    "In IAM Identity Center, disable the access of user {session} and end their active sessions \
                     (Users, Active sessions)."
                )),
                Manual::run(
                    "Until the role's credentials have expired (12 hours at most), deny the user in a service control \
                     policy by this id, which you find with:",
                    format!(
                        "aws identitystore list-users --identity-store-id \"$IDENTITY_STORE\" \
                         --filters AttributePath=UserName,AttributeValue={session}"
                    ),
                ),
                who_assumed(role),
            ],
        });
    }
    None
}

fn who_assumed(role: &RoleName) -> Manual {
    Manual::run(
        "See who assumed the role, and from where:",
        format!(
            "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=AssumeRole \
             --query \"Events[?contains(CloudTrailEvent, '{role}')].CloudTrailEvent\""
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, finding, subject};
    use super::*;
    use std::collections::BTreeMap;

    fn planned(id: &str, path: &str, expect: &[&str]) {
        let finding = finding("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", "session");
        let role = Role {
            name: "web-server".try_into().unwrap(),
            id: id.try_into().unwrap(),
            path: path.to_owned(),
            session_policy: Value::Absent,
            tags: BTreeMap::new(),
        };
        check(&plan(&finding, subject(&finding), &Observed::Role(role)), expect);
    }

    #[test]
    fn only_the_session_is_denied() {
        planned(
            "AROADBQP57FF2AEXAMPLE",
            "/",
            &["1: deny policy QuellDeny-deploy on role web-server: absent -> in force"],
        );
        let document = deny_session(&"AROA1".try_into().unwrap(), &"deploy".try_into().unwrap());
        assert!(document.text().contains(r#""StringEquals":{"aws:userid":"AROA1:deploy"}"#), "{document:?}");
    }

    #[test]
    fn a_role_made_anew_is_another_role() {
        planned(
            "AROAOTHER",
            "/",
            &["gone: role web-server was deleted and made anew since: a session of the former one can do nothing"],
        );
    }

    #[test]
    fn roles_that_nobody_in_the_account_can_change_are_refused() {
        planned(
            "AROADBQP57FF2AEXAMPLE",
            "/aws-service-role/ecs.amazonaws.com/",
            &["refused: role web-server is service-linked: only the AWS service itself can change its policies"],
        );
        planned(
            "AROADBQP57FF2AEXAMPLE",
            "/aws-reserved/sso.amazonaws.com/eu-west-1/",
            &["refused: role web-server belongs to IAM Identity Center: it can be changed only there"],
        );
    }
}
