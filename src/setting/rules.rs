//! Security group rules, between AWS's shapes and ours.

use crate::aws::Cloud;
use crate::change::{Direction, Peer, Rule};
use crate::cloud_error::CloudError;
use crate::id::{GroupId, RuleId};
use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroup, SecurityGroupRule, UserIdGroupPair,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// All rules of these groups as they are now, in both directions. A group without rules has an empty entry.
pub async fn rules_of(
    cloud: &Cloud,
    groups: &BTreeSet<GroupId>,
) -> Result<BTreeMap<GroupId, BTreeSet<Rule>>, CloudError> {
    const OPERATION: &str = "ec2:DescribeSecurityGroupRules";
    let mut rules: BTreeMap<_, BTreeSet<Rule>> = groups.iter().map(|group| (group.clone(), BTreeSet::new())).collect();
    if groups.is_empty() {
        return Ok(rules);
    }
    let ids = groups.iter().map(ToString::to_string).collect();
    let filter = Filter::builder().name("group-id").set_values(Some(ids)).build();
    let mut pages = cloud.ec2.describe_security_group_rules().filters(filter).into_paginator().items().send();
    while let Some(found) = pages.next().await {
        let found = found.map_err(|error| CloudError::new(OPERATION, &error))?;
        let group = found.group_id().and_then(|id| GroupId::try_from(id).ok());
        if let Some(of_group) = group.and_then(|group| rules.get_mut(&group)) {
            of_group.insert(described(&found));
        }
    }
    Ok(rules)
}

/// A rule as `DescribeSecurityGroupRules` gives it.
fn described(rule: &SecurityGroupRule) -> Rule {
    let tags = rule.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
    Rule {
        id: rule.security_group_rule_id().and_then(|id| RuleId::try_from(id).ok()),
        direction: if rule.is_egress() == Some(true) { Direction::Out } else { Direction::In },
        protocol: rule.ip_protocol().unwrap_or("-1").to_owned(),
        ports: ports(rule.ip_protocol(), rule.from_port(), rule.to_port()),
        peer: peer(rule),
        description: rule.description().map(str::to_owned),
        tags: tags.collect(),
    }
}

fn peer(rule: &SecurityGroupRule) -> Peer {
    let network = rule.cidr_ipv4().or(rule.cidr_ipv6()).and_then(|cidr| cidr.parse::<IpNet>().ok());
    if let Some(network) = network {
        return Peer::Network(network);
    }
    if let Some(list) = rule.prefix_list_id() {
        return Peer::PrefixList(list.to_owned());
    }
    let group = rule.referenced_group_info();
    group
        .and_then(|group| Some((group.group_id()?, group.user_id())))
        .map_or(Peer::Unknown, |(id, account)| Peer::Group { id: id.to_owned(), account: account.map(str::to_owned) })
}

/// AWS writes -1 for "no ports"; ICMP's type and code stay as they are.
fn ports(protocol: Option<&str>, from: Option<i32>, to: Option<i32>) -> Option<(i32, i32)> {
    let has_ports = matches!(protocol, Some("tcp" | "udp" | "icmp" | "icmpv6" | "6" | "17" | "1" | "58"));
    if has_ports { from.zip(to) } else { None }
}

/// All rules inside a described group, without ids or tags: that answer does not carry them.
#[must_use]
pub fn rules_in(group: &SecurityGroup) -> BTreeSet<Rule> {
    let ingress = group.ip_permissions().iter().flat_map(|permission| opened(permission, Direction::In));
    let egress = group.ip_permissions_egress().iter().flat_map(|permission| opened(permission, Direction::Out));
    ingress.chain(egress).collect()
}

fn opened(permission: &IpPermission, direction: Direction) -> Vec<Rule> {
    let rule = |peer: Peer, description: Option<&str>| Rule {
        id: None,
        direction,
        protocol: permission.ip_protocol().unwrap_or("-1").to_owned(),
        ports: ports(permission.ip_protocol(), permission.from_port(), permission.to_port()),
        peer,
        description: description.map(str::to_owned),
        tags: Vec::new(),
    };
    let network = |cidr: Option<&str>| cidr.and_then(|cidr| cidr.parse().ok()).map_or(Peer::Unknown, Peer::Network);
    let group = |pair: &UserIdGroupPair| Peer::Group {
        id: pair.group_id().unwrap_or_default().to_owned(),
        account: pair.user_id().map(str::to_owned),
    };
    let list = |list: &PrefixListId| Peer::PrefixList(list.prefix_list_id().unwrap_or_default().to_owned());
    let v4 = permission.ip_ranges().iter().map(|range| rule(network(range.cidr_ip()), range.description()));
    let v6 = permission.ipv6_ranges().iter().map(|range| rule(network(range.cidr_ipv6()), range.description()));
    let groups = permission.user_id_group_pairs().iter().map(|pair| rule(group(pair), pair.description()));
    let lists = permission.prefix_list_ids().iter().map(|each| rule(list(each), each.description()));
    v4.chain(v6).chain(groups).chain(lists).collect()
}

/// The rule in the shape that authorizing and revoking take. None for a peer of an unknown kind.
#[must_use]
pub fn permission(rule: &Rule) -> Option<IpPermission> {
    let (from, to) = rule.ports.unzip();
    let permission = IpPermission::builder().ip_protocol(&rule.protocol).set_from_port(from).set_to_port(to);
    let description = rule.description.clone();
    let permission = match &rule.peer {
        Peer::Network(IpNet::V4(network)) => {
            permission.ip_ranges(IpRange::builder().cidr_ip(network.to_string()).set_description(description).build())
        }
        Peer::Network(IpNet::V6(network)) => permission
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(network.to_string()).set_description(description).build()),
        Peer::PrefixList(id) => {
            permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(id).set_description(description).build())
        }
        Peer::Group { id, account } => permission.user_id_group_pairs(
            UserIdGroupPair::builder().group_id(id).set_user_id(account.clone()).set_description(description).build(),
        ),
        Peer::Unknown => return None,
    };
    Some(permission.build())
}

/// The rule in the JSON that the AWS CLI takes for `--ip-permissions`.
#[must_use]
pub fn permission_json(rule: &Rule) -> serde_json::Value {
    let mut peer = match &rule.peer {
        Peer::Network(IpNet::V4(network)) => ("IpRanges", serde_json::json!({ "CidrIp": network })),
        Peer::Network(IpNet::V6(network)) => ("Ipv6Ranges", serde_json::json!({ "CidrIpv6": network })),
        Peer::PrefixList(id) => ("PrefixListIds", serde_json::json!({ "PrefixListId": id })),
        Peer::Group { id, account: Some(account) } => {
            ("UserIdGroupPairs", serde_json::json!({ "GroupId": id, "UserId": account }))
        }
        Peer::Group { id, account: None } => ("UserIdGroupPairs", serde_json::json!({ "GroupId": id })),
        Peer::Unknown => return serde_json::Value::Null,
    };
    if let (Some(description), serde_json::Value::Object(fields)) = (&rule.description, &mut peer.1) {
        fields.insert("Description".to_owned(), description.as_str().into());
    }
    let mut permission = serde_json::Map::from_iter([
        ("IpProtocol".to_owned(), rule.protocol.as_str().into()),
        (peer.0.to_owned(), serde_json::Value::Array(vec![peer.1])),
    ]);
    if let Some((from, to)) = rule.ports {
        permission.insert("FromPort".to_owned(), from.into());
        permission.insert("ToPort".to_owned(), to.into());
    }
    permission.into()
}

/// A word for a shell, quoted where it must be.
#[must_use]
pub fn plain_word(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte));
    if is_plain && !text.is_empty() { text.to_owned() } else { shell_word(text) }
}

/// An option with its value. AWS lets names begin with what a command line takes for an option, or a shell for a command.
#[must_use]
pub fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with(['-', '=']) { '=' } else { ' ' };
    format!("--{name}{between}{value}")
}

/// A word for a shell: quoted whatever it holds.
#[must_use]
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
