//! The load balancers that send requests to an instance.
//!
//! AWS has no way to ask this of an instance: each target group must be asked for its targets. Elastic Load Balancing lets
//! an account ask 40 times in a burst in a region ("Request throttling for the Elastic Load Balancing API"), and the team's
//! own tools need some of that: so there is a budget, and what was not asked is said.

use super::instance::interfaces_of;
use crate::aws::Cloud;
use crate::cloud_error::{CloudError, Kind};
use crate::id::InstanceId;
use crate::observed::{Balancers, Interface};
use aws_sdk_elasticloadbalancing::types::Listener;
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetGroup, TargetHealthDescription, TargetHealthStateEnum, TargetTypeEnum,
};
use futures_util::future::{join_all, join3};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub const PERMISSIONS: &[&str] = &[
    "ec2:DescribeNetworkInterfaces",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
];

/// How many target groups may be asked at once: planning and containing may follow each other closely.
#[derive(Debug)]
pub struct Budget(AtomicUsize);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicUsize::new(12))
    }
}

impl Budget {
    /// Takes one; false where none is left.
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Two round trips: all groups there are, and then the targets of those that the instance can be in. What fails or hangs is
/// said, and the rest is there all the same.
pub async fn observe(cloud: &Cloud, id: &InstanceId, budget: &Budget, until: Instant) -> Balancers {
    let interfaces = in_time(until, interfaces_of(cloud, id));
    let groups = in_time(until, target_groups(cloud));
    let (interfaces, groups, classic) = join3(interfaces, groups, in_time(until, classic(cloud, id))).await;
    let mut found = Balancers::default();
    match classic {
        Ok(sending) => sending.into_iter().for_each(|(name, ports)| found.send(&name, ports)),
        Err(error) => found.unread.push(error.to_string()),
    }
    let (interfaces, groups) = match (interfaces, groups) {
        (Ok(interfaces), Ok(groups)) => (interfaces, groups),
        (Err(error), _) | (_, Err(error)) => {
            found.unread.push(error.to_string());
            return found;
        }
    };
    let may_have = groups.iter().filter(|group| may_have(group, &interfaces));
    let (asked, unasked): (Vec<&TargetGroup>, Vec<_>) = may_have.partition(|_| budget.take());
    let asking = asked.iter().map(|group| in_time(until, ports_of(cloud, group, id, &interfaces)));
    let ports = join_all(asking).await;
    for (group, ports) in asked.into_iter().zip(ports) {
        match ports {
            Ok(ports) if ports.is_empty() => {}
            Ok(ports) => names(group).for_each(|name| found.send(name, ports.clone())),
            // Deleted in between: it sends nothing to anybody.
            Err(error) if error.kind == Kind::Gone => {}
            Err(error) => found.unread.push(error.to_string()),
        }
    }
    found.unasked = unasked.into_iter().flat_map(names).map(str::to_owned).collect();
    // A throttle refuses many calls with one reason.
    found.unread.sort_unstable();
    found.unread.dedup();
    found
}

async fn in_time<T>(until: Instant, asking: impl Future<Output = Result<T, CloudError>>) -> Result<T, CloudError> {
    let answer = tokio::time::timeout_at(until.into(), asking).await;
    answer.unwrap_or_else(|_| Err(CloudError::out_of_time("asking load balancers for their targets")))
}

impl Balancers {
    fn send(&mut self, balancer: &str, ports: impl IntoIterator<Item = i32>) {
        self.sending.entry(balancer.to_owned()).or_default().extend(ports);
    }
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

/// The names of a group's load balancers, as in
/// `arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/NAME/50dc6c495c0c9188`.
fn names(group: &TargetGroup) -> impl Iterator<Item = &str> {
    group.load_balancer_arns().iter().map(|arn| arn.split('/').nth(2).unwrap_or(arn))
}

/// The ports on which the instance is a target of the group, and gets requests: not while it is being taken out, or where
/// the load balancer does not use it.
async fn ports_of(
    cloud: &Cloud,
    group: &TargetGroup,
    id: &InstanceId,
    interfaces: &[Interface],
) -> Result<Vec<i32>, CloudError> {
    const OPERATION: &str = "elasticloadbalancing:DescribeTargetHealth";
    let asking = cloud.elbv2.describe_target_health().set_target_group_arn(group.target_group_arn().map(str::to_owned));
    let answer = asking.send().await.map_err(|error| CloudError::new(OPERATION, &error))?;
    let is_this = |found: &&TargetHealthDescription| {
        let target = found.target().and_then(TargetDescription::id).unwrap_or_default();
        let has = |interface: &Interface| interface.addresses.iter().any(|address| target.parse() == Ok(*address));
        target == id.as_str() || interfaces.iter().any(has)
    };
    let gets_requests = |found: &&TargetHealthDescription| {
        let state = found.target_health().and_then(|health| health.state());
        !matches!(state, Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::Unused))
    };
    let targets = answer.target_health_descriptions().iter().filter(is_this).filter(gets_requests);
    Ok(targets.filter_map(|found| found.target().and_then(TargetDescription::port).or(group.port())).collect())
}

/// Classic Load Balancers name their instances themselves.
async fn classic(cloud: &Cloud, id: &InstanceId) -> Result<Vec<(String, Vec<i32>)>, CloudError> {
    const OPERATION: &str = "elasticloadbalancing:DescribeLoadBalancers";
    let mut pages = cloud.elb.describe_load_balancers().into_paginator().items().send();
    let mut sending = Vec::new();
    while let Some(found) = pages.next().await {
        let found = found.map_err(|error| CloudError::new(OPERATION, &error))?;
        let has = found.instances().iter().any(|instance| instance.instance_id() == Some(id.as_str()));
        let listeners = found.listener_descriptions().iter().filter_map(|listener| listener.listener());
        let ports = listeners.map(Listener::instance_port).collect();
        let name = found.load_balancer_name().filter(|_| has);
        sending.extend(name.map(|name| (name.to_owned(), ports)));
    }
    Ok(sending)
}
