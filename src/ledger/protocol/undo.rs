//! Giving back. The incident is taken first, then its holds one by one, last in first out.

use super::super::key::{HoldKey, IncidentId, listed};
use super::super::record::{IncidentRecord, Status, Undo, What, Who, Worker};
use super::Swap;
use super::finish::{kept_on, next_end};
use crate::change::Value;
use crate::incident::{Incident, News, Outcome, Part, StepResult};
use crate::policy::Response;
use jiff::{SignedDuration, Timestamp};

/// What is left to decide at least, once what stood in the way is over: an undo, or that people could not be told.
pub(super) const TO_DECIDE: SignedDuration = SignedDuration::from_hours(1);

/// Why what waited for a person does so no more.
const GIVEN_BACK: &str = "what was contained was given back";

/// When what could not be ended is ended once more: what failed, and what AWS refused.
const SOON: SignedDuration = SignedDuration::from_hours(6);
const LATER: SignedDuration = SignedDuration::from_hours(24);

/// Why there is nothing to undo.
#[derive(Debug, Clone, PartialEq)]
pub enum NoUndo {
    /// Another worker is at it.
    Busy { until: Timestamp },
    /// Nothing was done yet: reject it instead.
    Waiting,
    /// None of what was asked for is held by the incident.
    NotHeld,
    /// It was given back, or rejected, before.
    Over(Status),
}

/// What became of letting one setting go.
#[derive(Debug, Clone, PartialEq)]
pub enum LetGo {
    /// Written back, and read back.
    GivenBack,
    /// It was back already, or this incident did not hold it.
    WasBack,
    /// The resource no longer exists.
    Gone,
    /// Other incidents keep it changed.
    KeptBy(Vec<IncidentId>),
    /// Somebody set it to something else: left as it is.
    Drifted { found: Value },
    /// Written back and read back but for these rules: somebody closed a part that we had left open of them.
    GivenBackBut { rules: Value },
    /// Written back and read back but for what other incidents close too.
    GivenBackBeside(Vec<IncidentId>),
    /// AWS does not let us: still held.
    Refused { why: String },
    /// It is not known whether it worked: to be tried again.
    Failed { why: String },
}

/// A setting that was to be given back.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    pub key: HoldKey,
    pub became: LetGo,
    /// The ids of AWS's answers to what was written.
    pub writes: Vec<String>,
}

impl Done {
    /// Of a setting that nothing was written for.
    #[must_use]
    pub fn new(key: HoldKey, became: LetGo) -> Self {
        Self { key, became, writes: Vec::new() }
    }
}

impl LetGo {
    /// Whether the incident no longer holds the setting.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::GivenBack
            | Self::WasBack
            | Self::Gone
            | Self::KeptBy(_)
            | Self::Drifted { .. }
            | Self::GivenBackBut { .. }
            | Self::GivenBackBeside(_) => true,
            Self::Refused { .. } | Self::Failed { .. } => false,
        }
    }
}

/// What waited for a person when one wanted all of the incident back: nobody is asked about it any more.
pub fn not_asked_any_more(record: &IncidentRecord) -> impl Iterator<Item = &Part> {
    let is_dropped = |part: &&Part| part.decision.lowered.last().is_some_and(|why| why == GIVEN_BACK);
    record.incident.parts.iter().filter(is_dropped).filter(|part| part.plan.no_steps.is_none())
}

/// Takes the incident to give back all it holds, or only `keys`. An undo that crashed is gone on with as it was asked.
pub fn begin_undo(
    record: &IncidentRecord,
    by: &Worker,
    keys: Option<&[HoldKey]>,
    now: Timestamp,
) -> Result<Swap, NoUndo> {
    if let Some(until) = record.busy_until(now).filter(|_| !record.is_leased_to(&by.lease)) {
        return Err(NoUndo::Busy { until });
    }
    let mut record = record.clone();
    let is_asked = |key: &&HoldKey| keys.is_none_or(|keys| keys.contains(key));
    let asked = || Undo {
        who: by.who.clone(),
        keys: record.holds.iter().filter(is_asked).cloned().collect(),
        whole: keys.is_none(),
    };
    let undo = match record.status {
        Status::Releasing => match record.undo.clone() {
            Some(begun) if by.who == Who::Sweep => begun,
            // What a person asks for is theirs, and all that was asked for before is part of it.
            Some(begun) => {
                let Undo { who, keys, whole } = asked();
                let before = begun.keys.into_iter().filter(|key| !keys.contains(key)).collect();
                Undo { who, keys: [before, keys].concat(), whole: whole || begun.whole }
            }
            None => asked(),
        },
        Status::Waiting if record.holds.is_empty() => return Err(NoUndo::Waiting),
        Status::Closed if record.holds.is_empty() => return Err(NoUndo::Over(Status::Closed)),
        Status::Containing | Status::Waiting | Status::Held | Status::Closed => {
            Some(asked()).filter(|undo| !undo.keys.is_empty()).ok_or(NoUndo::NotHeld)?
        }
        status @ (Status::Released | Status::Rejected) => return Err(NoUndo::Over(status)),
    };
    if record.status != Status::Releasing {
        // Its own tries count, not those of containing.
        record.failures = 0;
        record.note(now, by, What::UndoBegun);
    }
    record.status = Status::Releasing;
    // That the time of what was contained is over decides nothing about the rest.
    if undo.whole && undo.who != Who::Sweep {
        record.approval = None;
        for part in &mut record.incident.parts {
            if part.decision.response == Response::Approve {
                part.decision = part.decision.clone().lowered_to(Response::Plan, GIVEN_BACK);
            }
        }
    }
    record.undo = Some(undo);
    record.due = Some(by.lease.until);
    record.lease = Some(by.lease.clone());
    record.version += 1;
    Ok(Swap { incident: Some(record), ..Swap::default() })
}

/// Writes down what came back. The lease stays until people were told.
#[must_use]
pub fn finish_undo(record: &IncidentRecord, by: &Worker, done: &[Done], news: News, now: Timestamp) -> Swap {
    let mut record = record.clone();
    record.incident.news = Some(news);
    let by_time = record.undo.as_ref().is_some_and(|undo| undo.who == Who::Sweep);
    let is_wanted_back = record.is_wanted_back();
    for Done { key, became, writes } in done {
        record.note_writes(now, by, said(key, became), writes.clone());
        if became.is_over() {
            // It is not called contained any more, whatever is told later.
            became_of(&mut record.incident, key, &Outcome::LetGo);
            record.holds.retain(|held| held != key);
            // What was for a time and is over may be contained again; what a person gave back, or wanted back, may not.
            if !by_time || record.by_hand.contains(key) {
                record.let_go.insert(key.clone());
                record.said_left = None;
            }
        }
    }
    let try_again = done.iter().any(|done| matches!(done.became, LetGo::Failed { .. }));
    record.failures = if try_again { record.failures + 1 } else { 0 };
    record.status = match &record.undo {
        _ if try_again && !record.is_given_up() => Status::Releasing,
        _ if record.approval.is_some() => Status::Waiting,
        _ if !record.holds.is_empty() => Status::Held,
        Some(_) if by_time && !is_wanted_back => Status::Closed,
        Some(_) | None => Status::Released,
    };
    match record.status {
        Status::Released | Status::Closed => record.note(now, by, What::Released),
        Status::Containing | Status::Waiting | Status::Held | Status::Releasing | Status::Rejected => {}
    }
    if let Some(approval) = record.approval.as_mut().filter(|_| record.status == Status::Waiting) {
        // Nobody could decide meanwhile.
        approval.expires = approval.expires.max(now.saturating_add(TO_DECIDE).unwrap_or(Timestamp::MAX));
    }
    if record.status != Status::Releasing {
        record.undo = None;
        for Done { key, .. } in done.iter().filter(|done| !by_time && !done.became.is_over()) {
            record.by_hand.insert(key.clone());
            record.said_left = None;
            became_of(&mut record.incident, key, &Outcome::left_to_people());
        }
        record.by_hand.retain(|key| record.holds.contains(key));
        // What stays held is looked after, also where nothing was seen to hold yet.
        record.contained = record.contained.or(Some(now)).filter(|_| !record.holds.is_empty());
        record.failures = 0;
        // What was for a time and cannot be given back is tried again, and told: in six hours, or a day later if AWS refused it.
        let again = now.saturating_add(if try_again { SOON } else { LATER }).unwrap_or(Timestamp::MAX);
        let on = kept_on(&record, &|part| part.ends.is_some_and(|ends| ends <= now));
        for part in record.incident.parts.iter_mut().filter(|part| part.ends.is_some_and(|ends| ends <= now)) {
            let held: Vec<HoldKey> = part.keys().filter(|key| record.holds.contains(key)).collect();
            let is_left = held.iter().any(|key| !on.contains(key));
            // What another part still needs ends with that one.
            part.ends = if is_left { Some(again) } else { part.ends.filter(|_| !held.is_empty()) };
        }
        record.ends = next_end(&record);
    }
    // Of what fails as it did before, people know.
    let is_known =
        record.status == Status::Releasing && record.failures > 1 && !done.iter().any(|done| done.became.is_over());
    record.told = record.told.filter(|_| is_known);
    record.version += 1;
    Swap { incident: Some(record), ..Swap::default() }
}

fn became_of(incident: &mut Incident, key: &HoldKey, outcome: &Outcome) {
    for part in &mut incident.parts {
        let at = part.plan.subject.at.clone();
        let of_key = |result: &&mut StepResult| HoldKey::of(&at, &result.change.setting) == *key;
        part.results.iter_mut().filter(of_key).for_each(|result| result.outcome = outcome.clone());
    }
}

fn said(key: &HoldKey, let_go: &LetGo) -> What {
    let left = |why: String| What::Left { setting: key.to_string(), why };
    match let_go {
        LetGo::GivenBack => What::GivenBack { setting: key.to_string() },
        LetGo::WasBack => left("it was back already".to_owned()),
        LetGo::Gone => left("it no longer exists".to_owned()),
        LetGo::KeptBy(others) => left(format!("held by {}", listed(others))),
        LetGo::Drifted { found } => left(format!("somebody set it to {found}")),
        LetGo::GivenBackBut { rules } => left(format!("given back but for {rules}: somebody closed a part of that")),
        LetGo::GivenBackBeside(others) => left(format!("given back but for what {} holds too", listed(others))),
        LetGo::Refused { why } | LetGo::Failed { why } => left(why.clone()),
    }
}
