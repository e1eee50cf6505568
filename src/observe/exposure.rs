//! An instance's interfaces, and what the rules of their groups let in.

use super::instance::{State, interfaces_of, state_of};
use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::{GroupId, InstanceId};
use crate::observed::Exposure;
use crate::setting::rules::rules_of;
use futures_util::future::try_join3;
use std::collections::BTreeSet;

pub const PERMISSIONS: &[&str] =
    &["ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroupRules"];

/// As many as an instance of fifteen interfaces can have; a finding that names more is not believed.
const HINTS: usize = 75;

/// Reads the rules of the groups that the finding saw beside the instance itself, to save a round trip; groups that
/// the instance has got since are read after.
pub async fn observe(cloud: &Cloud, id: &InstanceId, hinted: &[GroupId]) -> Result<Exposure, CloudError> {
    let hinted: BTreeSet<GroupId> = hinted.iter().take(HINTS).cloned().collect();
    let (state, interfaces, mut rules) =
        try_join3(state_of(cloud, id), interfaces_of(cloud, id), rules_of(cloud, &hinted)).await?;
    let groups: BTreeSet<GroupId> = interfaces.iter().flat_map(|interface| interface.groups.clone()).collect();
    let missing = groups.difference(&hinted).cloned().collect();
    rules.extend(rules_of(cloud, &missing).await?);
    rules.retain(|group, _| groups.contains(group));
    let State { name, tags } = state;
    Ok(Exposure { id: id.clone(), state: name, interfaces, rules, tags })
}
