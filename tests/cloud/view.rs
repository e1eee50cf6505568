//! What is true in one account, asked past the proxy and past the library under test.

use std::collections::BTreeMap;

use serde_json::Value;

use super::moto::{Moto, Service};
use super::principals::{entries, inline_policies, text};

/// One account, to be read.
pub struct View {
    iam: Service,
    ec2: Service,
}

/// One ingress rule of a security group, in the order in which a list of them is sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IngressRule {
    pub protocol: String,
    /// -1 where the protocol has no ports.
    pub from: i32,
    pub to: i32,
    /// An address range, or the id of a group.
    pub source: String,
    pub description: String,
    /// Its tags, `name=value`, in the order of their names.
    pub tags: Vec<String>,
    pub id: String,
}

impl View {
    pub fn new(moto: &Moto, account: &str) -> View {
        View { iam: moto.service("iam", account), ec2: moto.service("ec2", account) }
    }

    /// `Active` or `Inactive`.
    pub async fn key_status(&self, user: &str, key: &str) -> String {
        let keys = self.iam.call("ListAccessKeys", &[("UserName", user)]).await;
        let found = entries(&keys, "AccessKeyMetadata").iter().find(|listed| listed["AccessKeyId"] == key);
        text(found.unwrap_or_else(|| panic!("{user} has no key {key}")), "Status")
    }

    /// A user's inline policies, decoded, by name.
    pub async fn user_policies(&self, user: &str) -> BTreeMap<String, Value> {
        inline_policies(&self.iam, "User", user).await
    }

    /// A role's inline policies, decoded, by name.
    pub async fn role_policies(&self, role: &str) -> BTreeMap<String, Value> {
        inline_policies(&self.iam, "Role", role).await
    }

    /// The security groups of every interface of an instance, sorted.
    pub async fn interface_groups(&self, instance: &str) -> BTreeMap<String, Vec<String>> {
        let attached = [("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", instance)];
        let interfaces = self.ec2.call("DescribeNetworkInterfaces", &attached).await;
        let interfaces = entries(&interfaces, "networkInterfaceSet").iter();
        interfaces.map(|interface| (text(interface, "networkInterfaceId"), groups(interface))).collect()
    }

    /// The ingress rules of a security group, sorted.
    pub async fn ingress(&self, group: &str) -> Vec<IngressRule> {
        let of_group = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
        let rules = self.ec2.call("DescribeSecurityGroupRules", &of_group).await;
        let rules = entries(&rules, "securityGroupRuleSet").iter();
        let mut ingress: Vec<IngressRule> =
            rules.filter(|rule| rule["isEgress"] == "false").map(ingress_rule).collect();
        ingress.sort();
        ingress
    }

    /// All rules of all security groups, but for what AWS alone chooses, their ids.
    pub async fn rules(&self) -> Vec<Value> {
        let rules = self.ec2.call("DescribeSecurityGroupRules", &[]).await;
        let rules = entries(&rules, "securityGroupRuleSet").iter().map(|rule| {
            let mut rule = rule.clone();
            for own in ["securityGroupRuleId", "securityGroupRuleArn"] {
                rule.as_object_mut().and_then(|rule| rule.remove(own));
            }
            rule
        });
        let mut rules: Vec<Value> = rules.collect();
        rules.sort_by_key(Value::to_string);
        rules
    }
}

fn groups(interface: &Value) -> Vec<String> {
    let mut groups: Vec<String> = entries(interface, "groupSet").iter().map(|group| text(group, "groupId")).collect();
    groups.sort();
    groups
}

fn ingress_rule(rule: &Value) -> IngressRule {
    let field = |name: &str| rule[name].as_str().map(str::to_owned);
    let port = |name: &str| field(name).map_or(-1, |port| port.parse().expect("a port is a number"));
    let group = || rule["referencedGroupInfo"]["groupId"].as_str().map(str::to_owned);
    let tag = |tag: &Value| format!("{}={}", text(tag, "key"), text(tag, "value"));
    let mut tags: Vec<String> = entries(rule, "tagSet").iter().map(tag).collect();
    tags.sort();
    IngressRule {
        protocol: text(rule, "ipProtocol"),
        from: port("fromPort"),
        to: port("toPort"),
        source: field("cidrIpv4").or(field("cidrIpv6")).or_else(group).expect("a rule has a source"),
        description: field("description").unwrap_or_default(),
        tags,
        id: text(rule, "securityGroupRuleId"),
    }
}
