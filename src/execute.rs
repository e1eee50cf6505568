//! Carries out a plan: writes stage by stage, then reads everything back.

use crate::aws::Cloud;
use crate::change::{Change, Value};
use crate::cloud_error::{CloudError, Kind};
use crate::id::{GroupId, VpcId};
use crate::incident::{Outcome, StepResult};
use crate::plan::Plan;
use crate::setting::{Requests, Setting, Written};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// How long to wait before looking again whether a write is to be seen. IAM takes some seconds to show one everywhere.
const LOOK_AGAIN: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(600), Duration::from_millis(1500), Duration::from_secs(2)];

/// A change, and how writing it went.
struct Tried {
    change: Change,
    written: Result<Written, CloudError>,
    requests: Vec<String>,
}

/// Executes the plan's steps. A step that fails stops no other; one that needs what a failed step should have made
/// fails with it. Reading back waits for the last write, since nothing that contains may wait for a read.
pub async fn execute(cloud: &Cloud, plan: &Plan, until: Instant) -> Vec<StepResult> {
    // A write that hangs must not take the time in which the others are read back.
    let left = until.saturating_duration_since(Instant::now());
    let written_by = until.checked_sub(left / 2).unwrap_or(until);
    let mut tried: Vec<Tried> = Vec::new();
    for stage in &plan.stages {
        let changes: Vec<Change> = stage.iter().map(|step| resolved(&step.change, &made(&tried))).collect();
        let writing = changes.into_iter().map(|change| write(cloud, missing(&change, &tried), change, written_by));
        let written = join_all(writing).await;
        tried.extend(written);
    }
    join_all(tried.into_iter().map(|tried| read_back(cloud, tried, until))).await
}

/// Makes one change, and reads it back.
pub async fn make(cloud: &Cloud, change: Change, until: Instant) -> StepResult {
    let tried = write(cloud, missing(&change, &[]), change, until).await;
    read_back(cloud, tried, until).await
}

/// The groups that earlier stages made.
fn made(tried: &[Tried]) -> Vec<(VpcId, GroupId)> {
    let made = |tried: &Tried| match &tried.written {
        Ok(Written::Made(vpc, group)) => Some((vpc.clone(), group.clone())),
        Ok(Written::Done) | Err(_) => None,
    };
    tried.iter().filter_map(made).collect()
}

fn resolved(change: &Change, made: &[(VpcId, GroupId)]) -> Change {
    let to = made.iter().fold(change.to.clone(), |value, (vpc, group)| value.resolved(vpc, group));
    Change { to, ..change.clone() }
}

/// Why the group that the change needs is not there: whether trying again helps depends on why it could not be made.
fn missing(change: &Change, tried: &[Tried]) -> Option<CloudError> {
    let vpc = change.to.waits_for()?;
    let made = |tried: &Tried| match (&tried.change.setting, &tried.written) {
        (Setting::QuarantineGroup(group), Err(error)) if group.vpc == *vpc => Some(error.kind),
        _ => None,
    };
    let kind = tried.iter().find_map(made).unwrap_or(Kind::Transient);
    let message = format!("the quarantine group of {vpc} could not be made");
    Some(CloudError { kind, ..CloudError::unreadable("writing", &message) })
}

async fn write(cloud: &Cloud, missing: Option<CloudError>, change: Change, until: Instant) -> Tried {
    let requests = Requests::default();
    let written = if change.is_already_so() {
        Ok(Written::Done)
    } else if let Some(error) = missing {
        Err(error)
    } else {
        in_time("writing", until, change.setting.adjust().write(cloud, &change, &requests)).await
    };
    Tried { change, written, requests: requests.ids() }
}

/// The SDK's timeouts are for one call; a step is many, and none may take the time for telling people.
async fn in_time<T>(
    what: &'static str,
    until: Instant,
    work: impl Future<Output = Result<T, CloudError>>,
) -> Result<T, CloudError> {
    tokio::time::timeout_at(until.into(), work).await.unwrap_or_else(|_| Err(CloudError::out_of_time(what)))
}

/// Reads a setting, if there is time.
async fn read(cloud: &Cloud, change: &Change, until: Instant) -> Result<Value, CloudError> {
    in_time("reading back", until, change.setting.adjust().read(cloud, change)).await
}

async fn read_back(cloud: &Cloud, tried: Tried, until: Instant) -> StepResult {
    let Tried { change, written, requests } = tried;
    let outcome = match &written {
        Ok(_) if change.is_already_so() => still_so(cloud, &change, until).await,
        Ok(_) => confirm(cloud, &change, until).await,
        Err(error) => failed(cloud, &change, error, until).await,
    };
    StepResult { requests, ..StepResult::new(change, outcome) }
}

/// Between the look and now somebody may have changed it.
async fn still_so(cloud: &Cloud, change: &Change, until: Instant) -> Outcome {
    match read(cloud, change, until).await {
        Ok(value) if value == change.to => Outcome::AlreadySo,
        Ok(found) => Outcome::Drifted { found },
        Err(error) if error.kind == Kind::Gone => Outcome::Gone { why: error.to_string() },
        Err(error) => Outcome::Failed {
            why: format!("was so before, but not read again: {error}"),
            transient: error.kind == Kind::Transient,
        },
    }
}

/// Looks until the written value is to be seen, or time is up.
async fn confirm(cloud: &Cloud, change: &Change, until: Instant) -> Outcome {
    let mut waits = LOOK_AGAIN.iter();
    loop {
        let read = read(cloud, change, until).await;
        let wait = waits.next().filter(|wait| Instant::now() + **wait < until);
        match (read, wait) {
            (Ok(value), _) if value == change.to => return Outcome::Changed,
            (_, Some(wait)) => tokio::time::sleep(*wait).await,
            (Ok(found), None) => return Outcome::Drifted { found },
            (Err(error), None) => return unconfirmed(&error),
        }
    }
}

fn unconfirmed(error: &CloudError) -> Outcome {
    match error.kind {
        Kind::Gone => Outcome::Gone { why: error.to_string() },
        Kind::Transient => Outcome::Failed { why: format!("written, but not read back: {error}"), transient: true },
        Kind::Exists | Kind::Refused | Kind::Other => {
            Outcome::Failed { why: format!("written, but not read back: {error}"), transient: false }
        }
    }
}

/// A write that got no answer may have landed all the same, and one of an unknown error too: looking tells.
async fn failed(cloud: &Cloud, change: &Change, error: &CloudError, until: Instant) -> Outcome {
    let why = error.to_string();
    if error.kind == Kind::Gone && !may_lack_another(&change.setting) {
        return Outcome::Gone { why };
    }
    match read(cloud, change, until).await {
        Ok(value) if value == change.to => Outcome::Changed,
        Err(gone) if gone.kind == Kind::Gone => Outcome::Gone { why: gone.to_string() },
        // A change of several calls may be half made when one of them is refused; then it is ours to undo.
        Ok(value) if value == change.from && error.kind == Kind::Refused => Outcome::Refused { why },
        Ok(_) | Err(_) => Outcome::Failed { why, transient: matches!(error.kind, Kind::Transient | Kind::Gone) },
    }
}

/// Whether what AWS calls missing may be what the setting should get, a group or a rule, and not what it is a setting of.
fn may_lack_another(setting: &Setting) -> bool {
    match setting {
        Setting::InterfaceGroups(_) | Setting::IngressRules(_) => true,
        Setting::AccessKeyStatus(_) | Setting::InlinePolicy(_) | Setting::QuarantineGroup(_) => false,
    }
}
