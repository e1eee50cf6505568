//! The policies of ours that quarantine a principal.

use crate::id::{PolicyName, SessionName, UniqueId};
use serde_json::{Value, json};

const USER_POLICY: &str = "QuellQuarantine";
const SESSION_POLICY: &str = "QuellDeny-";

/// The name of the inline policy that quarantines a user.
#[must_use]
pub fn quarantine_policy_name() -> PolicyName {
    valid(USER_POLICY.to_owned())
}

/// The name of the inline policy that denies one session of a role. One policy a session, so that each is a setting of
/// its own and is given back by itself.
#[must_use]
pub fn session_policy_name(session: &SessionName) -> PolicyName {
    valid(format!("{SESSION_POLICY}{session}"))
}

/// A session name has the alphabet of a policy name, and with our prefix it stays below its length.
fn valid(name: String) -> PolicyName {
    PolicyName::try_from(name).unwrap_or_else(|_| quarantine_policy_name())
}

/// Denies everything, always.
///
/// Without a condition: `aws:TokenIssueTime` is absent from requests signed with a long-term key. Sessions that
/// GetSessionToken or GetFederationToken minted from the key inherit the user's policies, so this stops them too.
pub fn deny_all() -> Value {
    policy(&json!({ "Sid": USER_POLICY, "Effect": "Deny", "Action": "*", "Resource": "*" }))
}

/// Denies everything to one session of a role, and to no other.
///
/// `aws:userid` is `role-id:session-name` for an assumed role ("AWS global condition context keys"). It holds for
/// credentials issued later under the same session name as well.
pub fn deny_session(role_id: &UniqueId, session: &SessionName) -> Value {
    policy(&json!({
        "Sid": "QuellDenySession",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": { "StringEquals": { "aws:userid": format!("{role_id}:{session}") } },
    }))
}

fn policy(statement: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}
