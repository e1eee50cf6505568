//! A policy of ours, written into a user or a role.

use super::rules::{option, shell_word};
use super::{Adjust, Requests, Writing, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, Value};
use crate::cloud_error::{CloudError, Kind};
use crate::document::Document;
use crate::id::{PolicyName, RoleName, UserName};
use futures_util::future::BoxFuture;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

pub const PERMISSIONS: &[&str] = &[
    "iam:GetUserPolicy",
    "iam:PutUserPolicy",
    "iam:DeleteUserPolicy",
    "iam:GetUser",
    "iam:GetRole",
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
        Box::pin(async move {
            let value = policy_of(cloud, &self.principal, &self.name).await?;
            // Whoever was deleted has no policy either, and nobody took it off.
            if value == Value::Absent { self.principal.find(cloud).await.map(|()| value) } else { Ok(value) }
        })
    }

    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change, requests: &'a Requests) -> Writing<'a> {
        Box::pin(async move {
            match &change.to {
                Value::Document(document) => self.put(cloud, document, requests).await?,
                Value::Absent => self.delete(cloud, requests).await?,
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
        let target = format!("{} --policy-name {}", option(&format!("{kind}-name"), principal), self.name);
        match &change.to {
            Value::Document(document) => {
                let document = shell_word(&document.on_one_line());
                vec![format!("aws iam put-{kind}-policy {target} --policy-document {document}")]
            }
            Value::Absent => vec![format!("aws iam delete-{kind}-policy {target}")],
            Value::Status(_) | Value::Groups(_) | Value::Rules(_) => Vec::new(),
        }
    }
}

impl Principal {
    /// Fails where there is no such user or role. That it could not be asked says nothing.
    async fn find(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let found = match self {
            Self::User(user) => {
                let sent = cloud.iam.get_user().user_name(user.as_str()).send().await;
                sent.map(drop).map_err(|error| CloudError::new("iam:GetUser", &error))
            }
            Self::Role(role) => {
                let sent = cloud.iam.get_role().role_name(role.as_str()).send().await;
                sent.map(drop).map_err(|error| CloudError::new("iam:GetRole", &error))
            }
        };
        found.or_else(|error| if error.kind == Kind::Gone { Err(error) } else { Ok(()) })
    }
}

impl InlinePolicy {
    async fn put(&self, cloud: &Cloud, document: &Document, requests: &Requests) -> Result<(), CloudError> {
        let (name, document) = (self.name.as_str(), document.text());
        match &self.principal {
            Principal::User(user) => {
                let call = cloud.iam.put_user_policy().user_name(user.as_str());
                let call = call.policy_name(name).policy_document(document);
                requests.send("iam:PutUserPolicy", call.send()).await.map(drop)
            }
            Principal::Role(role) => {
                let call = cloud.iam.put_role_policy().role_name(role.as_str());
                let call = call.policy_name(name).policy_document(document);
                requests.send("iam:PutRolePolicy", call.send()).await.map(drop)
            }
        }
    }

    /// Deletes the policy. One that is not there is deleted already.
    async fn delete(&self, cloud: &Cloud, requests: &Requests) -> Result<(), CloudError> {
        let name = self.name.as_str();
        let deleted = match &self.principal {
            Principal::User(user) => {
                let call = cloud.iam.delete_user_policy().user_name(user.as_str()).policy_name(name);
                requests.send("iam:DeleteUserPolicy", call.send()).await.map(drop)
            }
            Principal::Role(role) => {
                let call = cloud.iam.delete_role_policy().role_name(role.as_str()).policy_name(name);
                requests.send("iam:DeleteRolePolicy", call.send()).await.map(drop)
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
        Ok(encoded) => decode(operation, &encoded).map(Document::new).map(Value::Document),
        Err(error) if error.kind == Kind::Gone => Ok(Value::Absent),
        Err(error) => Err(error),
    }
}

/// IAM gives documents URL-encoded (RFC 3986): compared as they come, every policy would look changed.
fn decode(operation: &'static str, encoded: &str) -> Result<String, CloudError> {
    let text = percent_decode_str(encoded).decode_utf8();
    text.map(Cow::into_owned).map_err(|error| CloudError::unreadable(operation, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Setting;

    #[test]
    fn what_somebody_wrote_into_a_policy_ends_no_quoting() {
        let theirs = Document::new("{\n \"Id\": \"o'neill'; rm -r $HOME\"\n}");
        let principal = Principal::User("ann".try_into().unwrap());
        let policy = InlinePolicy { principal, name: "QuellQuarantine".try_into().unwrap() };
        let change =
            Change { setting: Setting::InlinePolicy(policy), from: Value::Absent, to: Value::Document(theirs) };
        assert_eq!(
            change.commands(),
            [concat!(
                "aws iam put-user-policy --user-name ann --policy-name QuellQuarantine --policy-document ",
                r#"'{"Id":"o'\''neill'\''; rm -r $HOME"}'"#
            )]
        );
    }
}
