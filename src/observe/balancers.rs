//! The load balancers that send requests to an instance.
//!
//! AWS has no way to ask this of an instance: each target group must be asked for its targets. Elastic Load Balancing lets
//! an account ask 40 times in a burst in a region ("Request throttling for the Elastic Load Balancing API"), and the team's
//! own tools need some of that: so at most [`MOST`] groups are asked, and what was not asked is said.

use super::instance::interfaces_of;
use crate::aws::Cloud;
use crate::cloud_error::CloudError;
use crate::id::InstanceId;
use crate::observed::{Balancers, Interface, Served};
use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetGroup, TargetHealthDescription, TargetTypeEnum};
use futures_util::future::{try_join_all, try_join3};

pub const PERMISSIONS: &[&str] = &[
    "ec2:DescribeNetworkInterfaces",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
];

const MOST: usize = 24;

/// Two round trips: all groups there are, and then the targets of those that the instance can be in.
pub async fn observe(cloud: &Cloud, id: &InstanceId) -> Result<Balancers, CloudError> {
    let asked = try_join3(interfaces_of(cloud, id), target_groups(cloud), classic(cloud, id)).await?;
    let (interfaces, groups, mut served) = asked;
    let groups: Vec<TargetGroup> = groups.into_iter().filter(|group| may_have(group, &interfaces)).collect();
    let targets = groups.iter().take(MOST).map(|group| served_through(cloud, group, id, &interfaces));
    served.extend(try_join_all(targets).await?.into_iter().flatten());
    Ok(Balancers { served: served.into_iter().collect(), unasked: groups.len().saturating_sub(MOST) })
}

async fn target_groups(cloud: &Cloud) -> Result<Vec<TargetGroup>, CloudError> {
    const OPERATION: &str = "elasticloadbalancing:DescribeTargetGroups";
    let mut pages = cloud.elbv2.describe_target_groups().into_paginator().items().send();
    let mut groups = Vec::new();
    while let Some(found) = pages.next().await {
        groups.push(found.map_err(|error| CloudError::new(OPERATION, &error))?);
    }
    Ok(groups)
}

/// One that no load balancer uses serves nobody. A group that takes addresses may have one of a peered VPC, where the same
/// address can be another's: such targets are not looked for.
fn may_have(group: &TargetGroup, interfaces: &[Interface]) -> bool {
    let takes = matches!(group.target_type(), Some(TargetTypeEnum::Instance | TargetTypeEnum::Ip));
    let is_near = interfaces.iter().any(|interface| group.vpc_id() == Some(interface.vpc.as_str()));
    takes && is_near && !group.load_balancer_arns().is_empty()
}

/// The instance's places in a target group, one for each load balancer and port.
async fn served_through(
    cloud: &Cloud,
    group: &TargetGroup,
    id: &InstanceId,
    interfaces: &[Interface],
) -> Result<Vec<Served>, CloudError> {
    const OPERATION: &str = "elasticloadbalancing:DescribeTargetHealth";
    let asking = cloud.elbv2.describe_target_health().set_target_group_arn(group.target_group_arn().map(str::to_owned));
    let answer = asking.send().await.map_err(|error| CloudError::new(OPERATION, &error))?;
    let is_own = |found: &&TargetHealthDescription| {
        let target = found.target().and_then(|target| target.id()).unwrap_or_default();
        let has = |interface: &Interface| interface.addresses.iter().any(|address| target.parse() == Ok(*address));
        target == id.as_str() || interfaces.iter().any(has)
    };
    let own = answer.target_health_descriptions().iter().filter(is_own);
    let ports = own.map(|found| found.target().and_then(TargetDescription::port).or(group.port()));
    let served = ports.flat_map(|port| {
        group.load_balancer_arns().iter().map(move |arn| Served {
            balancer: name_in(arn).to_owned(),
            group: group.target_group_name().map(str::to_owned),
            port,
        })
    });
    Ok(served.collect())
}

/// `arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/NAME/50dc6c495c0c9188`
fn name_in(arn: &str) -> &str {
    arn.split('/').nth(2).unwrap_or(arn)
}

/// Classic Load Balancers name their instances themselves.
async fn classic(cloud: &Cloud, id: &InstanceId) -> Result<Vec<Served>, CloudError> {
    const OPERATION: &str = "elasticloadbalancing:DescribeLoadBalancers";
    let mut pages = cloud.elb.describe_load_balancers().into_paginator().items().send();
    let mut served = Vec::new();
    while let Some(found) = pages.next().await {
        let found = found.map_err(|error| CloudError::new(OPERATION, &error))?;
        let has = found.instances().iter().any(|instance| instance.instance_id() == Some(id.as_str()));
        let name = found.load_balancer_name().filter(|_| has);
        served.extend(name.map(|name| Served { balancer: name.to_owned(), group: None, port: None }));
    }
    Ok(served)
}
