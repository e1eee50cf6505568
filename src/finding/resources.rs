//! The subjects of an ordinary finding, from every part of its `resource` that is there.
//!
//! `resourceType` chooses nothing: an access key comes with a bucket, an instance with a container, and the type may be
//! of either. It is only told where it is the only thing said.

use super::credentials::identity;
use super::scalar::Text;
use super::shape::{
    Bucket, Container, Database, DatabaseUser, EcsCluster, EksCluster, Function, Instance, Kubernetes, KubernetesUser,
    Limitless, RecoveryPoint, Resource, Workload,
};
use super::subject::SubjectKind;
use super::tolerant::Part;
use crate::id::{AccountId, BucketName, InstanceId};
use std::collections::HashSet;
use std::hash::Hash;

/// The values of `resourceType` whose resources are read here, by AWS's and by older names.
const READ: &[&str] = &[
    "AccessKey",
    "AttackSequence",
    "Container",
    "DBInstance",
    "EBSRecoveryPoint",
    "EBSSnapshot",
    "EC2Image",
    "EC2Instance",
    "ECSCluster",
    "EKSCluster",
    "Instance",
    "KubernetesCluster",
    "Lambda",
    "RDSDBInstance",
    "RDSLimitlessDB",
    "S3Bucket",
    "S3Object",
];

/// Lists what the finding is about, in the order of its parts.
pub(super) fn subjects(resource: Resource, account: &AccountId) -> Vec<SubjectKind> {
    let mut found: Vec<SubjectKind> = Vec::new();
    found.extend(resource.access_key_details.0.and_then(|keys| identity(&keys, account)));
    found.extend(resource.kubernetes_details.0.into_iter().flat_map(kubernetes));
    found.extend(resource.instance_details.0.and_then(instance));
    found.extend(resource.container_details.0.and_then(container));
    found.extend(resource.ecs_cluster_details.0.and_then(ecs));
    found.extend(resource.eks_cluster_details.0.and_then(eks));
    found.extend(resource.lambda_details.0.and_then(function));
    found.extend(resource.s3_bucket_details.0.into_iter().flat_map(bucket));
    let databases = (resource.rds_db_instance_details.0, resource.rds_limitless_db_details.0);
    found.extend(database(databases.0, databases.1, resource.rds_db_user_details.0));
    let volumes = resource.ebs_volume_details.0.unwrap_or_default().scanned_volume_details.0;
    found.extend(volumes.into_iter().filter_map(|it| Some(SubjectKind::Volume { id: tail(&it.volume_arn.0?) })));
    let snapshot = resource.ebs_snapshot_details.0.and_then(|it| it.snapshot_arn.0);
    found.extend(snapshot.map(|arn| SubjectKind::Snapshot { id: tail(&arn) }));
    let image = resource.ec2_image_details.0.and_then(|it| it.image_arn.0);
    found.extend(image.map(|arn| SubjectKind::Image { id: tail(&arn) }));
    found.extend(resource.recovery_point_details.0.and_then(recovery_point));
    found.extend(unread(resource.resource_type, found.is_empty()));
    found
}

/// The type of the resource where it is new, or where nothing else says what the finding is about.
fn unread(resource_type: Text, alone: bool) -> Option<SubjectKind> {
    let resource_type = resource_type.0.filter(|it| alone || !READ.contains(&it.as_str()))?;
    // The subjects of a sequence are elsewhere; a sequence without any has none.
    (resource_type != "AttackSequence").then_some(SubjectKind::Unknown { resource_type })
}

fn kubernetes(details: Kubernetes) -> impl Iterator<Item = SubjectKind> {
    let Kubernetes { kubernetes_user_details: Part(user), kubernetes_workload_details: Part(workload) } = details;
    let user = user.and_then(|KubernetesUser { username }| {
        Some(SubjectKind::UnknownIdentity { text: format!("Kubernetes user {}", username.0?) })
    });
    let workload = workload.and_then(|Workload { name, namespace }| {
        let name = name.0?;
        let name = namespace.0.map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
        Some(SubjectKind::Container { name })
    });
    user.into_iter().chain(workload)
}

fn instance(details: Instance) -> Option<SubjectKind> {
    let text = details.instance_id.filter(|id| !id.trim().is_empty())?;
    let Ok(id) = InstanceId::try_from(text.as_str()) else { return Some(unknown("instance", &text)) };
    let seen = details.network_interfaces.0;
    let group_ids = seen.iter().flat_map(|interface| &interface.security_groups.0).map(|group| &group.group_id);
    Some(SubjectKind::Instance {
        id,
        groups: each_once(group_ids),
        interfaces: each_once(seen.iter().map(|interface| &interface.network_interface_id)),
        vpcs: each_once(seen.iter().map(|interface| &interface.vpc_id)),
    })
}

/// The ids that can be ids, in their order.
fn each_once<'a, Id: Clone + Eq + Hash + TryFrom<&'a str>>(texts: impl Iterator<Item = &'a Option<String>>) -> Vec<Id> {
    let mut seen = HashSet::new();
    texts.filter_map(|text| Id::try_from(text.as_deref()?).ok()).filter(|id| seen.insert(id.clone())).collect()
}

fn container(details: Container) -> Option<SubjectKind> {
    Some(SubjectKind::Container { name: details.name.0.or(details.id.0)? })
}

fn ecs(details: EcsCluster) -> Option<SubjectKind> {
    let EcsCluster { arn, name, task_details } = details;
    let cluster = || Some(unknown("ECS cluster", &name.0.or_else(|| arn.0.as_deref().map(tail))?));
    let task = task_details.0.and_then(|task| task.arn.0);
    task.map(|arn| SubjectKind::EcsTask { arn }).or_else(cluster)
}

fn eks(details: EksCluster) -> Option<SubjectKind> {
    Some(SubjectKind::EksCluster { name: details.name.0.or_else(|| details.arn.0.as_deref().map(tail))? })
}

fn function(details: Function) -> Option<SubjectKind> {
    let Function { function_arn, function_name } = details;
    // arn:aws:lambda:eu-west-1:111122223333:function:name:version
    let from_arn = || function_arn.0?.split(':').nth(6).filter(|name| !name.is_empty()).map(str::to_owned);
    Some(SubjectKind::Function { name: function_name.0.or_else(from_arn)? })
}

/// A bucket, and the objects of it that the finding names.
fn bucket(details: Bucket) -> Vec<SubjectKind> {
    let Bucket { arn, name, s3_object_details } = details;
    let name = name.filter(|name| !name.trim().is_empty());
    let Some(text) = name.or_else(|| Some(s3_path(&arn.0?).0.to_owned())) else { return Vec::new() };
    let Ok(name) = BucketName::try_from(text.as_str()) else { return vec![unknown("bucket", &text)] };
    let keys = s3_object_details.0.into_iter().filter_map(|object| object.key.0);
    let objects = keys.map(|key| SubjectKind::Object { bucket: name.clone(), key });
    [SubjectKind::Bucket { name: name.clone() }].into_iter().chain(objects).collect()
}

/// Splits `arn:aws:s3:::bucket/key`, or the same without its head; the key is empty for a bucket.
pub(super) fn s3_path(arn: &str) -> (&str, &str) {
    let path = arn.split_once(":::").map_or(arn, |(_, path)| path);
    path.split_once('/').unwrap_or((path, ""))
}

/// The database, and its user under the database's own name: one user name may be in many databases.
fn database(
    instance: Option<Database>,
    limitless: Option<Limitless>,
    user: Option<DatabaseUser>,
) -> impl Iterator<Item = SubjectKind> {
    let instance = instance.and_then(|it| it.db_instance_identifier.0.or(it.db_cluster_identifier.0));
    let limitless = limitless.and_then(|it| it.db_shard_group_identifier.0.or(it.db_cluster_identifier.0));
    let name = instance.or(limitless);
    let user = user.and_then(|DatabaseUser { database, user }| {
        let database = name.clone().or(database.0).unwrap_or_default();
        Some(SubjectKind::DatabaseUser { database, user: user.0? })
    });
    name.map(|name| SubjectKind::Database { name }).into_iter().chain(user)
}

/// A backup's ARN is that of a snapshot or an image where it is one.
fn recovery_point(details: RecoveryPoint) -> Option<SubjectKind> {
    let arn = details.recovery_point_arn.0?;
    Some(match arn.rsplit(':').next().and_then(|last| last.split_once('/')) {
        Some(("snapshot", id)) => SubjectKind::Snapshot { id: id.to_owned() },
        Some(("image", id)) => SubjectKind::Image { id: id.to_owned() },
        Some(_) | None => unknown("recovery point", &arn),
    })
}

/// A resource that has no kind, or whose id is not one; the text is for people.
pub(super) fn unknown(what: &str, text: &str) -> SubjectKind {
    SubjectKind::Unknown { resource_type: super::error::cut(&format!("{what} {text}"), 256) }
}

/// The last part of an ARN, or the whole of an id.
pub(super) fn tail(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}
