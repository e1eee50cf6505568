//! From the finding as it is written to the finding as it is handled.

use super::error::ParseError;
use super::network::without_repeats;
use super::normal::to_camel_case;
use super::scalar::{Text, flag};
use super::sequence::Sequence;
use super::shape::{Detail, Service};
use super::subject::{Subject, SubjectKind};
use super::tolerant::{Loose, Part};
use super::{Finding, ResourceRole, Severity, resources};
use crate::id::{AccountId, DetectorId, FindingId, InvalidId, Partition, Place, Region};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Reads one finding, spelled as EventBridge or as `GetFindings` spells it.
///
/// # Errors
/// Names the place of what makes the finding unusable: no type, or another kind of JSON where something would be acted on. Everything else may be absent, null, empty or oddly typed.
pub fn parse(mut detail: Value) -> Result<Finding, ParseError> {
    let pascal = to_camel_case(&mut detail);
    read(detail).map_err(|error| if pascal { error.in_pascal_case() } else { error })
}

fn read(detail: Value) -> Result<Finding, ParseError> {
    let Part(Some(detail)) = serde_path_to_error::deserialize::<_, Part<Detail>>(detail)? else {
        return Err(ParseError::new("", "expected an object, found null"));
    };
    let at = place(&detail.account_id, &detail.region);
    let service = detail.service.0.unwrap_or_default();
    let sequence = service.detection.0.as_ref().and_then(|detection| detection.sequence.0.as_ref());
    let resources = resources::subjects(detail.resource.0.unwrap_or_default(), &at.account);
    let subjects = resources.into_iter().map(|kind| Subject { at: at.clone(), kind });
    let named = sequence.into_iter().flat_map(|sequence| sequence.subjects(&at));
    let call = &service.aws_api_call_action.0;
    let action = &service.action.0;
    let remotes = action.remotes().into_iter().chain(call.remotes());

    Ok(Finding {
        id: FindingId::cleaned(detail.id.0.as_deref().unwrap_or_default()),
        arn: detail.arn.0.unwrap_or_default(),
        kind: required("type", detail.kind)?,
        severity: detail.severity.0.and_then(|value| Severity::try_from(value).ok()).unwrap_or_default(),
        detector: service.detector_id.0.as_deref().and_then(|id| DetectorId::try_from(id).ok()),
        title: detail.title.0.unwrap_or_default(),
        description: detail.description.0.unwrap_or_default(),
        created: detail.created_at.0,
        updated: detail.updated_at.0,
        first_seen: service.event_first_seen.0,
        last_seen: service.event_last_seen.0,
        count: service.count.0.unwrap_or(1),
        sample: is_sample(&service),
        archived: service.archived.0,
        role: role(&service.resource_role),
        remotes: without_repeats(remotes.chain(sequence.into_iter().flat_map(Sequence::remotes))),
        ports: action.ports(),
        action: action.line().or_else(|| call.line()),
        subjects: in_order(subjects.chain(named).collect()),
        at,
    })
}

/// Without an account nothing can be done, but people can be told: that is no reason to refuse a finding.
/// The partition is that of the region: by another, what protects by ARN would protect nothing.
fn place(account: &Text, region: &Text) -> Place {
    let account = account.0.as_deref().and_then(|id| AccountId::try_from(id).ok()).unwrap_or_else(AccountId::unknown);
    let region = region.0.as_deref().and_then(|code| Region::try_from(code).ok()).unwrap_or_else(Region::unknown);
    Place { partition: partition_of(&region), account, region }
}

fn partition_of(region: &Region) -> Partition {
    match region.as_str() {
        china if china.starts_with("cn-") => Partition::China,
        gov if gov.starts_with("us-gov-") => Partition::GovCloud,
        _ => Partition::Aws,
    }
}

fn required<T: TryFrom<String, Error = InvalidId>>(path: &str, text: Option<String>) -> Result<T, ParseError> {
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| ParseError::new(path, "missing"))?;
    T::try_from(text).map_err(|error| ParseError::new(path, error.to_string()))
}

fn role(text: &Text) -> Option<ResourceRole> {
    match text.0.as_deref()?.to_ascii_uppercase().as_str() {
        "ACTOR" => Some(ResourceRole::Actor),
        "TARGET" => Some(ResourceRole::Target),
        _ => None,
    }
}

/// Tells whether GuardDuty made the finding up to show what one looks like.
///
/// EventBridge says so beside the rest, `GetFindings` inside a text that holds JSON. The names of the resources
/// (`GeneratedFinding…`) say nothing: an attacker may choose the same.
fn is_sample(service: &Service) -> bool {
    let Service { additional_info: Loose(info), .. } = service;
    let inner: Option<Map<String, Value>> =
        info.get("value").and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let says_so = |(key, value): (&String, &Value)| key.eq_ignore_ascii_case("sample") && flag(value);
    info.iter().any(says_so) || inner.iter().flatten().any(says_so)
}

/// Identities first, then what runs, then what is stored; without repeats.
fn in_order(mut subjects: Vec<Subject>) -> Vec<Subject> {
    subjects.sort_by_key(|subject| rank(&subject.kind));
    let mut seen = HashSet::new();
    subjects.retain(|subject| seen.insert(subject.clone()));
    subjects
}

fn rank(kind: &SubjectKind) -> u8 {
    match kind {
        SubjectKind::UserKey { .. }
        | SubjectKind::UserSession { .. }
        | SubjectKind::RoleSession { .. }
        | SubjectKind::FederatedUser { .. }
        | SubjectKind::Root { .. }
        | SubjectKind::AwsService { .. }
        | SubjectKind::OtherAccount { .. }
        | SubjectKind::UnknownIdentity { .. } => 0,
        SubjectKind::Instance { .. }
        | SubjectKind::Container { .. }
        | SubjectKind::EcsTask { .. }
        | SubjectKind::EksCluster { .. }
        | SubjectKind::Function { .. } => 1,
        SubjectKind::Bucket { .. }
        | SubjectKind::Object { .. }
        | SubjectKind::Database { .. }
        | SubjectKind::DatabaseUser { .. }
        | SubjectKind::Volume { .. }
        | SubjectKind::Snapshot { .. }
        | SubjectKind::Image { .. } => 2,
        SubjectKind::Unknown { .. } => 3,
    }
}
