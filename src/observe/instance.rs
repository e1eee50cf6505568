//! An instance, all its interfaces, and the quarantine groups there are.

use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::{GroupId, InstanceId, InterfaceId, VpcId};
use crate::observed::{Instance, Interface};
use crate::policy::Tags;
use crate::setting::quarantine_groups;
use aws_sdk_ec2::types::{Filter, NetworkInterface, Tag};
use futures_util::future::try_join3;
use std::net::IpAddr;

pub const PERMISSIONS: &[&str] =
    &["ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"];

/// The most that EC2 gives in one answer.
const MOST_INTERFACES: i32 = 1000;

pub async fn observe(cloud: &Cloud, id: &InstanceId) -> Result<Instance, CloudError> {
    let (state, interfaces, quarantine) =
        try_join3(state_of(cloud, id), interfaces_of(cloud, id), quarantine_groups(cloud, None)).await?;
    let State { name, tags } = state;
    let quarantine = quarantine.into_iter().map(|group| (group.vpc.clone(), group)).collect();
    Ok(Instance { id: id.clone(), state: name, interfaces, quarantine, tags })
}

/// The state's name (`running`, `terminated`, …) and the tags.
pub struct State {
    pub name: String,
    pub tags: Tags,
}

pub async fn state_of(cloud: &Cloud, id: &InstanceId) -> Result<State, CloudError> {
    const OPERATION: &str = "ec2:DescribeInstances";
    let call = cloud.ec2.describe_instances().instance_ids(id.as_str()).include_managed_resources(true);
    let answer = call.send().await;
    let answer = answer.map_err(|error| CloudError::new(OPERATION, &error))?;
    let found = answer.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances).next();
    let found = found.ok_or_else(|| CloudError::gone(OPERATION, id))?;
    let state = found.state().and_then(|state| state.name());
    Ok(State {
        name: state.map_or_else(|| "unknown".to_owned(), |name| name.as_str().to_owned()),
        tags: tags_in(found.tags()),
    })
}

/// The interfaces attached to the instance now. Found by attachment, so that one attached since the finding counts.
///
/// By this filter EC2 may refuse to answer all at once, and an account may hide what a service manages for it (EKS Auto Mode,
/// ECS Managed Instances).
pub async fn interfaces_of(cloud: &Cloud, id: &InstanceId) -> Result<Vec<Interface>, CloudError> {
    const OPERATION: &str = "ec2:DescribeNetworkInterfaces";
    let filter = Filter::builder().name("attachment.instance-id").values(id.as_str()).build();
    let call = cloud.ec2.describe_network_interfaces().filters(filter).include_managed_resources(true);
    let mut pages = call.into_paginator().page_size(MOST_INTERFACES).items().send();
    let mut interfaces = Vec::new();
    while let Some(found) = pages.next().await {
        let found = found.map_err(|error| CloudError::new(OPERATION, &error))?;
        let read = interface(&found);
        interfaces.push(read.ok_or_else(|| CloudError::unreadable(OPERATION, "an interface without id or VPC"))?);
    }
    Ok(interfaces)
}

fn interface(found: &NetworkInterface) -> Option<Interface> {
    let groups = found.groups().iter().filter_map(|group| group.group_id());
    let v4 = found.private_ip_addresses().iter().filter_map(|address| address.private_ip_address());
    let v6 = found.ipv6_addresses().iter().filter_map(|address| address.ipv6_address());
    let addresses = found.private_ip_address().into_iter().chain(v4).chain(v6);
    let mut addresses: Vec<IpAddr> = addresses.filter_map(|address| address.parse().ok()).collect();
    addresses.dedup();
    Some(Interface {
        id: InterfaceId::try_from(found.network_interface_id()?).ok()?,
        vpc: VpcId::try_from(found.vpc_id()?).ok()?,
        groups: groups.filter_map(|id| GroupId::try_from(id).ok()).collect(),
        addresses,
        requester_managed: found.requester_managed() == Some(true),
        tags: tags_in(found.tag_set()),
    })
}

pub fn tags_in(tags: &[Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect()
}
