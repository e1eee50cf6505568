//! The story of a finding.

use crate::act::carry_out;
use crate::aws::{Cloud, Clouds};
use crate::clock;
use crate::cloud_error::CloudError;
use crate::finding::Finding;
use crate::guard::Own;
use crate::id::Place;
use crate::incident::{Beside, Incident, News, Part};
use crate::ledger::hold;
use crate::ledger::key::CounterKey;
use crate::ledger::protocol::{self, Claim, Denied, How, Occasion};
use crate::ledger::record::{IncidentRecord, Status, Worker};
use crate::ledger::{Claimed, Foreseen, Ledger, LedgerError};
use crate::limit;
use crate::look_again::{look_again, may_be_half_made};
use crate::observe::switch;
use crate::plan::NoSteps;
use crate::planning::plan_seeing;
use crate::policy::{Policy, Response};
use jiff::Timestamp;
use std::fmt;
use std::time::{Duration, Instant};

/// How often a finding waits here: while somebody gives a setting back, and then until AWS shows that.
const WAITS: usize = 2;

/// How long a finding waits here for a setting to settle; what takes longer comes again.
const SETTLES: Duration = hold::SETTLES.unsigned_abs();

/// What must be left, to contain.
pub const ENOUGH: Duration = Duration::from_secs(5);

/// What a finding is answered with.
#[derive(Debug)]
pub struct Responder {
    pub clouds: Clouds,
    pub ledger: Ledger,
    /// The team's policy, or why it cannot be read: then people are told of every finding, and nothing is done.
    pub policy: Result<Policy, String>,
    /// The SSM parameter that says how far Quell may go.
    pub kill_switch: Option<String>,
    /// What is Quell's own, but for who acts, which depends on the account.
    pub own: Own,
}

/// One invocation's work: for whom, and until when it may ask AWS for something.
#[derive(Debug, Clone)]
pub struct Run {
    pub worker: Worker,
    pub until: Instant,
}

/// How the work on a finding ends.
#[derive(Debug)]
pub enum Ending {
    /// People must be told, and then the ledger that they were.
    Tell(Box<Story>),
    /// There is nothing to tell: people know, or somebody else is at it.
    Quiet(Quiet),
    /// Something that will pass stands in the way, and nothing was done yet. When it will have passed, if that is known.
    ComeAgain { why: String, until: Option<Timestamp> },
}

impl Ending {
    #[must_use]
    pub fn come_again(why: impl fmt::Display) -> Self {
        Self::ComeAgain { why: why.to_string(), until: None }
    }

    /// Where something is told, its event is to be delivered once more after that, if this or anything before says so.
    fn and_comes_again(self, comes_again: bool) -> Self {
        match self {
            Self::Tell(mut story) => {
                story.comes_again |= comes_again;
                Self::Tell(story)
            }
            Self::Quiet(Quiet::Kept) if comes_again => {
                Self::come_again("what the newest state of the finding adds could not be looked at, or asked")
            }
            quiet @ (Self::Quiet(_) | Self::ComeAgain { .. }) => quiet,
        }
    }
}

/// What people are told, and the record of it; none where the ledger could not be written.
#[derive(Debug)]
pub struct Story {
    pub incident: Incident,
    pub record: Option<IncidentRecord>,
    /// People were told just this before: only the log hears of it.
    pub is_known: bool,
    /// It is one of many that wait beyond the hour's limit: the next tick tells them together.
    pub is_one_of_many: bool,
    /// Its event is to be delivered once more, though people are told what is known now.
    pub comes_again: bool,
    /// Why nothing was done, where that is since the ledger could not be written.
    pub unwritten: Option<LedgerError>,
}

/// Why nobody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// Another run is at this incident.
    Busy,
    /// It was told before, and nothing is new.
    Known,
    /// Everything held is as it was left.
    Kept,
    /// It is told with others.
    Gathered,
    /// What could not be asked is to be asked again, or still cannot be.
    Unasked,
}

/// Handles one finding: looks and plans, claims it, does what it may, reads back. Telling is the caller's.
///
/// Never fails: whatever went wrong is in the incident.
pub async fn respond(responder: &Responder, finding: Finding, run: &Run) -> Ending {
    // What a setting is while it settles says nothing about what it was: it is looked at once more after.
    for _ in 0..WAITS {
        let ending = once(responder, finding.clone(), run).await;
        let Ending::ComeAgain { until: Some(until), .. } = &ending else { return ending };
        let wait = Duration::try_from(until.duration_since(clock::now())).unwrap_or_default();
        if wait > SETTLES || Instant::now() + wait + ENOUGH > run.until {
            return ending;
        }
        tokio::time::sleep(wait).await;
    }
    once(responder, finding, run).await
}

async fn once(responder: &Responder, finding: Finding, run: &Run) -> Ending {
    let (incident, seen) = Box::pin(plan_seeing(responder, finding, run.until)).await;
    if !incident.finding.is_named() {
        // Nothing could tell its record from another's; the guards let nothing be done about it.
        return Ending::Tell(Box::new(Story::unrecorded(incident)));
    }
    if let Some(until) = unsettled(&incident, &seen) {
        let why = format!("what was just given back may not be seen yet: not before {until}");
        return Ending::ComeAgain { why, until: Some(until) };
    }
    // What this state of the finding adds to what is held is not known, or not decided by the rule: the next try may.
    let why = seen.seen.incident.as_ref().and_then(|known| protocol::unsure(&incident, known)).map(str::to_owned);
    let unseen = incident.unseen().map(str::to_owned);
    let ending = claim(responder, run, incident, Occasion::Delivery, seen).await;
    match ending {
        Ending::Quiet(Quiet::Kept) => why.or(unseen).map_or(ending, Ending::come_again),
        Ending::Tell(_) | Ending::Quiet(_) | Ending::ComeAgain { .. } => ending.and_comes_again(why.is_some()),
    }
}

/// Until when there may be something to do though nothing is seen of it: what is just given back, or was moments ago, AWS may
/// still show as it was.
fn unsettled(incident: &Incident, foreseen: &Foreseen) -> Option<Timestamp> {
    let is_nothing = |part: &Part| matches!(part.plan.no_steps, Some(NoSteps::NothingToDo(_)));
    let now = clock::now();
    let holds = || foreseen.seen.holds.values();
    incident.parts.iter().any(is_nothing).then(|| holds().filter_map(|hold| hold.unsettled(now)).max())?
}

/// Takes the incident, and goes on as the ledger says. Nothing is written in AWS before this is won.
///
/// `foreseen` is what is known to be in the ledger, or was just before.
pub async fn claim(
    responder: &Responder,
    run: &Run,
    incident: Incident,
    occasion: Occasion,
    foreseen: impl Into<Foreseen>,
) -> Ending {
    let now = clock::now();
    let Foreseen { seen, counted } = foreseen.into();
    let limits = match &responder.policy {
        Ok(policy) => limit::of_incident(policy, &incident, now),
        Err(_) => Vec::new(),
    };
    let limits = match in_time(run, responder.ledger.left_of(limits, counted, now)).await {
        Ok(limits) => limits,
        Err(error) => return unrecorded(incident, &error),
    };
    let mut claim = Claim { incident, by: run.worker.clone(), occasion, limits, now };
    let mut answer = in_time(run, responder.ledger.claim_seeing(&claim, seen)).await;
    let mut first = None;
    while let Ok(Claimed::Denied(Denied::OverLimit { counter, settings })) = &answer {
        if !limit::hold_back(&mut claim.incident, counter, settings) {
            break;
        }
        first.get_or_insert_with(|| counter.clone());
        answer = in_time(run, responder.ledger.claim(&claim)).await;
    }
    let ending = claimed(responder, run, answer, claim.incident).await;
    match first {
        Some(counter) => with_others(responder, run, ending, &counter).await,
        None => ending,
    }
}

/// The first that waits beyond an hour's limit is told at once, and those that follow it together, by the next tick.
async fn with_others(responder: &Responder, run: &Run, ending: Ending, counter: &CounterKey) -> Ending {
    let Ending::Tell(mut story) = ending else { return ending };
    // What else there is to say of a finding, the shared message does not.
    let may_be_known = story.is_known || story.incident.beside.repeated;
    if story.record.as_ref().is_some_and(IncidentRecord::only_waits) && !may_be_known {
        let asked = in_time(run, responder.ledger.is_first_beyond(counter, clock::now())).await;
        // In doubt it is told at once.
        story.is_one_of_many = asked.is_ok_and(|is_first| !is_first);
    }
    Ending::Tell(story)
}

/// A ledger that hangs must leave time for telling people so.
async fn in_time<T>(run: &Run, asked: impl Future<Output = Result<T, LedgerError>>) -> Result<T, LedgerError> {
    let answer = tokio::time::timeout_at(run.until.into(), asked).await;
    answer.unwrap_or_else(|_| Err(CloudError::out_of_time("asking the ledger").into()))
}

async fn claimed(responder: &Responder, run: &Run, answer: Result<Claimed, LedgerError>, incident: Incident) -> Ending {
    match answer {
        Ok(Claimed::Won(record, how)) => {
            // What the record does not take for seen may add something: what was to be told before is told first, say.
            let comes_again = protocol::is_newer(&incident.finding, &record.incident.finding);
            go_on(responder, run, *record, how).await.and_comes_again(comes_again)
        }
        Ok(Claimed::Denied(Denied::Known(record)))
            if protocol::is_newer(&incident.finding, &record.incident.finding) =>
        {
            // What it names by now may be another plan.
            let unseen = protocol::out_of_sight(&incident, &record);
            unseen.map_or(Ending::Quiet(Quiet::Known), Ending::come_again)
        }
        Ok(Claimed::Denied(why)) => denied(why, incident),
        Err(error) => unrecorded(incident, &error),
    }
}

/// Does what the claim was won for.
pub async fn go_on(responder: &Responder, run: &Run, record: IncidentRecord, how: How) -> Ending {
    // On the heap: each of these is a deep nest of calls.
    match how {
        // What an earlier run has finished, or may have changed in part, is looked at first.
        How::Resumed | How::Again | How::Approved => {
            let may_be_known = how != How::Approved && record.may_have_been_told();
            // What was decided before somebody pulled the kill switch is not written after it.
            let switch = switch(&responder.clouds, responder.kill_switch.as_deref(), run.until);
            let is_looked_at = how == How::Again || record.contained.is_some() || !may_be_half_made(&record).is_empty();
            let ending = if is_looked_at {
                Box::pin(look_again(responder, run, record, switch)).await
            } else {
                let stopped = switch.await.stops();
                Box::pin(carry_out(responder, run, record, stopped)).await
            };
            if may_be_known { repeated(ending) } else { ending }
        }
        How::Fresh => Box::pin(carry_out(responder, run, record, None)).await,
        How::AskAgain => tell(record),
        How::Announce => repeated(tell(record)),
        How::LeftAlone => {
            let mut story = Story::of(record);
            (story.incident.news, story.is_known) = (Some(News::LeftAlone), false);
            Ending::Tell(Box::new(story))
        }
    }
}

/// A run that ended early may have told people, or not.
#[must_use]
pub fn repeated(ending: Ending) -> Ending {
    match ending {
        Ending::Tell(mut story) => {
            story.incident.beside.repeated = true;
            Ending::Tell(story)
        }
        quiet @ (Ending::Quiet(_) | Ending::ComeAgain { .. }) => quiet,
    }
}

/// Tells what the record says.
#[must_use]
pub fn tell(record: IncidentRecord) -> Ending {
    Ending::Tell(Box::new(Story::of(record)))
}

impl Story {
    /// The incident as its record has it, and what people can still decide about it.
    #[must_use]
    pub fn of(record: IncidentRecord) -> Self {
        // While it is still tried, nobody can decide.
        let approval = record.approval.clone().filter(|_| record.status == Status::Waiting);
        let beside = Beside { approval, ends: record.ends, ..Beside::default() };
        let incident = Incident { beside, ..record.incident.clone() };
        let is_known = record.told.is_some();
        Self { incident, is_known, record: Some(record), is_one_of_many: false, comes_again: false, unwritten: None }
    }

    /// What the ledger does not have, nor whether people know.
    #[must_use]
    pub fn unrecorded(incident: Incident) -> Self {
        Self { incident, record: None, is_known: false, is_one_of_many: false, comes_again: false, unwritten: None }
    }
}

fn denied(why: Denied, incident: Incident) -> Ending {
    match why {
        // It is told, and is no part of what is known of the finding whose id it has.
        Denied::Another => Ending::Tell(Box::new(Story::unrecorded(incident))),
        Denied::Busy { .. } => Ending::Quiet(Quiet::Busy),
        Denied::Known(_) | Denied::OtherPlan(_) => Ending::Quiet(Quiet::Known),
        Denied::Wait { until } => {
            let why =
                format!("another run is at this finding, or at a setting of it, or was just now: not before {until}");
            Ending::ComeAgain { why, until: Some(until) }
        }
        Denied::OverLimit { counter, .. } => Ending::come_again(format!("{counter} is at its limit")),
    }
}

/// Without the ledger nothing is changed: what undo needs could not be saved.
fn unrecorded(mut incident: Incident, error: &LedgerError) -> Ending {
    let why = format!("the ledger cannot be written, so this run changed nothing: {error}");
    for part in &mut incident.parts {
        let decision = part.decision.clone();
        part.decision = decision.lowered_to(Response::Plan, why.clone());
    }
    incident.beside.failure = Some(why);
    Ending::Tell(Box::new(Story { unwritten: Some(error.clone()), ..Story::unrecorded(incident) }))
}

/// Clients for a place, whose identity was asked: without that nothing is believed, and nothing is written.
///
/// # Errors
/// Why the account cannot be reached, or is another.
pub async fn cloud_at(responder: &Responder, at: &Place, of: &Finding, until: Instant) -> Result<Cloud, CloudError> {
    let cloud = responder.clouds.at(at, &of.id, until).await?;
    cloud.verify_identity().await?;
    Ok(cloud)
}
