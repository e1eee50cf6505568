//! What is read from what is written. A finding is told as lines, so that each oddity is one line in, lines out.

#![expect(clippy::needless_pass_by_value, reason = "a table of json!(…) reads better without a & before each")]

mod subjects;

use super::*;
use crate::id::Partition;
use serde_json::{Value, json};

/// A finding with only what is indispensable, and then what is given.
fn finding(more: Value) -> Value {
    let mut finding = json!({
        "id": "0a1b", "accountId": "111122223333", "region": "eu-west-1",
        "type": "Discovery:IAMUser/AnomalousBehavior",
    });
    for (key, value) in more.as_object().cloned().unwrap_or_default() {
        finding[key] = value;
    }
    finding
}

fn resource(resource: Value) -> Value {
    finding(json!({ "resource": resource }))
}

fn keys(access_key_details: Value) -> Value {
    resource(json!({ "accessKeyDetails": access_key_details }))
}

fn action(action: Value) -> Value {
    finding(json!({ "service": { "action": action } }))
}

#[track_caller]
fn check(input: Value, expect: &[&str]) {
    assert_eq!(told(input), expect);
}

fn told(input: Value) -> Vec<String> {
    let finding = match parse(input) {
        Ok(finding) => finding,
        Err(error) => return vec![error.to_string()],
    };
    let elsewhere = |at: &Place| if *at == finding.at { String::new() } else { format!(", {at}") };
    let subjects = finding.subjects.iter().map(|it| format!("{}{}", it.kind, elsewhere(&it.at)));
    let remotes = finding.remotes.iter().map(|it| {
        let told = [&it.country, &it.city, &it.network].into_iter().flatten().cloned();
        [format!("from {}", it.address)].into_iter().chain(told).collect::<Vec<_>>().join(", ")
    });
    let at = |address: Option<IpAddr>| address.map(|address| format!(" at {address}")).unwrap_or_default();
    let ports = finding.ports.iter().map(|it| format!("port {}{}", it.port, at(it.address)));
    subjects.chain(remotes).chain(ports).chain(finding.action.iter().map(|it| format!("does {it}"))).collect()
}

#[test]
fn the_other_side_is_read_from_every_action() {
    let place = json!({
        "ipAddressV4": "203.0.113.7", "country": {"countryName": "Utopia"}, "city": {"cityName": ""},
        "organization": {"asn": "64500", "asnOrg": "Example Hosting", "isp": "other"},
    });
    let told = "from 203.0.113.7, Utopia, Example Hosting (AS64500)";
    let call = json!({"api": "CreateUser", "serviceName": "iam.amazonaws.com", "remoteIpDetails": place});
    check(action(json!({"awsApiCallAction": call})), &[told, "does iam:CreateUser"]);
    check(finding(json!({"service": {"awsApiCallAction": call}})), &[told, "does iam:CreateUser"]);
    check(action(json!({"rdsLoginAttemptAction": {"remoteIpDetails": place}})), &[told]);
    let kubernetes =
        json!({"sourceIPs": ["203.0.113.7", "::ffff:192.0.2.1", "0.0.0.0", "nowhere", 5], "remoteIpDetails": place});
    check(action(json!({"kubernetesApiCallAction": kubernetes})), &[told, "from 192.0.2.1"]);
    let both = json!({"ipAddressV4": "", "ipAddressV6": "2001:db8::1", "organization": {"asn": "-1", "org": "Ex"}});
    check(action(json!({"networkConnectionAction": {"remoteIpDetails": both}})), &["from 2001:db8::1, Ex"]);
    check(action(json!({"dnsRequestAction": {"domain": "evil.\nexample"}})), &["does DNS request for evil. example"]);
    check(action(json!({"awsApiCallAction": {"callerType": "Domain", "domainDetails": {}}})), &[]);
}

#[test]
fn ports_are_those_that_were_reached_or_probed() {
    let at = |port: Value| json!({"localPortDetails": {"port": port}, "localIpDetails": {"ipAddressV4": "10.0.0.5"}});
    let probes = json!([at(json!(22)), at(json!("22")), {"localPortDetails": {"port": 3389}}, at(json!(0)), null]);
    check(action(json!({"portProbeAction": {"portProbeDetails": probes}})), &["port 22 at 10.0.0.5", "port 3389"]);
    check(action(json!({"networkConnectionAction": at(json!(80.0))})), &["port 80 at 10.0.0.5"]);
    check(action(json!({"networkConnectionAction": at(json!(65536))})), &[]);
    let mut outbound = at(json!(49152));
    outbound["connectionDirection"] = json!("OUTBOUND");
    check(action(json!({"networkConnectionAction": outbound})), &[]);
}

#[test]
fn only_what_makes_a_finding_unusable_is_an_error() {
    check(json!([]), &["expected an object, found sequence"]);
    check(json!(null), &["expected an object, found null"]);
    check(json!({}), &["type: missing"]);
    check(finding(json!({"type": null})), &["type: missing"]);
    check(finding(json!({"type": "x".repeat(201)})), &["type: not a valid finding type"]);
    check(finding(json!({"resource": "x"})), &["resource: expected an object, found string \"x\""]);
    let name = "resource.accessKeyDetails.userName: expected a string, found integer `5`";
    check(keys(json!({"userName": 5})), &[name]);
    check(keys(json!(["AKIA"])), &["resource.accessKeyDetails: expected an object, found sequence"]);
    let bucket = "resource.s3BucketDetails[1].name: expected a string, found boolean `true`";
    check(resource(json!({"s3BucketDetails": [{}, {"name": true}]})), &[bucket]);
    let mut pascal = json!({"Id": "1", "AccountId": "111122223333", "Region": "eu-west-1", "Type": "x"});
    pascal["Resource"] = json!({"AccessKeyDetails": {"UserName": 5}});
    check(pascal, &["Resource.AccessKeyDetails.UserName: expected a string, found integer `5`"]);
    let odd = json!({"title": {}, "severity": [], "service": {"count": {}, "action": 5, "additionalInfo": "x"}});
    check(finding(odd), &[]);
}

#[test]
fn plain_values_are_read_from_what_holds_them() {
    let read = |more: Value| parse(finding(more)).unwrap();
    for (severity, expect) in [
        (json!(8), "8 high"),
        (json!("8.0"), "8 high"),
        (json!(5.5), "5.5 medium"),
        (json!(null), "0 low"),
        (json!(99), "0 low"),
        (json!("NaN"), "0 low"),
    ] {
        let severity = read(json!({ "severity": severity })).severity;
        assert_eq!(format!("{severity} {}", severity.band()), expect);
    }
    for (created, expect) in [
        (json!("2021-12-23T11:05:12Z"), Some("2021-12-23T11:05:12Z")),
        (json!("2025-02-25 20:40:06.000000000"), Some("2025-02-25T20:40:06Z")),
        (json!(1_716_854_656.5), Some("2024-05-28T00:04:16.5Z")),
        (json!(1_716_854_656_500_u64), Some("2024-05-28T00:04:16.5Z")),
        (json!("XXXX-XX-XXTXX:XX:XXZ"), None),
        (json!(1e300), None),
    ] {
        assert_eq!(read(json!({ "createdAt": created })).created.map(|it| it.to_string()).as_deref(), expect);
    }
    for (count, expect) in [(json!("3"), 3), (json!(3.0), 3), (json!(-3), 1), (json!(null), 1)] {
        assert_eq!(read(json!({"service": {"count": count}})).count, expect);
    }
    for (archived, expect) in [(json!(true), true), (json!("True"), true), (json!("false"), false), (json!(1), false)] {
        assert_eq!(read(json!({"service": {"archived": archived}})).archived, expect);
    }
    assert_eq!(read(json!({"service": {"resourceRole": "ACTOR"}})).role, Some(ResourceRole::Actor));
    assert_eq!(read(json!({"service": {"resourceRole": ""}})).role, None);
}

#[test]
fn a_sample_says_so_in_either_place() {
    for (info, expect) in [
        (json!({"sample": true}), true),
        (json!({"value": "{\"sample\":true}", "type": "default"}), true),
        (json!({"value": "{\"Sample\": \"TRUE\"}"}), true),
        (json!({"value": "{\"sample\":false}"}), false),
        (json!({"value": "sample: true"}), false),
        (json!({"threatName": "GeneratedFindingThreatName", "sample": null}), false),
    ] {
        assert_eq!(parse(finding(json!({"service": {"additionalInfo": info}}))).unwrap().sample, expect);
    }
}

#[test]
fn the_partition_follows_the_region_whatever_is_told() {
    for (more, expect) in [
        (json!({"partition": "aws-cn"}), Partition::Aws),
        (json!({"region": "cn-north-1", "partition": "aws"}), Partition::China),
        (json!({"region": "cn-north-1"}), Partition::China),
        (json!({"region": "us-gov-west-1", "partition": null}), Partition::GovCloud),
        (json!({"partition": ""}), Partition::Aws),
    ] {
        assert_eq!(parse(finding(more)).unwrap().at.partition, expect);
    }
}

#[test]
fn a_finding_is_the_same_after_it_was_stored() {
    let finding = parse(keys(json!({"userType": "IAMUser", "userName": "ann", "principalId": "AIDA1"}))).unwrap();
    let stored = serde_json::to_string(&finding).unwrap();
    assert_eq!(serde_json::from_str::<Finding>(&stored).unwrap(), finding);
}
