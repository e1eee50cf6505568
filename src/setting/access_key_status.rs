//! Whether a long-term key of an IAM user works.

use super::rules::option;
use super::{Adjust, Requests, Writing, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, KeyStatus, Value};
use crate::cloud_error::{CloudError, Kind};
use crate::id::{AccessKeyId, UserName};
use aws_sdk_iam::types::StatusType;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;

pub const PERMISSIONS: &[&str] = &["iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:UpdateAccessKey"];

/// The status of `key`, which belongs to `user`, or to whatever that user is called by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyStatus {
    pub user: UserName,
    pub key: AccessKeyId,
}

impl fmt::Display for AccessKeyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access key {} of user {}", self.key, self.user)
    }
}

impl Adjust for AccessKeyStatus {
    fn read<'a>(&'a self, cloud: &'a Cloud, _: &'a Change) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(async move {
            let found = match status_of(cloud, &self.user, &self.key).await {
                Ok(None) => Err(CloudError::gone("iam:ListAccessKeys", self)),
                Ok(Some(status)) => Ok(status),
                Err(error) => Err(error),
            };
            match found {
                Err(error) if error.kind == Kind::Gone => {
                    let Some(user) = self.other_owner(cloud).await? else { return Err(error) };
                    status_of(cloud, &user, &self.key).await?.map(Value::Status).ok_or(error)
                }
                found => found.map(Value::Status),
            }
        })
    }

    // Without a user name UpdateAccessKey acts on the caller's own user, so it is always given.
    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change, requests: &'a Requests) -> Writing<'a> {
        Box::pin(async move {
            let Value::Status(status) = &change.to else {
                return Err(wrong_value("iam:UpdateAccessKey", &change.to));
            };
            let status = match status {
                KeyStatus::Active => StatusType::Active,
                KeyStatus::Inactive => StatusType::Inactive,
            };
            let update = async |user: &UserName| {
                let call = cloud.iam.update_access_key().user_name(user.as_str());
                let call = call.access_key_id(self.key.as_str()).status(status.clone());
                requests.send("iam:UpdateAccessKey", call.send()).await
            };
            match update(&self.user).await {
                Err(error) if error.kind == Kind::Gone => {
                    let Some(user) = self.other_owner(cloud).await? else { return Err(error) };
                    update(&user).await?;
                }
                done => drop(done?),
            }
            Ok(Written::Done)
        })
    }

    fn commands(&self, change: &Change) -> Vec<String> {
        let Value::Status(status) = &change.to else { return Vec::new() };
        let Self { user, key } = self;
        let user = option("user-name", user.as_str());
        vec![format!("aws iam update-access-key {user} --access-key-id {key} --status {status:?}")]
    }
}

impl AccessKeyStatus {
    /// Who has the key, if it is another user: somebody renamed the one who had it (`UpdateUser`).
    async fn other_owner(&self, cloud: &Cloud) -> Result<Option<UserName>, CloudError> {
        match owner_of(cloud, &self.key).await {
            Ok(owner) => Ok(owner.filter(|user| *user != self.user)),
            // That is also what AWS says of a key that no user of the account has.
            Err(error) if error.kind == Kind::Refused => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The user who has the key; none where no user of the account has it.
pub async fn owner_of(cloud: &Cloud, key: &AccessKeyId) -> Result<Option<UserName>, CloudError> {
    let sent = cloud.iam.get_access_key_last_used().access_key_id(key.as_str()).send().await;
    match sent.map_err(|error| CloudError::new("iam:GetAccessKeyLastUsed", &error)) {
        Ok(answer) => Ok(answer.user_name().and_then(|user| UserName::try_from(user).ok())),
        Err(error) if error.kind == Kind::Gone => Ok(None),
        Err(error) => Err(error),
    }
}

/// The key's status, or none if the user has no such key. A key that AWS let expire is as good as inactive.
pub async fn status_of(cloud: &Cloud, user: &UserName, key: &AccessKeyId) -> Result<Option<KeyStatus>, CloudError> {
    let mut pages = cloud.iam.list_access_keys().user_name(user.as_str()).into_paginator().items().send();
    while let Some(found) = pages.next().await {
        let found = found.map_err(|error| CloudError::new("iam:ListAccessKeys", &error))?;
        if found.access_key_id() == Some(key.as_str()) {
            let active = found.status() == Some(&StatusType::Active);
            return Ok(Some(if active { KeyStatus::Active } else { KeyStatus::Inactive }));
        }
    }
    Ok(None)
}
