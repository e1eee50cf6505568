//! The settings that containment changes: one file each, with its calls, permissions and quirks.

mod access_key_status;
mod ingress_rules;
mod inline_policy;
mod interface_groups;
mod quarantine_group;
mod requests;
pub mod rules;

pub use access_key_status::{AccessKeyStatus, owner_of, status_of};
pub use ingress_rules::{IngressRules, OF_AWS};
pub use inline_policy::{InlinePolicy, Principal, policy_of};
pub use interface_groups::{InterfaceGroups, groups_of};
pub use quarantine_group::{Found as QuarantineFound, QUARANTINE, QuarantineGroup, quarantine_groups};
pub use requests::Requests;

use crate::aws::Cloud;
use crate::change::{Change, Value};
use crate::cloud_error::CloudError;
use crate::id::{GroupId, Place, VpcId};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One setting of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "setting", rename_all = "kebab-case")]
pub enum Setting {
    AccessKeyStatus(AccessKeyStatus),
    InlinePolicy(InlinePolicy),
    InterfaceGroups(InterfaceGroups),
    IngressRules(IngressRules),
    QuarantineGroup(QuarantineGroup),
}

/// What every setting can do.
pub trait Adjust: fmt::Display {
    /// Reads the value as it is now, as far as `change` speaks of it.
    fn read<'a>(&'a self, cloud: &'a Cloud, change: &'a Change) -> BoxFuture<'a, Result<Value, CloudError>>;

    /// Writes `change.to`, starting from `change.from`. Writing twice ends as writing once.
    fn write<'a>(&'a self, cloud: &'a Cloud, change: &'a Change, requests: &'a Requests) -> Writing<'a>;

    /// The AWS CLI commands equal to the change, for people who do it by hand.
    fn commands(&self, change: &Change) -> Vec<String>;
}

/// What comes before commands that people paste: they must not hit another account or region than the one they are for. The
/// second line must print the account.
#[must_use]
pub fn be_there(at: &Place) -> [String; 2] {
    let Place { partition: _, account: _, region } = at;
    [
        format!("export AWS_REGION={region} AWS_DEFAULT_REGION={region}"),
        "aws sts get-caller-identity --query Account --output text".to_owned(),
    ]
}

/// A write under way.
pub type Writing<'a> = BoxFuture<'a, Result<Written, CloudError>>;

/// What a write brought about that the plan could not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    Done,
    /// A quarantine group that later stages put interfaces into.
    Made(VpcId, GroupId),
}

impl Setting {
    /// The setting behind the enum: the only place that lists them all.
    #[must_use]
    pub fn adjust(&self) -> &dyn Adjust {
        match self {
            Self::AccessKeyStatus(setting) => setting,
            Self::InlinePolicy(setting) => setting,
            Self::InterfaceGroups(setting) => setting,
            Self::IngressRules(setting) => setting,
            Self::QuarantineGroup(setting) => setting,
        }
    }

    /// The group whose rules these are, which others may have too.
    #[must_use]
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Self::IngressRules(rules) => Some(&rules.group),
            Self::AccessKeyStatus(_) | Self::InlinePolicy(_) | Self::InterfaceGroups(_) | Self::QuarantineGroup(_) => {
                None
            }
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.adjust().fmt(f)
    }
}

impl Change {
    /// The AWS CLI commands that make this change by hand; none if it is already so.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        if self.is_already_so() { Vec::new() } else { self.setting.adjust().commands(self) }
    }
}

/// A value that this setting never has: a plan that was put together wrongly, or a record that was tampered with.
fn wrong_value(operation: &'static str, value: &Value) -> CloudError {
    CloudError::unreadable(operation, &format!("the setting cannot be {value}"))
}

/// Every permission the settings need.
pub const PERMISSIONS: &[&[&str]] = &[
    access_key_status::PERMISSIONS,
    inline_policy::PERMISSIONS,
    interface_groups::PERMISSIONS,
    ingress_rules::PERMISSIONS,
    quarantine_group::PERMISSIONS,
];
