//! The e-mail, whole, for each verdict.

use super::*;
use crate::incident::{News, Returned};
use crate::ledger::record::Approval;
use crate::notify::text;
use crate::policy::{Fallback, Refusal};
use insta::assert_snapshot;

#[test]
fn a_contained_key() {
    assert_snapshot!(text(&contained()), @r#"
    CONTAINED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     The one planned change holds, read back at 2026-11-21T03:00:02Z, 44 s after GuardDuty last reported it.
      Act:     Not at once. The next steps are below.

    NEXT STEPS
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. See what the key was used for.
    aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE
      2. Give ann a new key, and find out how the old one leaked.

    WHAT QUELL DID
      - access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: done, read back
          The key was used by someone who should not have it.

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    WHAT THIS DOES NOT STOP
      - Sessions that were started with the key go on until they expire.

    DECIDED BY
      rule "keys" of the policy: contain

    IF IT WAS A FALSE ALARM
      Quell gives back what it changed. Changed back by hand, it is contained again. First see what it would do:
    quell undo 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df --dry-run
    quell undo 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_partly_contained_instance() {
    assert_snapshot!(text(&incident(vec![part(
        instance_plan(&["eni-0a1b", "eni-0a1c", "eni-0a1d"]),
        Response::Contain,
        vec![
            Outcome::Changed,
            Outcome::Refused { why: "ec2:ModifyNetworkInterfaceAttribute: AuthFailure".to_owned() },
            Outcome::Drifted { found: Value::Groups([GroupRef::Id(id("sg-0bad"))].into()) },
        ],
    )])), @r#"
    PARTLY CONTAINED: instance i-0c10c2c7863d1a356 (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     1 of 3 changes holds, read back at 2026-11-21T03:00:02Z, 44 s after GuardDuty last reported it.
      Act:     Yes, now. Quell did not contain it, or not all of it; what to do is below.

    DO NOW
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. Make this change: security groups of interface eni-0a1c: sg-0aa1 -> sg-0dead
    aws ec2 modify-network-interface-attribute --network-interface-id eni-0a1c --groups sg-0dead
      2. Make this change: security groups of interface eni-0a1d: sg-0aa1 -> sg-0dead
    aws ec2 modify-network-interface-attribute --network-interface-id eni-0a1d --groups sg-0dead

    WHAT QUELL DID
      - security groups of interface eni-0a1b: sg-0aa1 -> sg-0dead: done, read back
          Only the quarantine group stays, so nothing gets in or out.

    WHAT WAS NOT DONE, AND WHY
      - security groups of interface eni-0a1c: sg-0aa1 -> sg-0dead: refused: ec2:ModifyNetworkInterfaceAttribute: AuthFailure
      - security groups of interface eni-0a1d: sg-0aa1 -> sg-0dead: written, but read back as sg-0bad

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    WHAT THIS DOES NOT STOP
      - Connections that are open now may stay open.

    DECIDED BY
      rule "keys" of the policy: contain

    IF IT WAS A FALSE ALARM
      Quell gives back what it changed. Changed back by hand, it is contained again. First see what it would do:
    quell undo 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df --dry-run
    quell undo 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_plan_only() {
    assert_snapshot!(text(&incident(vec![part(key_plan(), Response::Plan, Vec::new())])), @r#"
    PLANNED ONLY: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing. 1 change is planned.
      Act:     Yes, decide now. Quell may only plan here; nothing happens until a person does it.

    DO NOW
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. Make this change: access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive
    aws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive
      2. See what the key was used for.
    aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE
      3. Give ann a new key, and find out how the old one leaked.

    WHAT QUELL WOULD DO
      - access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: not done
          The key was used by someone who should not have it.

    WHAT WAS NOT DONE, AND WHY
      - access key AKIAIOSFODNN7EXAMPLE of user ann: the policy says plan. To let Quell do it, set response = "contain" in the rule "keys"

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    WHAT THIS DOES NOT STOP
      - Sessions that were started with the key go on until they expire.

    DECIDED BY
      rule "keys" of the policy: plan

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_plan_that_waits_for_approval() {
    assert_snapshot!(text(&{
        let mut waiting = part(key_plan(), Response::Approve, Vec::new());
        waiting.decision.lowered = vec!["the finding is old".to_owned()];
        let mut incident = incident(vec![waiting]);
        incident.beside.approval = Some(Approval {
            plan: 1,
            expires: "2026-11-21T04:00:00Z".parse().unwrap(),
            fallback: Fallback::Abandon,
        });
        incident
    }), @r#"
    WAITING FOR APPROVAL: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing. 1 change is planned.
      Act:     Yes, decide now. Approve or reject it; the commands are below.

    APPROVE OR REJECT
      Until 2026-11-21T04:00:00Z a person decides; without an answer Quell drops it and says so.
    quell approve 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df --plan 1
    quell reject 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df --plan 1

    DO NOW
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. See what the key was used for.
    aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE
      2. Give ann a new key, and find out how the old one leaked.

    WHAT QUELL WOULD DO
      - access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: not done
          The key was used by someone who should not have it.

    WHAT WAS NOT DONE, AND WHY
      - access key AKIAIOSFODNN7EXAMPLE of user ann: held back to approve: the finding is old
      - access key AKIAIOSFODNN7EXAMPLE of user ann: waits for a person

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    WHAT THIS DOES NOT STOP
      - Sessions that were started with the key go on until they expire.

    DECIDED BY
      rule "keys" of the policy, lowered to approve: the finding is old

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_service_linked_role() {
    assert_snapshot!(text(&{
        let role = subject(SubjectKind::RoleSession {
            role: id("AWSServiceRoleForSupport"),
            role_id: id("AROAEXAMPLE"),
            session: id("evil.example"),
            key: None,
        });
        incident(vec![without_steps(&role, NoSteps::Refused("AWS does not let anyone change a service-linked role".to_owned()))])
    }), @r#"
    REFUSED: session evil[.]example of role AWSServiceRoleForSupport (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing.
      Act:     Yes, now. Quell did not contain it and has no steps to offer; start from the finding (LINKS).

    WHAT WAS NOT DONE, AND WHY
      - session evil[.]example of role AWSServiceRoleForSupport: cannot be contained by Quell: AWS does not let anyone change a service-linked role

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    DECIDED BY
      rule "keys" of the policy: contain

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn the_root_user() {
    assert_snapshot!(text(&root()), @r#"
    REFUSED: the root user of account 111122223333 (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing.
      Act:     Yes, now. Quell did not contain it, or not all of it; what to do is below.

    DO NOW
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. Sign in as root, change the password, and end all sessions.
      2. See whether root has access keys; the number must be 0.
    aws iam get-account-summary --query SummaryMap.AccountAccessKeysPresent

    WHAT WAS NOT DONE, AND WHY
      - the root user of account 111122223333: cannot be contained by Quell: nothing in the account can hold the root user back

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    DECIDED BY
      rule "keys" of the policy: contain

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_resource_that_is_gone() {
    assert_snapshot!(text(&incident(vec![without_steps(&key_subject(), NoSteps::Gone("IAM lists no such key".to_owned()))])), @r#"
    RESOURCE GONE: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing.
      Act:     Not to contain it. Find out what it was used for, and whether it was removed or only renamed.

    WHAT WAS NOT DONE, AND WHY
      - access key AKIAIOSFODNN7EXAMPLE of user ann: no longer exists: IAM lists no such key

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    DECIDED BY
      rule "keys" of the policy: contain

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_resource_that_could_not_be_looked_at() {
    assert_snapshot!(text(&incident(vec![without_steps(
        &key_subject(),
        NoSteps::NotObserved { why: "iam:ListAccessKeys: Throttling".to_owned(), transient: true },
    )])), @r#"
    FAILED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing.
      Act:     Yes, now. Quell did not contain it and has no steps to offer; start from the finding (LINKS).

    WHAT WAS NOT DONE, AND WHY
      - access key AKIAIOSFODNN7EXAMPLE of user ann: could not be looked at (may work when tried again): iam:ListAccessKeys: Throttling

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    DECIDED BY
      rule "keys" of the policy: contain

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_finding_about_nothing_known() {
    assert_snapshot!(text(&{
        let mut unknown = incident(Vec::new());
        unknown.finding.kind = FindingType::try_from("Impact:Quantum/www.evil.example".to_owned()).unwrap();
        unknown.finding.sample = true;
        unknown
    }), @r#"
    FOR YOUR ATTENTION (sample): Impact:Quantum/www[.]evil[.]example (account 111122223333, eu-west-1)
      Finding: Impact:Quantum/www[.]evil[.]example, severity medium (5)
      Now:     Quell changed nothing.
      Act:     No. GuardDuty made this sample finding for a test.

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times
      Sample:     yes, GuardDuty made it for a test; names and addresses are invented

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_finding_with_a_good_and_a_bad_part() {
    assert_snapshot!(text(&{
        let elsewhere = Place { account: id("444455556666"), ..at() };
        let bucket = Subject { at: elsewhere, kind: SubjectKind::Bucket { name: id("logs.example.com") } };
        let good = part(key_plan(), Response::Contain, vec![Outcome::AlreadySo]);
        let mut bad = without_steps(&bucket, NoSteps::NotObserved { why: "no role in account 444455556666".to_owned(), transient: false });
        bad.plan.manual = vec![Manual::run("Look at the bucket's policy.", "aws s3api get-bucket-policy --bucket logs.example.com")];
        incident(vec![good, bad])
    }), @r#"
    PARTLY CONTAINED: bucket logs[.]example[.]com and 1 more (account 444455556666, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     The one planned change holds, read back at 2026-11-21T03:00:02Z, 44 s after GuardDuty last reported it; 1 had been so before. By part: 1 failed, 1 contained.
      Act:     Yes, now. Quell did not contain it, or not all of it; what to do is below.

    DO NOW
      First make sure that you are in account 444455556666, eu-west-1; the second line must print 444455556666:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. Look at the bucket's policy.
    aws s3api get-bucket-policy --bucket logs.example.com
      2. See what the key was used for. (in account 111122223333, eu-west-1)
    aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE
      3. Give ann a new key, and find out how the old one leaked. (in account 111122223333, eu-west-1)

    WHAT QUELL DID
      - access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: was so before, nothing to change
          The key was used by someone who should not have it.

    WHAT WAS NOT DONE, AND WHY
      - bucket logs[.]example[.]com: could not be looked at: no role in account 444455556666

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times
      About:
        - access key AKIAIOSFODNN7EXAMPLE of user ann
        - bucket logs[.]example[.]com

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    WHAT THIS DOES NOT STOP
      - Sessions that were started with the key go on until they expire.

    DECIDED BY
      rule "keys" of the policy: contain

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

#[test]
fn a_containment_that_was_undone_but_for_one_setting() {
    let mut undone = contained();
    let returned = |setting: &str, became: &str, is_back| Returned {
        setting: setting.to_owned(),
        became: became.to_owned(),
        is_back,
    };
    undone.news = Some(News::GivenBack {
        by: "arn:aws:sts::111122223333:assumed-role/SecurityResponse/ann".to_owned(),
        settings: vec![
            returned("inline policy QuellQuarantine of user ann", "given back, read back", true),
            returned("access key AKIAIOSFODNN7EXAMPLE of user ann", "left alone: somebody set it to Active", false),
        ],
        others: 0,
    });
    assert_snapshot!(head(&undone, "WHAT HAPPENED"), @r#"
    PARTLY RELEASED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      News:    Undone by arn:aws:sts::111122223333:assumed-role/SecurityResponse/ann.
      Now:     1 of 2 settings is as before.
      Act:     Look at what did not come back; why is below.

    WHAT WAS GIVEN BACK
      - inline policy QuellQuarantine of user ann: given back, read back
      - access key AKIAIOSFODNN7EXAMPLE of user ann: left alone: somebody set it to Active
    "#);
}

#[test]
fn a_finding_that_was_made_up() {
    let mut refused = part(key_plan(), Response::Plan, Vec::new());
    refused.decision.lowered = vec!["the finding was made up: GuardDuty has no finding of this id".to_owned()];
    refused.decision.refused = Some(Refusal::MadeUp);
    assert_snapshot!(head(&incident(vec![refused]), "WHAT HAPPENED"), @r#"
    REFUSED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing. 1 change is planned.
      Act:     Yes, now. Whoever made this finding up wants something done that nobody else does.

    DO NOW
      1. Find out who put this finding on Quell's event bus, or invoked its function. Do nothing about what it names.

    WHAT WAS NOT DONE, AND WHY
      - access key AKIAIOSFODNN7EXAMPLE of user ann: refused: the finding was made up: GuardDuty has no finding of this id
    "#);
}

#[test]
fn a_protected_user() {
    let mut refused = part(key_plan(), Response::Plan, Vec::new());
    refused.decision.lowered = vec!["user ann is protected (payroll@example.com): wages are paid with it".to_owned()];
    refused.decision.refused = Some(Refusal::Protected);
    assert_snapshot!(head(&incident(vec![refused]), "WHAT HAPPENED"), @r#"
    REFUSED: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing. 1 change is planned.
      Act:     Yes, decide now. Quell keeps off what is protected; what a person can do is below.

    DO NOW
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. Make this change: access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive
    aws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive
      2. See what the key was used for.
    aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE
      3. Give ann a new key, and find out how the old one leaked.

    WHAT QUELL WOULD DO
      - access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: not done
          The key was used by someone who should not have it.

    WHAT WAS NOT DONE, AND WHY
      - access key AKIAIOSFODNN7EXAMPLE of user ann: refused: user ann is protected (payroll@example[.]com): wages are paid with it
    "#);
}

#[test]
fn what_was_contained_again_and_ends_by_itself() {
    let mut again = contained();
    again.parts[0].plan.blast.says = vec!["The key was last used 12 minutes ago, for s3.".to_owned()];
    again.news = Some(News::Reopened { settings: vec!["access key AKIAIOSFODNN7EXAMPLE of user ann".to_owned()] });
    again.beside.repeated = true;
    again.beside.ends = Some("2026-11-21T07:00:00Z".parse().unwrap());
    assert_snapshot!(text(&again), @r#"
    CONTAINED AGAIN: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      News:    You may have been told this before; it is not known whether that message went out.
      News:    Somebody had set it back, and it was contained again: access key AKIAIOSFODNN7EXAMPLE of user ann. Whoever did it has rights to: find out who.
      Now:     The one planned change holds, read back at 2026-11-21T03:00:02Z, 44 s after GuardDuty last reported it.
      Until:   2026-11-21T07:00:00Z; then Quell gives back what it changed.
      Act:     Yes, now. Somebody takes the containment off, and has the rights to: find and stop them.

    DO NOW
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. See what the key was used for.
    aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE
      2. Give ann a new key, and find out how the old one leaked.

    WHAT QUELL DID
      - access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: done, read back
          The key was used by someone who should not have it.

    WHAT HAPPENED
      GuardDuty says: "The API ListBuckets was invoked from a Tor exit node."
      "The API ListBuckets was invoked from the Tor exit node 198.51.100.23."
      Action:     "ListBuckets of s3[.]amazonaws[.]com"
      First seen: 2026-11-21T02:40:00Z (20 min before)
      Last seen:  2026-11-21T02:41:07Z (18 min before)
      Reported:   2026-11-21T02:39:30Z (20 min before)
      Updated:    2026-11-21T02:59:18Z (42 s before)
      Quell ran:  2026-11-21T03:00:00Z
      Seen:       3 times

    FROM
      198.51.100.23 - Amsterdam, Netherlands - Example Hosting (AS64500)

    WHAT ELSE STOPS
      - The key was last used 12 minutes ago, for s3.

    WHAT THIS DOES NOT STOP
      - Sessions that were started with the key go on until they expire.

    DECIDED BY
      rule "keys" of the policy: contain

    IF IT WAS A FALSE ALARM
      Quell gives back what it changed. Changed back by hand, it is contained again. First see what it would do:
    quell undo 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df --dry-run
    quell undo 111122223333/eu-west-1/16afba5c5c43e07c9e3e5e2e544e95df

    LINKS
      Console (account 111122223333): https://console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3D16afba5c5c43e07c9e3e5e2e544e95df
      Finding id: 16afba5c5c43e07c9e3e5e2e544e95df
    "#);
}

/// The e-mail up to a heading.
fn head(incident: &Incident, heading: &str) -> String {
    text(incident).split(heading).next().unwrap_or_default().to_owned()
}
