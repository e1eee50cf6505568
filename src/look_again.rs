//! Looks at what an incident holds: is it still as it was left?
//!
//! An attacker with IAM rights takes a deny policy off within seconds. What is no longer as it was left is contained
//! again; its first original value stays the one that undo gives back. The ledger knows of it before anything is written:
//! should this run end in between, the next one finds all as it should be, and must still tell people.

use crate::act::{finish, make_all, not_made, told_whole};
use crate::aws::Cloud;
use crate::change::{Change, GroupRef, Value};
use crate::clock;
use crate::cloud_error::{CloudError, Kind};
use crate::execute::make;
use crate::incident::{Incident, News, Outcome, Part, StepResult, Verdict};
use crate::ledger::LedgerError;
use crate::ledger::hold::{Hold, again};
use crate::ledger::key::HoldKey;
use crate::ledger::protocol::{held_by, saying};
use crate::ledger::record::IncidentRecord;
use crate::observe::Budget;
use crate::observed::KillSwitch;
use crate::plan::Plan;
use crate::policy::Response;
use crate::respond::{Ending, Quiet, Responder, Run, cloud_at};
use crate::setting::{InlinePolicy, Principal, Setting, owner_of, quarantine_groups};
use futures_util::future::{join, join_all};
use std::collections::{BTreeMap, BTreeSet};

/// How often to decide again where others write the same hold.
const TRIES: usize = 5;

/// What was found of a held setting.
enum Found {
    /// It is not this incident's to look after.
    Nothing,
    /// It no longer exists.
    Gone(Change, CloudError),
    /// Whoever it belongs to has another name by now, in words.
    Renamed(Change, String),
    /// As it should be.
    Kept(Change),
    /// Somebody set it to something else.
    Open(Box<Open>),
    /// It could not be read.
    Unread(Change, CloudError),
}

/// A held setting that is not as it was left.
struct Open {
    cloud: Cloud,
    hold: Hold,
    /// From what was found to what it should be.
    change: Change,
}

/// Reads all held settings side by side, sets again what somebody else has set, and makes what a newer state of the
/// finding adds. Where the kill switch stops that, people are told what is open.
pub async fn look_again(
    responder: &Responder,
    run: &Run,
    record: IncidentRecord,
    switch: impl Future<Output = KillSwitch>,
) -> Ending {
    let mut known: BTreeSet<HoldKey> = results_of(&record.incident).into_keys().collect();
    known.extend(may_be_half_made(&record));
    let looked_after = record.holds.iter().filter(|key| !record.by_hand.contains(key));
    let (old, new): (Vec<HoldKey>, Vec<HoldKey>) = looked_after.cloned().partition(|key| known.contains(key));
    let holds = match responder.ledger.holds(&old).await {
        Ok(holds) => holds,
        Err(error) => return Ending::come_again(error),
    };
    let before = results_of(&record.incident);
    let looks = join_all(holds.iter().map(|hold| look(responder, run, &record, hold)));
    let (looks, switch) = join(looks, switch).await;
    let stopped = switch.stops();
    let stopped = stopped.as_deref();
    let mut results = BTreeMap::new();
    let mut open = Vec::new();
    for (hold, found) in holds.iter().zip(looks) {
        let known = before.get(&hold.key);
        match found {
            Found::Nothing => {}
            // What was contained and no longer exists needs no word, unless it may have another name now; what was told as open
            // is so no more.
            Found::Gone(change, error) => {
                let is_open = |it: &StepResult| !it.outcome.held_when_read() || it.outcome.is_transient();
                let is_said = |it: &StepResult| matches!(it.outcome, Outcome::Gone { .. });
                // Of what a run that died had begun nobody knows yet.
                if known.is_none_or(|it| !is_said(it) && (is_open(it) || may_be_renamed(&change.setting))) {
                    let outcome = Outcome::Gone { why: error.to_string() };
                    results.insert(hold.key.clone(), StepResult::new(change, outcome));
                }
            }
            Found::Kept(change) if known.is_some_and(|it| it.outcome.holds() && !is_moved(it, &change)) => {}
            // It was not seen before that it holds, and people were told so; or a run that crashed moved it on.
            Found::Kept(change) => {
                results.insert(hold.key.clone(), StepResult::new(change, Outcome::Changed));
            }
            Found::Open(found) => open.push(*found),
            Found::Renamed(change, why) => {
                results.insert(hold.key.clone(), StepResult::new(change, Outcome::Failed { why, transient: false }));
            }
            Found::Unread(change, error) => {
                let outcome = unread(&error, known.is_some_and(|it| it.outcome.held_when_read()));
                results.insert(hold.key.clone(), StepResult::new(change, outcome));
            }
        }
    }
    let held = |open: &&Open| before.get(&open.hold.key).is_some_and(|it| it.outcome.held_when_read());
    let reopened: Vec<String> = open.iter().filter(held).map(|open| open.hold.setting.to_string()).collect();
    let record = match responder.ledger.reopened(record, &run.worker, &reopened, clock::now()).await {
        Ok(record) => record,
        Err(error) => return Ending::come_again(error),
    };
    let unread = results.values().filter(|result| !result.outcome.holds()).cloned().collect();
    results.extend(match stopped {
        Some(why) => open.into_iter().map(|open| (open.hold.key, not_made(open.change, why))).collect(),
        None => set_all_again(responder, run, &record, open, unread).await,
    });
    let extended = |part| extended(responder, run, &record, part, &new, stopped);
    let parts = join_all(record.incident.parts.iter().map(extended)).await;
    let waits = |part: &Part| part.verdict() == Verdict::WaitingForApproval;
    let asks = record.approval.is_none() && parts.iter().any(waits);
    let is_said = record.told.is_some() && record.said == Some(saying(&record));
    let is_calm = is_said && record.failures == 0 && record.incident.news.is_none();
    if results.is_empty() && new.is_empty() && is_calm && !record.incident.is_worth_retrying() {
        return match responder.ledger.verified(&record, clock::now()).await {
            Ok(_) => Ending::Quiet(Quiet::Kept),
            Err(error) => Ending::come_again(error),
        };
    }
    // Of what is only told, nothing was made now.
    let is_made = !results.is_empty() || !new.is_empty();
    let made = record.incident.contained.filter(|_| !is_made).unwrap_or_else(clock::now);
    let all: BTreeMap<HoldKey, StepResult> =
        parts.iter().flat_map(results_of_part).map(|(key, it)| (key, it.clone())).chain(results.clone()).collect();
    let mut parts: Vec<Part> = parts.into_iter().map(|part| with_results(part, &all)).collect();
    let budget = Budget::default();
    join_all(parts.iter_mut().map(|part| told_whole(responder, run.until, &record, part, &budget))).await;
    let more = Some(News::More).filter(|_| !new.is_empty() || asks);
    let news = record.incident.news.clone().or(more);
    let incident = Incident { parts, news, ..record.incident.clone() };
    finish(responder, run, record, incident, made).await
}

/// The rules of groups that a run before this one set out to change, and may have changed in part: what is left to do depends on
/// what is there now, and on what other incidents have changed since.
#[must_use]
pub fn may_be_half_made(record: &IncidentRecord) -> BTreeSet<HoldKey> {
    let rules =
        held_by(&record.incident).into_iter().filter(|it| matches!(it.change.setting, Setting::IngressRules(_)));
    rules.map(|it| it.key()).filter(|key| record.holds.contains(key) && !record.untried.contains(key)).collect()
}

async fn look(responder: &Responder, run: &Run, record: &IncidentRecord, hold: &Hold) -> Found {
    let cloud = match cloud_at(responder, &hold.at, &record.incident.finding, run.until).await {
        Ok(cloud) => cloud,
        Err(error) => return Found::Unread(hold.change(), error),
    };
    let hold = match known_group(&cloud, hold).await {
        Ok(hold) => hold,
        Err(error) => return Found::Unread(hold.change(), error),
    };
    // What the incident does not hold any more is not its to look after.
    let Some(change) = hold.kept_by(&record.id) else { return Found::Nothing };
    match change.setting.adjust().read(&cloud, &change).await {
        Ok(found) => match again(&change, &found) {
            None => Found::Kept(change),
            // A key is followed to its new owner; whoever has the old name by now is somebody else.
            Some(open) => match policy_renamed(&cloud, record, &change).await {
                Ok(Some(why)) => Found::Renamed(change, why),
                Ok(None) => Found::Open(Box::new(Open { cloud, hold, change: open })),
                Err(error) => Found::Unread(change, error),
            },
        },
        Err(error) if error.kind == Kind::Gone => match policy_renamed(&cloud, record, &change).await {
            Ok(Some(why)) => Found::Renamed(change, why),
            Ok(None) => Found::Gone(change, error),
            Err(error) => Found::Unread(change, error),
        },
        Err(error) => Found::Unread(change, error),
    }
}

async fn policy_renamed(cloud: &Cloud, record: &IncidentRecord, change: &Change) -> Result<Option<String>, CloudError> {
    match &change.setting {
        Setting::InlinePolicy(_) => renamed(cloud, &record.incident, &change.setting).await,
        Setting::AccessKeyStatus(_)
        | Setting::IngressRules(_)
        | Setting::InterfaceGroups(_)
        | Setting::QuarantineGroup(_) => Ok(None),
    }
}

/// Whether the user of a setting is called something else by now, in words: so is whoever has a key of theirs that the
/// incident is about. IAM finds keys, and nothing else, under every name.
///
/// # Errors
/// It is not known now, and may be in a minute.
pub async fn renamed(cloud: &Cloud, incident: &Incident, setting: &Setting) -> Result<Option<String>, CloudError> {
    let user = match setting {
        Setting::AccessKeyStatus(key) => &key.user,
        Setting::InlinePolicy(InlinePolicy { principal: Principal::User(user), name: _ }) => user,
        Setting::InlinePolicy(_)
        | Setting::IngressRules(_)
        | Setting::InterfaceGroups(_)
        | Setting::QuarantineGroup(_) => return Ok(None),
    };
    let steps = incident.parts.iter().flat_map(|part| part.plan.steps());
    for step in steps {
        let Setting::AccessKeyStatus(of) = &step.change.setting else { continue };
        if of.user != *user {
            continue;
        }
        let owner = match owner_of(cloud, &of.key).await {
            Ok(owner) => owner.filter(|owner| owner != user),
            // A key that was deleted has no owner, and who may not ask will not find out.
            Err(error) if matches!(error.kind, Kind::Gone | Kind::Refused) => None,
            Err(error) => return Err(error),
        };
        if let Some(now) = owner {
            return Ok(Some(format!(
                "user {user} is called {now} now: {setting} is for people to look after under that name"
            )));
        }
    }
    Ok(None)
}

/// A user keeps keys and policies under another name (`UpdateUser`); nothing else that is held can get one.
fn may_be_renamed(setting: &Setting) -> bool {
    match setting {
        Setting::AccessKeyStatus(_) => true,
        Setting::InlinePolicy(policy) => matches!(policy.principal, Principal::User(_)),
        Setting::InterfaceGroups(_) | Setting::IngressRules(_) | Setting::QuarantineGroup(_) => false,
    }
}

/// That it was so at the last look is remembered: if the next one finds it open, somebody opened it.
fn unread(error: &CloudError, held: bool) -> Outcome {
    let (why, transient) = (error.to_string(), error.kind == Kind::Transient);
    if held { Outcome::Unread { why, transient } } else { Outcome::Failed { why, transient } }
}

/// Sets again what somebody else has set. What interfaces move into must be there, and empty, before they do. A group
/// that is `unread` is none to move into.
async fn set_all_again(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    open: Vec<Open>,
    unread: Vec<StepResult>,
) -> Vec<(HoldKey, StepResult)> {
    let (groups, others): (Vec<Open>, Vec<Open>) =
        open.into_iter().partition(|open| matches!(open.hold.setting, Setting::QuarantineGroup(_)));
    let groups = join_all(groups.into_iter().map(|open| set_again(responder, run, record, open))).await;
    let missing = |open: &Open| {
        let vpc = open.change.to.waits_for()?;
        let makes =
            |result: &&StepResult| matches!(&result.change.setting, Setting::QuarantineGroup(it) if it.vpc == *vpc);
        let made = groups.iter().map(|(_, result)| result).chain(&unread).find(makes)?;
        let outcome = made.outcome.clone();
        // The interface was read, though its group was not.
        let Outcome::Unread { why, transient } = outcome else { return Some(outcome).filter(|it| !it.holds()) };
        Some(Outcome::Failed { why, transient })
    };
    let others = join_all(others.into_iter().map(|open| async {
        match missing(&open) {
            // Without its group it fails as the group does.
            Some(outcome) => (open.hold.key, StepResult::new(open.change, outcome)),
            None => set_again(responder, run, record, open).await,
        }
    }));
    let others = others.await;
    groups.into_iter().chain(others).collect()
}

async fn set_again(responder: &Responder, run: &Run, record: &IncidentRecord, open: Open) -> (HoldKey, StepResult) {
    let Open { cloud, hold, change } = match at_work(responder, run, record, open).await {
        Ok(open) => open,
        Err((open, why)) => {
            let outcome = Outcome::Failed { why, transient: true };
            return (open.hold.key, StepResult::new(open.change, outcome));
        }
    };
    let mut result = make(&cloud, change, run.until).await;
    if !result.outcome.holds() {
        match moved_on(responder, &cloud, &hold, &result.change).await {
            Ok(Some(change)) => {
                let before = result.requests;
                result = make(&cloud, change, run.until).await;
                result.requests.splice(..0, before);
            }
            Ok(None) => {}
            Err(error) => result.outcome = Outcome::Failed { why: error.to_string(), transient: true },
        }
    }
    (hold.key, result)
}

/// Tells other incidents on the same rules that we are about to write them: what they plan on what they see meanwhile would
/// open what we close. Who joined since we looked has a say in what we write.
async fn at_work(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    mut open: Open,
) -> Result<Open, (Open, String)> {
    for _ in 0..TRIES {
        let now = clock::now();
        let Some(next) = open.hold.at_work(&record.id, run.worker.lease.until, now) else { return Ok(open) };
        match responder.ledger.swap_hold(next, now).await {
            Ok(Ok(hold)) => return Ok(Open { hold, ..open }),
            Ok(Err(there)) => {
                let wanted = there.kept_by(&record.id).and_then(|kept| again(&kept, &open.change.from));
                let Some(change) = wanted else {
                    return Err((open, "another run has changed what is wanted".to_owned()));
                };
                open = Open { cloud: open.cloud, hold: *there, change };
            }
            Err(error) => return Err((open, error.to_string())),
        }
    }
    Err((open, "other runs write this hold all the time".to_owned()))
}

/// Where somebody deleted the quarantine group that an interface should be in, it belongs in the one that its VPC has now.
/// The hold says so before it is moved: undo must know that group as ours.
async fn moved_on(
    responder: &Responder,
    cloud: &Cloud,
    hold: &Hold,
    change: &Change,
) -> Result<Option<Change>, LedgerError> {
    let Setting::InterfaceGroups(interface) = &change.setting else { return Ok(None) };
    // If that cannot be read, the failure that people are told of is the first one.
    let Ok(Some(group)) = interface.quarantine_group(cloud).await else { return Ok(None) };
    let to = Value::only(GroupRef::Id(group));
    if to == change.to {
        return Ok(None);
    }
    let now = clock::now();
    match responder.ledger.swap_hold(hold.moved_on(&change.to, &to, now), now).await? {
        Ok(_) => Ok(Some(Change { to, ..change.clone() })),
        Err(_) => Err(LedgerError::Contended),
    }
}

/// Whether an interface is as it should be, but in another group than its result says.
fn is_moved(known: &StepResult, kept: &Change) -> bool {
    matches!(kept.setting, Setting::InterfaceGroups(_)) && known.change.to != kept.to
}

/// The hold with the id of the quarantine group, where a run crashed before it said which it made.
///
/// # Errors
/// The groups of the VPC could not be read, so that nobody can tell whether the interface is in ours.
pub async fn known_group(cloud: &Cloud, hold: &Hold) -> Result<Hold, CloudError> {
    let Some(vpc) = hold.waits_for() else { return Ok(hold.clone()) };
    let groups = quarantine_groups(cloud, Some(&vpc)).await?;
    let ours = groups.iter().find(|group| group.ours);
    Ok(ours.map_or_else(|| hold.clone(), |group| hold.resolved(&vpc, &group.id)))
}

/// Executes the steps of a part that nobody has made yet.
async fn extended(
    responder: &Responder,
    run: &Run,
    record: &IncidentRecord,
    part: &Part,
    new: &[HoldKey],
    stopped: Option<&str>,
) -> Part {
    let at = &part.plan.subject.at;
    let is_new = |change: &Change| new.contains(&HoldKey::of(at, &change.setting));
    let stages =
        part.plan.stages.iter().map(|stage| stage.iter().filter(|step| is_new(&step.change)).cloned().collect());
    let stages: Vec<Vec<_>> = stages.filter(|stage: &Vec<_>| !stage.is_empty()).collect();
    if stages.is_empty() {
        return part.clone();
    }
    let plan = Plan { stages, ..part.plan.clone() };
    let more = make_all(responder, run.until, record, &plan, stopped).await;
    Part { results: [part.results.clone(), more].concat(), ..part.clone() }
}

/// The part with the newest results, also of a setting that it shares with another part, which made it.
fn with_results(part: Part, all: &BTreeMap<HoldKey, StepResult>) -> Part {
    if part.decision.response != Response::Contain {
        return part;
    }
    let at = &part.plan.subject.at;
    let newest = |change: &Change| all.get(&HoldKey::of(at, &change.setting)).cloned();
    let known = part.results.iter().map(|result| newest(&result.change).unwrap_or_else(|| result.clone()));
    let is_known = |change: &Change| part.results.iter().any(|result| result.change.setting == change.setting);
    let shared = part.plan.steps().filter(|step| !is_known(&step.change)).filter_map(|step| newest(&step.change));
    let results = known.chain(shared).collect();
    Part { results, ..part }
}

fn results_of(incident: &Incident) -> BTreeMap<HoldKey, &StepResult> {
    incident.parts.iter().flat_map(results_of_part).collect()
}

fn results_of_part(part: &Part) -> Vec<(HoldKey, &StepResult)> {
    let key = |result: &StepResult| HoldKey::of(&part.plan.subject.at, &result.change.setting);
    part.results.iter().map(|result| (key(result), result)).collect()
}
