//! The one kind of action: a setting of a resource goes from one value to another.

use crate::document::Document;
use crate::id::{GroupId, RuleId, VpcId};
use crate::setting::Setting;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One setting, from what to what. Undo is the same change with its ends swapped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub setting: Setting,
    pub from: Value,
    pub to: Value,
}

impl Change {
    /// Whether the setting already has the value it should get.
    #[must_use]
    pub fn is_already_so(&self) -> bool {
        self.from == self.to
    }

    /// The same change with its ends swapped.
    #[must_use]
    pub fn undo(&self) -> Self {
        Self { setting: self.setting.clone(), from: self.to.clone(), to: self.from.clone() }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_already_so() {
            write!(f, "{}: {} already", self.setting, self.to)
        } else if let (Value::Document(_), Value::Document(_)) = (&self.from, &self.to) {
            write!(f, "{}: one document -> another", self.setting)
        } else {
            write!(f, "{}: {} -> {}", self.setting, self.from, self.to)
        }
    }
}

/// What a setting can be set to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// There is no such thing: no policy, no group.
    Absent,
    /// The status of an access key.
    Status(KeyStatus),
    /// A policy document.
    Document(Document),
    /// The security groups of an interface.
    Groups(BTreeSet<GroupRef>),
    /// Rules of a security group.
    Rules(BTreeSet<Rule>),
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    Active,
    Inactive,
}

/// A security group, or the one that an earlier stage of the plan makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupRef {
    Id(GroupId),
    /// The quarantine group of this VPC, which does not exist yet when the plan is made.
    QuarantineOf(VpcId),
}

/// A security group rule.
///
/// AWS gives a rule a new id each time it is made, so two rules are the same rule when protocol, ports, direction and
/// source are; the id and the description do not count.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<RuleId>,
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a protocol number, or `-1` for all.
    pub protocol: String,
    /// First and last port (for ICMP type and code); none where the protocol has none.
    pub ports: Option<(i32, i32)>,
    pub peer: Peer,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The rule's own tags, which undo gives back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

/// Who a rule lets in or out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    Network(IpNet),
    PrefixList(String),
    /// Another group, by id; `account` and `vpc` as AWS gives them for a peered VPC.
    Group {
        id: String,
        account: Option<String>,
    },
    /// A kind of peer that this release does not know.
    Unknown,
}

impl Rule {
    /// Whether the other rule lets pass all that this one does. Peers are compared as they are written.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let ports = match (self.ports, other.ports) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some((from, to)), Some((first, last))) => first <= from && to <= last,
        };
        let protocol = other.protocol == "-1" || other.protocol == self.protocol;
        ports && protocol && self.direction == other.direction && self.peer == other.peer
    }

    /// Whether the rule lets TCP to this port in.
    #[must_use]
    pub fn lets_in_tcp(&self, port: i32) -> bool {
        self.direction == Direction::In
            && match (self.protocol.as_str(), self.ports) {
                ("-1", _) => true,
                ("tcp" | "6", Some((first, last))) => (first..=last).contains(&port),
                _ => false,
            }
    }

    fn identity(&self) -> (Direction, &str, Option<(i32, i32)>, &Peer) {
        (self.direction, &self.protocol, self.ports, &self.peer)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Rule {}

impl PartialOrd for Rule {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rule {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Value {
    /// The only value of `Groups`: this group alone.
    #[must_use]
    pub fn only(group: GroupRef) -> Self {
        Self::Groups(BTreeSet::from([group]))
    }

    /// The VPC whose quarantine group the value still waits for.
    #[must_use]
    pub fn waits_for(&self) -> Option<&VpcId> {
        let Self::Groups(groups) = self else { return None };
        groups.iter().find_map(|group| match group {
            GroupRef::QuarantineOf(vpc) => Some(vpc),
            GroupRef::Id(_) => None,
        })
    }

    /// Puts the id of a group made by an earlier stage where the plan could not know it yet.
    #[must_use]
    pub fn resolved(&self, vpc: &VpcId, made: &GroupId) -> Self {
        let Self::Groups(groups) = self else { return self.clone() };
        let resolve = |group: &GroupRef| match group {
            GroupRef::QuarantineOf(wanted) if wanted == vpc => GroupRef::Id(made.clone()),
            GroupRef::Id(_) | GroupRef::QuarantineOf(_) => group.clone(),
        };
        Self::Groups(groups.iter().map(resolve).collect())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Status(status) => write!(f, "{status:?}"),
            Self::Document(_) => f.write_str("in force"),
            Self::Groups(groups) if groups.is_empty() => f.write_str("no group"),
            Self::Groups(groups) => write!(f, "{}", listed(groups)),
            Self::Rules(rules) if rules.is_empty() => f.write_str("no rule"),
            Self::Rules(rules) => write!(f, "{}", listed(rules)),
        }
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::QuarantineOf(vpc) => write!(f, "the quarantine group of {vpc}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, direction, protocol, ports, peer, description: _, tags: _ } = self;
        match (protocol.as_str(), ports) {
            ("-1", _) => f.write_str("all traffic")?,
            (protocol, Some((first, last))) if first == last => write!(f, "{protocol} {first}")?,
            (protocol, Some((first, last))) => write!(f, "{protocol} {first}-{last}")?,
            (protocol, None) => write!(f, "{protocol}")?,
        }
        write!(f, " {} {peer}", if *direction == Direction::In { "from" } else { "to" })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::PrefixList(id) | Self::Group { id, .. } => f.write_str(id),
            Self::Unknown => f.write_str("a peer of an unknown kind"),
        }
    }
}

/// The first of them in words, and how many more there are: a group may have a thousand rules.
fn listed<T: fmt::Display>(items: &BTreeSet<T>) -> String {
    const NAMED: usize = 12;
    let named = items.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if items.len() > NAMED { format!("{named} and {} more", items.len() - NAMED) } else { named }
}
