//! The e-mail, whole, for each verdict.

use super::*;
use crate::notify::text;
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
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. access key AKIAIOSFODNN7EXAMPLE of user ann: Inactive -> Active
    aws iam update-access-key --user-name ann --access-key-id AKIAIOSFODNN7EXAMPLE --status Active

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
      First make sure that you are in account 111122223333, eu-west-1; the second line must print 111122223333:
    export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1
    aws sts get-caller-identity --query Account --output text

      1. security groups of interface eni-0a1b: sg-0dead -> sg-0aa1
    aws ec2 modify-network-interface-attribute --network-interface-id eni-0a1b --groups sg-0aa1

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
        waiting.decision.lowered = vec!["user ann is protected".to_owned()];
        incident(vec![waiting])
    }), @r#"
    WAITING FOR APPROVAL: access key AKIAIOSFODNN7EXAMPLE of user ann (account 111122223333, eu-west-1)
      Finding: UnauthorizedAccess:IAMUser/TorIPCaller, severity medium (5)
      Now:     Quell changed nothing. 1 change is planned.
      Act:     Yes, decide now. Nothing happens until a person does it.

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
      - access key AKIAIOSFODNN7EXAMPLE of user ann: held back to approve: user ann is protected
      - access key AKIAIOSFODNN7EXAMPLE of user ann: waits for a person. This release takes no approval; the commands above are equal to the plan

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
      rule "keys" of the policy, lowered to approve: user ann is protected

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
      Act:     Not to contain it. Find out what it was used for while it was there.

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
