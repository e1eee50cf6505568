//! Looks at what an incident holds: is it still as it was left?
//!
//! An attacker with IAM rights takes a deny policy off within seconds. What is no longer as it was left is contained
//! again; its first original value stays the one that undo gives back.

use crate::act::{finish, make_all, told_whole};
use crate::aws::Cloud;
use crate::change::Change;
use crate::clock;
use crate::cloud_error::{CloudError, Kind};
use crate::execute::make;
use crate::incident::{Incident, News, Outcome, Part, StepResult, Verdict};
use crate::ledger::hold::Hold;
use crate::ledger::key::HoldKey;
use crate::ledger::protocol::saying;
use crate::ledger::record::IncidentRecord;
use crate::observe::Budget;
use crate::plan::Plan;
use crate::respond::{Ending, Quiet, Responder, Run, cloud_at};
use crate::setting::{Setting, quarantine_groups};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// What was found of a held setting.
enum Found {
    /// It is not this incident's to look after, or no longer exists.
    Nothing,
    /// As it should be.
    Kept(Change),
    /// It was something else, and was set again, or tried to be.
    Other(StepResult),
    /// It could not be read.
    Unknown(StepResult),
}

/// Reads all held settings side by side, sets again what somebody else has set, and makes what a newer state of the
/// finding adds.
pub async fn look_again(responder: &Responder, run: &Run, record: IncidentRecord) -> Ending {
    let known: BTreeSet<HoldKey> = results_of(&record.incident).into_keys().collect();
    let (old, new): (Vec<HoldKey>, Vec<HoldKey>) = record.holds.iter().cloned().partition(|key| known.contains(key));
    let holds = match responder.ledger.holds(&old).await {
        Ok(holds) => holds,
        Err(error) => return Ending::come_again(error),
    };
    let before: BTreeMap<HoldKey, bool> =
        results_of(&record.incident).into_iter().map(|(key, result)| (key, result.outcome.holds())).collect();
    // What interfaces move into must be there, and empty, before they are looked at.
    let (groups, others): (Vec<&Hold>, Vec<&Hold>) =
        holds.iter().partition(|hold| matches!(hold.setting, Setting::QuarantineGroup(_)));
    let groups = join_all(groups.iter().map(|hold| async { (*hold, look(responder, run, &record, hold).await) })).await;
    let missing = |hold: &Hold| {
        let vpc = hold.waits_for()?;
        groups.iter().find_map(|(group, found)| match (&group.setting, found) {
            (Setting::QuarantineGroup(it), Found::Other(result) | Found::Unknown(result)) if it.vpc == vpc => {
                Some(result.outcome.clone()).filter(|outcome| !outcome.holds())
            }
            _ => None,
        })
    };
    let others = join_all(others.iter().map(|hold| async {
        let found = match (missing(hold), hold.kept_by(&record.id)) {
            // Without its group it fails as the group does.
            (Some(outcome), Some(change)) => Found::Unknown(StepResult { change, outcome }),
            (_, _) => look(responder, run, &record, hold).await,
        };
        (*hold, found)
    }))
    .await;
    let looks: Vec<(&Hold, Found)> = groups.into_iter().chain(others).collect();
    let mut results = BTreeMap::new();
    let mut reopened = Vec::new();
    for (hold, found) in looks {
        let held = before.get(&hold.key).copied().unwrap_or_default();
        let result = match found {
            Found::Nothing => continue,
            // It was not seen before that it holds, and people were told so.
            Found::Kept(_) if held => continue,
            Found::Kept(change) => StepResult { change, outcome: Outcome::Changed },
            Found::Other(result) => {
                if held {
                    reopened.push(hold.setting.to_string());
                }
                result
            }
            Found::Unknown(result) => result,
        };
        results.insert(hold.key.clone(), result);
    }
    let parts = join_all(record.incident.parts.iter().map(|part| extended(responder, run, &record, part, &new))).await;
    let waits = |part: &Part| part.verdict() == Verdict::WaitingForApproval;
    let asks = record.approval.is_none() && parts.iter().any(waits);
    let is_said = record.failures == 0 && record.said == Some(saying(&record));
    if results.is_empty() && new.is_empty() && is_said && !record.incident.is_worth_retrying() {
        return match responder.ledger.verified(&record, clock::now()).await {
            Ok(_) => Ending::Quiet(Quiet::Kept),
            Err(error) => Ending::come_again(error),
        };
    }
    let mut parts: Vec<Part> = parts.into_iter().map(|part| with_results(part, &results)).collect();
    let budget = Budget::default();
    join_all(parts.iter_mut().map(|part| told_whole(responder, run.until, &record, part, &budget))).await;
    let news = match (reopened.is_empty(), new.is_empty() && !asks) {
        (false, _) => Some(News::Reopened { settings: reopened.clone() }),
        (true, false) => Some(News::More),
        (true, true) => record.incident.news.clone(),
    };
    let incident = Incident { parts, news, ..record.incident.clone() };
    finish(responder, run, record, incident, clock::now(), reopened).await
}

async fn look(responder: &Responder, run: &Run, record: &IncidentRecord, hold: &Hold) -> Found {
    let unknown = |error: &CloudError, change: Change| {
        let transient = error.kind == Kind::Transient;
        Found::Unknown(StepResult { change, outcome: Outcome::Failed { why: error.to_string(), transient } })
    };
    let cloud = match cloud_at(responder, &hold.at, &record.incident.finding, run.until).await {
        Ok(cloud) => cloud,
        Err(error) => return unknown(&error, hold.change()),
    };
    let hold = &known_group(&cloud, hold).await;
    // What the incident does not hold any more is not its to look after.
    let Some(change) = hold.kept_by(&record.id) else { return Found::Nothing };
    match change.setting.adjust().read(&cloud, &change).await {
        Ok(found) if found == change.to => Found::Kept(change),
        Ok(found) => Found::Other(make(&cloud, Change { from: found, ..change }, run.until).await),
        // What no longer exists needs no containing.
        Err(error) if error.kind == Kind::Gone => Found::Nothing,
        Err(error) => unknown(&error, change),
    }
}

/// A run that crashed may not have said which group it made.
pub async fn known_group(cloud: &Cloud, hold: &Hold) -> Hold {
    let Some(vpc) = hold.waits_for() else { return hold.clone() };
    match quarantine_groups(cloud, Some(&vpc)).await {
        Ok(groups) => {
            groups.iter().find(|group| group.ours).map_or_else(|| hold.clone(), |it| hold.resolved(&vpc, &it.id))
        }
        Err(_) => hold.clone(),
    }
}

/// Executes the steps of a part that nobody has made yet.
async fn extended(responder: &Responder, run: &Run, record: &IncidentRecord, part: &Part, new: &[HoldKey]) -> Part {
    let at = &part.plan.subject.at;
    let is_new = |change: &Change| new.contains(&HoldKey::of(at, &change.setting));
    let stages =
        part.plan.stages.iter().map(|stage| stage.iter().filter(|step| is_new(&step.change)).cloned().collect());
    let stages: Vec<Vec<_>> = stages.filter(|stage: &Vec<_>| !stage.is_empty()).collect();
    if stages.is_empty() {
        return part.clone();
    }
    let plan = Plan { stages, ..part.plan.clone() };
    let more = make_all(responder, run.until, record, &plan).await;
    Part { results: [part.results.clone(), more].concat(), ..part.clone() }
}

/// The part with the newer results in the place of the older ones, in the order of its steps.
fn with_results(part: Part, newer: &BTreeMap<HoldKey, StepResult>) -> Part {
    let at = part.plan.subject.at.clone();
    let older: BTreeMap<HoldKey, StepResult> =
        part.results.iter().map(|result| (HoldKey::of(&at, &result.change.setting), result.clone())).collect();
    let result = |change: &Change| {
        let key = HoldKey::of(&at, &change.setting);
        newer.get(&key).or_else(|| older.get(&key)).cloned()
    };
    let results = part.plan.steps().filter_map(|step| result(&step.change)).collect();
    Part { results, ..part }
}

fn results_of(incident: &Incident) -> BTreeMap<HoldKey, &StepResult> {
    let parts = incident.parts.iter();
    parts
        .flat_map(|part| {
            part.results.iter().map(|result| (HoldKey::of(&part.plan.subject.at, &result.change.setting), result))
        })
        .collect()
}
