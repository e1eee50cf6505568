//! What AWS says about a subject now, as plain data.

use crate::change::{KeyStatus, Rule, Value};
use crate::cloud_error::CloudError;
use crate::holes::Holes;
use crate::id::{AccessKeyId, GroupId, InstanceId, InterfaceId, RoleName, UniqueId, UserName, VpcId};
use crate::ledger::key::IncidentId;
use crate::policy::{Response, Tags};
use crate::setting::{QuarantineFound, Setting};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A view of a subject: what the plan of one remediation is made from.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    UserKey(UserKey),
    Role(Role),
    Instance(Instance),
    Exposure(Exposure),
}

/// Which view a remediation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    UserKey,
    Role,
    Instance,
    Exposure,
}

/// A view, or why there is none.
pub type Observation = Result<Observed, CloudError>;

/// A long-term key, its true owner, and the owner's quarantine policy.
#[derive(Debug, Clone, PartialEq)]
pub struct UserKey {
    /// Whose key it is, as the account says; none if no user of the account has it.
    pub owner: Option<Owner>,
    /// None if it never was, or if IAM does not know; or why that could not be read, which stops nothing.
    pub last_used: Result<Option<LastUsed>, CloudError>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    pub user: UserName,
    pub status: KeyStatus,
    /// The inline policy of the quarantine's name.
    pub quarantine: Value,
    /// The owner's other keys that are active.
    pub other_keys: Vec<AccessKeyId>,
    pub path: String,
    pub tags: Tags,
}

/// The service and region a key was last used with, and when, as IAM says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUsed {
    pub service: String,
    pub region: String,
    pub at: Option<String>,
}

/// A role, and the policy of ours that denies the session in question.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    pub name: RoleName,
    pub id: UniqueId,
    pub path: String,
    pub session_policy: Value,
    pub tags: Tags,
}

/// An instance as it is now, and the quarantine groups there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub id: InstanceId,
    pub state: String,
    pub interfaces: Vec<Interface>,
    /// The groups of the quarantine's name, at most one in each VPC.
    pub quarantine: BTreeMap<VpcId, QuarantineFound>,
    pub tags: Tags,
}

/// A network interface that is attached to the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub id: InterfaceId,
    pub vpc: VpcId,
    pub groups: BTreeSet<GroupId>,
    pub addresses: Vec<IpAddr>,
    /// An AWS service made it and manages it: its groups are not ours to set.
    pub requester_managed: bool,
    pub tags: Tags,
}

/// An instance's interfaces, and the rules of all their groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    pub id: InstanceId,
    pub state: String,
    pub interfaces: Vec<Interface>,
    pub rules: BTreeMap<GroupId, BTreeSet<Rule>>,
    pub group_tags: BTreeMap<GroupId, Tags>,
    /// What other incidents keep closed of these rules, as far as the ledger was asked.
    pub kept_closed: BTreeMap<GroupId, KeptClosed>,
    /// Who else has these groups; or why that could not be read, which stops nothing.
    pub neighbours: Result<Neighbours, CloudError>,
    pub tags: Tags,
}

/// What other incidents keep closed of a group's rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptClosed {
    /// As they were at first.
    pub rules: BTreeSet<Rule>,
    pub by: BTreeMap<IncidentId, Holes>,
}

/// The interfaces of others that have the groups of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    pub interfaces: BTreeSet<Neighbour>,
    /// There are more than one answer holds.
    pub more: bool,
}

/// An interface of another resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    pub id: InterfaceId,
    /// The instance it is attached to; none where it belongs to something else.
    pub instance: Option<InstanceId>,
    /// What AWS calls its kind: `interface`, `network_load_balancer`, `lambda`, …
    pub kind: String,
    pub groups: BTreeSet<GroupId>,
    /// The interface's own.
    pub tags: Tags,
}

/// The instances of a region that have a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnRole {
    pub instances: BTreeSet<InstanceId>,
    /// There may be more than one answer holds.
    pub more: bool,
}

/// The load balancers that send requests to an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balancers {
    /// By name, and the ports that they send to; none where AWS does not say.
    pub sending: BTreeMap<String, BTreeSet<i32>>,
    /// Those that may send to it otherwise as well, and were not asked about that: there are too many target groups.
    pub unasked: BTreeSet<String>,
    /// What could not be asked, and why.
    pub unread: Vec<String>,
}

/// What GuardDuty says about a finding that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// It has this finding, as it came; and when it last changed it.
    Known { updated: Option<Timestamp> },
    /// It has none of this id, or says otherwise about what is acted on.
    MadeUp { why: String },
    /// Its finding is another by now: it was updated after this one was sent.
    Overtaken { why: String },
    /// It could not be asked; whether that may pass.
    Unreachable { why: String, transient: bool },
    /// The policy does not want it asked.
    NotAsked,
}

/// What the kill switch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillSwitch {
    /// There is none, or it says `contain`.
    Open,
    /// It says how far Quell may go.
    AtMost(Response),
    /// It says something that is no response.
    Unclear { value: String },
    /// It is there, or may be, and could not be read; whether that may pass.
    Unreadable { why: String, transient: bool },
}

impl KillSwitch {
    /// Why nothing is written, not even what was decided before the switch was set; none where it only lowers what is to
    /// be decided, or could not be read.
    #[must_use]
    pub fn stops(&self) -> Option<String> {
        match self {
            Self::AtMost(most) if *most < Response::Approve => Some(format!("the kill switch says \"{most}\"")),
            Self::Unclear { value } => {
                Some(format!("the kill switch says \"{value}\", which is no response, so nothing is done"))
            }
            Self::Open | Self::AtMost(_) | Self::Unreadable { .. } => None,
        }
    }
}

/// What is asked once for a finding, beside observing its subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    pub verification: Verification,
    pub kill_switch: KillSwitch,
}

impl Observed {
    /// With what the ledger says of the groups' rules.
    #[must_use]
    pub fn beside(mut self, kept_closed: BTreeMap<GroupId, KeptClosed>) -> Self {
        if let Self::Exposure(exposure) = &mut self {
            exposure.kept_closed = kept_closed;
        }
        self
    }

    /// The tags of a network interface or a security group that is changed for the resource.
    #[must_use]
    pub fn tags_of(&self, setting: &Setting) -> Tags {
        let interfaces = match self {
            Self::Instance(instance) => instance.interfaces.as_slice(),
            Self::Exposure(exposure) => exposure.interfaces.as_slice(),
            Self::UserKey(_) | Self::Role(_) => &[],
        };
        let tags = match (setting, self) {
            (Setting::InterfaceGroups(of), _) => {
                interfaces.iter().find(|interface| interface.id == of.interface).map(|interface| &interface.tags)
            }
            (Setting::IngressRules(of), Self::Exposure(exposure)) => exposure.group_tags.get(&of.group),
            _ => None,
        };
        tags.cloned().unwrap_or_default()
    }

    /// The resource's tags; none where it does not exist or has none.
    #[must_use]
    pub fn tags(&self) -> Tags {
        match self {
            Self::UserKey(key) => key.owner.as_ref().map(|owner| owner.tags.clone()).unwrap_or_default(),
            Self::Role(role) => role.tags.clone(),
            Self::Instance(instance) => instance.tags.clone(),
            Self::Exposure(exposure) => exposure.tags.clone(),
        }
    }
}
