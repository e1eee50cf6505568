//! Everything in an account that containment could touch, as one value to compare.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::moto::{Moto, Service};
use super::principals::{entries, text};

/// Not AWS's own managed policies: nobody can change them, and there are a thousand.
const OURS: &[(&str, &str)] = &[
    ("Filter.member.1", "User"),
    ("Filter.member.2", "Role"),
    ("Filter.member.3", "Group"),
    ("Filter.member.4", "LocalManagedPolicy"),
];

/// EC2's answers that together are its part of the world.
const HOSTS: &[(&str, &[(&str, &str)])] = &[
    ("DescribeAddresses", &[]),
    ("DescribeIamInstanceProfileAssociations", &[]),
    ("DescribeInstances", &[]),
    ("DescribeNetworkAcls", &[]),
    ("DescribeNetworkInterfaces", &[]),
    ("DescribeSecurityGroups", &[]),
    ("DescribeSnapshots", &[("Owner.1", "self")]),
    ("DescribeVolumes", &[]),
];

/// What changes by merely being looked at. Ids of security group rules are absent from these answers to begin
/// with, and rightly: a rule that is given back has a new one.
const VOLATILE: &[&str] = &["requestId", "ResponseMetadata", "RoleLastUsed"];

/// What containment changes by one service: identities with their keys, or groups and who has them.
pub async fn part_of(moto: &Moto, account: &str, service: &str) -> Value {
    let mut world = Map::new();
    if service == "iam" {
        let iam = moto.service("iam", account);
        let identities = iam.call("GetAccountAuthorizationDetails", OURS).await;
        world.insert("AccessKeys".to_owned(), keys(&iam, &identities).await);
        world.insert("GetAccountAuthorizationDetails".to_owned(), identities);
    } else {
        let ec2 = moto.service("ec2", account);
        for action in ["DescribeNetworkInterfaces", "DescribeSecurityGroups"] {
            world.insert(action.to_owned(), ec2.call(action, &[]).await);
        }
    }
    settled(Value::Object(world))
}

/// Reads the account. Lists are sorted; policy documents are text, to the byte.
pub async fn of(moto: &Moto, account: &str) -> Value {
    let mut world = Map::new();
    let iam = moto.service("iam", account);
    let identities = iam.call("GetAccountAuthorizationDetails", OURS).await;
    world.insert("AccessKeys".to_owned(), keys(&iam, &identities).await);
    world.insert("GetAccountAuthorizationDetails".to_owned(), identities);
    let ec2 = moto.service("ec2", account);
    for (action, parameters) in HOSTS {
        world.insert((*action).to_owned(), ec2.call(action, parameters).await);
    }
    settled(Value::Object(world))
}

async fn keys(iam: &Service, identities: &Value) -> Value {
    let mut keys = Vec::new();
    for user in entries(identities, "UserDetailList") {
        let listed = iam.call("ListAccessKeys", &[("UserName", &text(user, "UserName"))]).await;
        keys.extend_from_slice(entries(&listed, "AccessKeyMetadata"));
    }
    json!(keys)
}

fn settled(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let lasting = fields.into_iter().filter(|(name, _)| !VOLATILE.contains(&name.as_str()));
            lasting
                .map(
                    |(name, value)| {
                        if name.ends_with("PolicyDocument") { raw(name, &value) } else { (name, settled(value)) }
                    },
                )
                .collect()
        }
        Value::Array(entries) => {
            let mut entries: Vec<Value> = entries.into_iter().map(settled).collect();
            entries.sort_by_key(Value::to_string);
            Value::Array(entries)
        }
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => leaf,
    }
}

/// URL-encoded or not: moto's answers differ in that.
fn raw(name: String, document: &Value) -> (String, Value) {
    let text = percent_decode_str(document.as_str().expect("a policy document is text")).decode_utf8_lossy();
    (name, json!(text))
}
