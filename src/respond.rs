//! The story of a finding.

use crate::act::carry_out;
use crate::aws::{Cloud, Clouds};
use crate::blast;
use crate::clock;
use crate::cloud_error::{CloudError, Kind};
use crate::finding::{Finding, Subject};
use crate::guard::{self, Case, Own};
use crate::id::{GroupId, Place};
use crate::incident::{Beside, Incident, News, Part};
use crate::ledger::hold::{self, Hold, closes_tcp};
use crate::ledger::key::{CounterKey, HoldKey, IncidentId};
use crate::ledger::protocol::{self, Claim, Denied, How, Occasion};
use crate::ledger::record::{IncidentRecord, Status, Worker};
use crate::ledger::{Claimed, Foreseen, Ledger, LedgerError};
use crate::limit;
use crate::look_again::{look_again, may_be_half_made};
use crate::observe::{Budget, check, observe, switch};
use crate::observed::{Checks, Exposure, KeptClosed, Observation, Observed};
use crate::plan::{NoSteps, Plan};
use crate::policy::{Decision, Policy, Response, Ruling};
use crate::remediation::exposed_port::rules_of;
use crate::remediation::{Remediation, Route, route, told};
use crate::setting::Setting;
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How often a finding waits here: while somebody gives a setting back, and then until AWS shows that.
const WAITS: usize = 2;

/// How long a finding waits here for a setting to settle; what takes longer comes again.
const SETTLES: Duration = hold::SETTLES.unsigned_abs();

/// What must be left after that, to contain.
const ENOUGH: Duration = Duration::from_secs(5);

/// How long looking may wait for the ledger; the claim asks it again.
const FORESIGHT: Duration = Duration::from_secs(1);

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

/// What all subjects of a finding share.
#[derive(Default)]
struct Asked {
    /// Asked once, by the first that is looked at.
    checks: OnceCell<Checks>,
    /// What the ledger says, asked as often.
    foreseen: OnceCell<Foreseen>,
    balancers: Budget,
    /// How long Quell has waited for a person.
    waited: SignedDuration,
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
    let asked = Asked::default();
    let incident = Box::pin(plan_with(responder, finding, &asked, run.until)).await;
    let seen = asked.foreseen.into_inner().unwrap_or_default();
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
        Ending::Tell(story) => {
            let comes_again = why.is_some();
            Ending::Tell(Box::new(Story { comes_again, ..*story }))
        }
        Ending::Quiet(_) | Ending::ComeAgain { .. } => ending,
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

/// Reads, beside looking, what the claim will probably meet in the ledger. On it depends a round trip, that what was just
/// given back is not taken for nothing to do, and that what others keep closed is kept closed by this finding too.
async fn foresee(responder: &Responder, finding: &Finding) -> Foreseen {
    let Ok(policy) = &responder.policy else { return Foreseen::default() };
    let is_looked_at = |subject: &Subject| stops_at_telling(&policy.rule_for(finding, subject, None)).is_none();
    let now = clock::now();
    let (mut holds, mut counters) = (Vec::new(), BTreeSet::new());
    for Route { subject, remediation } in route(finding) {
        let Some(remediation) = remediation.filter(|_| is_looked_at(subject)) else { continue };
        holds.extend((remediation.settings)(&subject.kind).iter().map(|setting| HoldKey::of(&subject.at, setting)));
        let limits = limit::of_account(policy, &subject.at.account, Some(remediation.name), now);
        counters.extend(limits.map(|limit| limit.counter.before(now)));
    }
    if holds.is_empty() && counters.is_empty() {
        return Foreseen::default();
    }
    let (id, counters) = (IncidentId::of(finding), Vec::from_iter(counters));
    let foreseen = tokio::time::timeout(FORESIGHT, responder.ledger.foresee(&id, &holds, &counters, now)).await;
    foreseen.ok().and_then(Result::ok).unwrap_or_default()
}

/// Looks at every subject, and says what would be done about it.
pub async fn plan_for(responder: &Responder, finding: Finding, until: Instant) -> Incident {
    plan_after(responder, finding, until, SignedDuration::ZERO).await
}

/// The same, so long after Quell began to wait for a person to decide.
pub async fn plan_after(responder: &Responder, finding: Finding, until: Instant, waited: SignedDuration) -> Incident {
    plan_with(responder, finding, &Asked { waited, ..Asked::default() }, until).await
}

async fn plan_with(responder: &Responder, finding: Finding, asked: &Asked, until: Instant) -> Incident {
    let started = clock::now();
    let parts = route(&finding).into_iter().map(|route| part(responder, &finding, route, asked, until));
    let parts = join_all(parts).await;
    Incident::new(finding, parts, started)
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
    if story.record.as_ref().is_some_and(IncidentRecord::only_waits) && !story.is_known {
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
        Ok(Claimed::Won(record, how)) => go_on(responder, run, *record, how).await,
        Ok(Claimed::Denied(why)) => denied(why),
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

fn denied(why: Denied) -> Ending {
    match why {
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

/// One subject's part of the story. Subjects do not wait for each other.
async fn part(responder: &Responder, finding: &Finding, route: Route<'_>, asked: &Asked, until: Instant) -> Part {
    let Route { subject, remediation } = route;
    let policy = match &responder.policy {
        Ok(policy) => policy,
        Err(why) => return only_told(Plan::without_steps(subject, None, NoSteps::Refused(why.clone())), None),
    };
    let before = policy.rule_for(finding, subject, None);
    let Some(remediation) = remediation else {
        let mut part = only_told(told(finding, subject), rule_of(&before));
        part.decision.notes.extend(guard::last_way_in(policy, &subject.kind));
        return part;
    };
    if let Some(why) = stops_at_telling(&before) {
        return only_told(Plan::without_steps(subject, None, NoSteps::NotCovered(why)), rule_of(&before));
    }
    let looking = look(responder, finding, route, remediation, until);
    let foreseeing = asked.foreseen.get_or_init(|| foresee(responder, finding));
    let asking = join(checks(responder, policy, finding, asked, until), foreseeing);
    let ((cloud, observation), (checks, foreseen)) = join(looking, asking).await;
    let observation =
        observation.map(|observed| observed.beside(kept_closed(finding, subject, foreseen.seen.holds.values())));
    // Tags that could not be read stay unknown: then a rule that asks for them decides nothing, and so nothing is done.
    let tags = observation.as_ref().ok().map(Observed::tags);
    let ruling = policy.rule_for(finding, subject, tags.as_ref());
    if let Some(why) = stops_at_telling(&ruling) {
        return only_told(Plan::without_steps(subject, None, NoSteps::NotCovered(why)), rule_of(&ruling));
    }
    let (mut plan, observation) = planned(responder, finding, route, remediation, observation).await;
    let observed = observation.as_ref().ok();
    let principal = cloud.as_ref().and_then(Cloud::caller).and_then(Own::principal_of);
    let own = &Own { principal, ..responder.own.clone() };
    let (now, waited) = (clock::now(), asked.waited);
    let decided = |plan: &Plan| {
        guard::lowered(&Case { finding, plan, ruling: &ruling, policy, observed, checks, own, now, waited })
    };
    let decision = decided(&plan);
    // Containment waits for no more than what the team wants to be sure of; a person who decides has the time.
    match cloud {
        Some(cloud) if is_waited_for(&decision, &ruling) => {
            blast::complete(&cloud, &mut plan, &asked.balancers, until).await;
            Part { decision: decided(&plan), plan, results: Vec::new(), ends: None }
        }
        Some(_) | None => Part { plan, decision, results: Vec::new(), ends: None },
    }
}

fn only_told(plan: Plan, rule: Option<String>) -> Part {
    Part { plan, decision: Decision::new(Response::Notify, rule), results: Vec::new(), ends: None }
}

/// Why people are told and nothing is looked at; none where the rule wants more, or depends on tags.
fn stops_at_telling(ruling: &Ruling) -> Option<String> {
    match ruling {
        Ruling::Decided { response: Response::Notify, .. } => Some("the policy wants people told, no more".to_owned()),
        Ruling::Decided { .. } | Ruling::NeedsTags => None,
    }
}

/// Whether all that would stop must be known first: a person decides with it, or the rule has a ceiling. Of what is refused
/// nobody shall make us ask much.
fn is_waited_for(decision: &Decision, ruling: &Ruling) -> bool {
    let has_ceiling = match ruling {
        Ruling::Decided { terms, .. } => terms.max_blast.is_some(),
        Ruling::NeedsTags => false,
    };
    decision.refused.is_none() && (decision.response < Response::Contain || has_ceiling)
}

fn rule_of(ruling: &Ruling) -> Option<String> {
    match ruling {
        Ruling::Decided { rule, .. } => rule.clone(),
        Ruling::NeedsTags => None,
    }
}

/// Looks at the subject, and beside it asks whose credentials we look with: what another account shows is not believed.
async fn look(
    responder: &Responder,
    finding: &Finding,
    route: Route<'_>,
    remediation: &Remediation,
    until: Instant,
) -> (Option<Cloud>, Observation) {
    let subject = route.subject;
    let cloud = match responder.clouds.at(&subject.at, &finding.id, until).await {
        Ok(cloud) => cloud,
        Err(error) => return (None, Err(error)),
    };
    let looking = join(cloud.verify_identity(), observe(&cloud, &subject.kind, remediation.view));
    let observation = match tokio::time::timeout_at(until.into(), looking).await {
        // Whatever another account says of the resource, above all that it is gone, is not about this one.
        Ok((identity, observed)) => identity.and(observed),
        Err(_) => Err(CloudError::out_of_time("observing")),
    };
    (Some(cloud), observation)
}

/// Asks GuardDuty and the kill switch, once for a finding.
async fn checks<'a>(
    responder: &Responder,
    policy: &Policy,
    finding: &Finding,
    asked: &'a Asked,
    until: Instant,
) -> &'a Checks {
    let Responder { clouds, kill_switch, .. } = responder;
    let verify = policy.guards().verify_findings;
    asked.checks.get_or_init(|| check(clouds, finding, verify, kill_switch.as_deref(), until)).await
}

/// What other incidents keep closed of groups where the subject is.
fn kept_closed<'a>(
    finding: &Finding,
    subject: &Subject,
    holds: impl IntoIterator<Item = &'a Hold>,
) -> BTreeMap<GroupId, KeptClosed> {
    let id = IncidentId::of(finding);
    let of_group = |hold: &Hold| match &hold.setting {
        Setting::IngressRules(rules) if hold.key == HoldKey::of(&subject.at, &hold.setting) => {
            Some((rules.group.clone(), hold.kept_closed_beside(&id)?))
        }
        Setting::IngressRules(_)
        | Setting::AccessKeyStatus(_)
        | Setting::InlinePolicy(_)
        | Setting::InterfaceGroups(_)
        | Setting::QuarantineGroup(_) => None,
    };
    holds.into_iter().filter_map(of_group).collect()
}

/// The same as it is by now, and of groups that the finding does not name; nothing where the ledger does not answer in time.
async fn kept_closed_by_now(
    responder: &Responder,
    finding: &Finding,
    subject: &Subject,
    exposure: &Exposure,
) -> BTreeMap<GroupId, KeptClosed> {
    let keys: Vec<HoldKey> = exposure.rules.keys().map(|group| HoldKey::of(&subject.at, &rules_of(group))).collect();
    let holds = tokio::time::timeout(FORESIGHT, responder.ledger.holds(&keys)).await;
    let holds = holds.ok().and_then(Result::ok).unwrap_or_default();
    kept_closed(finding, subject, &holds)
}

/// Whether others may keep more closed than the ledger was asked about: a port is closed and the plan does not say by whom, or
/// the finding does not name a group.
fn may_be_kept_closed(finding: &Finding, exposure: &Exposure, known: &[Setting], plan: &Plan) -> bool {
    let closes = |port: u16| plan.steps().any(|step| closes_tcp(step.held(), port));
    match plan.no_steps {
        None => {
            finding.ports.iter().any(|local| !closes(local.port))
                || exposure.rules.keys().any(|group| !known.contains(&rules_of(group)))
        }
        Some(NoSteps::NothingToDo(_)) => true,
        Some(NoSteps::Gone(_) | NoSteps::Refused(_) | NoSteps::NotCovered(_) | NoSteps::NotObserved { .. }) => false,
    }
}

/// What would be done about what was seen. Where a port is closed, another finding may have done that since the ledger was asked,
/// or in a group that the finding does not name: it is asked once more.
async fn planned(
    responder: &Responder,
    finding: &Finding,
    route: Route<'_>,
    remediation: &Remediation,
    observation: Observation,
) -> (Plan, Observation) {
    let first = plan(finding, route, remediation, &observation);
    match observation {
        Ok(Observed::Exposure(exposure))
            if may_be_kept_closed(finding, &exposure, &(remediation.settings)(&route.subject.kind), &first) =>
        {
            let kept_closed = kept_closed_by_now(responder, finding, route.subject, &exposure).await;
            let observation = Ok(Observed::Exposure(Exposure { kept_closed, ..exposure }));
            (plan(finding, route, remediation, &observation), observation)
        }
        observation => (first, observation),
    }
}

fn plan(finding: &Finding, route: Route<'_>, remediation: &Remediation, observation: &Observation) -> Plan {
    let subject = route.subject;
    match observation {
        Ok(observed) => (remediation.plan)(finding, subject, observed),
        Err(error) => Plan::without_steps(subject, Some(remediation.name), unseen(error)),
    }
}

fn unseen(error: &CloudError) -> NoSteps {
    let why = error.to_string();
    match error.kind {
        Kind::Gone => NoSteps::Gone(why),
        Kind::Refused => NoSteps::Refused(why),
        Kind::Transient => NoSteps::NotObserved { why, transient: true },
        Kind::Exists | Kind::Other => NoSteps::NotObserved { why, transient: false },
    }
}
