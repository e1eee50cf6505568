//! What is different between two states of the world, as people would say it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

/// One thing that is new, gone, or not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about: `user ann, inline policy QuellQuarantine`.
    pub thing: String,
    /// Which property of it: `status`. Empty for the thing itself, and for what a thing consists of.
    pub property: String,
    /// What was, and is no more.
    pub before: Vec<String>,
    /// What is, and was not.
    pub after: Vec<String>,
}

/// The kinds of things: the list that AWS returns them in, the word for one, and the fields that name it.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("AccessKeys", "access key", &["AccessKeyId", "UserName"]),
    ("GroupDetailList", "group of users", &["GroupName"]),
    ("GroupPolicyList", "inline policy", &["PolicyName"]),
    ("Policies", "managed policy", &["PolicyName"]),
    ("RoleDetailList", "role", &["RoleName"]),
    ("RolePolicyList", "inline policy", &["PolicyName"]),
    ("UserDetailList", "user", &["UserName"]),
    ("UserPolicyList", "inline policy", &["PolicyName"]),
    ("addressesSet", "address", &["publicIp"]),
    ("instancesSet", "instance", &["instanceId"]),
    ("networkAclSet", "network ACL", &["networkAclId"]),
    ("networkInterfaceSet", "interface", &["networkInterfaceId"]),
    ("securityGroupInfo", "security group", &["groupName", "vpcId"]),
    ("snapshotSet", "snapshot", &["snapshotId"]),
    ("volumeSet", "volume", &["volumeId"]),
];

/// Fields that say most about a thing, in people's words. A thing that is new or gone is told by these alone.
const WORDS: &[(&str, &str)] = &[
    ("PolicyDocument", ""),
    ("Status", "status"),
    ("groupSet", "groups"),
    ("ipPermissions", "lets in"),
    ("ipPermissionsEgress", "lets out"),
];

/// A thing's properties and their values; most have one value, lists have several.
type Properties = BTreeMap<String, BTreeSet<String>>;

/// Compares two answers of `Cloud::world`.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let (before, after) = (things(before), things(after));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    all.into_iter().flat_map(|thing| of_thing(thing, before.get(thing), after.get(thing))).collect()
}

fn of_thing(thing: &str, before: Option<&Properties>, after: Option<&Properties>) -> Vec<Difference> {
    let none = Properties::new();
    let (was, is) = (before.unwrap_or(&none), after.unwrap_or(&none));
    if before.is_none() || after.is_none() {
        return vec![Difference {
            thing: thing.to_owned(),
            property: String::new(),
            before: if before.is_some() { told(was) } else { Vec::new() },
            after: if after.is_some() { told(is) } else { Vec::new() },
        }];
    }
    let properties: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let none = BTreeSet::new();
    let of_property = |property: &String| {
        let (was, is) = (was.get(property).unwrap_or(&none), is.get(property).unwrap_or(&none));
        let difference = Difference {
            thing: thing.to_owned(),
            property: property.clone(),
            before: was.difference(is).cloned().collect(),
            after: is.difference(was).cloned().collect(),
        };
        (was != is).then_some(difference)
    };
    properties.into_iter().filter_map(of_property).collect()
}

/// A whole thing in one line.
fn told(properties: &Properties) -> Vec<String> {
    let telling = WORDS.iter().filter_map(|(_, word)| properties.get_key_value(*word));
    let said = telling.map(|(word, values)| join(word, &listed(values), " "));
    let said: Vec<String> = said.collect();
    vec![if said.is_empty() { "there".to_owned() } else { said.join(", ") }]
}

fn listed(values: &BTreeSet<String>) -> String {
    values.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Everything in the world, by the account and what names it there.
fn things(world: &Value) -> BTreeMap<String, Properties> {
    let mut things = BTreeMap::new();
    for (account, content) in world.as_object().into_iter().flatten() {
        let thing = if account == "main" { String::new() } else { format!("{account} account") };
        read(content, &thing, "", &mut things);
    }
    things
}

fn read(value: &Value, thing: &str, property: &str, things: &mut BTreeMap<String, Properties>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| field(name, value, thing, property, things)),
        Value::Array(entries) => entries.iter().for_each(|entry| read(entry, thing, property, things)),
        Value::Null => {}
        Value::String(text) => note(thing, property, text.clone(), things),
        Value::Bool(_) | Value::Number(_) => note(thing, property, value.to_string(), things),
    }
}

fn field(name: &str, value: &Value, thing: &str, property: &str, things: &mut BTreeMap<String, Properties>) {
    let kind = KINDS.iter().find(|(list, ..)| *list == name);
    let word = WORDS.iter().find(|(field, _)| *field == name).map_or(name, |(_, word)| word);
    let property = join(property, word, ".");
    match (kind, value) {
        // An instance shows its interfaces once more, and their groups as its own.
        (Some((_, "interface", _)), _) if thing.contains("instance ") => {}
        (_, _) if name == "groupSet" && thing.contains("instance ") => {}
        (Some((_, kind, names)), Value::Array(entries)) => {
            for entry in entries {
                let thing = join(thing, &format!("{kind} {}", name_of(entry, names)), ", ");
                things.entry(thing.clone()).or_default();
                read(entry, &thing, "", things);
            }
        }
        _ if name == "PolicyDocument" => {
            note(thing, &property, value.as_str().unwrap_or_default().replace('\n', "\\n"), things);
        }
        _ if name == "groupSet" => note(thing, &property, groups(value), things),
        _ if name.starts_with("ipPermissions") => {
            let rules: Vec<String> = value.as_array().into_iter().flatten().flat_map(rules).collect();
            let none = if rules.is_empty() { vec!["nothing".to_owned()] } else { Vec::new() };
            rules.into_iter().chain(none).for_each(|rule| note(thing, &property, rule, things));
        }
        // AWS's names for its answers and for the lists in them say nothing.
        _ if thing.is_empty() || thing.ends_with(" account") => read(value, thing, "", things),
        _ => read(value, thing, &property, things),
    }
}

fn note(thing: &str, property: &str, value: String, things: &mut BTreeMap<String, Properties>) {
    things.entry(thing.to_owned()).or_default().entry(property.to_owned()).or_default().insert(value);
}

fn join(before: &str, after: &str, between: &str) -> String {
    if before.is_empty() || after.is_empty() { format!("{before}{after}") } else { format!("{before}{between}{after}") }
}

fn name_of(entry: &Value, names: &[&str]) -> String {
    names.iter().filter_map(|name| entry[*name].as_str()).collect::<Vec<_>>().join(" of ")
}

/// The groups of an interface by name, which is unique in a VPC and the same in every run.
fn groups(value: &Value) -> String {
    let names = value.as_array().into_iter().flatten().filter_map(|group| group["groupName"].as_str());
    names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// Each source of a permission is a rule of its own: `tcp 22 from 10.0.0.0/8 (office)`.
fn rules(permission: &Value) -> Vec<String> {
    const SOURCES: [(&str, &str); 4] =
        [("ipRanges", "cidrIp"), ("ipv6Ranges", "cidrIpv6"), ("groups", "groupId"), ("prefixListIds", "prefixListId")];
    let what = match (permission["ipProtocol"].as_str(), ports(permission)) {
        (Some("-1") | None, _) => "everything".to_owned(),
        (Some(protocol), ports) => format!("{protocol} {ports}"),
    };
    let rule = |source: &Map<String, Value>, field: &str| {
        let description = source.get("description").and_then(Value::as_str).map(|text| format!(" ({text})"));
        Some(format!("{what} {}{}", source.get(field)?.as_str()?, description.unwrap_or_default()))
    };
    let of_source = |(list, field): (&str, &str)| {
        let entries = permission[list].as_array().into_iter().flatten().filter_map(Value::as_object);
        entries.filter_map(|source| rule(source, field)).collect::<Vec<_>>()
    };
    SOURCES.into_iter().flat_map(of_source).collect()
}

fn ports(permission: &Value) -> String {
    let port = |name: &str| permission[name].as_str().unwrap_or("all");
    let (from, to) = (port("fromPort"), port("toPort"));
    if from == to { from.to_owned() } else { format!("{from}-{to}") }
}

/// `access key AKIA… of ann, status: Active -> Inactive`; more than one value on a side takes a line for each.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = join(&self.thing, &self.property, ", ");
        if let ([before], [after]) = (self.before.as_slice(), self.after.as_slice()) {
            return write!(f, "{name}: {before} -> {after}");
        }
        let gone = self.before.iter().map(|value| format!("- {name}: {value}"));
        let new = self.after.iter().map(|value| format!("+ {name}: {value}"));
        f.write_str(&gone.chain(new).collect::<Vec<_>>().join("\n"))
    }
}
