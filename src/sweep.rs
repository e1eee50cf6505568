//! Each minute: what is due?

use crate::clock;
use crate::incident::{News, Part};
use crate::ledger::key::{HoldKey, IncidentId};
use crate::ledger::protocol::{How, No, Occasion, Seen, over};
use crate::ledger::record::{IncidentRecord, Status};
use crate::ledger::schedule::Due;
use crate::ledger::{Claimed, LedgerError};
use crate::plan::NoSteps;
use crate::planning::{plan_after, plan_for};
use crate::policy::{Fallback, Response};
use crate::respond::{Ending, Quiet, Responder, Run, claim, go_on, tell};
use crate::undo::undo;
use std::time::{Duration, Instant};

/// How many incidents one sweep asks for: more than it has time for, so that those that fail each time, and stay the longest
/// overdue, do not keep the others from their turn.
pub const MOST: i32 = 1_000;

/// What a claim takes, with room to spare.
const WRITING: Duration = Duration::from_secs(3);

/// The incidents that are due, the longest overdue first.
///
/// # Errors
/// The ledger could not be asked.
pub async fn due(responder: &Responder) -> Result<Vec<IncidentId>, LedgerError> {
    responder.ledger.due(clock::now(), MOST).await
}

/// Does what is due about one incident: resumes what crashed, looks at what is held, ends what was for a time.
///
/// # Errors
/// The ledger could not be asked.
pub async fn look_after(responder: &Responder, run: &Run, id: &IncidentId) -> Result<Ending, LedgerError> {
    let record = responder.ledger.get(id).await?;
    // The index follows the table with a delay: only the record itself says what is due.
    let now = clock::now();
    let Some(due) = record.is_due(now) else {
        // A run that ended early had taken it, and there was nothing to do. Who writes it meanwhile sees to that.
        if record.due.is_some_and(|due| due <= now) && record.busy_until(now).is_none() {
            responder.ledger.put_down(&record, now).await.ok();
        }
        return Ok(Ending::Quiet(Quiet::Known));
    };
    match due {
        Due::Resume => written(resume(responder, run, record).await),
        Due::Announce if record.is_told_with_others() => Ok(Ending::Quiet(Quiet::Gathered)),
        Due::Announce => take(responder, run, id, Occasion::Announce).await,
        Due::Verify => take(responder, run, id, Occasion::Verify).await,
        Due::FinishUndo => end(responder, run, id, None).await,
        Due::End => end(responder, run, id, over(&record, clock::now())).await,
        // That may take long, and comes after all else.
        Due::AskAgain if record.holds.is_empty() => Ok(Ending::Quiet(Quiet::Unasked)),
        Due::AskAgain => match take(responder, run, id, Occasion::Verify).await? {
            Ending::Quiet(Quiet::Kept) => Ok(Ending::Quiet(Quiet::Unasked)),
            // Whoever tells it sees that there is something to ask.
            told @ (Ending::Tell(_) | Ending::Quiet(_) | Ending::ComeAgain { .. }) => Ok(told),
        },
        Due::Expired(Fallback::Contain) => contain(responder, run, record).await,
        Due::Expired(Fallback::Abandon) => abandon(responder, run, &record).await,
    }
}

async fn end(
    responder: &Responder,
    run: &Run,
    id: &IncidentId,
    keys: Option<Vec<HoldKey>>,
) -> Result<Ending, LedgerError> {
    Ok(undo(responder, run, id, keys.as_deref()).await?.unwrap_or(Ending::Quiet(Quiet::Busy)))
}

/// Whether looking after an incident asks nobody: it waits to be told with others, or to be asked about after all else.
///
/// # Errors
/// The ledger could not be asked.
pub async fn asks_nobody(responder: &Responder, id: &IncidentId) -> Result<bool, LedgerError> {
    let record = responder.ledger.get(id).await?;
    Ok(match record.is_due(clock::now()) {
        Some(Due::Announce) => record.is_told_with_others(),
        Some(Due::AskAgain) => record.holds.is_empty(),
        Some(Due::Resume | Due::Verify | Due::FinishUndo | Due::End | Due::Expired(_)) | None => false,
    })
}

/// Takes an incident that waits to be told with others, so that nobody else tells it, and says whether people may know of
/// it. None if somebody saw to it meanwhile.
///
/// # Errors
/// The ledger could not be asked.
pub async fn gathered(
    responder: &Responder,
    run: &Run,
    id: &IncidentId,
) -> Result<Option<(IncidentRecord, bool)>, LedgerError> {
    let is_new = responder.ledger.get(id).await?.gathered;
    match responder.ledger.take(id, &run.worker, Occasion::Announce, clock::now()).await? {
        Claimed::Won(record, How::Announce) if record.status == Status::Waiting && record.holds.is_empty() => {
            Ok(Some((*record, !is_new)))
        }
        // Somebody decided on it meanwhile, and could not tell: it is told by itself.
        Claimed::Won(record, _) => responder.ledger.put_down(&record, clock::now()).await.map(|_| None),
        Claimed::Denied(_) => Ok(None),
    }
}

async fn take(responder: &Responder, run: &Run, id: &IncidentId, occasion: Occasion) -> Result<Ending, LedgerError> {
    match responder.ledger.take(id, &run.worker, occasion, clock::now()).await? {
        Claimed::Won(record, how) => Ok(go_on(responder, run, *record, how).await),
        Claimed::Denied(_) => Ok(Ending::Quiet(Quiet::Busy)),
    }
}

/// What was begun goes on as it was planned; what could not be looked at then is looked at now.
async fn resume(responder: &Responder, run: &Run, record: IncidentRecord) -> Ending {
    let incident = Box::pin(plan_for(responder, record.incident.finding.clone(), planned_by(run))).await;
    claim(responder, run, incident, Occasion::Delivery, Seen::early(record)).await
}

/// Where the claim could not be written nothing was done, and it is tried again in a minute: people hear of the ledger, once an
/// hour, and not of each of these each time.
fn written(ending: Ending) -> Result<Ending, LedgerError> {
    let unwritten = match &ending {
        Ending::Tell(story) => story.unwritten.clone(),
        Ending::Quiet(_) | Ending::ComeAgain { .. } => None,
    };
    unwritten.map_or(Ok(ending), |error| Err(LedgerError::Unwritten(Box::new(error))))
}

/// Until when the sweep looks and plans, so that there is time to write down that something cannot be seen.
fn planned_by(run: &Run) -> Instant {
    run.until.checked_sub(WRITING).unwrap_or(run.until)
}

/// Nobody decided in time, and the rule says to contain then: what is there now is looked at first.
async fn contain(responder: &Responder, run: &Run, record: IncidentRecord) -> Result<Ending, LedgerError> {
    let now = clock::now();
    let waited = now.duration_since(record.incident.started);
    let mut incident = Box::pin(plan_after(responder, record.incident.finding.clone(), planned_by(run), waited)).await;
    // What cannot be looked at or asked now, the next minutes may show; people hear of it when they do not.
    let is_unasked = incident.unseen().is_some() || incident.parts.iter().any(Part::is_unasked);
    if is_unasked && responder.ledger.postpone(&record, now).await? {
        return Ok(Ending::Quiet(Quiet::Busy));
    }
    // What a guard holds back now, time does not approve: people read why, and decide.
    let by_time = |part: &Part| part.decision.approval.is_some_and(|it| it.fallback == Fallback::Contain);
    let by = "the policy, since nobody decided in time".to_owned();
    let acts = incident.parts.iter().any(by_time);
    incident.news = Some(if acts { News::Approved { by } } else { News::HeldBack });
    written(claim(responder, run, incident, Occasion::Expired, Seen::early(record)).await)
}

/// GuardDuty or the kill switch could not be asked, so a person was. Where they answer now, the rule decides.
///
/// # Errors
/// The ledger could not be asked.
pub async fn ask_again(responder: &Responder, run: &Run, id: &IncidentId) -> Result<Ending, LedgerError> {
    let now = clock::now();
    let record = responder.ledger.get(id).await?;
    if !record.is_unasked() || record.busy_until(now).is_some() {
        return Ok(Ending::Quiet(Quiet::Known));
    }
    let waited = now.duration_since(record.incident.started);
    let mut incident = Box::pin(plan_after(responder, record.incident.finding.clone(), planned_by(run), waited)).await;
    let is_unasked = incident.parts.iter().any(Part::is_unasked);
    let is_unseen = |part: &Part| matches!(part.plan.no_steps, Some(NoSteps::NotObserved { .. }));
    let was_unasked = |part: &Part| {
        let is_same = |old: &Part| {
            old.plan.remediation == part.plan.remediation && old.plan.subject.kind.is_same(&part.plan.subject.kind)
        };
        record.incident.parts.iter().any(|old| old.is_unasked() && is_same(old))
    };
    // What cannot be seen of it now may be in a while; of what else cannot be, nobody waits for.
    let is_unseen = incident.parts.iter().any(|part| is_unseen(part) && was_unasked(part));
    if is_unasked || is_unseen || incident.unseen().is_some() {
        responder.ledger.still_unasked(&record, now).await?;
        return Ok(Ending::Quiet(if is_unasked { Quiet::Unasked } else { Quiet::Busy }));
    }
    let acts =
        |part: &Part| part.decision.response == Response::Contain && part.plan.no_steps.is_none() && was_unasked(part);
    let by = "the policy, since what could not be asked before could be now".to_owned();
    incident.news = Some(News::Approved { by }).filter(|_| incident.parts.iter().any(acts));
    written(claim(responder, run, incident, Occasion::Asked, Seen::early(record)).await)
}

/// Puts off what is not asked now, since nobody answers.
///
/// # Errors
/// The ledger could not be asked.
pub async fn put_off(responder: &Responder, id: &IncidentId) -> Result<(), LedgerError> {
    let now = clock::now();
    let record = responder.ledger.get(id).await?;
    if record.is_unasked() && record.busy_until(now).is_none() {
        responder.ledger.put_off(&record, now).await?;
    }
    Ok(())
}

async fn abandon(responder: &Responder, run: &Run, record: &IncidentRecord) -> Result<Ending, LedgerError> {
    let news = News::Rejected { by: "nobody decided in time".to_owned() };
    let rejected = responder.ledger.reject(record, &run.worker, No::Time, news, clock::now()).await?;
    Ok(rejected.map_or(Ending::Quiet(Quiet::Busy), tell))
}
