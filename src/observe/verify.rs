//! Whether GuardDuty knows a finding as it came in.
//!
//! Whoever can put events on the bus, or invoke the function, can make up a finding and have somebody contained.

use crate::aws::Cloud;
use crate::cloud_error::{CloudError, Kind};
use crate::finding::{Finding, Subject, parse};
use crate::id::{DetectorId, Place, Region};
use crate::observed::Verification;
use crate::remediation::route;
use aws_sdk_guardduty::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_guardduty::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_guardduty::error::BoxError;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub const PERMISSIONS: &[&str] = &[OPERATION, "guardduty:ListDetectors"];

const OPERATION: &str = "guardduty:GetFindings";

/// AWS does not say that a finding can be read the moment it is sent, so one that is not there is asked for again.
const ASK_AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// Where to ask. The region of a finding on a global service may differ from that of the detector that has it
/// (`Finding.Region` in the GuardDuty API), which the finding's ARN tells.
pub fn place(finding: &Finding) -> Place {
    let region = match finding.arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "guardduty", region, account, _] if *account == finding.at.account.as_str() => {
            Region::try_from(*region).ok()
        }
        _ => None,
    };
    Place { region: region.unwrap_or_else(|| finding.at.region.clone()), ..finding.at.clone() }
}

/// Asks GuardDuty for the finding, and compares what would be acted on.
///
/// # Errors
/// Says why GuardDuty could not be asked.
pub async fn verify(cloud: &Cloud, finding: &Finding) -> Result<Verification, CloudError> {
    let detector = match &finding.detector {
        Some(detector) => Some(detector.clone()),
        None => detector_of(cloud).await?,
    };
    let detector = detector.ok_or_else(switched_off)?;
    let mut waits = ASK_AGAIN.iter();
    loop {
        match (copy_of(cloud, &detector, finding).await?, waits.next()) {
            // What a newer state adds, GuardDuty may show in a moment.
            (Some(copy), Some(wait)) if is_ahead(finding, &copy) && difference(finding, &copy).is_some() => {
                tokio::time::sleep(*wait).await;
            }
            (Some(copy), _) => return Ok(compared(finding, &copy)),
            (None, Some(wait)) => tokio::time::sleep(*wait).await,
            (None, None) => return Ok(Verification::MadeUp { why: "GuardDuty has no finding of this id".to_owned() }),
        }
    }
}

/// A finding that reached us through its administrator may carry the administrator's detector, which is not the
/// account's own: then the own one is looked up.
async fn copy_of(cloud: &Cloud, detector: &DetectorId, finding: &Finding) -> Result<Option<Finding>, CloudError> {
    match asked(cloud, detector, finding).await {
        Err(error) if error.code == "BadRequestException" => match detector_of(cloud).await? {
            Some(own) if own != *detector => asked(cloud, &own, finding).await,
            Some(_) => Err(error),
            None => Err(switched_off()),
        },
        asked => asked,
    }
}

/// That nobody can be asked proves nothing: whoever has taken an account over may switch GuardDuty off before all else.
fn switched_off() -> CloudError {
    CloudError {
        operation: "guardduty:ListDetectors",
        kind: Kind::Refused,
        code: "no detector".to_owned(),
        message: "GuardDuty is not on in the finding's account and region; somebody may have switched it off"
            .to_owned(),
    }
}

/// The account's detector in the region; there is at most one.
async fn detector_of(cloud: &Cloud) -> Result<Option<DetectorId>, CloudError> {
    let answer = cloud.guardduty.list_detectors().send().await;
    let answer = answer.map_err(|error| CloudError::new("guardduty:ListDetectors", &error))?;
    Ok(answer.detector_ids().iter().find_map(|id| DetectorId::try_from(id.as_str()).ok()))
}

async fn asked(cloud: &Cloud, detector: &DetectorId, finding: &Finding) -> Result<Option<Finding>, CloudError> {
    let body = Body::default();
    let call = cloud.guardduty.get_findings().detector_id(detector.as_str()).finding_ids(finding.id.as_str());
    let sent = call.customize().interceptor(body.clone()).send().await;
    let findings = match (sent, body.findings()) {
        // What the SDK's model does not know, our parser may: a new kind of finding shall not wait for a person.
        (_, Ok(findings)) => findings,
        (Ok(_), Err(error)) => return Err(error),
        (Err(error), Err(_)) => return Err(CloudError::new(OPERATION, &error)),
    };
    Ok(findings.into_iter().find(|copy| copy.id == finding.id))
}

/// Keeps the answer as it is written, so that GuardDuty's finding is read by the parser that read ours.
#[derive(Debug, Clone, Default)]
struct Body(Arc<Mutex<Vec<u8>>>);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        Ok(())
    }
}

impl Body {
    fn findings(&self) -> Result<Vec<Finding>, CloudError> {
        let unreadable = |why: &dyn std::fmt::Display| CloudError::unreadable(OPERATION, &why.to_string());
        let body = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        let findings: Vec<Value> = match answer.get_mut("findings").map(Value::take) {
            Some(Value::Array(findings)) => findings,
            _ => return Err(unreadable(&"no list of findings")),
        };
        findings.into_iter().map(|finding| parse(finding).map_err(|error| unreadable(&error))).collect()
    }
}

/// Compares what decides whether and on what Quell acts. Counts, times and texts change with every update.
fn compared(ours: &Finding, theirs: &Finding) -> Verification {
    let Some(what) = difference(ours, theirs) else {
        let overtaken = |why: &str| Verification::Overtaken { why: why.to_owned() };
        match (ours.archived, theirs.archived) {
            (false, true) => return overtaken("somebody has archived the finding since it was sent"),
            (true, false) => return overtaken("it says that it is archived, and GuardDuty says that it is not"),
            (true, true) | (false, false) => {}
        }
        return Verification::Known { updated: theirs.updated };
    };
    let older = if is_ahead(ours, theirs) { ", in an older state of it" } else { "" };
    let why = format!("GuardDuty has another {} for the finding of this id{older}", what.name);
    let is_newer = ours.updated.zip(theirs.updated).is_some_and(|(ours, theirs)| theirs > ours);
    // Whoever makes a finding up chooses its time as well.
    if is_newer && what.may_change { Verification::Overtaken { why } } else { Verification::MadeUp { why } }
}

fn is_ahead(ours: &Finding, theirs: &Finding) -> bool {
    ours.updated.zip(theirs.updated).is_some_and(|(ours, theirs)| ours > theirs)
}

/// What a finding says otherwise than GuardDuty's own.
#[derive(Clone, Copy)]
struct Differing {
    name: &'static str,
    /// An update of the finding may have changed it.
    may_change: bool,
}

fn difference(ours: &Finding, theirs: &Finding) -> Option<Differing> {
    let routed = route(ours).into_iter().filter(|route| route.remediation.is_some());
    let is_same =
        |ours: &Subject, theirs: &Subject| ours.at.account == theirs.at.account && ours.kind.is_same(&theirs.kind);
    let unknown_subject =
        routed.map(|route| route.subject).any(|subject| !theirs.subjects.iter().any(|other| is_same(subject, other)));
    let unknown_port = ours.ports.iter().any(|port| !theirs.ports.contains(port));
    let different = [
        ("account", ours.at.account != theirs.at.account, false),
        ("region", ours.at.region != theirs.at.region, false),
        ("type", ours.kind != theirs.kind, false),
        ("resource", unknown_subject, false),
        ("origin: it is a sample", theirs.sample && !ours.sample, false),
        ("resource role", ours.role != theirs.role, true),
        ("port", unknown_port, true),
        ("severity", ours.severity > theirs.severity, true),
    ];
    let differing = different.into_iter().find(|(_, is_different, _)| *is_different);
    differing.map(|(name, _, may_change)| Differing { name, may_change })
}
