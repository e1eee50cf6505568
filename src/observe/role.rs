//! A role, and whether one of its sessions is denied already.

use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::{RoleName, SessionName, UniqueId};
use crate::observed::Role;
use crate::remediation::session_policy_name;
use crate::setting::{Principal, policy_of};
use futures_util::future::try_join;

pub const PERMISSIONS: &[&str] = &["iam:GetRole", "iam:GetRolePolicy"];

pub async fn observe(cloud: &Cloud, role: &RoleName, session: &SessionName) -> Result<Role, CloudError> {
    const OPERATION: &str = "iam:GetRole";
    let principal = Principal::Role(role.clone());
    let name = session_policy_name(session);
    let get = cloud.iam.get_role().role_name(role.as_str());
    let get = async { get.send().await.map_err(|error| CloudError::new(OPERATION, &error)) };
    let (answer, session_policy) = try_join(get, policy_of(cloud, &principal, &name)).await?;
    let role = answer.role().ok_or_else(|| CloudError::unreadable(OPERATION, "no role"))?;
    Ok(Role {
        id: UniqueId::try_from(role.role_id())
            .map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?,
        path: role.path().to_owned(),
        session_policy,
        tags: role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
    })
}
