//! Every record that any release ever wrote is still read, and undone.
//!
//! `tests/records/` has one of each shape, named after its schema. Once released, a file there is never changed: a new
//! shape is a new file. `cargo test --test promises -- --ignored write_the_records` adds those that are missing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics has said what it has to say"
)]

mod shapes;

use crate::looking_after::{KEY, KEY_ID};
use crate::rehearsal::Rehearsal;
use crate::stage::{self, CONTAIN};
use crate::story::newer;
use jiff::Timestamp;
use quell::ledger::hold::{GiveBack, Hold, Release};
use quell::ledger::protocol::{Done, LetGo, begin_undo, finish_undo};
use quell::ledger::record::{IncidentRecord, Status, Who};
use quell::ledger::schema::SCHEMA;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use shapes::{late, shapes, undone, worker};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const SUMS: &str = "SHA256SUMS";

#[test]
fn every_record_ever_written_is_read_whole() {
    for (name, json) in files() {
        let again = if name.contains("-hold-") {
            serde_json::to_value(read::<Hold>(&name, &json)).unwrap()
        } else {
            serde_json::to_value(read::<IncidentRecord>(&name, &json)).unwrap()
        };
        assert_eq!(lost(&json, &again), Vec::<String>::new(), "{name}");
    }
}

/// Which zone a time is in is never a question: all are RFC 3339 in UTC.
#[test]
fn every_time_that_was_ever_written_is_in_utc() {
    let names =
        ["at", "until", "started", "updated", "created", "due", "told", "ends", "expires", "contained", "touched"];
    let mut found = 0;
    for (name, json) in files() {
        let mut left = vec![&json];
        while let Some(value) = left.pop() {
            for (field, value) in value.as_object().into_iter().flatten() {
                if let Some(text) =
                    value.as_str().filter(|text| names.contains(&field.as_str()) && !text.starts_with('P'))
                {
                    assert!(text.ends_with('Z') && text.parse::<Timestamp>().is_ok(), "{name}: {field} is {text}");
                    found += 1;
                }
            }
            left.extend(value.as_object().into_iter().flat_map(|it| it.values()));
            left.extend(value.as_array().into_iter().flatten());
        }
    }
    assert!(found > 100, "{found}");
}

#[test]
fn every_record_ever_written_is_undone() {
    for (name, json) in files() {
        if name.contains("-hold-") {
            let hold: Hold = read(&name, &json);
            let empty = hold.holders.iter().rev().fold(hold.clone(), |hold, holder| {
                let release = hold.release(&holder.incident, late());
                let back = match &release {
                    Release::Back(back) => back,
                    Release::KeptBy(others) if !others.is_empty() => return hold.without(&holder.incident, late()),
                    other => panic!("{name}: {other:?}"),
                };
                let now = hold.give_back(back, &back.from);
                assert!(matches!(now, GiveBack::Write(_) | GiveBack::Already), "{name}: {now:?}");
                assert!(hold.holders.len() > 1 || back.to == hold.original, "{name}");
                hold.without(&holder.incident, late())
            });
            assert!(empty.holders.is_empty(), "{name}");
        } else {
            let record: IncidentRecord = read(&name, &json);
            let by = worker(Who::Sweep);
            let over = matches!(record.status, Status::Released | Status::Rejected) || record.holds.is_empty();
            let begun = begin_undo(&record, &by, None, late());
            assert_eq!(begun.is_ok(), !over, "{name}");
            let Ok(begun) = begun else { continue };
            let begun = begun.incident.unwrap();
            let done: Vec<_> = begun.to_give_back().into_iter().map(|key| Done::new(key, LetGo::GivenBack)).collect();
            let end = finish_undo(&begun, &by, &done, undone(), late()).incident.unwrap();
            assert!(end.holds.is_empty() && !end.status.is_open(), "{name}: {:?}", end.status);
        }
    }
}

/// A key and the policies of a user and a role, as each schema has them, in an account where they were contained.
#[tokio::test]
async fn what_any_release_contained_is_given_back_to_the_account() {
    let deny = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": "*", "Resource": "*" }] });
    let own =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }] });
    for schema in 1..=SCHEMA {
        let quell = Rehearsal::of(CONTAIN).await;
        let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
        let on_role = async |document: &Json| {
            let web = ("RoleName", "web-server");
            let policy = [web, ("PolicyName", "quell-quarantine"), ("PolicyDocument", &document.to_string())];
            iam.call("PutRolePolicy", &policy).await;
        };
        on_role(&own).await;
        let before = quell.cloud.world().await;
        let read = |name: &str| -> Json {
            let text = std::fs::read_to_string(directory().join(format!("{schema}-{name}.json"))).unwrap();
            let text = text.replace("role/web/", "role/web-server/").replace("\"web\"", "\"web-server\"");
            serde_json::from_str(&quell.account.localise(&text)).unwrap()
        };
        let written = |document: &Json| if schema == 1 { document.clone() } else { json!(document.to_string()) };
        let mut role = read("hold-role-policy");
        role["original"]["document"] = written(&own);
        role["holders"][0]["from"]["document"] = written(&own);
        role["holders"][0]["to"]["document"] = written(&deny);
        let (mut incident, key, mut policy) =
            (read("incident-held"), read("hold-access-key"), read("hold-user-policy"));
        policy["holders"][0]["to"]["document"] = written(&deny);
        incident["holds"] = json!([key["key"], policy["key"], role["key"]]);
        let id = incident["id"].as_str().unwrap().to_owned();
        for (kind, record) in [("incident", &incident), ("hold", &key), ("hold", &policy), ("hold", &role)] {
            let key = record.get("key").or_else(|| record.get("id")).and_then(Json::as_str).unwrap();
            quell.cloud.put_in_ledger(&format!("{kind}/{key}"), record, None).await;
        }
        on_role(&deny).await;
        let ann = [("UserName", "ann"), ("PolicyName", "quell-quarantine"), ("PolicyDocument", &deny.to_string())];
        iam.call("PutUserPolicy", &ann).await;
        let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
        iam.call("UpdateAccessKey", &[("UserName", "ann"), ("AccessKeyId", key), ("Status", "Inactive")]).await;
        assert_eq!(quell.changes(&before, &quell.cloud.world().await).len(), 3);

        let undone = quell.order(json!({ "command": "undo", "incident": id }), 0).await;
        assert_eq!(undone["ok"]["verdict"], "released", "{schema}: {undone}");
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{schema}");
    }
}

/// The rules of a group, the groups of an interface and a quarantine group, as each schema has them.
#[tokio::test]
async fn what_any_release_changed_of_a_network_is_given_back_to_it() {
    for schema in 1..=SCHEMA {
        let quell = Rehearsal::of(CONTAIN).await;
        let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
        let [near, far] = ["vpc-0a1b2c3d4e5f60010", "vpc-0a1b2c3d4e5f60011"].map(|vpc| quell.account.real(vpc));
        let made = async |name: &str, vpc: &str| {
            let about = [("GroupName", name), ("GroupDescription", "as before"), ("VpcId", vpc)];
            ec2.call("CreateSecurityGroup", &about).await["groupId"].as_str().unwrap().to_owned()
        };
        let ports = async |action: &str, group: &str, network: &str| {
            let rule = [
                ("GroupId", group),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "22"),
                ("IpPermissions.1.ToPort", "22"),
                ("IpPermissions.1.IpRanges.1.CidrIp", network),
                ("IpPermissions.1.IpRanges.1.Description", "from anywhere"),
                ("TagSpecification.1.ResourceType", "security-group-rule"),
                ("TagSpecification.1.Tag.1.Key", "team"),
                ("TagSpecification.1.Tag.1.Value", "web"),
            ];
            ec2.call(action, &rule).await;
        };
        let (group, other) = (made("rules", near).await, made("other", near).await);
        ports("AuthorizeSecurityGroupIngress", &group, "0.0.0.0/0").await;
        let before = (quell.cloud.world().await, quell.cloud.main().rules().await);

        // As Quell would have left it.
        ports("RevokeSecurityGroupIngress", &group, "0.0.0.0/0").await;
        ports("AuthorizeSecurityGroupIngress", &group, "10.0.0.0/8").await;
        let interface = quell.account.real("eni-0a1b2c3d4e5f60002");
        let moved = [("NetworkInterfaceId", interface), ("SecurityGroupId.1", other.as_str())];
        ec2.call("ModifyNetworkInterfaceAttribute", &moved).await;
        let quarantine = made("quell-quarantine", far).await;
        let tag =
            [("ResourceId.1", quarantine.as_str()), ("Tag.1.Key", "quell:managed"), ("Tag.1.Value", "quarantine")];
        ec2.call("CreateTags", &tag).await;
        let out = [
            ("GroupId", quarantine.as_str()),
            ("IpPermissions.1.IpProtocol", "-1"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        ec2.call("RevokeSecurityGroupEgress", &out).await;
        assert_eq!(quell.changes(&before.0, &quell.cloud.world().await).len(), 3);

        let read = |name: &str, ids: &[(&str, &str)]| -> Json {
            let text = std::fs::read_to_string(directory().join(format!("{schema}-{name}.json"))).unwrap();
            let text = ids.iter().fold(text, |text, (old, new)| text.replace(old, new));
            serde_json::from_str(&quell.account.localise(&text)).unwrap()
        };
        let [web, admin] = ["sg-0a1b2c3d4e5f60030", "sg-0a1b2c3d4e5f60031"].map(|group| quell.account.real(group));
        let groups = [("eni-0a1b", interface), ("sg-0a1b", web), ("sg-0c1d", admin), ("sg-0e1f", other.as_str())];
        let mut rules = read("hold-ingress-rules", &[("sg-0a1b", group.as_str())]);
        // The fixture has one of each kind of rule: prefix lists and the like are not in this account.
        let here = |rules: &mut Json| {
            rules["rules"].as_array_mut().unwrap().retain(|rule| rule["peer"]["network"].is_string());
        };
        here(&mut rules["original"]);
        here(&mut rules["holders"][0]["from"]);
        let holds =
            [read("hold-quarantine-group", &[("vpc-0a1b", far)]), read("hold-interface-groups", &groups), rules];
        let mut incident = read("incident-held", &[]);
        incident["holds"] = holds.iter().map(|hold| hold["key"].clone()).collect();
        let id = incident["id"].as_str().unwrap().to_owned();
        quell.cloud.put_in_ledger(&format!("incident/{id}"), &incident, None).await;
        for hold in &holds {
            quell.cloud.put_in_ledger(&format!("hold/{}", hold["key"].as_str().unwrap()), hold, None).await;
        }
        let undone = quell.order(json!({ "command": "undo", "incident": id }), 0).await;
        assert_eq!(undone["ok"]["verdict"], "released", "{schema}: {undone}");
        assert_eq!(quell.changes(&before.0, &quell.cloud.world().await), [""; 0], "{schema}");
        assert_eq!(quell.cloud.main().rules().await, before.1, "{schema}");
    }
}

/// After a no that any release took down, a newer state of the finding contains nothing without a person.
#[tokio::test]
async fn a_no_of_any_release_is_still_a_no() {
    for schema in 1..=SCHEMA {
        let quell = Rehearsal::of(CONTAIN).await;
        let before = quell.cloud.world().await;
        let text = std::fs::read_to_string(directory().join(format!("{schema}-incident-rejected.json"))).unwrap();
        let mut rejected: Json = serde_json::from_str(&quell.account.localise(&text)).unwrap();
        rejected["id"] = json!(quell.incident(KEY_ID));
        (rejected["told"], rejected["due"]) = (json!("2026-11-05T14:00:02Z"), Json::Null);
        rejected["incident"]["finding"]["id"] = json!(KEY_ID);
        let key = format!("incident/{}", quell.incident(KEY_ID));
        quell.cloud.put_in_ledger(&key, &rejected, None).await;
        quell.handle(quell.event(&newer(&stage::read(KEY))), 60).await.unwrap();
        assert_eq!(quell.verdicts(), ["WAITING FOR APPROVAL"], "{schema}: {}", quell.email());
        assert_eq!(quell.changes(&before, &quell.cloud.world().await), [""; 0], "{schema}");
    }
}

/// What a release wrote is never written anew: a later release must read that, not what is easier to read.
#[test]
fn no_record_is_other_than_it_was() {
    let sums = std::fs::read_to_string(directory().join(SUMS)).unwrap();
    let sums: BTreeMap<&str, &str> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    let known = summed();
    assert!(known.iter().eq(sums.keys()), "each file has its sum");
    for name in &known {
        assert_eq!(sum(name), sums[name.as_str()], "{name}");
    }
}

/// A shape that changes must be a new file beside the old one, and the schema goes up where old code cannot read it.
#[test]
fn the_shapes_of_this_release_are_among_them() {
    let known = files();
    for (name, json) in shapes() {
        assert!(
            known.iter().any(|(file, there)| *file == name && *there == json),
            "{name} is not as this release writes it"
        );
    }
}

#[test]
#[ignore = "writes files: for a release that has a new shape"]
fn write_the_records() {
    for (name, json) in shapes() {
        let path = directory().join(&name);
        if !path.exists() {
            std::fs::write(path, serde_json::to_string_pretty(&json).unwrap() + "\n").unwrap();
        }
    }
    // The sum of what is there already stays, so that a change of it is found.
    let known = std::fs::read_to_string(directory().join(SUMS)).unwrap_or_default();
    let line = |name: &str| known.lines().find(|line| line.ends_with(&format!("  {name}"))).map(str::to_owned);
    let sums = summed().into_iter().map(|name| line(&name).unwrap_or_else(|| format!("{}  {name}", sum(&name))));
    let sums: Vec<String> = sums.collect();
    std::fs::write(directory().join(SUMS), sums.join("\n") + "\n").unwrap();
}

/// The records, and the items in which DynamoDB has them.
fn summed() -> Vec<String> {
    let items = std::fs::read_dir(directory().join("items")).unwrap();
    let items = items.map(|entry| format!("items/{}", entry.unwrap().file_name().to_string_lossy()));
    let mut names: Vec<String> = files().into_iter().map(|(name, _)| name).chain(items).collect();
    names.sort();
    names
}

/// As `sha256sum` writes it.
fn sum(name: &str) -> String {
    let hash = Sha256::digest(std::fs::read(directory().join(name)).unwrap());
    hash.iter().fold(String::new(), |mut sum, byte| {
        write!(sum, "{byte:02x}").unwrap();
        sum
    })
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/records")
}

fn files() -> Vec<(String, Json)> {
    let mut files: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn read<T: DeserializeOwned>(name: &str, json: &Json) -> T {
    serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is in the old and not in the new: what is written is of this release's schema, and has the text of documents that
/// the first one had parsed.
fn lost(old: &Json, new: &Json) -> Vec<String> {
    match (old, new) {
        (document @ Json::Object(_), Json::String(text))
            if serde_json::from_str(text).is_ok_and(|new: Json| new == *document) =>
        {
            Vec::new()
        }
        (Json::Object(old), Json::Object(new)) => {
            let within = |(key, old): (&String, &Json)| {
                if key == "schema" && new[key] == SCHEMA {
                    return Vec::new();
                }
                let lost = new.get(key).map_or_else(|| vec![String::new()], |new| lost(old, new));
                lost.into_iter().map(|path| format!("{key}.{path}")).collect::<Vec<_>>()
            };
            old.iter().flat_map(within).collect()
        }
        (Json::Array(old), Json::Array(new)) if old.len() == new.len() => {
            old.iter().zip(new).flat_map(|(old, new)| lost(old, new)).collect()
        }
        (old, new) if old == new => Vec::new(),
        (old, new) => vec![format!("{old} -> {new}")],
    }
}
