//! The scenes, in the order in which they are shown. Each has accounts of its own.

use crate::shown::Shown;
use crate::stage::{Handled, Stage};
use crate::{cloud::IngressRule, event};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A situation, and what Quell makes of it.
pub struct Scene {
    pub title: &'static str,
    pub about: &'static str,
    /// Plays it with the Lambda at this path.
    pub play: for<'a> fn(&'a Path) -> BoxFuture<'a, Result<Shown, String>>,
}

pub const SCENES: &[Scene] = &[
    Scene {
        title: "As shipped: the finding is planned and told, and nothing is changed",
        about: "An access key is used from Tor. The policy that Quell is shipped with lets it look and plan.",
        play: |bootstrap| Box::pin(as_shipped(bootstrap)),
    },
    Scene {
        title: "An access key is used from Tor",
        about: "The same finding, where the team has opted in: the key goes inactive, and its user is denied \
                everything, so that sessions made with the key die too.",
        play: |bootstrap| Box::pin(access_key(bootstrap)),
    },
    Scene {
        title: "What people read",
        about: "The whole e-mail about that finding. Chat, paging and machines get their own form of it.",
        play: |bootstrap| Box::pin(email(bootstrap)),
    },
    Scene {
        title: "The same finding is delivered again",
        about: "EventBridge and Lambda may both deliver twice.",
        play: |bootstrap| Box::pin(again(bootstrap)),
    },
    Scene {
        title: "Credentials of an instance are used outside AWS",
        about: "Only the stolen session dies. Others of the same role, on other instances, go on working.",
        play: |bootstrap| Box::pin(stolen_session(bootstrap)),
    },
    Scene {
        title: "An instance talks to a command and control server",
        about: "The finding names two interfaces; the instance has three now, in two VPCs. All of them are isolated, \
                and the instance runs on, for its memory and disks to be looked at.",
        play: |bootstrap| Box::pin(instance(bootstrap)),
    },
    Scene {
        title: "Passwords are guessed over SSH",
        about: "Port 22 is closed to the world, and to nobody else. A rule for ports 20 to 30 is split around it.",
        play: |bootstrap| Box::pin(open_port(bootstrap)),
    },
    Scene {
        title: "An access key of a member account is used from Tor",
        about: "Findings of an organisation arrive in one account. Quell acts in the member through a role that its \
                owner made, and that asks for an external id.",
        play: |bootstrap| Box::pin(member_account(bootstrap)),
    },
    Scene {
        title: "A session of IAM Identity Center behaves oddly",
        about: "AWS lets nobody change the roles of Identity Center. Quell says so, and says what to do instead.",
        play: |bootstrap| Box::pin(identity_center(bootstrap)),
    },
    Scene {
        title: "Root is used",
        about: "Nothing in an account can deny anything to its root.",
        play: |bootstrap| Box::pin(root(bootstrap)),
    },
    Scene {
        title: "The attacker writes the finding's texts",
        about: "Names, user agents and descriptions are what an attacker makes of them. These try to look like \
                Quell's own words, to hide, and to be clicked.",
        play: |bootstrap| Box::pin(hostile(bootstrap)),
    },
    Scene {
        title: "The attacker takes the containment off",
        about: "An attacker with rights in IAM deletes the deny policy. The sweep, each minute, puts it back and says so.",
        play: |bootstrap| Box::pin(put_back(bootstrap)),
    },
    Scene {
        title: "It was a false alarm: all of it is taken back",
        about: "The operator looks first at what undo would do, and then gives everything back. Three interfaces get \
                their groups back, and the quarantine groups go.",
        play: |bootstrap| Box::pin(undo(bootstrap)),
    },
    Scene {
        title: "A person decides",
        about: "The rule wants a person to approve. Nothing happens until one does, who is named in the message.",
        play: |bootstrap| Box::pin(approval(bootstrap)),
    },
];

/// A team that has opted in to everything.
const CONTAIN: &str = "[[rule]]\nname = 'demonstration'\ntypes = ['*']\nresponse = 'contain'\n";
/// A team that wants to be asked.
const APPROVE: &str = "[[rule]]\nname = 'demonstration'\ntypes = ['*']\nresponse = 'approve'\n\
    approval = { within = '1h', fallback = 'abandon' }\n";
/// When the sweep looks for the first time at what was contained, and a moment more.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_millis(5_500);
const SHIPPED: &str = include_str!("../../policy.toml");

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SESSION: &str = "ASIAIOSFODNN7EXAMPLE";
const WEB: &str = "i-0a1b2c3d4e5f60718";
/// An instance with the same role that no finding is about.
const OTHER: &str = "i-0e1b2c3d4e5f60718";
const MEMBER_KEY: &str = "AKIAQUELLMEMBEREXAMP";
const SSH_WORLD: &str = "sg-0b1b2c3d4e5f60030";

async fn as_shipped(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, SHIPPED).await;
    let handled = stage.send("access_key_used_from_tor").await?;
    let works = stage.attempt(stage.account.credentials(KEY)).await?;
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .field("The key", [format!("lists the account's instances with boto3, after the finding: {works}")])
        .email_parts(&handled, &["DO NOW"])
        .time(&handled)
        .claim("nothing in either account is different", handled.differences.is_empty())
        .claim("no call was made that changes anything", handled.writes.is_empty())
        .claim("the key still works", works == "works")
        .claim("people were told: planned", told(&handled, "planned")))
}

async fn access_key(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let thief = stage.account.credentials(KEY);
    let before = stage.attempt(thief).await?;
    let handled = stage.send("access_key_used_from_tor").await?;
    let after = stage.attempt(thief).await?;
    let key = handled.differs(&format!("access key {KEY}"));
    let policy = handled.differs("inline policy QuellQuarantine");
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .field("The key", [tried(&before, &after)])
        .email_parts(&handled, &["WHAT QUELL DID", "IF IT WAS A FALSE ALARM"])
        .time(&handled)
        .claim("the key worked before, and is refused after", before == "works" && after.starts_with("refused"))
        .claim("the key is inactive", key.is_some_and(|key| key.after == ["Inactive"]))
        .claim("its user is denied everything", policy.is_some_and(|policy| denies_all(&policy.after)))
        .claim("nothing else in either account is different", handled.differences.len() == 2)
        .claim("people were told: contained", told(&handled, "contained")))
}

async fn email(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let handled = stage.send("access_key_used_from_tor").await?;
    let sections = ["WHAT QUELL DID", "WHAT THIS DOES NOT STOP", "IF IT WAS A FALSE ALARM"];
    let has = |heading: &&str| handled.section(heading).len() > 1;
    Ok(Shown::default()
        .email(&handled)
        .time(&handled)
        .claim("one message went out, and says contained", told(&handled, "contained"))
        .claim("it says what was done, what that does not stop, and the way back", sections.iter().all(has))
        .claim("it has a form for e-mail, chat, text messages and machines", {
            ["email", "https", "sms", "default"].into_iter().all(|form| handled.forms.iter().any(|has| has == form))
        }))
}

async fn again(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let event = event::fresh("access_key_used_from_tor")?;
    let first = stage.handle(&event).await?;
    let second = stage.handle(&event).await?;
    let made = |handled: &Handled| match handled.writes.as_slice() {
        [] => "none".to_owned(),
        writes => writes.join(", "),
    };
    Ok(Shown::default()
        .field("Finding", first.finding.clone())
        .field("First", [format!("calls that change something: {}", made(&first))])
        .time(&first)
        .field("Second", [format!("calls that change something: {}", made(&second))])
        .aws(&second)
        .field("Answer", [format!("{}: nothing is new, so nobody is woken again", second.verdict)])
        .claim("the first delivery contained", first.verdict == "contained" && first.writes.len() == 2)
        .claim("the second changed nothing", second.writes.is_empty() && second.differences.is_empty())
        .claim("and nobody was told twice", second.messages == 0 && second.verdict == "known"))
}

async fn stolen_session(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let stolen = stage.account.credentials(SESSION);
    let other = stage.cloud.assume_role(&stage.cloud.account_id, "web-server", OTHER).await;
    let attempts = async || tokio::try_join!(stage.attempt(stolen), stage.attempt(&other));
    let (stolen_before, other_before) = attempts().await?;
    let handled = stage.send("instance_credentials_used_outside_aws").await?;
    let (stolen_after, other_after) = attempts().await?;
    let others = other_before == "works" && other_after == "works";
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .field(
            "Sessions",
            [
                format!("web-server on {WEB}, stolen, {}", tried(&stolen_before, &stolen_after)),
                format!("web-server on {OTHER}, not stolen, {}", tried(&other_before, &other_after)),
            ],
        )
        .email_parts(&handled, &["WHAT THIS DOES NOT STOP"])
        .time(&handled)
        .claim("the stolen session worked", stolen_before == "works")
        .claim("it is refused now", stolen_after.starts_with("refused"))
        .claim("the other session of the role works as before", others)
        .claim("nothing else in either account is different", handled.differences.len() == 1)
        .claim("people were told: contained", told(&handled, "contained")))
}

async fn instance(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let host = stage.account.real(WEB);
    let [subnet, vpc] = ["subnet-0a1b2c3d4e5f60020", "vpc-0a1b2c3d4e5f60010"].map(|id| stage.account.real(id));
    stage.cloud.balance("front", subnet, vpc, 443, "instance", &[host]).await;
    let before = stage.cloud.main().interface_groups(host).await;
    let handled = stage.send("instance_talks_to_c2").await?;
    let after = stage.cloud.main().interface_groups(host).await;
    let moved = handled.differences.iter().filter(|each| each.property == "groups");
    let moved = moved.filter(|each| each.after == ["quell-quarantine"]).count();
    let made: Vec<_> =
        handled.differences.iter().filter(|each| each.thing.starts_with("security group quell-quarantine")).collect();
    let empty = made.iter().all(|each| each.after == ["lets in nothing, lets out nothing"]);
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .email_parts(&handled, &["NEXT STEPS", "WHAT ELSE STOPS"])
        .time(&handled)
        .claim(
            "all three interfaces have the quarantine group, and no other",
            before.len() == 3 && moved == 3 && no_group_is_left(&before, &after),
        )
        .claim("each VPC has one new group, without any rule", made.len() == 2 && empty)
        .claim("nothing else in either account is different", handled.differences.len() == 5)
        .claim("the load balancer in front of it is told", handled.email.contains("and lose it: front (port 443)."))
        .claim("people were told: contained", told(&handled, "contained")))
}

async fn open_port(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let group = stage.account.real(SSH_WORLD).to_owned();
    let ec2 = stage.cloud.moto().service("ec2", &stage.cloud.account_id);
    let wide = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "20"),
        ("IpPermissions.1.ToPort", "30"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ("IpPermissions.1.IpRanges.1.Description", "old tools"),
    ];
    ec2.call("AuthorizeSecurityGroupIngress", &wide).await;
    let before = stage.cloud.main().ingress(&group).await;
    let handled = stage.send("ssh_brute_force_against_us").await?;
    let after = stage.cloud.main().ingress(&group).await;
    let stays: Vec<&IngressRule> = before.iter().filter(|rule| after.contains(rule)).collect();
    let office = |rule: &&IngressRule| rule.source == "10.0.0.0/8" && rule.from == 22;
    let world = |rule: &&IngressRule| rule.source == "0.0.0.0/0" || rule.source == "::/0";
    let open = |rule: &&IngressRule| rule.from <= 22 && 22 <= rule.to;
    let ends = |port: i32| after.iter().filter(world).any(|rule| rule.from <= port && port <= rule.to);
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .field("As it was", stays.iter().map(|rule| rule_text(rule)))
        .email_parts(&handled, &[])
        .time(&handled)
        .claim("the world reached port 22", before.iter().filter(world).any(|rule| open(&rule)))
        .claim("it no longer does, over IPv4 or IPv6", !after.iter().filter(world).any(|rule| open(&rule)))
        .claim("the office still reaches it, by the same rule", stays.iter().copied().any(|rule| office(&rule)))
        .claim("the other ports of the wide rule stay open", [20, 21, 23, 30].into_iter().all(ends))
        .claim("nothing else in either account is different", handled.differences.len() == 1)
        .claim("people were told: contained", told(&handled, "contained")))
}

async fn member_account(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let thief = stage.account.credentials(MEMBER_KEY);
    let before = stage.attempt(thief).await?;
    let handled = stage.send("member_account_access_key").await?;
    let after = stage.attempt(thief).await?;
    let in_member = handled.differences.iter().all(|each| each.thing.starts_with("member account"));
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .field("The key", [tried(&before, &after)])
        .email_parts(&handled, &[])
        .time(&handled)
        .claim("the key worked before, and is refused after", before == "works" && after.starts_with("refused"))
        .claim("only the member account is different", in_member && handled.differences.len() == 2)
        .claim("people were told: contained", told(&handled, "contained")))
}

async fn identity_center(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let handled = stage.send("sso_role_session_anomalous").await?;
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .email_parts(&handled, &["DO NOW"])
        .time(&handled)
        .claim("nothing was changed, or tried", handled.writes.is_empty() && handled.differences.is_empty())
        .claim("people were told: refused, and that they must act now", {
            told(&handled, "refused") && handled.email.contains("Yes, now.")
        })
        .claim("with steps to do", handled.section("DO NOW").len() > 1))
}

async fn root(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let handled = stage.send("root_credentials_used").await?;
    let steps = ["DO NOW", "NEXT STEPS"].into_iter().find(|heading| handled.section(heading).len() > 1);
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .email_parts(&handled, steps.as_slice())
        .time(&handled)
        .claim("nothing was changed, or tried", handled.writes.is_empty() && handled.differences.is_empty())
        .claim("people were told, with steps to do", handled.messages == 1 && steps.is_some()))
}

async fn hostile(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let event = event::fresh("hostile_texts")?;
    let handled = stage.handle(&event).await?;
    let texts = &event["detail"];
    let raw = |text: &Value| {
        text.as_str().unwrap_or_default().chars().take(150).collect::<String>().escape_debug().to_string()
    };
    let agent = &texts["service"]["action"]["awsApiCallAction"]["userAgent"];
    let printable = |c: char| c == '\n' || (!c.is_control() && !"\u{200b}\u{202c}\u{202e}\u{2028}\u{feff}".contains(c));
    let at_margin = |text: &str| handled.email.lines().any(|line| line.starts_with(text));
    let forged = ["Verdict", "Subject", "## Undo", "---", "<", "rm "];
    let ours = format!(" 111122223333/eu-west-1/{}", event["detail"]["id"].as_str().unwrap_or_default());
    let commands = handled.email.lines().filter(|line| line.starts_with("quell "));
    let own_commands = commands.clone().count() == 2 && commands.into_iter().all(|line| line.contains(&ours));
    let contained = handled.subject.starts_with("CONTAINED: ") && handled.email.starts_with("CONTAINED: ");
    Ok(Shown::default()
        .field("Texts", [raw(&texts["title"]), raw(&texts["description"]), raw(agent)])
        .field("Plan", handled.plan())
        .email_parts(&handled, &["WHAT HAPPENED", "FROM"])
        .time(&handled)
        .claim("the subject is one line of ASCII, below 100 characters", {
            handled.subject.len() < 100 && handled.subject.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        })
        .claim("nothing in the e-mail is invisible, or turns the writing round", handled.email.chars().all(printable))
        .claim("none of these texts begins a line of the e-mail", !forged.into_iter().any(at_margin))
        .claim("its commands are Quell's own, about this incident", own_commands)
        .claim("no address of the attacker's can be clicked", !handled.email.contains("http://evil.example"))
        .claim("the verdict is Quell's own, and true", {
            contained && told(&handled, "contained") && handled.differences.len() == 2
        }))
}

async fn put_back(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let first = stage.send("access_key_used_from_tor").await?;
    // The first look is due five seconds after; the attacker is quicker.
    let iam = stage.cloud.moto().service("iam", &stage.cloud.account_id);
    iam.call("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await;
    tokio::time::sleep(FIRST_LOOK).await;
    let tick = stage.handle(&serde_json::json!({ "quell": "tick" })).await?;
    let policy = tick.differs("inline policy QuellQuarantine");
    Ok(Shown::default()
        .finding(&first)
        .field("Attacker", ["deletes the inline policy QuellQuarantine of user ann"])
        .aws(&tick)
        .email_parts(&tick, &[])
        .time(&tick)
        .claim("it was contained, and the attacker took a part of that off", told(&first, "contained"))
        .claim("the user is denied everything again", policy.is_some_and(|policy| denies_all(&policy.after)))
        .claim("people were told that somebody had opened it", {
            tick.messages == 1 && tick.email.contains("Somebody had set it back, and it was contained again")
        }))
}

async fn undo(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, CONTAIN).await;
    let before = stage.cloud.world().await;
    let handled = stage.send("instance_talks_to_c2").await?;
    let id = "111122223333/eu-west-1/49f8ace915ec5c661c8d751b77f90ac6";
    let dry_run = stage.order(&format!("quell undo {id} --dry-run")).await?;
    let undone = stage.order(&format!("quell undo {id}")).await?;
    let after = stage.cloud.world().await;
    let again = stage.order(&format!("quell undo {id}")).await?;
    Ok(Shown::default()
        .finding(&handled)
        .aws(&handled)
        .order("Dry run", &dry_run)
        .order("Undo", &undone)
        .order("Again", &again)
        .time(&handled)
        .claim("it was contained", told(&handled, "contained"))
        .claim("the dry run changed nothing, and told nobody", {
            dry_run.succeeded && dry_run.differences.is_empty() && dry_run.told.is_empty()
        })
        .claim("both accounts are as they were before, whole", before == after)
        .claim("people were told: released", undone.succeeded && undone.told == ["released"])
        .claim("a second undo has nothing to do, and says so", {
            !again.succeeded && again.differences.is_empty() && again.told.is_empty()
        }))
}

async fn approval(bootstrap: &Path) -> Result<Shown, String> {
    let stage = Stage::set(bootstrap, APPROVE).await;
    let thief = stage.account.credentials(KEY);
    let handled = stage.send("access_key_used_from_tor").await?;
    let before = stage.attempt(thief).await?;
    let id = "111122223333/eu-west-1/5e8e95fc4de1f034e96967422b76b5c7";
    let approved = stage.order(&format!("quell approve {id} --plan 1")).await?;
    let after = stage.attempt(thief).await?;
    let twice = stage.order(&format!("quell approve {id} --plan 1")).await?;
    let shown = stage.order(&format!("quell show {id} --output json")).await?;
    let history = shown.shown.join("\n");
    Ok(Shown::default()
        .finding(&handled)
        .email_parts(&handled, &["APPROVE OR REJECT"])
        .order("Approve", &approved)
        .order("Again", &twice)
        .field("The key", [tried(&before, &after)])
        .time(&handled)
        .claim("nothing was changed before", handled.differences.is_empty() && before == "works")
        .claim("people were asked", told(&handled, "waiting-for-approval"))
        .claim("once approved it is contained", approved.differences.len() == 2 && after.starts_with("refused"))
        .claim("people were told: contained", approved.told == ["contained"])
        .claim("a second approval does nothing more", !twice.succeeded && twice.differences.is_empty())
        .claim("the history says who, as AWS shows it", {
            history.contains("approved plan 1") && history.contains("user/olga, as AWS shows")
        }))
}

fn tried(before: &str, after: &str) -> String {
    format!("lists the account's instances with boto3: before {before}, after {after}")
}

/// Whether one message went out, which has this verdict, and the function's answer has it too.
fn told(handled: &Handled, verdict: &str) -> bool {
    handled.messages == 1 && handled.verdict == verdict && handled.message["verdict"] == verdict
}

fn denies_all(documents: &[String]) -> bool {
    let denies = |document: &Value| {
        let statements = document["Statement"].as_array().into_iter().flatten();
        statements.into_iter().any(|each| {
            each["Effect"] == "Deny" && each["Action"] == "*" && each["Resource"] == "*" && each["Condition"].is_null()
        })
    };
    documents.iter().all(|text| serde_json::from_str(text).is_ok_and(|document| denies(&document)))
}

/// The same interfaces, and on none of them a group that was there.
fn no_group_is_left(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) -> bool {
    let gone = |(interface, groups): (&String, &Vec<String>)| {
        after.get(interface).is_some_and(|now| now.len() == 1 && !groups.iter().any(|group| now.contains(group)))
    };
    before.iter().all(gone)
}

fn rule_text(rule: &IngressRule) -> String {
    let IngressRule { protocol, from, to, source, description, tags: _, id: _ } = rule;
    let ports = if from == to { from.to_string() } else { format!("{from}-{to}") };
    format!("  {protocol} {ports} {source} ({description})")
}
