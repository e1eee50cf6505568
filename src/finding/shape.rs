//! The finding as it is written, as far as it is read.
//!
//! Unknown keys are ignored everywhere: GuardDuty adds some every year. A strict `Option<String>` stands where the
//! text is acted on.

use super::credentials::Credentials;
use super::network::{Action, ApiCall};
use super::scalar::{Flag, Number, Text, When, Whole};
use super::sequence::Sequence;
use super::tolerant::{List, Loose, Part};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Detail {
    pub account_id: Text,
    pub arn: Text,
    pub created_at: When,
    pub description: Text,
    pub id: Text,
    pub region: Text,
    pub resource: Part<Resource>,
    pub service: Part<Service>,
    pub severity: Number,
    pub title: Text,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub updated_at: When,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Service {
    pub action: Loose<Action>,
    pub additional_info: Loose<Map<String, Value>>,
    pub archived: Flag,
    /// The schema registry shows the call here too, beside its usual place in `action`.
    pub aws_api_call_action: Loose<ApiCall>,
    pub count: Whole,
    pub detector_id: Text,
    pub detection: Part<Detection>,
    pub event_first_seen: When,
    pub event_last_seen: When,
    pub resource_role: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Detection {
    pub sequence: Part<Sequence>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the finding")]
pub(super) struct Resource {
    pub access_key_details: Part<Credentials>,
    pub container_details: Part<Container>,
    pub ebs_snapshot_details: Part<Snapshot>,
    pub ebs_volume_details: Part<Volumes>,
    pub ec2_image_details: Part<Image>,
    pub ecs_cluster_details: Part<EcsCluster>,
    pub eks_cluster_details: Part<EksCluster>,
    pub instance_details: Part<Instance>,
    pub kubernetes_details: Part<Kubernetes>,
    pub lambda_details: Part<Function>,
    pub rds_db_instance_details: Part<Database>,
    pub rds_db_user_details: Part<DatabaseUser>,
    pub rds_limitless_db_details: Part<Limitless>,
    pub recovery_point_details: Part<RecoveryPoint>,
    pub resource_type: Text,
    /// An array in findings; the scan results of Malware Protection have an object here.
    pub s3_bucket_details: List<Bucket>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Instance {
    pub instance_id: Option<String>,
    /// Empty for a stopped instance.
    pub network_interfaces: List<Interface>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Interface {
    pub network_interface_id: Option<String>,
    pub security_groups: List<Group>,
    pub vpc_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Group {
    pub group_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Bucket {
    pub arn: Text,
    pub name: Option<String>,
    pub s3_object_details: List<Object>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Object {
    pub key: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub id: Text,
    pub name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EcsCluster {
    pub arn: Text,
    pub name: Text,
    pub task_details: Part<EcsTask>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EcsTask {
    pub arn: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EksCluster {
    pub arn: Text,
    pub name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Kubernetes {
    pub kubernetes_user_details: Part<KubernetesUser>,
    pub kubernetes_workload_details: Part<Workload>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct KubernetesUser {
    pub username: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Workload {
    pub name: Text,
    pub namespace: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Function {
    pub function_arn: Text,
    pub function_name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Database {
    pub db_cluster_identifier: Text,
    pub db_instance_identifier: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Limitless {
    pub db_cluster_identifier: Text,
    pub db_shard_group_identifier: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DatabaseUser {
    pub database: Text,
    pub user: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Volumes {
    pub scanned_volume_details: List<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Volume {
    pub volume_arn: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Snapshot {
    pub snapshot_arn: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Image {
    pub image_arn: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RecoveryPoint {
    pub recovery_point_arn: Text,
}
