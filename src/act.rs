//! Carries out what a claim was won for, and writes down what became of it.

use crate::aws::Cloud;
use crate::blast;
use crate::change::Change;
use crate::clock;
use crate::cloud_error::{CloudError, Kind};
use crate::execute::{execute, make};
use crate::id::Place;
use crate::incident::{Incident, Outcome, Part, StepResult, Verdict};
use crate::ledger::key::HoldKey;
use crate::ledger::protocol::Finish;
use crate::ledger::record::{Approval, IncidentRecord};
use crate::observe::Budget;
use crate::plan::{Plan, Step};
use crate::policy::{Fallback, Response};
use crate::respond::{Ending, Responder, Run, Story, cloud_at, tell};
use crate::setting::Setting;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// How long a person has, where the rule does not say.
const DECIDE_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Executes the record's plan, unless it is `stopped`. Subjects do not wait for each other.
pub async fn carry_out(responder: &Responder, run: &Run, record: IncidentRecord, stopped: Option<String>) -> Ending {
    let stopped = stopped.as_deref();
    let parts = record.incident.parts.iter().map(|part| carry_out_part(responder, run.until, &record, part, stopped));
    let mut parts = join_all(parts).await;
    let made = clock::now();
    let budget = Budget::default();
    join_all(parts.iter_mut().map(|part| told_whole(responder, run.until, &record, part, &budget))).await;
    let incident = Incident { parts, ..record.incident.clone() };
    finish(responder, run, record, incident, made).await
}

/// The only place that asks how far we may go.
async fn carry_out_part(
    responder: &Responder,
    until: Instant,
    record: &IncidentRecord,
    part: &Part,
    stopped: Option<&str>,
) -> Part {
    let results = match part.decision.response {
        Response::Contain if part.plan.no_steps.is_none() => {
            make_all(responder, until, record, &part.plan, stopped).await
        }
        // What was contained for a time, and is over, has what became of it then.
        Response::Contain | Response::Notify | Response::Plan | Response::Approve => part.results.clone(),
    };
    Part { results, ..part.clone() }
}

/// Finds out for the message what containment did not wait for, also where the hour's limit has a person decide instead.
pub async fn told_whole(
    responder: &Responder,
    until: Instant,
    record: &IncidentRecord,
    part: &mut Part,
    budget: &Budget,
) {
    if part.results.is_empty() && part.verdict() != Verdict::WaitingForApproval {
        return;
    }
    // The account was reached a moment ago, or people are told that it was not.
    if let Ok(cloud) = cloud_at(responder, &part.plan.subject.at, &record.incident.finding, until).await {
        blast::complete(&cloud, &mut part.plan, budget, until).await;
    }
}

/// Makes the steps of a plan, and reads them back; none if they are `stopped`. One result for each, in their order.
pub async fn make_all(
    responder: &Responder,
    until: Instant,
    record: &IncidentRecord,
    plan: &Plan,
    stopped: Option<&str>,
) -> Vec<StepResult> {
    if let Some(why) = stopped {
        return plan.steps().map(|step| not_made(step.change.clone(), why)).collect();
    }
    let (plan, at) = (&plan.narrowed(), &plan.subject.at);
    match cloud_at(responder, at, &record.incident.finding, until).await {
        Ok(cloud) => {
            let results = execute(&cloud, plan, until).await;
            join_all(results.into_iter().map(|it| closed(responder, &cloud, until, record, at, it))).await
        }
        Err(error) => plan.steps().map(|step| not_reached(step, &error)).collect(),
    }
}

/// A step that was planned as already so, and is not any more: another incident gave the setting back between our look
/// and our claim. What undo gives back is then what is there now.
async fn closed(
    responder: &Responder,
    cloud: &Cloud,
    until: Instant,
    record: &IncidentRecord,
    at: &Place,
    result: StepResult,
) -> StepResult {
    let Outcome::Drifted { found } = &result.outcome else { return result };
    // What of a group's rules is no longer there, somebody closed: the next look sees what is open.
    if !result.change.is_already_so() || matches!(result.change.setting, Setting::IngressRules(_)) {
        return result;
    }
    let key = HoldKey::of(at, &result.change.setting);
    let now = clock::now();
    let failed = |why: String| StepResult { outcome: Outcome::Failed { why, transient: true }, ..result.clone() };
    let hold = match responder.ledger.holds(&[key]).await {
        Ok(holds) => holds.into_iter().next(),
        Err(error) => return failed(error.to_string()),
    };
    // What an earlier run held has its original value, and somebody changed it since.
    let hold = hold.filter(|hold| record.untried.contains(&hold.key));
    if let Some(corrected) = hold.and_then(|hold| hold.corrected(&record.id, found, now)) {
        match responder.ledger.swap_hold(corrected, now).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return failed("another run wrote this hold at the same moment".to_owned()),
            Err(error) => return failed(error.to_string()),
        }
    }
    make(cloud, Change { from: found.clone(), ..result.change.clone() }, until).await
}

/// Quell may not make it now.
#[must_use]
pub fn not_made(change: Change, why: &str) -> StepResult {
    StepResult::new(change, Outcome::Refused { why: why.to_owned() })
}

fn not_reached(step: &Step, error: &CloudError) -> StepResult {
    let why = error.to_string();
    let outcome = match error.kind {
        Kind::Refused => Outcome::Refused { why },
        Kind::Gone => Outcome::Gone { why },
        Kind::Transient | Kind::Exists | Kind::Other => {
            Outcome::Failed { why, transient: error.kind == Kind::Transient }
        }
    };
    StepResult::new(step.change.clone(), outcome)
}

/// Writes down what became of it, and was read back at `made`. People are told even if that fails.
pub async fn finish(
    responder: &Responder,
    run: &Run,
    record: IncidentRecord,
    mut incident: Incident,
    made: Timestamp,
) -> Ending {
    let now = clock::now();
    if matches!(incident.verdict(), Verdict::Contained | Verdict::Partial) {
        incident.contained = Some(made);
    }
    let approval = approval(&incident, &record, now);
    let done = Finish { incident, approval, now };
    match responder.ledger.finish(&record, &run.worker, &done).await {
        Ok(record) => tell(record),
        Err(error) => {
            let mut incident = done.incident;
            let why = format!("what became of it is not written down yet, and it is tried again: {error}");
            incident.beside.failure = Some(why);
            Ending::Tell(Box::new(Story::unrecorded(incident)))
        }
    }
}

/// Until when a person decides, where the plan waits for one.
fn approval(incident: &Incident, record: &IncidentRecord, now: Timestamp) -> Option<Approval> {
    let waiting = || incident.parts.iter().filter(|part| part.verdict() == Verdict::WaitingForApproval);
    let terms = || waiting().map(|part| part.decision.approval);
    waiting().next()?;
    // A later look at what was contained changes nothing about the time that people have for the rest, unless it ran out
    // while nobody could decide, or what they decide on is another.
    if let Some(approval) = record.approval.as_ref().filter(|approval| approval.expires > now) {
        return Some(approval.clone());
    }
    let within = terms().flatten().map(|terms| terms.within).min().unwrap_or(DECIDE_WITHIN);
    let contains = terms().all(|terms| terms.is_some_and(|terms| terms.fallback == Fallback::Contain));
    let fallback = if contains { Fallback::Contain } else { Fallback::Abandon };
    let plan = record.approval.as_ref().map_or_else(|| record.next_plan(), |approval| approval.plan);
    Some(Approval { plan, expires: now.saturating_add(within).unwrap_or(Timestamp::MAX), fallback })
}
