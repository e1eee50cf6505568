//! Whether a long-term key of an IAM user works.

use super::{Adjust, Requests, Writing, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, KeyStatus, Value};
use crate::cloud_error::CloudError;
use crate::id::{AccessKeyId, UserName};
use aws_sdk_iam::types::StatusType;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;

pub const PERMISSIONS: &[&str] = &["iam:ListAccessKeys", "iam:UpdateAccessKey"];

/// The status of `key`, which belongs to `user`.
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
            match status_of(cloud, &self.user, &self.key).await? {
                Some(status) => Ok(Value::Status(status)),
                None => Err(CloudError::gone("iam:ListAccessKeys", self)),
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
            let call = cloud.iam.update_access_key().user_name(self.user.as_str());
            let call = call.access_key_id(self.key.as_str()).status(status);
            requests.send("iam:UpdateAccessKey", call.send()).await?;
            Ok(Written::Done)
        })
    }

    fn commands(&self, change: &Change) -> Vec<String> {
        let Value::Status(status) = &change.to else { return Vec::new() };
        let Self { user, key } = self;
        vec![format!("aws iam update-access-key --user-name {user} --access-key-id {key} --status {status:?}")]
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
