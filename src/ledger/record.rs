//! What is kept of an incident. Whatever a release wrote, every later release reads: fields are only added, with a
//! default, and `tests/records/` holds one of each shape ever written.

use super::key::{HoldKey, IncidentId};
use super::schema::Schema;
use crate::incident::{Incident, News, Part, Verdict};
use crate::policy::Fallback;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};

/// How long a released incident is kept; every other is kept for ever.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How many lines a history keeps of what goes on by itself: GuardDuty sends some findings again for years, and a record is
/// written in one transaction.
const MOST_LINES: usize = 500;

/// Those at its beginning are kept, and those at its end.
const FIRST_LINES: usize = 50;
const LAST_LINES: usize = 50;

/// One finding's handling, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentRecord {
    pub schema: Schema,
    /// Counts the writes. A write that does not follow the version it read is refused.
    pub version: u64,
    pub id: IncidentId,
    pub status: Status,
    /// Who is at it. Others stay away until it ends.
    pub lease: Option<Lease>,
    /// The finding as last seen, the plans with every end of every change, and what became of them.
    pub incident: Incident,
    /// The settings that this incident keeps changed, in the order of their steps.
    pub holds: Vec<HoldKey>,
    /// The settings that an operator let go one by one: not contained again.
    #[serde(default)]
    pub let_go: BTreeSet<HoldKey>,
    /// Held settings that an operator wanted back and Quell could not give back: people may, and they are not contained again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub by_hand: BTreeSet<HoldKey>,
    /// When people were told of the present state. Set only after the message went out.
    pub told: Option<Timestamp>,
    /// Nobody has set out to tell it yet: the next tick does, together with others that wait beyond the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gathered: bool,
    /// A fingerprint of what was told, so that what is no news is not told again. Another release may make it otherwise,
    /// and then it is told once more.
    #[serde(default)]
    pub said: Option<u64>,
    /// Settings that no run before the one under way can have written.
    #[serde(default)]
    pub untried: BTreeSet<HoldKey>,
    /// When people were told that an update of the finding left alone what a person had given back, or rejected.
    #[serde(default)]
    pub said_left: Option<Timestamp>,
    #[serde(default)]
    pub approval: Option<Approval>,
    /// The undo under way.
    #[serde(default)]
    pub undo: Option<Undo>,
    /// When a temporary containment ends.
    #[serde(default)]
    pub ends: Option<Timestamp>,
    /// When containment was last made: re-verification counts from here.
    #[serde(default)]
    pub contained: Option<Timestamp>,
    /// How often somebody set out to contain.
    #[serde(default)]
    pub runs: u32,
    /// Runs in a row that something transient ended.
    #[serde(default)]
    pub failures: u32,
    /// How often in a row what could not be asked was asked again in vain.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unanswered: u32,
    /// When the sweep looks at it again; none when there is nothing more to do.
    pub due: Option<Timestamp>,
    pub history: Vec<Entry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(number: &u32) -> bool {
    *number == 0
}

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Claimed and not finished: being contained, or crashed on the way.
    Containing,
    /// Planned; a person decides.
    Waiting,
    /// Finished; settings are held and looked after.
    Held,
    /// Being given back, or crashed on the way.
    Releasing,
    /// Given back: updates of the finding are left alone.
    Released,
    /// A person said no: updates of the finding are left alone.
    Rejected,
    /// Finished; nothing is held.
    Closed,
}

impl Status {
    /// Whether something is still to be done, or held.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Containing | Self::Waiting | Self::Held | Self::Releasing => true,
            Self::Released | Self::Rejected | Self::Closed => false,
        }
    }
}

/// The right to work on an incident, for a while. It always has an end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The request id of the invocation. Lambda's retries share it, so it does not tell runs apart.
    pub request: String,
    /// Tells this run from every other.
    pub token: String,
    pub until: Timestamp,
}

impl Lease {
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// A plan that a person decides on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Approval {
    /// Counts the plans that were shown; approving names the one that was read.
    pub plan: u32,
    pub expires: Timestamp,
    pub fallback: Fallback,
}

/// What is being given back, and for whom. Whoever goes on after a crash gives back no more than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Undo {
    pub who: Who,
    /// The settings to let go; all of them were asked for when `whole`.
    pub keys: Vec<HoldKey>,
    pub whole: bool,
}

/// A line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub who: Who,
    /// The rules by which the policy had it done, as they were named then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rules: BTreeSet<String>,
    pub what: What,
    /// The invocation's.
    pub request: String,
    /// The ids of AWS's answers to what was written for it, as CloudTrail has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
}

/// Who had something done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The policy, when a finding came in.
    Policy,
    /// A person: as the caller says, and as AWS shows it where it does.
    Operator {
        says: String,
        identity: Option<String>,
    },
    Sweep,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Claimed,
    Resumed,
    /// A newer state of the finding came in.
    Updated {
        count: u64,
    },
    Finished {
        verdict: Verdict,
    },
    /// Held settings that were not as we left them, and were to be contained again.
    Reopened {
        settings: Vec<String>,
    },
    Asked {
        plan: u32,
    },
    Approved {
        plan: u32,
    },
    Rejected,
    Expired,
    UndoBegun,
    GivenBack {
        setting: String,
    },
    /// A setting that was not given back, and why.
    Left {
        setting: String,
        why: String,
    },
    Released,
    /// So many lines about what went on by itself were here, the last of them at this time. Plans that were asked about in
    /// them have numbers below `next_plan`.
    LeftOut {
        lines: u64,
        next_plan: u32,
    },
}

/// Who asks the ledger for something, and until when they work on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worker {
    pub who: Who,
    pub lease: Lease,
}

impl Worker {
    /// One run of one invocation. `until` must lie after the last moment at which the run may still write.
    #[must_use]
    pub fn new(who: Who, request: &str, until: Timestamp) -> Self {
        let token = format!("{:016x}", random());
        Self { who, lease: Lease { request: request.to_owned(), token, until } }
    }
}

/// A number that no other run has.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl IncidentRecord {
    /// Whether this worker has the lease, still alive or not.
    #[must_use]
    pub fn is_leased_to(&self, lease: &Lease) -> bool {
        self.lease.as_ref().is_some_and(|held| held.token == lease.token)
    }

    /// Until when another worker is at it; none if nobody is.
    #[must_use]
    pub fn busy_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.lease.as_ref().filter(|lease| lease.is_alive(now)).map(|lease| lease.until)
    }

    /// Whether a person had all of it given back, or wanted to.
    #[must_use]
    pub fn was_given_back(&self) -> bool {
        self.status == Status::Released || self.status == Status::Held && self.is_wanted_back()
    }

    /// Whether a person wanted back all that is still held.
    #[must_use]
    pub fn is_wanted_back(&self) -> bool {
        !self.holds.is_empty() && self.holds.iter().all(|key| self.by_hand.contains(key))
    }

    /// The settings to give back, last in first out.
    #[must_use]
    pub fn to_give_back(&self) -> Vec<HoldKey> {
        let keys = self.undo.as_ref().map_or(&self.holds, |undo| &undo.keys);
        self.holds.iter().rev().filter(|key| keys.contains(key)).cloned().collect()
    }

    /// The number of the next plan that is shown: none is shown twice, so that an old order approves no new plan.
    #[must_use]
    pub fn next_plan(&self) -> u32 {
        let left_out = self.history.iter().find_map(|entry| {
            let What::LeftOut { next_plan, .. } = entry.what else { return None };
            Some(next_plan)
        });
        let next = self.history.iter().fold(1_u32, |next, entry| match entry.what {
            What::Approved { plan } | What::Asked { plan } => next.max(plan.saturating_add(1)),
            // Some releases did not note that they asked.
            What::Rejected | What::Expired => next.saturating_add(1),
            What::Claimed
            | What::Resumed
            | What::Updated { .. }
            | What::Finished { .. }
            | What::Reopened { .. }
            | What::UndoBegun
            | What::GivenBack { .. }
            | What::Left { .. }
            | What::LeftOut { .. }
            | What::Released => next,
        });
        left_out.map_or(next, |least| next.max(least))
    }

    /// Whether a person is asked about a part only since something could not be.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        self.status == Status::Waiting && self.incident.parts.iter().any(Part::is_unasked)
    }

    /// Whether all there is to say of it is what a person decides on.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        let waits = |part: &Part| {
            let is_short = match part.verdict() {
                Verdict::WaitingForApproval | Verdict::NothingToDo | Verdict::Gone => true,
                Verdict::Told => part.plan.manual.is_empty(),
                Verdict::NotContained
                | Verdict::Partial
                | Verdict::Failed
                | Verdict::Refused
                | Verdict::Planned
                | Verdict::Contained
                | Verdict::PartlyReleased
                | Verdict::Released
                | Verdict::Rejected => false,
            };
            is_short && part.plan.left_out.is_empty()
        };
        self.status == Status::Waiting && self.holds.is_empty() && self.incident.parts.iter().all(waits)
    }

    /// Whether the next tick tells it with others that wait beyond the hour's limit.
    #[must_use]
    pub fn is_told_with_others(&self) -> bool {
        let is_beyond = matches!(self.incident.news, Some(News::OverLimit { .. }));
        self.gathered || is_beyond && self.told.is_none() && self.only_waits()
    }

    /// When DynamoDB may delete the record: none but for what was contained and given back. What was only told, planned or
    /// rejected is kept for ever, as is what is held.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        let last = self.history.last().filter(|last| last.what == What::Released)?;
        if self.status.is_open() || self.due.is_some() { None } else { last.at.checked_add(RETENTION).ok() }
    }

    /// Whether a run before the one that has just begun may have told people what became of it, and not written that down.
    #[must_use]
    pub fn may_have_been_told(&self) -> bool {
        let asked = |what: &&What| matches!(what, What::Asked { .. });
        let mut before = self.history.iter().rev().map(|entry| &entry.what).filter(|what| !asked(what));
        let is_resumed = before.next() == Some(&What::Resumed);
        let was_finished = matches!(before.next(), Some(What::Finished { .. }));
        self.told.is_none() || is_resumed && !was_finished
    }

    pub(super) fn note(&mut self, now: Timestamp, by: &Worker, what: What) {
        self.note_writes(now, by, what, Vec::new());
    }

    /// Notes what was done with these writes.
    pub(super) fn note_writes(&mut self, now: Timestamp, by: &Worker, what: What, writes: Vec<String>) {
        let rules = match by.who {
            Who::Policy => self.incident.parts.iter().filter_map(|part| part.decision.rule.clone()).collect(),
            Who::Operator { .. } | Who::Sweep => BTreeSet::new(),
        };
        let request = by.lease.request.clone();
        self.history.push(Entry { at: now, who: by.who.clone(), rules, what, request, writes });
        while self.history.len() > MOST_LINES && self.leaves_out_a_line() {}
    }

    /// Leaves out the oldest line that nothing depends on, and says so in its place. What persons did stays, and so does what the
    /// results go back to.
    fn leaves_out_a_line(&mut self) -> bool {
        let results = self.incident.parts.iter().flat_map(|part| &part.results);
        let requests: BTreeSet<&String> = results.flat_map(|result| &result.requests).collect();
        let last_asked = self.history.iter().rposition(|entry| matches!(entry.what, What::Asked { .. }));
        let goes = |(place, entry): &(usize, &Entry)| {
            let is_alone = !matches!(entry.who, Who::Operator { .. }) && !matches!(entry.what, What::LeftOut { .. });
            is_alone && Some(*place) != last_asked && !entry.writes.iter().any(|id| requests.contains(id))
        };
        let inner = self.history.len().saturating_sub(FIRST_LINES + LAST_LINES);
        let mut some = self.history.iter().enumerate().skip(FIRST_LINES).take(inner);
        let Some(place) = some.find(goes).map(|(place, _)| place) else { return false };
        let next_plan = self.next_plan();
        let gone = self.history.remove(place);
        let gap = self.history.iter_mut().find_map(|entry| {
            let What::LeftOut { lines, .. } = entry.what else { return None };
            Some((lines, entry))
        });
        if let Some((lines, gap)) = gap {
            let what = What::LeftOut { lines: lines.saturating_add(1), next_plan };
            (gap.at, gap.what) = (gap.at.max(gone.at), what);
        } else {
            let (rules, writes) = (BTreeSet::new(), Vec::new());
            let what = What::LeftOut { lines: 1, next_plan };
            self.history.insert(place, Entry { rules, what, writes, ..gone });
        }
        true
    }
}
