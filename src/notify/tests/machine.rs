//! What machines read.

use super::*;
use crate::id::FindingId;
use crate::ledger::record::Approval;
use crate::notify::{Whose, chat, json, log_lines, message, metrics, no_ledger, together};
use crate::policy::Fallback;
use insta::{assert_json_snapshot, assert_snapshot};

/// Two plans that wait beyond the limit, the graver one second.
pub(super) fn two_that_wait() -> [Incident; 2] {
    let why = "account 111122223333 would have more containments within an hour than the policy allows";
    let waiting = |plan: Plan, n: char, severity: f64| {
        let mut incident = incident(vec![part(plan, Response::Contain, Vec::new())]);
        incident.parts[0].decision = incident.parts[0].decision.clone().lowered_to(Response::Approve, why);
        incident.finding.id = FindingId::try_from(n.to_string().repeat(32)).unwrap();
        incident.finding.severity = Severity::try_from(severity).unwrap();
        let expires = "2026-11-22T03:00:00Z".parse().unwrap();
        incident.beside.approval = Some(Approval { plan: 1, expires, fallback: Fallback::Abandon });
        incident
    };
    [waiting(key_plan(), 'a', 5.0), waiting(instance_plan(&["eni-0aa1"]), 'b', 8.0)]
}

#[test]
fn the_message_of_a_ledger_that_cannot_be_read() {
    let function = "arn:aws:lambda:eu-west-1:111122223333:function:quell";
    let whose = Whose { table: "quell-ledger", function };
    let message = no_ledger(&whose, "dynamodb:Query: ThrottlingException: slow down", true);
    assert_eq!(message.subject, "QUELL CANNOT USE ITS LEDGER (account 111122223333, eu-west-1)");
    let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    assert_snapshot!(body["email"].as_str().unwrap(), @r"
    QUELL CANNOT USE ITS LEDGER (account 111122223333, eu-west-1)
      News:    You may have been told this before; it is not known whether that message went out.
      Why:     dynamodb:Query: ThrottlingException: slow down
      Now:     What Quell holds may not be looked after: what an attacker opens again stays open, what was for a time is not given back, and what a crash left is not gone on with. What comes in is contained only where its claim can be written.
      Act:     Yes, now. See whether the table is there, and whether the function's role may use it. Quell goes on by itself once it can; as long as it cannot, it says so about once an hour.

    aws dynamodb describe-table --region eu-west-1 --table-name quell-ledger
    ");
    let machine: serde_json::Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
    let said = ["schema", "verdict", "table"].map(|name| machine[name].as_str().unwrap().to_owned());
    assert_eq!(said, ["quell.ledger.v1", "failed", "quell-ledger"]);
    assert_eq!(machine["finding"]["account"], "111122223333");
    let chat: serde_json::Value = serde_json::from_str(body["https"].as_str().unwrap()).unwrap();
    assert_eq!((&chat["source"], &chat["content"]["textType"]), (&"custom".into(), &"client-markdown".into()));
    assert!(chat["content"]["description"].as_str().unwrap().contains("ThrottlingException"), "{chat}");
}

#[test]
fn the_message_of_all_that_waits_beyond_the_limit() {
    let two = two_that_wait();
    let message = together(&two.each_ref(), false);
    assert_eq!(message.subject, "WAITING FOR APPROVAL: 2 findings beyond the hour's limit (account 111122223333)");
    let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    assert_snapshot!(body["email"].as_str().unwrap(), @r#"
    WAITING FOR APPROVAL: 2 findings beyond the hour's limit (account 111122223333)
      Now:     Quell changed nothing for these.
      Act:     Yes, decide now. Approve or reject each; the commands are below, the gravest first.

    1. WAITING FOR APPROVAL: instance i-0c10c2c7863d1a356 (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity high (8)
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      - would: security groups of interface eni-0aa1: sg-0aa1 -> sg-0dead
      - held back: account 111122223333 would have more containments within an hour than the policy allows
      Until 2026-11-22T03:00:00Z a person decides; without an answer Quell drops it and says so.
    quell approve 111122223333/eu-west-1/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb --plan 1
    quell reject 111122223333/eu-west-1/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb --plan 1
    quell show 111122223333/eu-west-1/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

    2. WAITING FOR APPROVAL: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      - would: access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive
      - held back: account 111122223333 would have more containments within an hour than the policy allows
      Until 2026-11-22T03:00:00Z a person decides; without an answer Quell drops it and says so.
    quell approve 111122223333/eu-west-1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --plan 1
    quell reject 111122223333/eu-west-1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --plan 1
    quell show 111122223333/eu-west-1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    "#);
    let machine: serde_json::Value = serde_json::from_str(body["default"].as_str().unwrap()).unwrap();
    let ids = machine["incidents"].as_array().unwrap().iter().map(|it| it["finding"].as_str().unwrap().to_owned());
    assert_eq!(ids.collect::<Vec<_>>(), ["b".repeat(32), "a".repeat(32)], "the gravest first");
    assert_eq!(
        (&machine["schema"], &machine["verdict"]),
        (&"quell.incidents.v1".into(), &"waiting-for-approval".into())
    );
    let attributes: Vec<String> =
        message.attributes.iter().map(|(name, value)| format!("{name}={}", value.value())).collect();
    assert_eq!(
        attributes,
        [
            "account=111122223333",
            "finding_type=[\"UnauthorizedAccess:IAMUser/TorIPCaller\"]",
            "region=[\"eu-west-1\"]",
            "remediation=[\"compromised-instance\",\"exposed-key\"]",
            "severity=[\"high\",\"medium\"]",
            "verdict=waiting-for-approval",
        ]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "the whole message, as it goes out")]
fn the_structured_message() {
    assert_json_snapshot!(json(&contained()), @r#"
    {
      "approval": null,
      "contained": "2026-11-21T03:00:02.4Z",
      "ends": null,
      "finding": {
        "account": "111122223333",
        "action": "ListBuckets of s3.amazonaws.com",
        "archived": false,
        "arn": "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/16afba5c5c43e07c9e3e5e2e544e95df",
        "count": 3,
        "created": "2026-11-21T02:39:30Z",
        "description": "The API ListBuckets was invoked from the Tor exit node 198.51.100.23.",
        "first_seen": "2026-11-21T02:40:00Z",
        "id": "16afba5c5c43e07c9e3e5e2e544e95df",
        "known_type": true,
        "last_seen": "2026-11-21T02:41:07Z",
        "local_ports": [],
        "local_ports_left_out": 0,
        "partition": "aws",
        "region": "eu-west-1",
        "remotes": [
          {
            "address": "198.51.100.23",
            "city": "Amsterdam",
            "country": "Netherlands",
            "network": "Example Hosting (AS64500)"
          }
        ],
        "remotes_left_out": 0,
        "role": null,
        "sample": false,
        "severity": 5.0,
        "severity_band": "medium",
        "subjects": [
          {
            "account": "111122223333",
            "region": "eu-west-1",
            "subject": {
              "key": "AKIAIOSFODNN7EXAMPLE",
              "kind": "user-key",
              "user": "ann"
            },
            "words": "access key AKIAIOSFODNN7EXAMPLE of user ann"
          }
        ],
        "subjects_left_out": 0,
        "title": "The API ListBuckets was invoked from a Tor exit node.",
        "type": "UnauthorizedAccess:IAMUser/TorIPCaller",
        "updated": "2026-11-21T02:59:18Z"
      },
      "given_back": null,
      "headline": "CONTAINED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)",
      "incident": "111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df",
      "links": {
        "console": "https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df"
      },
      "news": [],
      "parts": [
        {
          "blast_radius": {
            "count": 0,
            "says": [],
            "unread": []
          },
          "changes": [
            {
              "change": {
                "from": {
                  "status": "Active"
                },
                "setting": {
                  "key": "AKIAIOSFODNN7EXAMPLE",
                  "setting": "access-key-status",
                  "user": "ann"
                },
                "to": {
                  "status": "Inactive"
                }
              },
              "commands": [
                "aws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive"
              ],
              "from": "Active",
              "outcome": "changed",
              "outcome_words": "done, read back",
              "setting": "access key AKIAIOSFODNN7EXAMPLE of user ann",
              "to": "Inactive",
              "why": "The key was used by someone who should not have it."
            }
          ],
          "changes_left_out": 0,
          "lowered": [],
          "manual": [
            {
              "command": "aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE",
              "say": "See what the key was used for."
            },
            {
              "command": null,
              "say": "Give ann a new key, and find out how the old one leaked."
            }
          ],
          "manual_left_out": 0,
          "no_steps": null,
          "notes": [],
          "remediation": "exposed-key",
          "residual": [
            "Sessions that were started with the key go on until they expire."
          ],
          "response": "contain",
          "rule": "keys",
          "subject": {
            "account": "111122223333",
            "region": "eu-west-1",
            "subject": {
              "key": "AKIAIOSFODNN7EXAMPLE",
              "kind": "user-key",
              "user": "ann"
            },
            "words": "access key AKIAIOSFODNN7EXAMPLE of user ann"
          },
          "verdict": "contained"
        }
      ],
      "parts_left_out": 0,
      "repeated": false,
      "schema": "quell.incident.v1",
      "seconds_to_contain": 44.4,
      "started": "2026-11-21T03:00:00Z",
      "verdict": "contained",
      "worth_retrying": false
    }
    "#);
}

#[test]
fn the_chat_notification() {
    assert_json_snapshot!(chat(&contained()), @r#"
    {
      "content": {
        "description": "*Finding:* `UnauthorizedAccess:IAMUser/TorIPCaller`, severity medium (5)\n*Now:* The one planned change holds, read back at 2026-11-21T03:00:02Z, 44 s after GuardDuty last reported it.\n*Act:* Not at once. The next steps are below.\n*GuardDuty says:* `The API ListBuckets was invoked from a Tor exit node.`\n*Last seen:* 2026-11-21T02:41:07Z\n*From:* `198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)`\n• `access key AKIAIOSFODNN7EXAMPLE of user ann: Active -› Inactive`: done, read back\n<https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df|Open the finding in GuardDuty>",
        "keywords": [
          "contained",
          "medium",
          "111122223333",
          "eu-west-1"
        ],
        "nextSteps": [
          "See what the key was used for. (account 111122223333, eu-west-1) `aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE`",
          "Give ann a new key, and find out how the old one leaked. (account 111122223333, eu-west-1)"
        ],
        "textType": "client-markdown",
        "title": "CONTAINED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)"
      },
      "metadata": {
        "additionalContext": {
          "console": "https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df",
          "verdict": "contained"
        },
        "eventType": "UnauthorizedAccess:IAMUser/TorIPCaller",
        "relatedResources": [
          "access key AKIAIOSFODNN7EXAMPLE of user ann"
        ],
        "summary": "CONTAINED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)",
        "threadId": "16afba5c5c43e07c9e3e5e2e544e95df"
      },
      "source": "custom",
      "version": "1.0"
    }
    "#);
}

#[test]
fn subject_short_message_and_attributes() {
    let message = message(&root());
    let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    let attributes =
        message.attributes.iter().map(|(name, value)| format!("{name} ({}) = {}", value.data_type(), value.value()));
    let lines: Vec<String> =
        [message.subject.clone(), body["sms"].as_str().unwrap().to_owned()].into_iter().chain(attributes).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    REFUSED: the root user of account 111122223333 (account 111122223333, eu-west-1)
    REFUSED: the root user of account 111122223333 (account 111122223333, eu-west-1). Act now. See e-mail.
    account (String) = 111122223333
    finding_type (String) = UnauthorizedAccess:IAMUser/TorIPCaller
    region (String) = eu-west-1
    remediation (String.Array) = ["some-remediation"]
    severity (String) = medium
    verdict (String) = refused
    "#);
}

#[test]
fn each_log_line_carries_the_finding() {
    let lines: Vec<String> = log_lines(&contained()).iter().map(ToString::to_string).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    {"account":"111122223333","count":3,"event":"finding","finding":"16afba5c5c43e07c9e3e5e2e544e95df","known_type":true,"message":"CONTAINED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)","parts":1,"region":"eu-west-1","remotes":1,"sample":false,"seconds_to_contain":44.4,"severity":5.0,"type":"UnauthorizedAccess:IAMUser/TorIPCaller","verdict":"contained"}
    {"account":"111122223333","commands":["aws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive"],"event":"step","finding":"16afba5c5c43e07c9e3e5e2e544e95df","message":"access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive","outcome":"changed","outcome_words":"done, read back","region":"eu-west-1","remediation":"exposed-key","response":"contain","subject":"access key AKIAIOSFODNN7EXAMPLE of user ann","verdict":"contained","why":"The key was used by someone who should not have it."}
    "#);
}

#[test]
fn the_metrics_of_a_contained_finding() {
    assert_json_snapshot!(metrics(&contained(), contained().started), @r#"
    {
      "Failures": 0,
      "Findings": 1,
      "MadeUp": 0,
      "OverLimit": 0,
      "Reopened": 0,
      "SecondsToContain": 44.4,
      "Service": "quell",
      "TypeFamily": "UnauthorizedAccess:IAMUser",
      "UnknownFindingTypes": 0,
      "Verdict": "contained",
      "_aws": {
        "CloudWatchMetrics": [
          {
            "Dimensions": [
              [
                "Service"
              ],
              [
                "Verdict"
              ],
              [
                "TypeFamily"
              ]
            ],
            "Metrics": [
              {
                "Name": "Findings",
                "Unit": "Count"
              }
            ],
            "Namespace": "Quell"
          },
          {
            "Dimensions": [
              [
                "Service"
              ]
            ],
            "Metrics": [
              {
                "Name": "UnknownFindingTypes",
                "Unit": "Count"
              },
              {
                "Name": "Failures",
                "Unit": "Count"
              },
              {
                "Name": "OverLimit",
                "Unit": "Count"
              },
              {
                "Name": "Reopened",
                "Unit": "Count"
              },
              {
                "Name": "MadeUp",
                "Unit": "Count"
              }
            ],
            "Namespace": "Quell"
          },
          {
            "Dimensions": [
              [
                "Service"
              ],
              [
                "TypeFamily"
              ]
            ],
            "Metrics": [
              {
                "Name": "SecondsToContain",
                "Unit": "Seconds"
              }
            ],
            "Namespace": "Quell"
          }
        ],
        "Timestamp": 1795230000000
      },
      "finding": "16afba5c5c43e07c9e3e5e2e544e95df"
    }
    "#);
}

#[test]
fn what_is_not_contained_has_no_time_to_contain() {
    let metrics = metrics(&root(), root().started);
    assert_eq!((&metrics["SecondsToContain"], &metrics["Failures"]), (&serde_json::Value::Null, &0.into()));
}

/// CloudWatch drops an object whose directives name a member that is not there.
#[test]
fn every_metric_and_dimension_is_a_member() {
    for incident in [contained(), root()] {
        let metrics = metrics(&incident, incident.started);
        for directive in metrics["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            let sets = directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap());
            assert!(sets.clone().all(|name| metrics[name.as_str().unwrap()].is_string()), "{directive}");
            let names = directive["Metrics"].as_array().unwrap();
            assert!(names.iter().all(|metric| metrics[metric["Name"].as_str().unwrap()].is_number()), "{directive}");
        }
    }
}

#[test]
fn the_console_link_follows_the_partition() {
    let mut incident = contained();
    for (partition, host) in [
        (Partition::Aws, "https://console.aws.amazon.com/guardduty/"),
        (Partition::China, "https://console.amazonaws.cn/guardduty/"),
        (Partition::GovCloud, "https://console.amazonaws-us-gov.com/guardduty/"),
    ] {
        incident.finding.at.partition = partition;
        assert!(json(&incident)["links"]["console"].as_str().unwrap().starts_with(host));
    }
}
