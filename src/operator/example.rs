//! A finding of every type, about what findings of that type are typically about.

use super::cli::Supposed;
use crate::finding::{Band, Finding, FindingType, known_types, parse};
use jiff::Timestamp;
use serde_json::{Value, json};

const ID: &str = "00000000000000000000000000000000";

/// Findings of every type, in the order of the catalogue; where the role of the resource decides, one for each.
pub fn findings(supposed: &Supposed, region: &str) -> Vec<Finding> {
    let kinds = known_types().iter().filter_map(|kind| FindingType::try_from((*kind).to_owned()).ok());
    kinds.flat_map(|kind| of(&kind, supposed, region)).collect()
}

fn of(kind: &FindingType, supposed: &Supposed, region: &str) -> Vec<Finding> {
    let severity = match supposed.severity {
        Band::Low => 2.0,
        Band::Medium => 5.0,
        Band::High => 8.0,
        Band::Critical => 9.5,
    };
    let finding = |role: &&str| {
        parse(json!({
            "id": ID, "updatedAt": Timestamp::now(), "accountId": supposed.account, "region": region, "type": kind, "severity": severity,
            "resource": resource(kind), "service": service(kind, role),
        }))
    };
    roles(kind).iter().filter_map(|role| finding(role).ok()).collect()
}

/// Who attacked whom. Only for instances does it decide anything.
fn roles(kind: &FindingType) -> &'static [&'static str] {
    match (kind.purpose(), kind.resource(), kind.family()) {
        (_, "EC2", "SSHBruteForce" | "RDPBruteForce") => &["TARGET", "ACTOR"],
        (_, "EC2", "PortProbeUnprotectedPort" | "PortProbeEMRUnprotectedPort" | "TorIPCaller") => &["TARGET"],
        (_, "EC2" | "Runtime", _) => &["ACTOR"],
        _ => &["TARGET"],
    }
}

fn resource(kind: &FindingType) -> Value {
    let resource = match (kind.resource(), kind.artifact()) {
        _ if kind.purpose() == "AttackSequence" => "AttackSequence",
        ("EC2" | "S3", Some("Snapshot" | "RecoveryPoint")) => "EBSSnapshot",
        ("EC2", Some("AMI")) => "EC2Image",
        (resource, _) => resource,
    };
    match resource {
        "AttackSequence" => json!({ "resourceType": resource }),
        "EBSSnapshot" => json!({ "ebsSnapshotDetails": { "snapshotArn": "snap-0a1b" } }),
        "EC2Image" => json!({ "ec2ImageDetails": { "imageArn": "ami-0a1b" } }),
        "EC2" | "Runtime" => json!({ "instanceDetails": { "instanceId": "i-0a1b" } }),
        "S3" if matches!(kind.purpose(), "Object" | "Execution") => bucket(&Value::Null),
        "S3" => bucket(&credentials(kind)),
        "S3Object" => bucket(&Value::Null),
        "Kubernetes" => json!({
            "eksClusterDetails": { "name": "cluster" },
            "kubernetesDetails": { "kubernetesWorkloadDetails": { "name": "workload", "namespace": "default" } },
        }),
        "Container" => json!({ "containerDetails": { "name": "container" } }),
        "ECS" => json!({ "ecsClusterDetails": { "name": "cluster", "taskDetails": { "arn": "task" } } }),
        "Lambda" if kind.purpose() != "Persistence" => json!({ "lambdaDetails": { "functionName": "function" } }),
        "RDS" if kind.purpose() == "CredentialAccess" || kind.purpose() == "Discovery" => json!({
            "rdsDbInstanceDetails": { "dbInstanceIdentifier": "database" }, "rdsDbUserDetails": { "user": "user" },
        }),
        // What an API call was seen for: its caller.
        _ => json!({ "accessKeyDetails": credentials(kind) }),
    }
}

fn bucket(credentials: &Value) -> Value {
    json!({ "s3BucketDetails": [{ "name": "bucket" }], "accessKeyDetails": credentials })
}

/// Credentials that leak from instances are a role's; root's are root's; any others are taken for a user's key.
fn credentials(kind: &FindingType) -> Value {
    match kind.family() {
        "InstanceCredentialExfiltration" | "ResourceCredentialExfiltration" => json!({
            "userType": "AssumedRole", "userName": "role", "principalId": "AROAEXAMPLE:session",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        }),
        "RootCredentialUsage" | "ShortTermRootCredentialUsage" => json!({ "userType": "Root", "userName": "Root" }),
        _ => json!({
            "userType": "IAMUser", "userName": "user", "principalId": "AIDAEXAMPLE",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        }),
    }
}

fn service(kind: &FindingType, role: &str) -> Value {
    let sequence = (kind.purpose() == "AttackSequence").then(|| {
        let typed = |resource_type: &str, uid: &str| json!({ "resourceType": resource_type, "uid": uid, "name": uid });
        let resource = match kind.resource() {
            "EC2" => typed("EC2_INSTANCE", "i-0a1b"),
            "ECS" => typed("ECS_TASK", "task"),
            "EKS" => typed("EKS_CLUSTER", "cluster"),
            _ => return json!({ "resources": [key()] }),
        };
        json!({ "resources": [resource] })
    });
    json!({ "resourceRole": role, "detection": { "sequence": sequence } })
}

fn key() -> Value {
    let whose = json!({ "userType": "IAMUser", "userName": "user", "principalId": "AIDAEXAMPLE" });
    json!({ "resourceType": "ACCESS_KEY", "uid": "AKIAIOSFODNN7EXAMPLE", "data": { "accessKey": whose } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_finding_that_is_about_something() {
        let account = "123456789012".try_into().unwrap();
        let supposed = Supposed { severity: Band::High, account, tags: Vec::new() };
        let findings = findings(&supposed, "eu-west-1");
        for kind in known_types() {
            let found = findings.iter().find(|finding| finding.kind.as_str() == *kind);
            let found = found.unwrap_or_else(|| panic!("{kind} has no finding"));
            assert!(!found.subjects.is_empty(), "{kind} is about nothing");
        }
    }
}
