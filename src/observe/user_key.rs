//! Whose a key is, whether it works, and what of ours is on its owner.

use crate::aws::Cloud;
use crate::change::KeyStatus;
use crate::cloud_error::{CloudError, Kind};
use crate::id::{AccessKeyId, UserName};
use crate::observed::{LastUsed, Owner, UserKey};
use crate::policy::Tags;
use crate::remediation::quarantine_policy_name;
use crate::setting::{Principal, policy_of};
use aws_sdk_iam::types::StatusType;
use futures_util::future::{join, try_join3};

pub const PERMISSIONS: &[&str] =
    &["iam:GetAccessKeyLastUsed", "iam:GetUser", "iam:GetUserPolicy", "iam:ListAccessKeys"];

/// Asks about the user whom the finding names, and beside it whose key it really is. Where the finding is wrong, asks
/// again about the true owner.
pub async fn observe(cloud: &Cloud, named: &UserName, key: &AccessKeyId) -> Result<UserKey, CloudError> {
    let (said, last_used) = join(owner(cloud, named, key), last_used(cloud, key)).await;
    match (said, last_used) {
        // We may not ask whose key it is. One that the named user has is theirs; of any other nothing is known, above all
        // not that it is gone.
        (Ok(Some(owner)), Err(error)) if error.kind == Kind::Refused => {
            Ok(UserKey { owner: Some(owner), last_used: Err(error) })
        }
        (_, Err(error)) => Err(error),
        (_, Ok((Some(user), last_used))) if user != *named => {
            Ok(UserKey { owner: owner(cloud, &user, key).await?, last_used: Ok(last_used) })
        }
        (said, Ok((_, last_used))) => Ok(UserKey { owner: said?, last_used: Ok(last_used) }),
    }
}

/// The user with this key; none if there is no such user, or it has no such key.
async fn owner(cloud: &Cloud, user: &UserName, key: &AccessKeyId) -> Result<Option<Owner>, CloudError> {
    let principal = Principal::User(user.clone());
    let name = quarantine_policy_name();
    let asked = try_join3(keys_of(cloud, user), policy_of(cloud, &principal, &name), path_and_tags(cloud, user)).await;
    let (keys, quarantine, (path, tags)) = match asked {
        Ok(read) => read,
        Err(error) if error.kind == Kind::Gone => return Ok(None),
        Err(error) => return Err(error),
    };
    let status = keys.iter().find(|(id, _)| id == key).map(|(_, status)| *status);
    let others = keys.into_iter().filter(|(id, status)| id != key && *status == KeyStatus::Active).map(|(id, _)| id);
    let other_keys = others.collect();
    Ok(status.map(|status| Owner { user: user.clone(), status, quarantine, other_keys, path, tags }))
}

/// All keys of the user. One that AWS let expire is as good as inactive.
async fn keys_of(cloud: &Cloud, user: &UserName) -> Result<Vec<(AccessKeyId, KeyStatus)>, CloudError> {
    let mut pages = cloud.iam.list_access_keys().user_name(user.as_str()).into_paginator().items().send();
    let mut keys = Vec::new();
    while let Some(found) = pages.next().await {
        let found = found.map_err(|error| CloudError::new("iam:ListAccessKeys", &error))?;
        let active = found.status() == Some(&StatusType::Active);
        let status = if active { KeyStatus::Active } else { KeyStatus::Inactive };
        keys.extend(found.access_key_id().and_then(|id| AccessKeyId::try_from(id).ok()).map(|id| (id, status)));
    }
    Ok(keys)
}

async fn path_and_tags(cloud: &Cloud, user: &UserName) -> Result<(String, Tags), CloudError> {
    const OPERATION: &str = "iam:GetUser";
    let answer = cloud.iam.get_user().user_name(user.as_str()).send().await;
    let answer = answer.map_err(|error| CloudError::new(OPERATION, &error))?;
    let user = answer.user().ok_or_else(|| CloudError::unreadable(OPERATION, "no user"))?;
    let tags = user.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
    Ok((user.path().to_owned(), tags.collect()))
}

/// The key's owner and last use; nothing where no user of the account has it.
async fn last_used(cloud: &Cloud, key: &AccessKeyId) -> Result<(Option<UserName>, Option<LastUsed>), CloudError> {
    let sent = cloud.iam.get_access_key_last_used().access_key_id(key.as_str()).send().await;
    let answer = match sent.map_err(|error| CloudError::new("iam:GetAccessKeyLastUsed", &error)) {
        Ok(answer) => answer,
        Err(error) if error.kind == Kind::Gone => return Ok((None, None)),
        Err(error) => return Err(error),
    };
    let owner = answer.user_name().and_then(|user| UserName::try_from(user).ok());
    let last_used = answer.access_key_last_used().map(|used| LastUsed {
        service: used.service_name().to_owned(),
        region: used.region().to_owned(),
        at: used.last_used_date().map(ToString::to_string),
    });
    Ok((owner, last_used.filter(|used| used.service != "N/A")))
}
