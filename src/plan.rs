//! What would be done, as data. One value is shown to people and executed.

use crate::change::Change;
use crate::finding::Subject;
use crate::policy::Response;
use serde::{Deserialize, Serialize};

/// What is to be done about one subject of a finding. Planning reads no clock, does no I/O and cannot fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub subject: Subject,
    /// The remediation that made the plan; none where no remediation covers the subject.
    pub remediation: Option<String>,
    /// Stages run one after the other, the steps of a stage side by side.
    pub stages: Vec<Vec<Step>>,
    /// Why there is no step. Always set when `stages` is empty.
    pub no_steps: Option<NoSteps>,
    /// What people should know: what was left out and why, what was found that was not expected.
    pub notes: Vec<String>,
    /// What should have been among the steps and cannot be: with any of these the subject is contained in part only.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// What an earlier state of the finding would have had changed, and this plan does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Change>,
    /// What containment by these steps does not stop.
    pub residual: Vec<String>,
    /// What people can do that Quell does not, in the order to do it.
    pub manual: Vec<Manual>,
    /// The most that may be done without a person, where the plan itself is in doubt.
    pub at_most: Option<Limit>,
    /// What else stops.
    #[serde(default)]
    pub blast: BlastRadius,
}

/// What else stops when the plan is carried out, as far as observation saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlastRadius {
    /// How many things besides the subject stop, or lose a part of themselves.
    pub count: usize,
    /// A sentence each, also on what goes on.
    pub says: Vec<String>,
    /// Why something could not be counted. The count is then the least it can be.
    #[serde(default)]
    pub unread: Vec<String>,
    /// At most so many more may stop: they are known, and were not asked.
    #[serde(default)]
    pub may_be: usize,
    /// Whether load balancers are in it, or were found to be none.
    #[serde(default)]
    pub balancers_asked: bool,
    /// Whether the other instances on the role are in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instances_asked: bool,
}

/// One change, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub change: Change,
    pub why: String,
    /// What the change would be had no other incident closed some of it before: what is held for it. None where that is the
    /// change itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Change>,
    /// What is made of the change in its place, where other incidents change the same setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<Change>,
}

/// Why a plan has no steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoSteps {
    /// The danger the finding tells of is not there (any more).
    NothingToDo(String),
    /// The resource no longer exists.
    Gone(String),
    /// AWS or Quell does not allow it; people must act.
    Refused(String),
    /// No remediation covers this.
    NotCovered(String),
    /// AWS could not be asked, so nothing was planned.
    NotObserved {
        why: String,
        /// Whether asking again may help.
        transient: bool,
    },
}

/// An instruction for people, with the command that does it where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    pub say: String,
    pub command: Option<String>,
}

/// A lower response than the policy's, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub response: Response,
    pub why: String,
}

impl Plan {
    /// A plan of this remediation, still empty.
    #[must_use]
    pub fn new(subject: &Subject, remediation: &str) -> Self {
        Self {
            subject: subject.clone(),
            remediation: Some(remediation.to_owned()),
            stages: Vec::new(),
            no_steps: None,
            notes: Vec::new(),
            left_out: Vec::new(),
            earlier: Vec::new(),
            residual: Vec::new(),
            manual: Vec::new(),
            at_most: None,
            blast: BlastRadius::default(),
        }
    }

    /// A plan that says why it has no steps.
    #[must_use]
    pub fn without_steps(subject: &Subject, remediation: Option<&str>, why: NoSteps) -> Self {
        Self { remediation: remediation.map(str::to_owned), no_steps: Some(why), ..Self::new(subject, "") }
    }

    #[must_use]
    pub fn residual(mut self, says: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.residual.extend(says.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn manual(mut self, steps: impl IntoIterator<Item = Manual>) -> Self {
        self.manual.extend(steps);
        self
    }

    /// The plan as it is made where other incidents change the same settings.
    #[must_use]
    pub fn narrowed(&self) -> Self {
        let mut plan = self.clone();
        for step in plan.stages.iter_mut().flatten() {
            if let Some(narrowed) = step.narrowed.take() {
                step.change = narrowed;
            }
        }
        plan
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.steps().any(|step| !step.change.is_already_so())
    }

    /// Whether there is something to write, or to hold that others closed.
    #[must_use]
    pub fn is_something_new(&self) -> bool {
        self.steps().any(|step| !step.is_nothing_new())
    }

    /// All steps, in the order of their stages.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flatten()
    }
}

impl BlastRadius {
    /// Adds so many things, and the sentence about them.
    pub fn add(&mut self, count: usize, say: impl Into<String>) {
        self.count += count;
        self.says.push(say.into());
    }

    /// What is known of it, and what is not, a sentence each.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let unread = self.unread.iter().map(|why| format!("Not known: {why}."));
        self.says.iter().cloned().chain(unread).collect()
    }
}

impl Step {
    pub fn new(change: Change, why: impl Into<String>) -> Self {
        Self { change, why: why.into(), alone: None, narrowed: None }
    }

    /// What is held for it.
    #[must_use]
    pub fn held(&self) -> &Change {
        self.alone.as_ref().unwrap_or(&self.change)
    }

    /// Whether there is nothing to write, and nothing to hold that others closed.
    #[must_use]
    pub fn is_nothing_new(&self) -> bool {
        self.alone.is_none() && self.change.is_already_so()
    }
}

impl Manual {
    pub fn say(say: impl Into<String>) -> Self {
        Self { say: say.into(), command: None }
    }

    pub fn run(say: impl Into<String>, command: impl Into<String>) -> Self {
        Self { say: say.into(), command: Some(command.into()) }
    }
}

impl NoSteps {
    /// The reason, as a sentence without its full stop.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::NothingToDo(why)
            | Self::Gone(why)
            | Self::Refused(why)
            | Self::NotCovered(why)
            | Self::NotObserved { why, transient: _ } => why,
        }
    }
}
