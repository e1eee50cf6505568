//! An instance's interfaces, and what the rules of their groups let in.

use super::instance::{State, interfaces_of, state_of, tags_in};
use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::{GroupId, InstanceId, InterfaceId};
use crate::observed::{Exposure, Neighbour, Neighbours};
use crate::policy::Tags;
use crate::setting::rules::rules_of;
use aws_sdk_ec2::types::{Filter, NetworkInterface};
use futures_util::future::{join, try_join, try_join3};
use std::collections::{BTreeMap, BTreeSet};

pub const PERMISSIONS: &[&str] =
    &["ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroupRules", OF_GROUPS];

const OF_GROUPS: &str = "ec2:DescribeSecurityGroups";

/// As many as an instance of fifteen interfaces can have; a finding that names more is not believed.
const HINTS: usize = 75;

/// The most interfaces that EC2 gives at once.
const ONE_ANSWER: i32 = 1000;

/// Reads the rules of the groups that the finding saw beside the instance itself, to save a round trip; groups that
/// the instance has got since are read after.
pub async fn observe(cloud: &Cloud, id: &InstanceId, hinted: &[GroupId]) -> Result<Exposure, CloudError> {
    let hinted: BTreeSet<GroupId> = hinted.iter().take(HINTS).cloned().collect();
    let of_groups = try_join(rules_of(cloud, &hinted), tags_of(cloud, &hinted));
    let reading = try_join3(state_of(cloud, id), interfaces_of(cloud, id), of_groups);
    let (read, neighbours) = join(reading, neighbours_of(cloud, id, &hinted)).await;
    let (state, interfaces, (mut rules, mut group_tags)) = read?;
    let groups: BTreeSet<GroupId> = interfaces.iter().flat_map(|interface| interface.groups.clone()).collect();
    let missing = groups.difference(&hinted).cloned().collect();
    let of_groups = try_join(rules_of(cloud, &missing), tags_of(cloud, &missing));
    let (more, more_neighbours) = join(of_groups, neighbours_of(cloud, id, &missing)).await;
    let (more_rules, more_tags) = more?;
    rules.extend(more_rules);
    group_tags.extend(more_tags);
    rules.retain(|group, _| groups.contains(group));
    let neighbours = neighbours.and_then(|some| Ok(together(some, more_neighbours?)));
    let State { name, tags } = state;
    let kept_closed = BTreeMap::new();
    Ok(Exposure { id: id.clone(), state: name, interfaces, rules, group_tags, kept_closed, neighbours, tags })
}

/// The tags of groups: what the policy protects may be told by them, so nothing is planned without.
async fn tags_of(cloud: &Cloud, groups: &BTreeSet<GroupId>) -> Result<BTreeMap<GroupId, Tags>, CloudError> {
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = groups.iter().map(ToString::to_string).collect();
    // By a filter: a group that is gone is missing in the answer then, and no error.
    let filter = Filter::builder().name("group-id").set_values(Some(ids)).build();
    let mut pages = cloud.ec2.describe_security_groups().filters(filter).into_paginator().items().send();
    let mut tags = BTreeMap::new();
    while let Some(group) = pages.next().await {
        let group = group.map_err(|error| CloudError::new(OF_GROUPS, &error))?;
        let id = group.group_id().and_then(|id| GroupId::try_from(id).ok());
        tags.extend(id.map(|id| (id, tags_in(group.tags()))));
    }
    Ok(tags)
}

/// The interfaces of others that have one of these groups. One answer, and no more: a group that a thousand interfaces
/// share needs no exact count, and whoever waits for one is attacked meanwhile.
async fn neighbours_of(cloud: &Cloud, id: &InstanceId, groups: &BTreeSet<GroupId>) -> Result<Neighbours, CloudError> {
    if groups.is_empty() {
        return Ok(Neighbours::default());
    }
    let groups = groups.iter().map(ToString::to_string).collect();
    let filter = Filter::builder().name("group-id").set_values(Some(groups)).build();
    let call = cloud.ec2.describe_network_interfaces().filters(filter).include_managed_resources(true);
    let call = call.max_results(ONE_ANSWER);
    let answer = call.send().await.map_err(|error| CloudError::new("ec2:DescribeNetworkInterfaces", &error))?;
    let others = answer.network_interfaces().iter().filter_map(neighbour);
    Ok(Neighbours {
        interfaces: others.filter(|other| other.instance.as_ref() != Some(id)).collect(),
        more: answer.next_token().is_some(),
    })
}

fn neighbour(found: &NetworkInterface) -> Option<Neighbour> {
    let instance = found.attachment().and_then(|attachment| attachment.instance_id());
    let groups = found.groups().iter().filter_map(|group| GroupId::try_from(group.group_id()?).ok());
    Some(Neighbour {
        id: InterfaceId::try_from(found.network_interface_id()?).ok()?,
        instance: instance.and_then(|id| InstanceId::try_from(id).ok()),
        kind: found.interface_type().map_or_else(|| "interface".to_owned(), |kind| kind.as_str().to_owned()),
        groups: groups.collect(),
        tags: tags_in(found.tag_set()),
    })
}

fn together(mut some: Neighbours, others: Neighbours) -> Neighbours {
    some.interfaces.extend(others.interfaces);
    some.more |= others.more;
    some
}
