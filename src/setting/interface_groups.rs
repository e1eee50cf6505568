//! The security groups of a network interface.

use super::quarantine_group::{quarantine_groups, variable};
use super::{Adjust, Requests, Writing, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, GroupRef, Value};
use crate::cloud_error::CloudError;
use crate::id::{GroupId, InterfaceId, VpcId};
use aws_sdk_ec2::types::NetworkInterface;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

pub const PERMISSIONS: &[&str] = &[DESCRIBE, "ec2:ModifyNetworkInterfaceAttribute", "ec2:DescribeSecurityGroups"];

const DESCRIBE: &str = "ec2:DescribeNetworkInterfaces";

/// The groups of one interface. Never set by instance: that call fails for an instance with several interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceGroups {
    pub interface: InterfaceId,
}

impl fmt::Display for InterfaceGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "security groups of interface {}", self.interface)
    }
}

impl Adjust for InterfaceGroups {
    fn read<'a>(&'a self, cloud: &'a Cloud, _: &'a Change) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(async move { Ok(Value::Groups(groups_of(&self.described(cloud).await?))) })
    }

    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change, requests: &'a Requests) -> Writing<'a> {
        const OPERATION: &str = "ec2:ModifyNetworkInterfaceAttribute";
        Box::pin(async move {
            let Some(groups) = known_groups(&change.to) else { return Err(wrong_value(OPERATION, &change.to)) };
            let call = cloud.ec2.modify_network_interface_attribute();
            let call = call.network_interface_id(self.interface.as_str()).set_groups(Some(groups));
            requests.send(OPERATION, call.send()).await?;
            Ok(Written::Done)
        })
    }

    fn commands(&self, change: &Change) -> Vec<String> {
        let Value::Groups(groups) = &change.to else { return Vec::new() };
        let groups: Vec<String> = groups.iter().map(in_command).collect();
        let (interface, groups) = (&self.interface, groups.join(" "));
        vec![format!("aws ec2 modify-network-interface-attribute --network-interface-id {interface} --groups {groups}")]
    }
}

impl InterfaceGroups {
    /// The quarantine group of the interface's VPC, if there is one and it is ours.
    ///
    /// # Errors
    /// The interface, or the groups of its VPC, could not be read.
    pub async fn quarantine_group(&self, cloud: &Cloud) -> Result<Option<GroupId>, CloudError> {
        let described = self.described(cloud).await?;
        let vpc = described.vpc_id().and_then(|vpc| VpcId::try_from(vpc).ok());
        let vpc = vpc.ok_or_else(|| CloudError::unreadable(DESCRIBE, "no VPC"))?;
        let groups = quarantine_groups(cloud, Some(&vpc)).await?;
        Ok(groups.into_iter().find(|group| group.ours).map(|group| group.id))
    }

    async fn described(&self, cloud: &Cloud) -> Result<NetworkInterface, CloudError> {
        let call = cloud.ec2.describe_network_interfaces().network_interface_ids(self.interface.as_str());
        let call = call.include_managed_resources(true);
        let answer = call.send().await.map_err(|error| CloudError::new(DESCRIBE, &error))?;
        let found = answer.network_interfaces.and_then(|found| found.into_iter().next());
        found.ok_or_else(|| CloudError::gone(DESCRIBE, self))
    }
}

fn in_command(group: &GroupRef) -> String {
    match group {
        GroupRef::Id(id) => id.to_string(),
        GroupRef::QuarantineOf(vpc) => format!("\"${}\"", variable(vpc)),
    }
}

/// The ids, if all are known. An empty list would be refused by AWS: an interface has at least one group.
fn known_groups(value: &Value) -> Option<Vec<String>> {
    let Value::Groups(groups) = value else { return None };
    let id = |group: &GroupRef| match group {
        GroupRef::Id(id) => Some(id.to_string()),
        GroupRef::QuarantineOf(_) => None,
    };
    groups.iter().map(id).collect::<Option<Vec<_>>>().filter(|groups| !groups.is_empty())
}

/// The groups of an interface as described.
pub fn groups_of(interface: &NetworkInterface) -> BTreeSet<GroupRef> {
    let ids = interface.groups().iter().filter_map(|group| group.group_id());
    ids.filter_map(|id| GroupId::try_from(id).ok()).map(GroupRef::Id).collect()
}
