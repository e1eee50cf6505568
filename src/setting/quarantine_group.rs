//! The security group that lets nothing in and nothing out, one in each VPC that needed it.

use super::rules::{permission, permission_json, rules_in, shell_word};
use super::{Adjust, Requests, Writing, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, Direction, Peer, Rule, Value};
use crate::cloud_error::{CloudError, Kind};
use crate::id::{GroupId, VpcId};
use crate::json::ascii;
use aws_sdk_ec2::types::{Filter, IpPermission, ResourceType, SecurityGroup, Tag, TagSpecification};
use futures_util::future::{BoxFuture, try_join};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

pub const PERMISSIONS: &[&str] = &[
    "ec2:DescribeSecurityGroups",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:DeleteSecurityGroup",
];

/// The group's name, in every VPC.
pub const QUARANTINE: &str = "quell-quarantine";

/// The tag that tells our groups from others of the same name.
const MANAGED: (&str, &str) = ("quell:managed", "quarantine");

/// How long to wait, each time, until EC2 knows a group that it has just made.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// The quarantine group of a VPC: absent, or there with these rules. It contains only while it has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineGroup {
    pub vpc: VpcId,
}

/// A group of our name, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub id: GroupId,
    pub vpc: VpcId,
    /// Whether it carries our tag.
    pub ours: bool,
    pub rules: BTreeSet<Rule>,
}

impl fmt::Display for QuarantineGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quarantine group of {}", self.vpc)
    }
}

impl Adjust for QuarantineGroup {
    fn read<'a>(&'a self, cloud: &'a Cloud, _: &'a Change) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(async move { Ok(self.find(cloud).await?.map_or(Value::Absent, |group| Value::Rules(group.rules))) })
    }

    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change, requests: &'a Requests) -> Writing<'a> {
        Box::pin(async move {
            match (&change.from, &change.to) {
                (Value::Absent, Value::Rules(wanted)) => self.make(cloud, wanted, requests).await,
                (_, Value::Rules(wanted)) => self.adjust_rules(cloud, wanted, requests).await,
                (_, Value::Absent) => self.delete(cloud, requests).await,
                (_, wrong) => Err(wrong_value("ec2:CreateSecurityGroup", wrong)),
            }
        })
    }

    /// Each VPC's group has a variable of its own: the commands for several VPCs are pasted together.
    fn commands(&self, change: &Change) -> Vec<String> {
        let (vpc, group) = (&self.vpc, variable(&self.vpc));
        let lookup = format!(
            "{group}=$(aws ec2 describe-security-groups --filters Name=vpc-id,Values={vpc} \
             Name=group-name,Values={QUARANTINE} Name=tag:{},Values={} --query 'SecurityGroups[0].GroupId' --output text)",
            MANAGED.0, MANAGED.1
        );
        let close = |ranges: &str, after: &str| {
            format!(
                "aws ec2 revoke-security-group-egress --group-id \"${group}\" \
                 --ip-permissions 'IpProtocol=-1,{ranges}'{after}"
            )
        };
        match (&change.from, &change.to) {
            (Value::Absent, Value::Rules(_)) => vec![
                format!(
                    "{group}=$(aws ec2 create-security-group --vpc-id {vpc} --group-name {QUARANTINE} \
                     --description 'Lets nothing in and nothing out' --query GroupId --output text \
                     --tag-specifications 'ResourceType=security-group,Tags=[{{Key={},Value={}}}]')",
                    MANAGED.0, MANAGED.1
                ),
                close("IpRanges=[{CidrIp=0.0.0.0/0}]", ""),
                // Only a VPC with IPv6 gives its groups this rule.
                close("Ipv6Ranges=[{CidrIpv6=::/0}]", " || true"),
            ],
            (_, Value::Absent) => vec![lookup, format!("aws ec2 delete-security-group --group-id \"${group}\"")],
            (Value::Rules(from), Value::Rules(to)) => {
                let line = |verb: &str, rule: &Rule| {
                    let side = if rule.direction == Direction::In { "ingress" } else { "egress" };
                    let permissions = shell_word(&ascii(&json!([permission_json(rule)]).to_string()));
                    format!(
                        "aws ec2 {verb}-security-group-{side} --group-id \"${group}\" --ip-permissions {permissions}"
                    )
                };
                let closed = from.difference(to).map(|rule| line("revoke", rule));
                let opened = to.difference(from).map(|rule| line("authorize", rule));
                [lookup].into_iter().chain(closed).chain(opened).collect()
            }
            _ => vec![lookup],
        }
    }
}

/// The shell variable that holds the id of a VPC's quarantine group.
#[must_use]
pub fn variable(vpc: &VpcId) -> String {
    format!("QUARANTINE_{}", vpc.as_str().trim_start_matches("vpc-"))
}

impl QuarantineGroup {
    async fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError> {
        let found = quarantine_groups(cloud, Some(&self.vpc)).await?.into_iter().next();
        match found {
            Some(group) if !group.ours => Err(CloudError {
                operation: "ec2:DescribeSecurityGroups",
                kind: Kind::Refused,
                code: "not ours".to_owned(),
                message: format!("{} is named {QUARANTINE} but does not carry our tag", group.id),
            }),
            found => Ok(found),
        }
    }

    /// Makes the group. One that another run made at the same moment is as good, once its rules are.
    async fn make(&self, cloud: &Cloud, wanted: &BTreeSet<Rule>, requests: &Requests) -> Result<Written, CloudError> {
        const OPERATION: &str = "ec2:CreateSecurityGroup";
        let tag = Tag::builder().key(MANAGED.0).value(MANAGED.1).build();
        let call = cloud.ec2.create_security_group().vpc_id(self.vpc.as_str()).group_name(QUARANTINE);
        let call = call.description("Lets nothing in and nothing out. Managed by Quell.").tag_specifications(
            TagSpecification::builder().resource_type(ResourceType::SecurityGroup).tags(tag).build(),
        );
        match requests.send(OPERATION, call.send()).await {
            Ok(made) => {
                let id = made.group_id().and_then(|id| GroupId::try_from(id).ok());
                let id = id.ok_or_else(|| CloudError::unreadable(OPERATION, "no group id"))?;
                let all = |to| revoke_default(cloud, &id, to, requests);
                try_join(all(v4_any()), all(v6_any())).await.map_err(not_yet)?;
                Ok(Written::Made(self.vpc.clone(), id))
            }
            Err(error) if error.kind == Kind::Exists => {
                once_known(|| self.adjust_rules(cloud, wanted, requests)).await.map_err(not_yet)
            }
            Err(error) => Err(error),
        }
    }

    async fn adjust_rules(
        &self,
        cloud: &Cloud,
        wanted: &BTreeSet<Rule>,
        requests: &Requests,
    ) -> Result<Written, CloudError> {
        let group = self.find(cloud).await?.ok_or_else(|| CloudError::gone("ec2:DescribeSecurityGroups", self))?;
        let set = |direction| {
            let of = |rules: &BTreeSet<Rule>, other: &BTreeSet<Rule>| -> Vec<IpPermission> {
                rules.difference(other).filter(|rule| rule.direction == direction).filter_map(permission).collect()
            };
            (of(&group.rules, wanted), of(wanted, &group.rules))
        };
        let ((close_in, open_in), (close_out, open_out)) = (set(Direction::In), set(Direction::Out));
        // Another run may close the same rules at this moment; that nothing is left open is read back.
        let closed = try_join(
            none_is_fine(revoke_ingress(cloud, &group.id, close_in, requests)),
            none_is_fine(revoke_egress(cloud, &group.id, close_out, requests)),
        );
        closed.await?;
        let opened = try_join(
            authorize_ingress(cloud, &group.id, open_in, requests),
            authorize_egress(cloud, &group.id, open_out, requests),
        );
        opened.await?;
        Ok(Written::Made(self.vpc.clone(), group.id))
    }

    /// Deletes the group, unless an interface or another group still uses it.
    async fn delete(&self, cloud: &Cloud, requests: &Requests) -> Result<Written, CloudError> {
        let Some(group) = self.find(cloud).await? else { return Ok(Written::Done) };
        let call = cloud.ec2.delete_security_group().group_id(group.id.as_str());
        requests.send("ec2:DeleteSecurityGroup", call.send()).await?;
        Ok(Written::Done)
    }
}

/// The groups of our name, in one VPC or in all: asked for by name, so that they are read beside the instance and not
/// after it. In a VPC that accounts share, each may have one, and only the account's own can be given to its interfaces.
pub async fn quarantine_groups(cloud: &Cloud, vpc: Option<&VpcId>) -> Result<Vec<Found>, CloudError> {
    const OPERATION: &str = "ec2:DescribeSecurityGroups";
    let owner = filter("owner-id", cloud.at.account.as_str());
    let call = cloud.ec2.describe_security_groups().filters(filter("group-name", QUARANTINE)).filters(owner);
    let call = vpc.iter().fold(call, |call, vpc| call.filters(filter("vpc-id", vpc.as_str())));
    let mut pages = call.into_paginator().items().send();
    let mut groups = Vec::new();
    while let Some(group) = pages.next().await {
        groups.extend(found(&group.map_err(|error| CloudError::new(OPERATION, &error))?));
    }
    Ok(groups)
}

fn found(group: &SecurityGroup) -> Option<Found> {
    Some(Found {
        id: GroupId::try_from(group.group_id()?).ok()?,
        vpc: VpcId::try_from(group.vpc_id()?).ok()?,
        ours: group.tags().iter().any(|tag| (tag.key(), tag.value()) == (Some(MANAGED.0), Some(MANAGED.1))),
        rules: rules_in(group),
    })
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn v4_any() -> IpNet {
    IpNet::V4(Ipv4Net::default())
}

fn v6_any() -> IpNet {
    IpNet::V6(Ipv6Net::default())
}

/// A new group lets all out: over IPv4 always, over IPv6 where the VPC has it. What is not there needs no revoking, and
/// that nothing is left is read back. EC2 may not know a new group for a moment.
async fn revoke_default(cloud: &Cloud, group: &GroupId, to: IpNet, requests: &Requests) -> Result<(), CloudError> {
    let rule = Rule {
        id: None,
        direction: Direction::Out,
        protocol: "-1".to_owned(),
        ports: None,
        peer: Peer::Network(to),
        description: None,
        tags: Vec::new(),
    };
    let rules = || permission(&rule).into_iter().collect();
    once_known(|| none_is_fine(revoke_egress(cloud, group, rules(), requests))).await
}

/// Asks again while EC2 does not know the group.
async fn once_known<T, F>(ask: impl Fn() -> F) -> Result<T, CloudError>
where
    F: Future<Output = Result<T, CloudError>>,
{
    for pause in PAUSES {
        match ask().await {
            Err(error) if error.kind == Kind::Gone => tokio::time::sleep(pause).await,
            done => return done,
        }
    }
    ask().await
}

/// That a rule is not there is fine. That its group is not there is not.
async fn none_is_fine(revoking: impl Future<Output = Result<(), CloudError>>) -> Result<(), CloudError> {
    revoking.await.or_else(|error| if error.code == "InvalidPermission.NotFound" { Ok(()) } else { Err(error) })
}

/// A group that was just made, and EC2 does not show yet, is there all the same.
fn not_yet(error: CloudError) -> CloudError {
    if error.kind == Kind::Gone { CloudError { kind: Kind::Transient, ..error } } else { error }
}

macro_rules! rule_calls {
    ($($name:ident: $call:ident as $operation:literal;)*) => {$(
        async fn $name(
            cloud: &Cloud,
            group: &GroupId,
            rules: Vec<IpPermission>,
            requests: &Requests,
        ) -> Result<(), CloudError> {
            if rules.is_empty() {
                return Ok(());
            }
            let call = cloud.ec2.$call().group_id(group.as_str()).set_ip_permissions(Some(rules));
            requests.send($operation, call.send()).await.map(drop)
        }
    )*};
}

rule_calls! {
    revoke_ingress: revoke_security_group_ingress as "ec2:RevokeSecurityGroupIngress";
    revoke_egress: revoke_security_group_egress as "ec2:RevokeSecurityGroupEgress";
    authorize_ingress: authorize_security_group_ingress as "ec2:AuthorizeSecurityGroupIngress";
    authorize_egress: authorize_security_group_egress as "ec2:AuthorizeSecurityGroupEgress";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Setting;

    #[test]
    fn the_commands_close_what_is_open() {
        let vpc: VpcId = "vpc-0a1b".try_into().unwrap();
        let rule = Rule {
            id: None,
            direction: Direction::In,
            protocol: "tcp".to_owned(),
            ports: Some((22, 22)),
            peer: Peer::Network(v4_any()),
            description: Some("it's mine".to_owned()),
            tags: Vec::new(),
        };
        let setting = Setting::QuarantineGroup(QuarantineGroup { vpc });
        let [from, to] = [BTreeSet::from([rule]), BTreeSet::new()].map(Value::Rules);
        let commands = Change { setting, from, to }.commands();
        let [lookup, close] = commands.as_slice() else { panic!("{commands:?}") };
        assert!(lookup.starts_with("QUARANTINE_0a1b=$(aws ec2 describe-security-groups "), "{lookup}");
        let expect = "aws ec2 revoke-security-group-ingress --group-id \"$QUARANTINE_0a1b\" --ip-permissions '[{";
        assert!(close.starts_with(expect) && close.contains(r"it'\''s mine"), "{close}");
    }
}
