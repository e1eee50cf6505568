//! A policy of ours, written into a user or a role.

use super::{Adjust, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, Value};
use crate::cloud_error::{CloudError, Kind};
use crate::id::{PolicyName, RoleName, UserName};
use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::fmt;

pub const PERMISSIONS: &[&str] = &[
    "iam:GetUserPolicy",
    "iam:PutUserPolicy",
    "iam:DeleteUserPolicy",
    "iam:GetRolePolicy",
    "iam:PutRolePolicy",
    "iam:DeleteRolePolicy",
];

/// The inline policy `name` of a user or a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlinePolicy {
    pub principal: Principal,
    pub name: PolicyName,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principal {
    User(UserName),
    Role(RoleName),
}

impl fmt::Display for InlinePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deny policy {} on {}", self.name, self.principal)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Role(role) => write!(f, "role {role}"),
        }
    }
}

impl Adjust for InlinePolicy {
    fn read<'a>(&'a self, cloud: &'a Cloud, _: &'a Change) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(policy_of(cloud, &self.principal, &self.name))
    }

    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change) -> BoxFuture<'a, Result<Written, CloudError>> {
        Box::pin(async move {
            match &change.to {
                Value::Document(document) => self.put(cloud, document).await?,
                Value::Absent => self.delete(cloud).await?,
                other @ (Value::Status(_) | Value::Groups(_) | Value::Rules(_)) => {
                    return Err(wrong_value("iam:PutUserPolicy", other));
                }
            }
            Ok(Written::Done)
        })
    }

    fn commands(&self, change: &Change) -> Vec<String> {
        let (kind, principal) = match &self.principal {
            Principal::User(user) => ("user", user.as_str()),
            Principal::Role(role) => ("role", role.as_str()),
        };
        let target = format!("--{kind}-name {principal} --policy-name {}", self.name);
        match &change.to {
            // The document holds ids and our own words only: no quote can end the quoting.
            Value::Document(document) => {
                vec![format!("aws iam put-{kind}-policy {target} --policy-document '{document}'")]
            }
            Value::Absent => vec![format!("aws iam delete-{kind}-policy {target}")],
            Value::Status(_) | Value::Groups(_) | Value::Rules(_) => Vec::new(),
        }
    }
}

impl InlinePolicy {
    async fn put(&self, cloud: &Cloud, document: &serde_json::Value) -> Result<(), CloudError> {
        let (name, document) = (self.name.as_str(), document.to_string());
        match &self.principal {
            Principal::User(user) => {
                let call = cloud.iam.put_user_policy().user_name(user.as_str());
                let sent = call.policy_name(name).policy_document(document).send().await;
                sent.map(drop).map_err(|error| CloudError::new("iam:PutUserPolicy", &error))
            }
            Principal::Role(role) => {
                let call = cloud.iam.put_role_policy().role_name(role.as_str());
                let sent = call.policy_name(name).policy_document(document).send().await;
                sent.map(drop).map_err(|error| CloudError::new("iam:PutRolePolicy", &error))
            }
        }
    }

    /// Deletes the policy. One that is not there is deleted already.
    async fn delete(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let name = self.name.as_str();
        let deleted = match &self.principal {
            Principal::User(user) => {
                let sent = cloud.iam.delete_user_policy().user_name(user.as_str()).policy_name(name).send().await;
                sent.map(drop).map_err(|error| CloudError::new("iam:DeleteUserPolicy", &error))
            }
            Principal::Role(role) => {
                let sent = cloud.iam.delete_role_policy().role_name(role.as_str()).policy_name(name).send().await;
                sent.map(drop).map_err(|error| CloudError::new("iam:DeleteRolePolicy", &error))
            }
        };
        deleted.or_else(|error| if error.kind == Kind::Gone { Ok(()) } else { Err(error) })
    }
}

/// The policy's document, or `Absent`. A principal that does not exist has none either.
pub async fn policy_of(cloud: &Cloud, principal: &Principal, name: &PolicyName) -> Result<Value, CloudError> {
    let (operation, answer) = match principal {
        Principal::User(user) => {
            let call = cloud.iam.get_user_policy().user_name(user.as_str()).policy_name(name.as_str());
            let answer = call.send().await.map(|policy| policy.policy_document);
            ("iam:GetUserPolicy", answer.map_err(|error| CloudError::new("iam:GetUserPolicy", &error)))
        }
        Principal::Role(role) => {
            let call = cloud.iam.get_role_policy().role_name(role.as_str()).policy_name(name.as_str());
            let answer = call.send().await.map(|policy| policy.policy_document);
            ("iam:GetRolePolicy", answer.map_err(|error| CloudError::new("iam:GetRolePolicy", &error)))
        }
    };
    match answer {
        Ok(encoded) => decode(operation, &encoded).map(Value::Document),
        Err(error) if error.kind == Kind::Gone => Ok(Value::Absent),
        Err(error) => Err(error),
    }
}

/// IAM gives documents URL-encoded (RFC 3986): compared as they come, every policy would look changed.
fn decode(operation: &'static str, encoded: &str) -> Result<serde_json::Value, CloudError> {
    let text = percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&text).map_err(|error| CloudError::unreadable(operation, &error.to_string()))
}
