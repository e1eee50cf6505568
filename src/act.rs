//! Carries out what a claim was won for, and writes down what became of it.

use crate::cloud_error::{CloudError, Kind};
use crate::execute::execute;
use crate::finding::Finding;
use crate::incident::{Incident, News, Outcome, Part, StepResult, Verdict};
use crate::ledger::protocol::Finish;
use crate::ledger::record::{Approval, Fallback, IncidentRecord, Who};
use crate::plan::Step;
use crate::policy::{self, Response};
use crate::respond::{Ending, Responder, Run, Story, cloud_at};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// How long a person has, where the rule does not say.
const DECIDE_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Executes the record's plan. Subjects do not wait for each other.
pub async fn carry_out(responder: &Responder, run: &Run, record: IncidentRecord, news: Option<News>) -> Ending {
    let finding = &record.incident.finding;
    let parts = record.incident.parts.iter().map(|part| carry_out_part(responder, run.until, finding, part));
    let parts = join_all(parts).await;
    let incident = Incident { parts, news: news.or_else(|| approved(&record, run)), ..record.incident.clone() };
    finish(responder, run, record, incident, Vec::new()).await
}

/// The only place that asks how far we may go.
async fn carry_out_part(responder: &Responder, until: Instant, finding: &Finding, part: &Part) -> Part {
    let results = match part.decision.response {
        Response::Contain if part.plan.no_steps.is_none() => {
            match cloud_at(responder, &part.plan.subject.at, finding, until).await {
                Ok(cloud) => execute(&cloud, &part.plan, until).await,
                Err(error) => part.plan.steps().map(|step| not_reached(step, &error)).collect(),
            }
        }
        Response::Contain | Response::Notify | Response::Plan | Response::Approve => Vec::new(),
    };
    Part { results, ..part.clone() }
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
    StepResult { change: step.change.clone(), outcome }
}

/// Writes down what became of it. People are told even if that fails.
pub async fn finish(
    responder: &Responder,
    run: &Run,
    record: IncidentRecord,
    mut incident: Incident,
    reopened: Vec<String>,
) -> Ending {
    let now = Timestamp::now();
    if matches!(incident.verdict(), Verdict::Contained | Verdict::Partial) {
        incident.contained = Some(now);
    }
    // Why people hear of it this time is no part of the record: the next time it is another reason.
    let kept = Incident { news: None, ..incident.clone() };
    let (approval, ends) = (approval(&incident, &record, now), ends(&incident, now));
    let done = Finish { incident: kept, reopened, approval, ends, now };
    let record = match responder.ledger.finish(&record, &run.worker, &done).await {
        Ok(record) => Some(record),
        Err(error) => {
            incident.failure = Some(format!("what became of it is not written down yet, and it is tried again: {error}"));
            None
        }
    };
    Ending::Tell(Box::new(Story { incident, record }))
}

/// Until when a person decides, where the plan waits for one.
fn approval(incident: &Incident, record: &IncidentRecord, now: Timestamp) -> Option<Approval> {
    let waiting = || incident.parts.iter().filter(|part| part.verdict() == Verdict::WaitingForApproval);
    let terms = || waiting().map(|part| part.decision.approval);
    waiting().next()?;
    let within = terms().flatten().map(|terms| terms.within).min().unwrap_or(DECIDE_WITHIN);
    let contains = terms().all(|terms| terms.is_some_and(|terms| terms.fallback == policy::Fallback::Contain));
    let plan = record.approval.as_ref().map_or(1, |approval| approval.plan + 1);
    let fallback = if contains { Fallback::Contain } else { Fallback::Abandon };
    Some(Approval { plan, expires: now.saturating_add(within).unwrap_or(Timestamp::MAX), fallback })
}

/// When the containment ends, where the rule wants it for a time.
fn ends(incident: &Incident, now: Timestamp) -> Option<Timestamp> {
    let contained = incident.parts.iter().filter(|part| part.decision.response == Response::Contain);
    let shortest = contained.filter_map(|part| part.decision.expires).min()?;
    now.saturating_add(shortest).ok()
}

fn approved(record: &IncidentRecord, run: &Run) -> Option<News> {
    let asked = record.history.iter().rev().any(|entry| matches!(entry.what, crate::ledger::record::What::Approved { .. }));
    match &run.worker.who {
        Who::Operator { says, .. } if asked => Some(News::Approved { by: says.clone() }),
        Who::Operator { .. } | Who::Policy | Who::Sweep => None,
    }
}
