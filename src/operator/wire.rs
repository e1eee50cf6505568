//! What the command and the function say to each other, defined once for both sides.
//!
//! An order is read strictly: a misspelt `dry_run` must not become a real undo. An answer is read tolerantly: a command
//! of an older release still shows what a newer function says.

use super::proof::Proof;
use crate::change::Value;
use crate::finding::Severity;
use crate::incident::{Returned, StepResult};
pub use crate::ledger::key::IncidentId;
use crate::plan::Step;
use crate::setting::Setting;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The event that the function is invoked with: `{"quell": {"command": "undo", "incident": "…", "by": "…"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    pub quell: Order,
}

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Flat", into = "Flat")]
pub struct Order {
    pub command: Command,
    /// The caller's ARN as the caller states it (`sts:GetCallerIdentity`): for the history, never to decide on. Who may
    /// order is who may invoke the function.
    pub by: Option<String>,
    /// With which AWS shows the caller's ARN: for the history as well.
    pub proof: Option<Proof>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Answered with [`Incidents`].
    Incidents { open: bool },
    /// Answered with [`Shown`].
    Show { incident: IncidentId },
    /// Answered with [`Acted`]. Steps are counted from one through all parts of the incident.
    Undo { incident: IncidentId, step: Option<NonZeroUsize>, dry_run: bool },
    /// Answered with [`Acted`]. Names the plan that was read, so that an order sent twice approves no other; without one it is
    /// the only plan that there was.
    Approve { incident: IncidentId, plan: Option<u32> },
    /// Answered with [`Acted`]. Names the plan as `Approve` does: a no is to what was read, and for good.
    Reject { incident: IncidentId, plan: Option<u32> },
}

impl Command {
    /// Whether it may change something, and so is written into the history.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::Undo { dry_run, .. } => !dry_run,
            Self::Approve { .. } | Self::Reject { .. } => true,
            Self::Incidents { .. } | Self::Show { .. } => false,
        }
    }
}

/// What the function answers: `{"ok": …}`, `{"error": "what is wrong with the order"}`, or `{"not_now": "what stands in its way"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    Ok(T),
    Error(String),
    /// It may pass: AWS or the ledger cannot be asked, or another run is at it.
    NotNow(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incidents {
    /// The newest first.
    pub incidents: Vec<Listed>,
    /// Why others are not listed: a later release wrote them, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// How many older ones there are, for which the answer has no room.
    #[serde(default)]
    pub older: usize,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub id: IncidentId,
    /// The verdict's token, `contained`.
    pub verdict: String,
    pub finding_type: String,
    pub severity: Severity,
    pub subjects: Vec<String>,
    pub started: Timestamp,
    /// Where the incident is now: `open`, `closed`, or what else the ledger has a word for.
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The record, whole, as any release wrote it: an `Incident`, and beside its fields `history` (a list of [`Event`])
    /// and `status`.
    pub incident: serde_json::Value,
    #[serde(default)]
    pub holds: Vec<Hold>,
}

/// A setting that stays as we set it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub setting: Setting,
    /// The first original value: what the last undo gives back.
    pub original: Value,
    /// Every incident that holds it.
    pub held_by: Vec<IncidentId>,
}

/// A line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    /// A rule of the policy, an operator, the sweep.
    pub who: String,
    pub what: String,
}

/// The answer to an order that changes something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acted {
    /// The steps that are wanted, in their order.
    #[serde(default)]
    pub plan: Vec<Step>,
    /// What became of them; empty for a dry run, and where nothing was tried.
    #[serde(default)]
    pub results: Vec<StepResult>,
    /// What became of each setting that was to be given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Returned>,
    /// The token of the incident's verdict now: `released`, `partial`, `contained`, `rejected`, …
    pub verdict: String,
    /// What people were told.
    #[serde(default)]
    pub text: String,
    /// Why people do not know of it, or the ledger does not: it is done all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// The order as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    command: Verb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incident: Option<IncidentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<NonZeroUsize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Incidents,
    Show,
    Undo,
    Approve,
    Reject,
}

/// An order that cannot be meant as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("`incident` is missing")]
    NoIncident,
    #[error("`{0}` does not go with this command")]
    Odd(&'static str),
}

impl TryFrom<Flat> for Order {
    type Error = Misfit;
    fn try_from(flat: Flat) -> Result<Self, Misfit> {
        let Flat { command: verb, incident, step, plan, dry_run, open, by, proof } = flat;
        let odd = [
            ("step", step.is_some() && verb != Verb::Undo),
            ("plan", plan.is_some() && !matches!(verb, Verb::Approve | Verb::Reject)),
            ("dry_run", dry_run.is_some() && verb != Verb::Undo),
            ("open", open.is_some() && verb != Verb::Incidents),
            ("incident", incident.is_some() && verb == Verb::Incidents),
        ];
        if let Some((name, _)) = odd.into_iter().find(|(_, is_odd)| *is_odd) {
            return Err(Misfit::Odd(name));
        }
        let incident = incident.ok_or(Misfit::NoIncident);
        let command = match verb {
            Verb::Incidents => Command::Incidents { open: open.unwrap_or_default() },
            Verb::Show => Command::Show { incident: incident? },
            Verb::Undo => Command::Undo { incident: incident?, step, dry_run: dry_run.unwrap_or_default() },
            Verb::Approve => Command::Approve { incident: incident?, plan },
            Verb::Reject => Command::Reject { incident: incident?, plan },
        };
        Ok(Self { command, by, proof })
    }
}

impl From<Order> for Flat {
    fn from(order: Order) -> Flat {
        let Order { command, by, proof } = order;
        let flat = |command, incident| Flat {
            command,
            incident,
            step: None,
            plan: None,
            dry_run: None,
            open: None,
            by,
            proof,
        };
        match command {
            Command::Incidents { open } => Flat { open: Some(open), ..flat(Verb::Incidents, None) },
            Command::Show { incident } => flat(Verb::Show, Some(incident)),
            Command::Undo { incident, step, dry_run } => {
                Flat { step, dry_run: Some(dry_run), ..flat(Verb::Undo, Some(incident)) }
            }
            Command::Approve { incident, plan } => Flat { plan, ..flat(Verb::Approve, Some(incident)) },
            Command::Reject { incident, plan } => Flat { plan, ..flat(Verb::Reject, Some(incident)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: &str = "111122223333/eu-west-1/0a1b";

    fn check(order: &Value, expect: &str) {
        let envelope: Result<Envelope, _> = serde_json::from_value(json!({ "quell": order }));
        match envelope {
            Ok(envelope) => {
                let written = serde_json::to_value(&envelope).unwrap();
                assert_eq!(serde_json::from_value::<Envelope>(written.clone()).unwrap(), envelope);
                assert_eq!(written["quell"].to_string(), expect);
            }
            Err(error) => assert_eq!(error.to_string(), expect),
        }
    }

    #[test]
    fn an_order_is_written_as_it_is_read() {
        check(&json!({ "command": "incidents" }), r#"{"command":"incidents","open":false}"#);
        check(
            &json!({ "command": "show", "incident": ID, "by": "ann" }),
            r#"{"by":"ann","command":"show","incident":"111122223333/eu-west-1/0a1b"}"#,
        );
        check(
            &json!({ "command": "undo", "incident": ID, "step": 2, "dry_run": true }),
            r#"{"command":"undo","dry_run":true,"incident":"111122223333/eu-west-1/0a1b","step":2}"#,
        );
        let reject = r#"{"command":"reject","incident":"111122223333/eu-west-1/0a1b"}"#;
        check(&json!({ "command": "reject", "incident": ID }), reject);
    }

    #[test]
    fn an_order_that_could_be_taken_for_another_is_refused() {
        check(
            &json!({ "command": "approve", "incident": ID, "dry_run": true }),
            "`dry_run` does not go with this command",
        );
        check(&json!({ "command": "reject", "incident": ID, "step": 1 }), "`step` does not go with this command");
        check(&json!({ "command": "undo" }), "`incident` is missing");
        let unknown = "unknown field `dryrun`, expected one of `command`, `incident`, `step`, `plan`, `dry_run`, `open`, `by`, `proof`";
        check(&json!({ "command": "undo", "incident": ID, "dryrun": true }), unknown);
        check(
            &json!({ "command": "show", "incident": "0a1b" }),
            "not a valid incident id: write ACCOUNT/REGION/FINDING, as \"quell incidents\" lists it",
        );
    }

    #[test]
    fn an_answer_is_ok_or_an_error() {
        let ok: Answer<Incidents> = serde_json::from_value(json!({ "ok": { "incidents": [], "more": 1 } })).unwrap();
        assert_eq!(ok, Answer::Ok(Incidents { incidents: Vec::new(), unreadable: Vec::new(), older: 0 }));
        let error: Answer<Acted> = serde_json::from_value(json!({ "error": "no such incident" })).unwrap();
        assert_eq!(error, Answer::Error("no such incident".to_owned()));
    }
}
