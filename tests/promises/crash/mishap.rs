//! What can go wrong at a call.

use crate::cloud::Call;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    KilledBefore,
    KilledAfter,
    AnswerLost,
    Throttled,
    Unavailable,
    Denied,
    /// DynamoDB is writing one of the items for somebody else.
    Conflict,
    StaleReads,
}

pub const MISHAPS: [Mishap; 8] = [
    Mishap::KilledBefore,
    Mishap::KilledAfter,
    Mishap::AnswerLost,
    Mishap::Throttled,
    Mishap::Unavailable,
    Mishap::Denied,
    Mishap::Conflict,
    Mishap::StaleReads,
];

/// The nth call of an operation in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub action: String,
    pub nth: usize,
}

impl Mishap {
    /// Only reads of what was written can be stale, and then all of that operation are: that is one case. Only transactions
    /// get in each other's way.
    pub fn can_meet(self, place: &Place) -> bool {
        if self == Self::Conflict {
            return place.action == "dynamodb:TransactWriteItems";
        }
        let operation = place.action.split(':').nth(1).unwrap_or_default();
        let reads = ["iam:", "ec2:"].iter().any(|service| place.action.starts_with(service))
            && ["Get", "List", "Describe"].iter().any(|verb| operation.starts_with(verb));
        self != Self::StaleReads || reads && place.nth == 1
    }

    pub fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

/// Every call of a run, counted by its operation.
pub fn places(calls: &[Call]) -> Vec<Place> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let place = |call: &Call| {
        let action = call.action();
        let nth = counts.entry(action.clone()).or_default();
        *nth += 1;
        Place { nth: *nth, action }
    };
    calls.iter().map(place).collect()
}

/// What was read before anything was written is never stale: that is no case, and told as none.
pub fn happened(what: String, mishap: Mishap, met: bool) -> String {
    assert!(met || mishap == Mishap::StaleReads, "{what}: it did not happen");
    if met { what } else { format!("{what} (nothing was)") }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.nth)
    }
}

impl fmt::Display for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KilledBefore => "killed before",
            Self::KilledAfter => "killed after",
            Self::AnswerLost => "answer lost",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Conflict => "in another's way",
            Self::StaleReads => "reads stale for 2 s",
        })
    }
}
