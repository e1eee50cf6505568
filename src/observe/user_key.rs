//! Whose a key is, whether it works, and what of ours is on its owner.

use crate::aws::Cloud;
use crate::cloud_error::{CloudError, Kind};
use crate::id::{AccessKeyId, UserName};
use crate::observed::{LastUsed, Owner, UserKey};
use crate::policy::Tags;
use crate::remediation::quarantine_policy_name;
use crate::setting::{Principal, policy_of, status_of};
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
            Ok(UserKey { owner: Some(owner), last_used: None })
        }
        (_, Err(error)) => Err(error),
        (_, Ok((Some(user), last_used))) if user != *named => {
            Ok(UserKey { owner: owner(cloud, &user, key).await?, last_used })
        }
        (said, Ok((_, last_used))) => Ok(UserKey { owner: said?, last_used }),
    }
}

/// The user with this key; none if there is no such user, or it has no such key.
async fn owner(cloud: &Cloud, user: &UserName, key: &AccessKeyId) -> Result<Option<Owner>, CloudError> {
    let principal = Principal::User(user.clone());
    let name = quarantine_policy_name();
    let asked = try_join3(status_of(cloud, user, key), policy_of(cloud, &principal, &name), tags(cloud, user)).await;
    match asked {
        Ok((status, quarantine, tags)) => {
            Ok(status.map(|status| Owner { user: user.clone(), status, quarantine, tags }))
        }
        Err(error) if error.kind == Kind::Gone => Ok(None),
        Err(error) => Err(error),
    }
}

async fn tags(cloud: &Cloud, user: &UserName) -> Result<Tags, CloudError> {
    let answer = cloud.iam.get_user().user_name(user.as_str()).send().await;
    let answer = answer.map_err(|error| CloudError::new("iam:GetUser", &error))?;
    let tags = answer.user().map(aws_sdk_iam::types::User::tags).unwrap_or_default();
    Ok(tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
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
