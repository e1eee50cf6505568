//! What records are found by. A key that was written once must be made the same way for ever.

use crate::change::Change;
use crate::finding::Finding;
use crate::id::{AccountId, FindingId, InvalidId, Place, Region};
use crate::setting::{Principal, Setting};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which finding: `account/region/id`. The administrator's account and the member's send the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId {
    pub account: AccountId,
    pub region: Region,
    pub finding: FindingId,
}

impl IncidentId {
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let Place { partition: _, account, region } = finding.at.clone();
        Self { account, region, finding: finding.id.clone() }
    }
}

/// One after the other.
#[must_use]
pub fn listed(ids: &[IncidentId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl FromStr for IncidentId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut parts = text.splitn(3, '/');
        let mut next = || {
            parts
                .next()
                .ok_or(InvalidId { kind: "incident id: write ACCOUNT/REGION/FINDING, as \"quell incidents\" lists it" })
        };
        let (account, region, finding) = (next()?, next()?, next()?);
        Ok(Self { account: account.try_into()?, region: region.try_into()?, finding: finding.try_into()? })
    }
}

impl TryFrom<String> for IncidentId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, region, finding } = self;
        write!(f, "{account}/{region}/{finding}")
    }
}

/// Which setting of which account: two findings that name one key meet here. IAM is the same in all regions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HoldKey(String);

impl HoldKey {
    /// The key of `setting`, which lives at `at`. No name in it can hold a slash.
    #[must_use]
    pub fn of(at: &Place, setting: &Setting) -> Self {
        let Place { partition: _, account, region } = at;
        Self(match setting {
            Setting::AccessKeyStatus(it) => format!("{account}/global/access-key-status/{}/{}", it.user, it.key),
            Setting::InlinePolicy(it) => match &it.principal {
                Principal::User(user) => format!("{account}/global/inline-policy/user/{user}/{}", it.name),
                Principal::Role(role) => format!("{account}/global/inline-policy/role/{role}/{}", it.name),
            },
            Setting::InterfaceGroups(it) => format!("{account}/{region}/interface-groups/{}", it.interface),
            Setting::IngressRules(it) => format!("{account}/{region}/ingress-rules/{}", it.group),
            Setting::QuarantineGroup(it) => format!("{account}/{region}/quarantine-group/{}", it.vpc),
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HoldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub at: Place,
    pub change: Change,
}

impl Placed {
    #[must_use]
    pub fn key(&self) -> HoldKey {
        HoldKey::of(&self.at, &self.change.setting)
    }
}

/// What is counted in an hour of the clock: an account's containments, all of them or those of one remediation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    pub account: AccountId,
    pub remediation: Option<String>,
    /// The hour in UTC, `2026-11-05T14`.
    pub hour: String,
}

impl CounterKey {
    #[must_use]
    pub fn at(account: &AccountId, remediation: Option<&str>, now: Timestamp) -> Self {
        let hour = now.strftime("%Y-%m-%dT%H").to_string();
        Self { account: account.clone(), remediation: remediation.map(str::to_owned), hour }
    }

    /// The same, an hour before `now`: of what it counts, the part of the last sixty minutes counts still.
    #[must_use]
    pub fn before(&self, now: Timestamp) -> Self {
        let then = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
        Self::at(&self.account, self.remediation.as_deref(), then)
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, remediation, hour } = self;
        write!(f, "{account}/{hour}/{}", remediation.as_deref().unwrap_or("all"))
    }
}
