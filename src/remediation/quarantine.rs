//! The policies of ours that quarantine a principal.

use crate::document::Document;
use crate::id::{PolicyName, SessionName, UniqueId};
use serde_json::{Value, json};

const USER_POLICY: &str = "QuellQuarantine";
const SESSION_POLICY: &str = "QuellDeny";

/// The name of the inline policy that quarantines a user.
#[must_use]
pub fn quarantine_policy_name() -> PolicyName {
    valid(USER_POLICY.to_owned())
}

/// The name of the inline policy that denies one session of a role. One policy a session, so that each is a setting of
/// its own and is given back by itself.
#[must_use]
pub fn session_policy_name(session: &SessionName) -> PolicyName {
    match session.as_str().chars().fold(0_u64, |capitals, c| capitals << 1 | u64::from(c.is_uppercase())) {
        0 => valid(format!("{SESSION_POLICY}-{session}")),
        // Whether IAM tells names apart that differ in case alone is nowhere said, and sessions it does.
        capitals => valid(format!("{SESSION_POLICY}.{capitals:x}-{session}")),
    }
}

/// A session name has the alphabet of a policy name, and with our prefix it stays below its length.
fn valid(name: String) -> PolicyName {
    PolicyName::try_from(name).unwrap_or_else(|_| quarantine_policy_name())
}

/// Denies everything, always.
///
/// Without a condition: `aws:TokenIssueTime` is absent from requests signed with a long-term key. Sessions that
/// GetSessionToken or GetFederationToken minted from the key inherit the user's policies, so this stops them too.
pub fn deny_all() -> Document {
    policy(&json!({ "Sid": USER_POLICY, "Effect": "Deny", "Action": "*", "Resource": "*" }))
}

/// Denies everything to one session of a role, and to no other.
///
/// `aws:userid` is `role-id:session-name` for an assumed role ("AWS global condition context keys"). It holds for
/// credentials issued later under the same session name as well.
pub fn deny_session(role_id: &UniqueId, session: &SessionName) -> Document {
    policy(&json!({
        "Sid": "QuellDenySession",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": { "StringEquals": { "aws:userid": format!("{role_id}:{session}") } },
    }))
}

fn policy(statement: &Value) -> Document {
    json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_differ_in_case_alone_have_policies_that_differ_in_more() {
        let name = |session: &str| session_policy_name(&session.try_into().unwrap()).to_string();
        assert_eq!(name("i-0a1b2c3d4e5f60718"), "QuellDeny-i-0a1b2c3d4e5f60718");
        let all = ["deploy", "Deploy", "dePloy", "DEPLOY", "1-deploy"].map(|session| name(session).to_lowercase());
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert!(name(&"Z".repeat(64)).len() <= 128);
    }
}
