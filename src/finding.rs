//! What GuardDuty says, parsed once at the door.

mod catalogue;
mod credentials;
mod error;
mod kind;
mod network;
mod normal;
mod parse;
mod resources;
mod scalar;
mod sequence;
mod severity;
mod shape;
mod subject;
#[cfg(test)]
mod tests;
mod tolerant;

pub use catalogue::known_types;
pub use error::ParseError;
pub use kind::FindingType;
pub use parse::parse;
pub use severity::{Band, Severity};
pub use subject::{Subject, SubjectKind};

use crate::id::{DetectorId, FindingId, Place};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How far GuardDuty's clock may be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_mins(15);

/// One finding, whatever shape it came in.
///
/// Texts (`title`, `description`, names of places and networks) are attacker-controlled and may hold anything; they are
/// escaped where they land. Everything that is acted on is an id type, checked when it was parsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub id: FindingId,
    pub arn: String,
    pub kind: FindingType,
    pub severity: Severity,
    /// The detector that found it, where the finding says so.
    #[serde(default)]
    pub detector: Option<DetectorId>,
    /// The finding's own account and region (`detail.accountId`), not the envelope's.
    pub at: Place,
    pub title: String,
    pub description: String,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    /// How often it was seen; a re-sent finding has the same id and a higher count.
    pub count: u64,
    pub sample: bool,
    pub archived: bool,
    pub role: Option<ResourceRole>,
    /// Who was on the other side, without repeats.
    pub remotes: Vec<Remote>,
    /// Local ports that were reached or probed, without repeats.
    pub ports: Vec<LocalPort>,
    /// The API call, domain or command the finding is about, as one short line of untrusted text.
    pub action: Option<String>,
    pub subjects: Vec<Subject>,
}

impl Finding {
    /// Whether the finding has an id and an account, without which no record could be its own.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.id.is_known() && self.at.account.is_known()
    }

    /// The finding, which says nothing of when it was updated where that lies ahead: whoever made that up would have every later
    /// state taken for an older one.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        let updated = self.updated.filter(|updated| updated.duration_since(now) <= AHEAD);
        Self { updated, ..self }
    }

    /// The finding, which says of itself no later time than GuardDuty does, for the same reason.
    #[must_use]
    pub fn updated_by(self, theirs: Timestamp) -> Self {
        Self { updated: self.updated.map(|ours| ours.min(theirs)), ..self }
    }
}

/// Which side the resource was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceRole {
    /// Our resource attacks others: the host is compromised.
    Actor,
    /// Our resource was attacked, perhaps without success.
    Target,
}

/// An address on the other side, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    pub address: IpAddr,
    pub country: Option<String>,
    pub city: Option<String>,
    /// The network's name and number, `Example Hosting (AS64500)`.
    pub network: Option<String>,
}

/// A port of ours, and the private address it was reached at where the finding says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LocalPort {
    pub port: u16,
    pub address: Option<IpAddr>,
}
