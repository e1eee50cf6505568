//! A role, whether one of its sessions is denied already, and which instances have it.

use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::{InstanceId, RoleName, SessionName, UniqueId};
use crate::observed::{OnRole, Role};
use crate::remediation::session_policy_name;
use crate::setting::{Principal, policy_of};
use aws_sdk_ec2::types::Filter;
use futures_util::future::try_join;
use std::collections::BTreeSet;

pub const PERMISSIONS: &[&str] = &["iam:GetRole", "iam:GetRolePolicy", OF_ROLE, ASSOCIATIONS];

const OF_ROLE: &str = "iam:ListInstanceProfilesForRole";
const ASSOCIATIONS: &str = "ec2:DescribeIamInstanceProfileAssociations";

/// The most associations that EC2 gives at once.
const ONE_ANSWER: i32 = 1000;

pub async fn observe(cloud: &Cloud, role: &RoleName, session: &SessionName) -> Result<Role, CloudError> {
    const OPERATION: &str = "iam:GetRole";
    let principal = Principal::Role(role.clone());
    let name = session_policy_name(session);
    let get = cloud.iam.get_role().role_name(role.as_str());
    let get = async { get.send().await.map_err(|error| CloudError::new(OPERATION, &error)) };
    let (answer, session_policy) = try_join(get, policy_of(cloud, &principal, &name)).await?;
    let role = answer.role().ok_or_else(|| CloudError::unreadable(OPERATION, "no role"))?;
    Ok(Role {
        name: RoleName::try_from(role.role_name())
            .map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?,
        id: UniqueId::try_from(role.role_id())
            .map_err(|error| CloudError::unreadable(OPERATION, &error.to_string()))?,
        path: role.path().to_owned(),
        session_policy,
        tags: role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
    })
}

/// The instances of the region that have the role. EC2 does not find them by their role or profile: so one answer of all
/// that have any, and no more.
pub async fn instances_of(cloud: &Cloud, role: &RoleName) -> Result<OnRole, CloudError> {
    let (profiles, (associations, more)) = try_join(profiles_of(cloud, role), associations(cloud)).await?;
    let of_role = associations.into_iter().filter(|(_, profile)| profiles.contains(profile));
    Ok(OnRole { instances: of_role.map(|(instance, _)| instance).collect(), more })
}

/// The ARNs of the instance profiles that the role is in.
async fn profiles_of(cloud: &Cloud, role: &RoleName) -> Result<BTreeSet<String>, CloudError> {
    let mut pages =
        cloud.iam.list_instance_profiles_for_role().role_name(role.as_str()).into_paginator().items().send();
    let mut arns = BTreeSet::new();
    while let Some(profile) = pages.next().await {
        let profile = profile.map_err(|error| CloudError::new(OF_ROLE, &error))?;
        arns.insert(profile.arn().to_owned());
    }
    Ok(arns)
}

/// Which instance has which profile, and whether there are more.
async fn associations(cloud: &Cloud) -> Result<(Vec<(InstanceId, String)>, bool), CloudError> {
    let state = Filter::builder().name("state").values("associated").build();
    let call = cloud.ec2.describe_iam_instance_profile_associations().filters(state).max_results(ONE_ANSWER);
    let answer = call.send().await.map_err(|error| CloudError::new(ASSOCIATIONS, &error))?;
    let found = answer.iam_instance_profile_associations().iter().filter_map(|association| {
        let profile = association.iam_instance_profile()?.arn()?;
        Some((InstanceId::try_from(association.instance_id()?).ok()?, profile.to_owned()))
    });
    Ok((found.collect(), answer.next_token().is_some()))
}
