//! Ingress rules of a security group, one set of them for another.

use super::rules::{permission, permission_json, rules_of, shell_word};
use super::{Adjust, Requests, Writing, Written, wrong_value};
use crate::aws::Cloud;
use crate::change::{Change, Rule, Value};
use crate::cloud_error::{CloudError, Kind};
use crate::id::GroupId;
use crate::json::ascii;
use aws_sdk_ec2::types::{IpPermission, ResourceType, Tag, TagSpecification};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub const PERMISSIONS: &[&str] = &[
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:CreateTags",
];

/// What the keys of AWS's own tags begin with.
pub const OF_AWS: &str = "aws:";

/// Some ingress rules of `group`: those that the change speaks of. All others are none of its business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressRules {
    pub group: GroupId,
}

impl fmt::Display for IngressRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ingress rules of security group {}", self.group)
    }
}

impl Adjust for IngressRules {
    fn read<'a>(&'a self, cloud: &'a Cloud, change: &'a Change) -> BoxFuture<'a, Result<Value, CloudError>> {
        Box::pin(async move {
            let (from, to) = ends(change)?;
            let concerned: BTreeSet<&Rule> = from.union(to).collect();
            let now = self.all(cloud).await?;
            Ok(Value::Rules(now.into_iter().filter(|rule| concerned.contains(rule)).collect()))
        })
    }

    /// Opens what must stay open before it closes the rest, so that a split never cuts off who is not meant.
    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change, requests: &'a Requests) -> Writing<'a> {
        Box::pin(async move {
            let (from, to) = ends(change)?;
            self.authorize(cloud, to.difference(from).cloned().collect(), requests).await?;
            self.revoke(cloud, from.difference(to).cloned().collect(), requests).await?;
            Ok(Written::Done)
        })
    }

    fn commands(&self, change: &Change) -> Vec<String> {
        let Ok((from, to)) = ends(change) else { return Vec::new() };
        let call = |verb: &str| format!("aws ec2 {verb}-security-group-ingress --group-id {}", self.group);
        let opened = to.difference(from).map(|rule| {
            let own: Vec<_> = own_tags(&rule.tags).map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            let tags = json!([{ "ResourceType": "security-group-rule", "Tags": own }]);
            let tags =
                if own.is_empty() { String::new() } else { format!(" --tag-specifications {}", shell_json(&tags)) };
            format!("{}{tags}", with_permission(&call("authorize"), rule))
        });
        let closed = from.difference(to).map(|rule| match &rule.id {
            Some(id) => format!("{} --security-group-rule-ids {id}", call("revoke")),
            None => with_permission(&call("revoke"), &Rule { description: None, ..rule.clone() }),
        });
        opened.chain(closed).collect()
    }
}

impl IngressRules {
    async fn all(&self, cloud: &Cloud) -> Result<BTreeSet<Rule>, CloudError> {
        let groups = BTreeSet::from([self.group.clone()]);
        let rules = rules_of(cloud, &groups).await?.remove(&self.group).unwrap_or_default();
        if rules.is_empty() {
            // A group that was deleted has no rules either, and AWS says so only of the group.
            let call = cloud.ec2.describe_security_groups().group_ids(self.group.as_str());
            call.send().await.map_err(|error| CloudError::new("ec2:DescribeSecurityGroups", &error))?;
        }
        Ok(rules)
    }

    /// AWS refuses all rules of a call when one of them is there already; then only the missing ones are asked for.
    async fn authorize(&self, cloud: &Cloud, rules: BTreeSet<Rule>, requests: &Requests) -> Result<(), CloudError> {
        match self.try_authorize(cloud, &rules, requests).await {
            Err(error) if error.kind == Kind::Exists => {
                let now = self.all(cloud).await?;
                self.try_authorize(cloud, &rules.difference(&now).cloned().collect(), requests).await
            }
            done => done,
        }
    }

    async fn try_authorize(
        &self,
        cloud: &Cloud,
        rules: &BTreeSet<Rule>,
        requests: &Requests,
    ) -> Result<(), CloudError> {
        for (tags, permissions) in by_tags(rules) {
            let call = cloud.ec2.authorize_security_group_ingress().group_id(self.group.as_str());
            let call = call.set_ip_permissions(Some(permissions)).set_tag_specifications(tagged(&tags));
            requests.send("ec2:AuthorizeSecurityGroupIngress", call.send()).await?;
        }
        Ok(())
    }

    /// Revokes by rule id where all ids are known, or else by what the rules are: what was made a moment ago may not be read
    /// yet. That way AWS reports no error in a default VPC when nothing matched; and in any call one unknown rule keeps all
    /// others from being revoked, so then only those that are still there are asked for.
    async fn revoke(&self, cloud: &Cloud, rules: BTreeSet<Rule>, requests: &Requests) -> Result<(), CloudError> {
        let ids: Option<Vec<String>> = rules.iter().map(|rule| rule.id.as_ref().map(ToString::to_string)).collect();
        let tried = match ids {
            Some(ids) => self.try_revoke(cloud, ids, requests).await,
            None => self.try_revoke_alike(cloud, &rules, requests).await,
        };
        match tried {
            Err(error) if error.kind == Kind::Gone => {
                let now = self.all(cloud).await?;
                // The ids as they are now: a rule that was made anew has another.
                let still = now.iter().filter(|rule| rules.contains(rule)).filter_map(|rule| rule.id.as_ref());
                self.try_revoke(cloud, still.map(ToString::to_string).collect(), requests).await
            }
            done => done,
        }
    }

    /// A description is not compared.
    async fn try_revoke_alike(
        &self,
        cloud: &Cloud,
        rules: &BTreeSet<Rule>,
        requests: &Requests,
    ) -> Result<(), CloudError> {
        let permissions = rules.iter().filter_map(|rule| permission(&Rule { description: None, ..rule.clone() }));
        let call = cloud.ec2.revoke_security_group_ingress().group_id(self.group.as_str());
        let call = call.set_ip_permissions(Some(permissions.collect()));
        requests.send("ec2:RevokeSecurityGroupIngress", call.send()).await.map(drop)
    }

    async fn try_revoke(&self, cloud: &Cloud, ids: Vec<String>, requests: &Requests) -> Result<(), CloudError> {
        if ids.is_empty() {
            return Ok(());
        }
        let call = cloud.ec2.revoke_security_group_ingress().group_id(self.group.as_str());
        let call = call.set_security_group_rule_ids(Some(ids));
        requests.send("ec2:RevokeSecurityGroupIngress", call.send()).await.map(drop)
    }
}

fn ends(change: &Change) -> Result<(&BTreeSet<Rule>, &BTreeSet<Rule>), CloudError> {
    match (&change.from, &change.to) {
        (Value::Rules(from), Value::Rules(to)) => Ok((from, to)),
        (Value::Rules(_), wrong) | (wrong, _) => Err(wrong_value("ec2:RevokeSecurityGroupIngress", wrong)),
    }
}

/// One call tags all its rules alike, so rules go in calls by their tags.
fn by_tags(rules: &BTreeSet<Rule>) -> BTreeMap<Vec<(String, String)>, Vec<IpPermission>> {
    let mut calls: BTreeMap<Vec<(String, String)>, Vec<IpPermission>> = BTreeMap::new();
    for rule in rules {
        calls.entry(rule.tags.clone()).or_default().extend(permission(rule));
    }
    calls
}

/// Keys that begin with `aws:` are AWS's own; setting one fails the call.
fn own_tags(tags: &[(String, String)]) -> impl Iterator<Item = &(String, String)> {
    tags.iter().filter(|(key, _)| !key.starts_with(OF_AWS))
}

fn tagged(tags: &[(String, String)]) -> Option<Vec<TagSpecification>> {
    let own: Vec<Tag> = own_tags(tags).map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let specification = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule);
    (!own.is_empty()).then(|| vec![specification.set_tags(Some(own)).build()])
}

fn with_permission(call: &str, rule: &Rule) -> String {
    let permissions = serde_json::Value::Array(vec![permission_json(rule)]);
    format!("{call} --ip-permissions {}", shell_json(&permissions))
}

fn shell_json(json: &serde_json::Value) -> String {
    shell_word(&ascii(&json.to_string()))
}
