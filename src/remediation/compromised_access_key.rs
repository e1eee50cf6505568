//! ## When
//! A finding tells of misuse of a long-term access key (`AKIA…`) of an IAM user.
//!
//! ## Plan
//! Side by side: the exact key goes inactive, and a deny policy of ours is put on its true owner, which is asked of the
//! account and not believed from the finding. The policy also stops sessions minted from the key, and the attacker's
//! turning the key on again with it.
//!
//! ## Undo
//! The key gets its former status, the policy is removed (or becomes what it was).
//!
//! ## Not covered
//! The user's other keys keep their status, though the deny policy makes them useless as well. Sessions of roles that
//! the key assumed.

use super::quarantine::{deny_all, quarantine_policy_name};
use super::{CREDENTIAL_TYPES, Remediation};
use crate::change::{Change, KeyStatus, Value};
use crate::cloud_error::CloudError;
use crate::finding::{Finding, Subject, SubjectKind};
use crate::id::{AccessKeyId, UserName};
use crate::observed::{LastUsed, Observed, Owner, UserKey, View};
use crate::plan::{BlastRadius, Manual, NoSteps, Plan, Step};
use crate::setting::{AccessKeyStatus, InlinePolicy, Principal, Setting};

pub const REMEDIATION: Remediation = Remediation {
    name: "compromised-access-key",
    finding_types: CREDENTIAL_TYPES,
    covers: |_, subject| matches!(subject, SubjectKind::UserKey { .. }),
    view: View::UserKey,
    settings,
    plan,
};

const RESIDUAL: [&str; 3] = [
    "Role sessions that the key assumed before this live until they expire, in this account and in others: look for \
     AssumeRole in CloudTrail.",
    "What was opened to outside principals (bucket policies, shared snapshots, role trust) stays open.",
    "IAM takes some seconds to enforce a change everywhere.",
];

fn plan(_: &Finding, subject: &Subject, observed: &Observed) -> Plan {
    let plan = Plan::new(subject, REMEDIATION.name);
    let (SubjectKind::UserKey { user, key }, Observed::UserKey(UserKey { owner, last_used })) =
        (&subject.kind, observed)
    else {
        return plan;
    };
    let Some(owner) = owner else { return no_such_key(plan, key) };
    let mut plan = Plan { stages: vec![steps(owner, key)], blast: blast(owner, last_used), ..plan }.residual(RESIDUAL);
    if owner.user != *user {
        plan.notes
            .push(format!("The finding names user {user}, but the account says that the key is {}'s.", owner.user));
    }
    plan.manual([sessions_of(key)])
}

/// The deny policy is on the user, not on the key. The last use tells who misses the key, or what the attacker did with it.
fn blast(owner: &Owner, last_used: &Result<Option<LastUsed>, CloudError>) -> BlastRadius {
    let Owner { user, other_keys, .. } = owner;
    let mut blast = BlastRadius::default();
    blast.says.push(match last_used {
        Ok(Some(LastUsed { service, region, at })) => {
            let at = at.as_deref().unwrap_or("an unknown time");
            format!("The key was last used at {at}, with {service} in {region}.")
        }
        Ok(None) => "IAM knows of no use of the key.".to_owned(),
        Err(error) => format!("When the key was last used is not known: {error}."),
    });
    blast.add(0, format!("All that user {user} does stops, sign-in to the console included."));
    if !other_keys.is_empty() {
        let keys: Vec<String> = other_keys.iter().map(ToString::to_string).collect();
        blast.add(keys.len(), format!("What runs with the user's other active keys stops: {}.", keys.join(", ")));
    }
    blast
}

fn settings(subject: &SubjectKind) -> Vec<Setting> {
    let SubjectKind::UserKey { user, key } = subject else { return Vec::new() };
    vec![status(user, key), policy(user)]
}

fn status(user: &UserName, key: &AccessKeyId) -> Setting {
    Setting::AccessKeyStatus(AccessKeyStatus { user: user.clone(), key: key.clone() })
}

fn policy(user: &UserName) -> Setting {
    let principal = Principal::User(user.clone());
    Setting::InlinePolicy(InlinePolicy { principal, name: quarantine_policy_name() })
}

fn steps(owner: &Owner, key: &AccessKeyId) -> Vec<Step> {
    let status = status(&owner.user, key);
    vec![
        Step::new(
            Change { setting: status, from: Value::Status(owner.status), to: Value::Status(KeyStatus::Inactive) },
            "whoever holds the key can no longer sign with it",
        ),
        Step::new(
            Change { setting: policy(&owner.user), from: owner.quarantine.clone(), to: Value::Document(deny_all()) },
            "sessions minted from the key die with it, and nobody turns it on again as this user",
        ),
    ]
}

fn no_such_key(plan: Plan, key: &AccessKeyId) -> Plan {
    let account = plan.subject.at.account.clone();
    let why = format!("no user of account {account} has access key {key}: it was deleted, or it is another account's");
    Plan { no_steps: Some(NoSteps::Gone(why)), ..plan }.manual([sessions_of(key)])
}

fn sessions_of(key: &AccessKeyId) -> Manual {
    Manual::run(
        "See what the key did, and which roles it assumed:",
        format!("aws cloudtrail lookup-events --lookup-attributes AttributeKey=AccessKeyId,AttributeValue={key}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, finding, subject};
    use super::*;
    use std::collections::BTreeMap;

    fn planned(owner: Option<(&str, KeyStatus, Value)>, expect: &[&str]) {
        let finding = finding("UnauthorizedAccess:IAMUser/TorIPCaller", "key");
        let owner = owner.map(|(user, status, quarantine)| Owner {
            user: user.try_into().unwrap(),
            status,
            quarantine,
            other_keys: Vec::new(),
            path: "/".to_owned(),
            tags: BTreeMap::new(),
        });
        check(&plan(&finding, subject(&finding), &Observed::UserKey(UserKey { owner, last_used: Ok(None) })), expect);
    }

    #[test]
    fn the_key_goes_inactive_and_its_owner_is_denied() {
        planned(
            Some(("ann", KeyStatus::Active, Value::Absent)),
            &[
                "1: access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive",
                "1: deny policy QuellQuarantine on user ann: absent -> in force",
            ],
        );
    }

    #[test]
    fn what_is_so_already_stays() {
        planned(
            Some(("ann", KeyStatus::Inactive, Value::Document(deny_all()))),
            &[
                "1: access key AKIAIOSFODNN7EXAMPLE of user ann: Inactive already",
                "1: deny policy QuellQuarantine on user ann: in force already",
            ],
        );
    }

    #[test]
    fn the_owner_is_whom_the_account_says() {
        planned(
            Some(("mallory", KeyStatus::Active, Value::Absent)),
            &[
                "1: access key AKIAIOSFODNN7EXAMPLE of user mallory: Active -> Inactive",
                "1: deny policy QuellQuarantine on user mallory: absent -> in force",
                "note: The finding names user ann, but the account says that the key is mallory's.",
            ],
        );
        planned(
            None,
            &["gone: no user of account 111122223333 has access key AKIAIOSFODNN7EXAMPLE: it was deleted, or it is \
               another account's"],
        );
    }
}
