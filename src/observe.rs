//! Reads what a plan is made from. Whatever can be asked side by side is.

mod balancers;
mod exposure;
mod instance;
mod kill_switch;
mod role;
mod user_key;
mod verify;

use crate::aws::{Cloud, Clouds};
use crate::cloud_error::{CloudError, Kind};
use crate::finding::{Finding, SubjectKind};
pub use balancers::{Budget, observe as balancers};
pub use role::instances_of;

use crate::observed::{Checks, KillSwitch, Observation, Observed, Verification, View};
use futures_util::future::join;
use std::time::{Duration, Instant};

/// How long containment waits for GuardDuty and the kill switch; what they did not say by then, a person decides.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every permission that observing needs.
pub const PERMISSIONS: &[&[&str]] = &[
    user_key::PERMISSIONS,
    role::PERMISSIONS,
    instance::PERMISSIONS,
    exposure::PERMISSIONS,
    balancers::PERMISSIONS,
    verify::PERMISSIONS,
    kill_switch::PERMISSIONS,
];

/// Asks what is asked once for a finding: GuardDuty for the finding itself, unless `verify` is false, and the kill
/// switch, where the SSM parameter of one is named. Never fails: what could not be asked says so.
pub async fn check(
    clouds: &Clouds,
    finding: &Finding,
    verify: bool,
    kill_switch: Option<&str>,
    until: Instant,
) -> Checks {
    let within = until.min(Instant::now() + PATIENCE);
    let verification = async { if verify { verified(clouds, finding, within).await } else { Verification::NotAsked } };
    let (verification, kill_switch) = join(verification, switch(clouds, kill_switch, until)).await;
    Checks { verification, kill_switch }
}

/// What the kill switch says; open where no parameter is named.
pub async fn switch(clouds: &Clouds, parameter: Option<&str>, until: Instant) -> KillSwitch {
    let until = until.min(Instant::now() + PATIENCE);
    match parameter {
        Some(parameter) => kill_switch::read(&clouds.ssm(until), parameter).await,
        None => KillSwitch::Open,
    }
}

/// Asks with the same credentials that would act, once they are known to be those of the finding's account.
async fn verified(clouds: &Clouds, finding: &Finding, until: Instant) -> Verification {
    let asking = async {
        let cloud = clouds.at(&verify::place(finding), &finding.id, until).await?;
        let (identity, verification) = join(cloud.verify_identity(), verify::verify(&cloud, finding)).await;
        identity.and(verification)
    };
    let asked = tokio::time::timeout_at(until.into(), asking).await;
    asked.unwrap_or_else(|_| Err(CloudError::out_of_time("guardduty:GetFindings"))).unwrap_or_else(|error| {
        Verification::Unreachable { why: error.to_string(), transient: error.kind == Kind::Transient }
    })
}

/// Looks at a subject as `view` wants it.
///
/// # Errors
/// `Gone` where the resource does not exist; otherwise why AWS could not be asked.
pub async fn observe(cloud: &Cloud, subject: &SubjectKind, view: View) -> Observation {
    match (view, subject) {
        (View::UserKey, SubjectKind::UserKey { user, key }) => {
            user_key::observe(cloud, user, key).await.map(Observed::UserKey)
        }
        (View::Role, SubjectKind::RoleSession { role, session, .. }) => {
            role::observe(cloud, role, session).await.map(Observed::Role)
        }
        (View::Instance, SubjectKind::Instance { id, .. }) => {
            instance::observe(cloud, id).await.map(Observed::Instance)
        }
        (View::Exposure, SubjectKind::Instance { id, groups, .. }) => {
            exposure::observe(cloud, id, groups).await.map(Observed::Exposure)
        }
        (view, subject) => Err(CloudError::unreadable("observing", &format!("{subject} has no view {view:?}"))),
    }
}
