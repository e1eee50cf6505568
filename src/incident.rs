//! What became of a finding: the record that logs, metrics and messages are rendered from.

use crate::change::{Change, Value};
use crate::finding::Finding;
use crate::ledger::key::HoldKey;
use crate::ledger::record::Approval;
use crate::plan::{NoSteps, Plan};
use crate::policy::{Decision, Refusal, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why it is not known whether a setting still holds that a person wanted back.
const LEFT_TO_PEOPLE: &str = "a person wanted it back, and Quell could not give it back: nobody looks at it any more";

/// One finding's handling, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub finding: Finding,
    /// One part for each subject and remediation. Empty where the finding names nothing that could be read.
    pub parts: Vec<Part>,
    pub started: Timestamp,
    /// When the last containing change was read back.
    pub contained: Option<Timestamp>,
    /// Why people hear of it, where it is not just that the finding came in. Kept until they were told.
    #[serde(default)]
    pub news: Option<News>,
    /// What only a message says: the rest of the record is not its own.
    #[serde(skip)]
    pub beside: Beside,
}

/// What people are told beside what became of the finding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// They may have been told before; it is not known.
    pub repeated: bool,
    /// Why the ledger could not be asked or written.
    pub failure: Option<String>,
    /// Until when a person decides.
    pub approval: Option<Approval>,
    /// When containment ends by itself.
    pub ends: Option<Timestamp>,
}

/// Why people hear of an incident that they may know already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// A newer state of the finding named more to contain.
    More,
    /// Somebody set these settings to something else, and they were contained again.
    Reopened { settings: Vec<String> },
    /// The finding goes on, and is left alone as a person wanted.
    LeftAlone,
    /// The finding goes on, and these settings, which a person gave back, are left alone; the rest is held.
    StaysGivenBack { settings: Vec<String> },
    /// What would be done is no longer what was shown: a person must look again.
    AskAgain,
    /// The account would have more containments within an hour than the policy allows.
    OverLimit { counter: String },
    /// Nobody decided in time, and a guard holds back what the rule says to do then.
    HeldBack,
    /// Something stood in the way each time; now a person must see to it.
    GivenUp { tries: u32 },
    /// A person approved, or their time ran out and the rule says to contain then.
    Approved { by: String },
    /// A person said no, or nobody decided in time and the rule says to leave it then.
    Rejected { by: String },
    /// What was contained was given back, but for so many settings that were not asked for.
    GivenBack { by: String, settings: Vec<Returned>, others: usize },
}

/// A setting that was to be given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    pub setting: String,
    /// What became of it, in words.
    pub became: String,
    /// Whether it is as it was before, or no longer exists.
    pub is_back: bool,
}

/// One plan, what the policy decided for it, and what became of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub plan: Plan,
    pub decision: Decision,
    /// In the order of the plan's steps; empty where nothing was executed.
    pub results: Vec<StepResult>,
    /// When its containment is over, where it is for a time.
    #[serde(default)]
    pub ends: Option<Timestamp>,
}

/// A step that was tried: the change as it was made, its ids known, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    pub change: Change,
    pub outcome: Outcome,
    /// The ids of AWS's answers to its writes, as CloudTrail has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
}

impl StepResult {
    /// Of a step that nothing was written for.
    #[must_use]
    pub fn new(change: Change, outcome: Outcome) -> Self {
        Self { change, outcome, requests: Vec::new() }
    }
}

/// What became of a step. Whatever it says was read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Written, and read back as written.
    Changed,
    /// It was so before.
    AlreadySo,
    /// It was so, and an undo let it go.
    LetGo,
    /// Written, but what was read back is something else.
    Drifted { found: Value },
    /// The resource no longer exists.
    Gone { why: String },
    /// AWS does not let us; trying again does not help.
    Refused { why: String },
    /// It did not work, or it is not known whether it did.
    Failed {
        why: String,
        /// Whether trying again may help.
        transient: bool,
    },
    /// It held, and a later look could not read it: whether it still does is not known.
    Unread {
        why: String,
        /// Whether trying again may help.
        transient: bool,
    },
}

/// What became of the finding, or of one part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Steps were tried, and none holds.
    NotContained,
    /// Some steps hold, others do not.
    Partial,
    /// AWS could not be asked, so nothing was done.
    Failed,
    /// Planned; a person must approve.
    WaitingForApproval,
    /// AWS or Quell does not allow it; a person must act.
    Refused,
    /// Planned, as the policy wants; nothing was changed.
    Planned,
    /// Every step holds.
    Contained,
    /// Told, as the policy wants, or as no remediation covers it.
    Told,
    /// The resource no longer exists.
    Gone,
    /// The danger the finding tells of is not there.
    NothingToDo,
    /// Given back only in part: the rest is still held.
    PartlyReleased,
    /// Given back.
    Released,
    /// A person said no, or nobody said yes in time.
    Rejected,
}

impl Verdict {
    /// The words people read.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotContained => "NOT CONTAINED",
            Self::Partial => "PARTLY CONTAINED",
            Self::Failed => "FAILED",
            Self::WaitingForApproval => "WAITING FOR APPROVAL",
            Self::Refused => "REFUSED",
            Self::Planned => "PLANNED ONLY",
            Self::Contained => "CONTAINED",
            Self::Told => "FOR YOUR ATTENTION",
            Self::Gone => "RESOURCE GONE",
            Self::NothingToDo => "NOTHING TO DO",
            Self::PartlyReleased => "PARTLY RELEASED",
            Self::Released => "RELEASED",
            Self::Rejected => "REJECTED",
        }
    }

    /// The word machines read: message attribute, metric dimension, log field.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::NotContained => "not-contained",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::WaitingForApproval => "waiting-for-approval",
            Self::Refused => "refused",
            Self::Planned => "planned",
            Self::Contained => "contained",
            Self::Told => "told",
            Self::Gone => "gone",
            Self::NothingToDo => "nothing-to-do",
            Self::PartlyReleased => "partly-released",
            Self::Released => "released",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Outcome {
    /// Whether the setting was read back as the plan wants it.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self {
            Self::Changed | Self::AlreadySo => true,
            Self::LetGo
            | Self::Drifted { .. }
            | Self::Gone { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::Unread { .. } => false,
        }
    }

    /// Whether it held when it was last read: something else since then is somebody's doing.
    #[must_use]
    pub fn held_when_read(&self) -> bool {
        self.holds() || matches!(self, Self::Unread { .. })
    }

    /// A person wanted it back, and Quell could not give it back: people change it by hand, and nobody looks at it.
    #[must_use]
    pub fn left_to_people() -> Self {
        Self::Unread { why: LEFT_TO_PEOPLE.to_owned(), transient: false }
    }

    #[must_use]
    pub fn is_left_to_people(&self) -> bool {
        matches!(self, Self::Unread { why, .. } if why == LEFT_TO_PEOPLE)
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Failed { transient: true, .. } | Self::Unread { transient: true, .. })
    }
}

impl Part {
    /// The changes as people see them numbered: as they were tried, or as they were planned where nothing was.
    pub fn listed(&self) -> impl Iterator<Item = &Change> {
        let tried = self.results.iter().map(|result| &result.change);
        let planned = self.plan.steps().map(|step| &step.change).filter(|_| self.results.is_empty());
        tried.chain(planned)
    }

    /// The settings of its steps.
    pub fn keys(&self) -> impl Iterator<Item = HoldKey> {
        self.plan.steps().map(|step| HoldKey::of(&self.plan.subject.at, &step.change.setting))
    }

    /// Follows from what was read back, and from nothing else.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        // Somebody wants something done with a finding that there is not: that is news, whatever the plan says.
        if self.is_made_up() {
            return Verdict::Refused;
        }
        if let Some(why) = &self.plan.no_steps {
            return match why {
                NoSteps::NothingToDo(_) => Verdict::NothingToDo,
                NoSteps::Gone(_) => Verdict::Gone,
                NoSteps::Refused(_) => Verdict::Refused,
                NoSteps::NotCovered(_) => Verdict::Told,
                NoSteps::NotObserved { .. } => Verdict::Failed,
            };
        }
        if self.decision.refused.is_some() {
            return Verdict::Refused;
        }
        match self.decision.response {
            Response::Notify => Verdict::Told,
            Response::Plan => Verdict::Planned,
            Response::Approve => Verdict::WaitingForApproval,
            Response::Contain => self.executed_verdict(),
        }
    }

    /// Whether somebody made it up: GuardDuty does not know the finding as it came.
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.decision.refused == Some(Refusal::MadeUp)
    }

    /// Whether a person is asked only since something could not be: the sweep asks again.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        self.decision.passing && self.decision.response == Response::Approve
    }

    /// Whether there is something left for a person to contain.
    fn is_open(&self) -> bool {
        match self.verdict() {
            Verdict::NotContained
            | Verdict::Partial
            | Verdict::Failed
            | Verdict::WaitingForApproval
            | Verdict::Refused
            | Verdict::Planned => true,
            Verdict::Told => !self.plan.manual.is_empty(),
            Verdict::Contained
            | Verdict::Gone
            | Verdict::NothingToDo
            | Verdict::PartlyReleased
            | Verdict::Released
            | Verdict::Rejected => false,
        }
    }

    /// Whether nothing was done, and nothing waits for a person.
    fn is_left(&self) -> bool {
        self.results.is_empty() && self.verdict() != Verdict::WaitingForApproval
    }

    /// What vanished between observing and writing needs no containment of its own, and what was let go is not ours.
    fn executed_verdict(&self) -> Verdict {
        let is_left = |result: &StepResult| result.outcome.is_left_to_people();
        if !self.results.is_empty() && self.results.iter().all(|it| it.outcome == Outcome::LetGo || is_left(it)) {
            return if self.results.iter().any(is_left) { Verdict::PartlyReleased } else { Verdict::Released };
        }
        let gone = |result: &StepResult| matches!(result.outcome, Outcome::Gone { .. } | Outcome::LetGo);
        let gone = |result: &StepResult| gone(result) || is_left(result);
        let (vanished, rest): (Vec<_>, Vec<_>) = self.results.iter().partition(|result| gone(result));
        let holding = rest.iter().filter(|result| result.outcome.holds()).count();
        match (holding, rest.len() + self.plan.left_out.len()) {
            (0, 0) if vanished.is_empty() => Verdict::NotContained,
            (0, 0) => Verdict::Gone,
            (0, _) => Verdict::NotContained,
            (holding, all) if holding == all => Verdict::Contained,
            _ => Verdict::Partial,
        }
    }
}

impl Incident {
    /// Whether GuardDuty does not know the finding as it came.
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.parts.iter().any(Part::is_made_up)
    }

    /// Why something could not be looked at, where trying again may help.
    #[must_use]
    pub fn unseen(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match &part.plan.no_steps {
            Some(NoSteps::NotObserved { why, transient: true }) => Some(why.as_str()),
            Some(_) | None => None,
        })
    }

    /// A finding that was planned for; nothing is done yet.
    #[must_use]
    pub fn new(finding: Finding, parts: Vec<Part>, started: Timestamp) -> Self {
        Self { finding, parts, started, contained: None, news: None, beside: Beside::default() }
    }

    /// The finding's verdict: that of its worst part; partial where something holds and something else stays open.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.news {
            Some(News::GivenBack { settings, others: 0, by: _ }) if settings.iter().all(|it| it.is_back) => {
                return Verdict::Released;
            }
            Some(News::GivenBack { .. }) => return Verdict::PartlyReleased,
            // It is left as a person wanted it: given back, or never done.
            Some(News::LeftAlone | News::Rejected { .. }) if self.parts.iter().all(Part::is_left) => {
                return Verdict::Rejected;
            }
            Some(
                News::More
                | News::Reopened { .. }
                | News::LeftAlone
                | News::StaysGivenBack { .. }
                | News::AskAgain
                | News::OverLimit { .. }
                | News::HeldBack
                | News::GivenUp { .. }
                | News::Approved { .. }
                | News::Rejected { .. },
            )
            | None => {}
        }
        let planned = || self.parts.iter().any(|part| part.plan.no_steps.is_none());
        if self.beside.failure.is_some() && self.parts.iter().all(|part| part.results.is_empty()) && planned() {
            return Verdict::Failed;
        }
        let worst = self.parts.iter().map(Part::verdict).min();
        let holds = self.parts.iter().any(|part| matches!(part.verdict(), Verdict::Contained | Verdict::Partial));
        let open = self.parts.iter().any(Part::is_open);
        if holds && open { Verdict::Partial } else { worst.unwrap_or(Verdict::Told) }
    }

    /// Whether a retry may do better: something transient stood in the way.
    #[must_use]
    pub fn is_worth_retrying(&self) -> bool {
        let step = |result: &StepResult| result.outcome.is_transient();
        let plan = |plan: &Plan| matches!(plan.no_steps, Some(NoSteps::NotObserved { transient: true, .. }));
        self.parts.iter().any(|part| plan(&part.plan) || part.results.iter().any(step))
    }

    /// Seconds from GuardDuty's last update of the finding to the last containing change being read back.
    #[must_use]
    pub fn seconds_to_contain(&self) -> Option<f64> {
        let since = self.contained?.duration_since(self.finding.updated?);
        Some(since.as_secs_f64()).filter(|seconds| *seconds >= 0.0)
    }
}
