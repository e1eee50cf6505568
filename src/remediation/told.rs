//! What people are told where Quell itself does nothing.

use super::quarantine::{deny_all, quarantine_policy_name};
use crate::change::{Change, Value};
use crate::finding::{Finding, ResourceRole, Subject, SubjectKind};
use crate::id::{AccountId, Partition, UserName};
use crate::plan::{Manual, NoSteps, Plan};
use crate::setting::{InlinePolicy, Principal, Setting};

pub fn plan(finding: &Finding, subject: &Subject) -> Plan {
    let (why, manual) = reason(finding, subject);
    Plan::without_steps(subject, None, NoSteps::NotCovered(why)).manual(manual)
}

fn reason(finding: &Finding, subject: &Subject) -> (String, Vec<Manual>) {
    let what = &subject.kind;
    match what {
        SubjectKind::Root { account } => {
            let why = "no policy in the account limits the root user; people must act".to_owned();
            (why, root(subject.at.partition, account))
        }
        SubjectKind::UserSession { user, .. } => {
            ("temporary credentials of a user cannot be turned off; the user must be denied".to_owned(), deny(user))
        }
        SubjectKind::FederatedUser { .. } => {
            let why = "a federated session is limited only by the IAM user who issued it".to_owned();
            (why, vec![find_issuer(), Manual::say("Deny that user everything, as for a stolen access key.")])
        }
        SubjectKind::AwsService { name } => {
            let why = format!("{name} is an AWS service that acts for someone");
            (why, vec![Manual::say("Find who set up what the service did, and contain them.")])
        }
        SubjectKind::OtherAccount { .. } => {
            let why = "the caller belongs to another account, where nothing can be turned off from here".to_owned();
            let trust = "Find the resource policy or role trust that lets the account in, and take it out if it should \
                         not be there.";
            (why, vec![Manual::say(trust)])
        }
        SubjectKind::UnknownIdentity { .. } => {
            let why = "the finding does not tell whose credentials these are".to_owned();
            (why, vec![Manual::say("Find the identity in CloudTrail, and contain it.")])
        }
        SubjectKind::UserKey { .. } | SubjectKind::RoleSession { .. } => {
            ("this type of finding does not tell of a stolen credential".to_owned(), Vec::new())
        }
        SubjectKind::Instance { .. } if finding.role == Some(ResourceRole::Target) => {
            ("the instance is the target, and isolating it would be an outage".to_owned(), Vec::new())
        }
        SubjectKind::Instance { .. }
        | SubjectKind::Bucket { .. }
        | SubjectKind::Object { .. }
        | SubjectKind::Container { .. }
        | SubjectKind::EcsTask { .. }
        | SubjectKind::EksCluster { .. }
        | SubjectKind::Function { .. }
        | SubjectKind::Database { .. }
        | SubjectKind::DatabaseUser { .. }
        | SubjectKind::Volume { .. }
        | SubjectKind::Snapshot { .. }
        | SubjectKind::Image { .. } => ("no remediation covers it for this type of finding".to_owned(), Vec::new()),
        SubjectKind::Unknown { .. } => ("Quell does not know this kind of resource yet".to_owned(), Vec::new()),
    }
}

/// Root credentials can be removed from a member account by its organization's management account (AssumeRoot).
fn root(partition: Partition, account: &AccountId) -> Vec<Manual> {
    vec![
        Manual::run(
            "See whether the root user has access keys and MFA:",
            "aws iam get-account-summary --query 'SummaryMap.[AccountAccessKeysPresent,AccountMFAEnabled]'",
        ),
        Manual::run(
            "In a member account of an organization with centralized root access, take its credentials from the \
             management account; use the session within 15 minutes to delete the root user's keys and password:",
            format!(
                "aws sts assume-root --target-principal {account} --duration-seconds 900 --task-policy-arn \
                 arn={}",
                format_args!("arn:{partition}:iam::aws:policy/root-task/IAMDeleteRootUserCredentials")
            ),
        ),
        Manual::say(
            "Otherwise sign in as root: change the password, delete access keys, replace the MFA device, and check the \
             account's e-mail address, its mailbox and its alternate contacts.",
        ),
    ]
}

fn deny(user: &UserName) -> Vec<Manual> {
    let policy = InlinePolicy { principal: Principal::User(user.clone()), name: quarantine_policy_name() };
    let change =
        Change { setting: Setting::InlinePolicy(policy), from: Value::Absent, to: Value::Document(deny_all()) };
    let deny = change.commands().into_iter().map(|command| {
        Manual::run("Deny the user everything; sessions of the user obey, whoever holds them:", command)
    });
    deny.collect()
}

fn find_issuer() -> Manual {
    Manual::run(
        "Find the user who issued the session:",
        "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=GetFederationToken",
    )
}
