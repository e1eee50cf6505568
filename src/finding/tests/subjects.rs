//! What a finding is about: identities, resources, and the subjects of a sequence.

use super::{check, finding, keys, resource};
use crate::finding::{Subject, SubjectKind, parse};
use crate::id::GroupId;
use serde_json::json;

fn sequence(sequence: serde_json::Value) -> serde_json::Value {
    let detection = json!({ "detection": { "sequence": sequence } });
    finding(json!({ "resource": { "resourceType": "AttackSequence" }, "service": detection }))
}

#[test]
fn an_identity_is_told_by_its_type_and_its_ids_together() {
    let user =
        |key: &str| json!({"userType": "IAMUser", "userName": "ann", "principalId": "AIDA1", "accessKeyId": key});
    check(keys(user("AKIAIOSFODNN7EXAMPLE")), &["access key AKIAIOSFODNN7EXAMPLE of user ann"]);
    check(keys(user("ASIAIOSFODNN7EXAMPLE")), &["session ASIAIOSFODNN7EXAMPLE of user ann"]);
    check(keys(user("")), &["a session of user ann"]);

    let role = |principal: &str, key: &str| json!({"userType": "AssumedRole", "userName": "deploy", "principalId": principal, "accessKeyId": key});
    check(keys(role("AROA1:ci@1", "ASIAIOSFODNN7EXAMPLE")), &["session ci@1 of role deploy"]);
    check(keys(role("AROA1:i-0abc", "")), &["session i-0abc of role deploy"]);

    let root = json!({"userType": "Root", "userName": "Root", "principalId": "111122223333"});
    check(keys(root), &["the root user of account 111122223333"]);
    check(keys(json!({"userName": "root"})), &["the root user of account 111122223333"]);
    check(keys(json!({"principalId": "111122223333"})), &["the root user of account 111122223333"]);

    let federated = json!({"userType": "FederatedUser", "principalId": "111122223333:ann", "userName": ""});
    check(keys(federated), &["federated user ann"]);
    check(keys(json!({"userType": "AWSService", "userName": "backup"})), &["AWS service backup"]);
    let other = json!({"userType": "AWSAccount", "principalId": "AROA1:i-0abc", "userName": "999988887777"});
    check(keys(other), &["principal AROA1:i-0abc (999988887777) of another account"]);
}

#[test]
fn an_identity_in_doubt_is_unknown() {
    let unknown = |user_type: &str, name: &str, principal: &str, key: &str| {
        let input = json!({"userType": user_type, "userName": name, "principalId": principal, "accessKeyId": key});
        let text = format!("unknown identity {user_type}, {name}, principal {principal}, key {key}");
        check(keys(input), &[&text]);
    };
    let long_term = "AKIAIOSFODNN7EXAMPLE";
    unknown("IAMUser", "ann", "AROA1:ann", long_term);
    unknown("AssumedRole", "deploy", "AROA1:ci", long_term);
    unknown("AssumedRole", "deploy", "AROA1", "ASIAIOSFODNN7EXAMPLE");
    unknown("AssumedRole", "deploy", "AIDA1:ci", "ASIAIOSFODNN7EXAMPLE");
    unknown("AssumedRole", "deploy", "AROA1:a b", "ASIAIOSFODNN7EXAMPLE");
    unknown("AssumedRole", "de/ploy", "AROA1:ci", "ASIAIOSFODNN7EXAMPLE");
    unknown("IAMUser", "ann;", "AIDA1", long_term);
    unknown("IAMUser", "ann", "AIDA1", "AKIA");
    unknown("Root", "Root", "AIDA1", long_term);
    unknown("SAMLUser", "ann", "AIDA1", long_term);
    unknown("AWSAccount", "111122223333", "AROA1:x", "x");
    // A user may be called root, and is not.
    unknown("WebIdentityUser", "root", "AIDA1", long_term);
    unknown("IAMUser", "GeneratedFindingUserName", "GeneratedFindingPrincipalId", "GeneratedFindingAccessKeyId");
    check(keys(json!({"userType": "IAMUser", "userName": "ann"})), &["unknown identity IAMUser, ann"]);
    check(keys(json!({"userName": "n".repeat(9999)})), &[&format!("unknown identity {}…", "n".repeat(128))]);
    check(keys(json!({"accessKeyId": null, "userName": " "})), &[]);
    check(keys(json!(null)), &[]);
}

#[test]
fn every_part_of_the_resource_is_a_subject_identities_first() {
    let interface = |group: &str| json!({"securityGroups": [{"groupId": group}, {"groupId": "sg-0"}]});
    let resource = resource(json!({
        "resourceType": "S3Bucket",
        "s3BucketDetails": [
            {"name": "logs", "s3ObjectDetails": [{"key": "a/b"}, null]},
            {"arn": "arn:aws:s3:::data", "name": ""},
            {"name": "logs"},
        ],
        "instanceDetails": {"instanceId": "i-0abc", "networkInterfaces": [interface("sg-1"), interface("x")]},
        "accessKeyDetails": {"userType": "AWSService", "userName": "backup"},
    }));
    let expect = ["AWS service backup", "instance i-0abc", "bucket logs", "object a/b in bucket logs", "bucket data"];
    check(resource.clone(), &expect);
    let subjects = parse(resource).unwrap().subjects;
    let [_, Subject { kind: SubjectKind::Instance { groups, .. }, .. }, ..] = subjects.as_slice() else {
        panic!("no instance: {subjects:?}");
    };
    let groups: Vec<_> = groups.iter().map(GroupId::as_str).collect();
    assert_eq!(groups, ["sg-1", "sg-0"]);
}

#[test]
fn each_kind_of_resource_is_read() {
    let arn = |rest: &str| format!("arn:aws:{rest}");
    check(
        resource(json!({
            "resourceType": "EKSCluster",
            "eksClusterDetails": {"name": "prod", "createdAt": 1_716_854_656.938},
            "kubernetesDetails": {
                "kubernetesUserDetails": {"username": "system:anonymous"},
                "kubernetesWorkloadDetails": {"name": "shell", "namespace": "kube-system"},
            },
        })),
        &["unknown identity Kubernetes user system:anonymous", "container kube-system/shell", "EKS cluster prod"],
    );
    check(
        resource(json!({
            "ecsClusterDetails": {"name": "web", "taskDetails": {"arn": "arn:task/1"}},
            "containerDetails": {"id": "c1"},
            "lambdaDetails": {"functionArn": arn("lambda:eu-west-1:111122223333:function:pay:3")},
        })),
        &["container c1", "ECS task arn:task/1", "Lambda function pay"],
    );
    check(
        resource(json!({
            "rdsDbInstanceDetails": {"dbInstanceIdentifier": "orders"},
            "rdsDbUserDetails": {"user": "app", "database": "shop"},
        })),
        &["database orders", "user app of database orders"],
    );
    check(resource(json!({"rdsLimitlessDbDetails": {"dbShardGroupIdentifier": "shards"}})), &["database shards"]);
    check(
        resource(json!({
            "ebsVolumeDetails": {"scannedVolumeDetails": [{"volumeArn": arn("ec2:r:1:volume/vol-1")}]},
            "ebsSnapshotDetails": {"snapshotArn": arn("ec2:r::snapshot/snap-1")},
            "ec2ImageDetails": {"imageArn": arn("ec2:r::image/ami-1")},
            "recoveryPointDetails": {"recoveryPointArn": arn("ec2:r::snapshot/snap-2")},
        })),
        &["volume vol-1", "snapshot snap-1", "image ami-1", "snapshot snap-2"],
    );
    let point = json!({"recoveryPointDetails": {"recoveryPointArn": "arn:aws:backup:r:1:recovery-point:5"}});
    check(resource(point), &["unknown resource recovery point arn:aws:backup:r:1:recovery-point:5"]);
}

#[test]
fn what_has_no_kind_yet_is_told() {
    check(resource(json!({"resourceType": "QuantumComputer"})), &["unknown resource QuantumComputer"]);
    check(resource(json!({"resourceType": "Instance", "instanceDetails": null})), &["unknown resource Instance"]);
    check(resource(json!({"resourceType": "AttackSequence"})), &[]);
    let cluster = json!({"resourceType": "ECSCluster", "ecsClusterDetails": {"name": "web"}});
    check(resource(cluster), &["unknown resource ECS cluster web"]);
    check(
        resource(json!({"instanceDetails": {"instanceId": "i-; reboot"}})),
        &["unknown resource instance i-; reboot"],
    );
    check(resource(json!({"s3BucketDetails": {"name": "a/b"}})), &["unknown resource bucket a/b"]);
}

#[test]
fn a_sequence_names_its_subjects_elsewhere() {
    let role = json!({"type": "ASSUMED_ROLE", "name": "x", "uid": "AROA1", "credentialUid": "ASIAIOSFODNN7EXAMPLE"});
    let session = json!({"uid": "AROA1:ci", "issuer": "arn:aws:iam::111122223333:role/path/deploy"});
    let key = json!({"userType": "IAMUser", "userName": "ann", "principalId": "AIDA1"});
    check(
        sequence(json!({
            "actors": [{"user": role, "session": session}, {"user": role}, {"process": {}}],
            "resources": [
                {"resourceType": "EC2_INSTANCE", "uid": "arn:aws:ec2:eu-west-1:1:instance/i-0a", "region": "us-east-1"},
                {"resourceType": "EC2_INSTANCE", "uid": "i-0a", "accountId": "999988887777"},
                {"resourceType": "EC2_INSTANCE", "uid": "i-0b", "accountId": "no account"},
                {"resourceType": "ACCESS_KEY", "uid": "AKIAIOSFODNN7EXAMPLE", "region": "us-east-1", "data": {"accessKey": key}},
                {"resourceType": "S3_BUCKET", "uid": "arn:aws:s3:::logs"},
                {"resourceType": "S3_OBJECT", "uid": "arn:aws:s3:::logs/a/b"},
                {"resourceType": "EC2_VPC", "uid": "vpc-1"},
                {"resourceType": "MOON_BASE", "uid": "m-1"},
            ],
            "endpoints": [{"ip": "203.0.113.7", "port": 443, "location": {"city": "Oz", "country": "Utopia"},
                "autonomousSystem": {"name": "Example Hosting", "number": 64500}}, {"domain": "evil.example"}],
        })),
        &[
            "session ci of role deploy",
            "unknown identity ASSUMED_ROLE, x, principal AROA1, key ASIAIOSFODNN7EXAMPLE",
            "access key AKIAIOSFODNN7EXAMPLE of user ann",
            "instance i-0a, account 111122223333 in us-east-1",
            "instance i-0a, account 999988887777 in eu-west-1",
            "bucket logs",
            "object a/b in bucket logs",
            "unknown resource at an unknown place: instance i-0b",
            "unknown resource MOON_BASE m-1",
            "from 203.0.113.7, Utopia, Oz, Example Hosting (AS64500)",
        ],
    );
}
