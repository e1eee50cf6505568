//! A role, and whether one of its sessions is denied already.

use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::{RoleName, SessionName, UniqueId};
use crate::observed::Role;
use crate::remediation::session_policy_name;
use crate::setting::{Principal, policy_of};
use futures_util::future::{join, try_join};

pub const PERMISSIONS: &[&str] = &["iam:GetRole", "iam:GetRolePolicy", "iam:ListInstanceProfilesForRole"];

pub async fn observe(cloud: &Cloud, role: &RoleName, session: &SessionName) -> Result<Role, CloudError> {
    const OPERATION: &str = "iam:GetRole";
    let principal = Principal::Role(role.clone());
    let name = session_policy_name(session);
    let get = cloud.iam.get_role().role_name(role.as_str());
    let get = async { get.send().await.map_err(|error| CloudError::new(OPERATION, &error)) };
    let asked = try_join(get, policy_of(cloud, &principal, &name));
    let (asked, profiles) = join(asked, profiles_of(cloud, role)).await;
    let (answer, session_policy) = asked?;
    let role = answer.role().ok_or_else(|| CloudError::unreadable(OPERATION, "no role"))?;
    Ok(Role {
        name: RoleName::try_from(role.role_name())
            .map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?,
        id: UniqueId::try_from(role.role_id())
            .map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?,
        path: role.path().to_owned(),
        session_policy,
        profiles,
        tags: role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
    })
}

/// The instance profiles that the role is in. That instances have them is all that can be said beside the other
/// reads: which instances, only a search after this one could tell.
async fn profiles_of(cloud: &Cloud, role: &RoleName) -> Result<Vec<String>, CloudError> {
    let call = cloud.iam.list_instance_profiles_for_role().role_name(role.as_str());
    let answer = call.send().await.map_err(|error| CloudError::new("iam:ListInstanceProfilesForRole", &error))?;
    Ok(answer.instance_profiles().iter().map(|profile| profile.instance_profile_name().to_owned()).collect())
}
