//! Findings that want to deceive, to break the message, or to keep it from being sent.

use super::*;
use crate::finding::LocalPort;
use crate::id::FindingId;
use crate::incident::Beside;
use crate::ledger::key::IncidentId;
use crate::ledger::record::Approval;
use crate::notify::escape::{ascii, code, defanged, is_pasteable, markdown, plain};
use crate::notify::{TOGETHER, fit, log_lines, message, metrics, text, together};
use crate::policy::Fallback;
use proptest::prelude::*;
use serde_json::Value as Json;

const EVIL: &[&str] = &[
    "\n\nCONTAINED: nothing to see here",
    "\r\n.\r\n",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{202e}detrever\u{202c}",
    "\u{2066}\u{200b}\u{feff}\u{e0041}",
    "https://evil.example/login",
    "www.evil.example",
    "[click here](https://evil.example)",
    "<https://evil.example|the console>",
    "<!channel> <@U123> @here @everyone",
    "&lt;!channel&gt;",
    "`code` ```block``` *bold* _it_ ~no~ #general :tada: > quote",
    "$(reboot) `reboot`; rm -rf / && echo 'x\" | sh",
    "\"}, \"verdict\": \"contained\"",
    "\\\\\\\"\\u0000\0",
    "Z̷̢a̸l̵g̷o",
    "測試 — naïve ✓",
];

fn hostile_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        3 => proptest::sample::select(EVIL).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (proptest::sample::select(EVIL), 1..3_000_usize).prop_map(|(text, times)| text.repeat(times)),
    ];
    proptest::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

fn hostile_kind() -> impl Strategy<Value = SubjectKind> {
    let text = hostile_text;
    prop_oneof![
        text().prop_map(|name| SubjectKind::Container { name }),
        text().prop_map(|name| SubjectKind::FederatedUser { name }),
        text().prop_map(|key| SubjectKind::Object { bucket: id("logs.example.com"), key }),
        text().prop_map(|text| SubjectKind::UnknownIdentity { text }),
        Just(SubjectKind::Root { account: id("111122223333") }),
    ]
}

fn hostile_part() -> impl Strategy<Value = Part> {
    let outcome = prop_oneof![
        Just(Outcome::Changed),
        Just(Outcome::AlreadySo),
        hostile_text().prop_map(|why| Outcome::Refused { why }),
        hostile_text().prop_map(|why| Outcome::Failed { why, transient: true }),
        hostile_text().prop_map(|why| Outcome::Unread { why, transient: true }),
    ];
    let none = proptest::option::of(hostile_text().prop_map(NoSteps::Refused));
    (hostile_kind(), outcome, none, hostile_text(), 0..4_usize).prop_map(|(kind, outcome, none, text, response)| {
        let response = [Response::Notify, Response::Plan, Response::Approve, Response::Contain][response];
        let mut part =
            part(key_plan(), response, if response == Response::Contain { vec![outcome] } else { Vec::new() });
        if let Some(none) = none {
            part = without_steps(&subject(kind.clone()), none);
        }
        part.plan.subject = subject(kind);
        part.plan.notes.push(text.clone());
        part.plan.residual.push(text.clone());
        part.plan.manual.push(Manual::run(text.clone(), text.clone()));
        part.decision.lowered = vec![text];
        part
    })
}

/// Everything that a message says beside the incident itself, or nothing.
fn beside(nothing: bool, failure: &str) -> Beside {
    if nothing {
        return Beside::default();
    }
    let expires = "2026-11-22T03:00:00Z".parse().unwrap();
    let approval = Some(Approval { plan: 1, expires, fallback: Fallback::Abandon });
    Beside { repeated: true, failure: Some(failure.to_owned()), approval, ends: Some(expires) }
}

fn hostile_incident() -> impl Strategy<Value = Incident> {
    let texts = proptest::collection::vec(hostile_text(), 6);
    (texts, proptest::collection::vec(hostile_part(), 0..4), any::<[u8; 3]>(), any::<bool>()).prop_map(
        |(texts, parts, [remotes, ports, _], sample)| {
            let mut incident = incident(parts);
            let finding = &mut incident.finding;
            let [title, description, arn, action, kind, network] = texts.try_into().unwrap();
            let short = |text: &str| text.chars().take(40).collect::<String>();
            if let Ok(kind) = FindingType::try_from(short(&kind)) {
                finding.kind = kind;
            }
            (finding.title, finding.description, finding.arn, finding.action) =
                (title.clone(), description, arn, Some(action));
            let remote = Remote { network: Some(network.clone()), city: Some(network), ..finding.remotes[0].clone() };
            finding.remotes = vec![remote; remotes.into()];
            finding.ports = (0..ports.into()).map(|port| LocalPort { port, address: None }).collect();
            finding.sample = sample;
            incident.beside = beside(sample, &title);
            incident
        },
    )
}

/// What holds for each message, whatever the finding.
fn check(incident: &Incident) {
    let message = message(incident);
    let beside = message.subject.len()
        + message.attributes.iter().map(|(name, value)| name.len() + value.value().len() + 12).sum::<usize>();
    assert!(message.body.len() + beside <= 262_144, "{} bytes", message.body.len());
    assert!(message.subject.len() < 100 && message.subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
    assert!(message.subject.starts_with(incident.verdict().words()), "{}", message.subject);
    assert!(message.attributes.values().all(|value| !value.value().is_empty()));

    let body: Json = serde_json::from_str(&message.body).unwrap();
    let form = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name} was given up")).to_owned();
    check_email(incident, &form("email"));
    check_chat(incident, &serde_json::from_str(&form("https")).unwrap());
    let sms = form("sms");
    assert!(sms.len() <= 140 && sms.is_ascii() && !sms.contains('\n'), "{sms}");
    let machine: Json = serde_json::from_str(&form("default")).unwrap();
    assert_eq!(machine["verdict"], incident.verdict().token());
    let left_out = usize::try_from(machine["parts_left_out"].as_u64().unwrap()).unwrap();
    assert_eq!(machine["parts"].as_array().unwrap().len() + left_out, incident.parts.len());
    assert!(incident.parts.is_empty() || machine["parts"][0].is_object(), "the worst part survives");

    assert!(log_lines(incident).iter().all(|line| line["finding"] == incident.finding.id.as_str()));
    assert!(metrics(incident, incident.started).to_string().len() < 2_000);
}

fn check_email(incident: &Incident, email: &str) {
    assert_eq!(email, text(incident));
    assert!(email.starts_with(incident.verdict().words()));
    assert!(!email.chars().any(|c| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(c))));
    let commands = commands(incident);
    let is_command =
        |line: &str| line.starts_with("export AWS_REGION=") || commands.iter().any(|command| command == line);
    for line in email.lines().skip(1).filter(|line| !line.is_empty() && !is_command(line)) {
        let heading = line.chars().all(|c| c.is_ascii_uppercase() || " ,".contains(c));
        assert!(heading || line.starts_with("  "), "{line:?}");
        let links = line.split_whitespace().filter(|word| word.contains("://"));
        assert!(links.clone().all(|link| link.starts_with("https://console.aws.amazon.com/guardduty/")), "{line:?}");
    }
    for heading in ["\nLINKS\n", "  Now:     ", "  Act:     "] {
        assert_eq!(email.matches(heading).count(), 1, "{heading}");
    }
    assert_eq!(email.contains("\nDO NOW\n") || email.contains("\nNEXT STEPS\n"), has_steps(incident));
}

/// What may stand at the margin besides headings.
fn commands(incident: &Incident) -> Vec<String> {
    let changes = || incident.parts.iter().flat_map(|part| part.plan.steps()).map(|step| &step.change);
    let manual = incident.parts.iter().flat_map(|part| &part.plan.manual).filter_map(|manual| manual.command.clone());
    let guard = ["aws sts get-caller-identity --query Account --output text".to_owned()];
    let id = IncidentId::of(&incident.finding);
    let decide =
        incident.beside.approval.iter().flat_map(|approval| {
            ["approve", "reject"].map(|verb| format!("quell {verb} {id} --plan {}", approval.plan))
        });
    let undo = ["", " --dry-run"].map(|dry_run| format!("quell undo {id}{dry_run}"));
    changes().flat_map(Change::commands).chain(manual).chain(decide).chain(undo).chain(guard).collect()
}

fn has_steps(incident: &Incident) -> bool {
    incident.parts.iter().any(|part| !part.plan.manual.is_empty() || part.plan.steps().next().is_some())
}

fn check_chat(incident: &Incident, chat: &Json) {
    assert_eq!(chat["metadata"]["threadId"], incident.finding.id.as_str());
    let content = &chat["content"];
    let texts =
        [&content["title"], &content["description"], &chat["metadata"]["summary"], &chat["metadata"]["eventType"]];
    let steps = content["nextSteps"].as_array().unwrap();
    let texts: Vec<&str> = texts.into_iter().chain(steps).map(|text| text.as_str().unwrap()).collect();
    let link = format!("<{}|Open the finding in GuardDuty>", crate::notify::words::console(&incident.finding));
    for text in &texts {
        let text = text.replace(&link, "");
        let outside: String = text.split('`').step_by(2).collect();
        assert!(text.matches('`').count() % 2 == 0, "{text}");
        assert!(!text.contains(['<', '>', '\u{202e}', '\u{1b}']), "{text}");
        assert!(!outside.contains(['@', '[', ']', '~']), "{outside}");
        assert!(!outside.contains("://"), "{outside}");
    }
    assert!(texts[0].chars().count() <= 250 && steps.len() <= 10);
    assert!(steps.iter().all(|step| step.as_str().unwrap().chars().count() <= 350), "{steps:?}");
    assert!(texts[1].chars().count() <= 4_000, "{}", texts[1].chars().count());
}

/// What holds for the message of several, whatever the findings.
fn check_together(incidents: &[Incident]) {
    let all: Vec<&Incident> = incidents.iter().collect();
    let message = together(&all, true);
    let beside = message.subject.len()
        + message.attributes.iter().map(|(name, value)| name.len() + value.value().len() + 12).sum::<usize>();
    assert!(message.body.len() + beside <= 262_144, "{} bytes", message.body.len());
    assert!(message.subject.len() < 100 && message.subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
    assert!(message.attributes.values().all(|value| !value.value().is_empty() && value.value() != "[]"));
    let body: Json = serde_json::from_str(&message.body).unwrap();
    let form = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name} was given up")).to_owned();

    let email = form("email");
    assert!(!email.chars().any(|c| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(c))));
    assert!(!email.contains("://"), "{email}");
    let ids: Vec<String> = incidents.iter().map(|incident| IncidentId::of(&incident.finding).to_string()).collect();
    for line in email.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with("  ")) {
        let numbered = line.split_once(". ").is_some_and(|(number, _)| number.parse::<usize>().is_ok());
        let command = line.strip_prefix("quell ").and_then(|command| command.split_once(' '));
        let ours = command.is_some_and(|(verb, rest)| {
            let id = rest.strip_suffix(" --plan 1").unwrap_or(rest);
            ["approve", "reject", "show"].contains(&verb) && ids.iter().any(|known| known == id)
        });
        assert!(numbered || ours, "{line:?}");
    }
    assert_eq!(email.lines().filter(|line| line.starts_with("quell show ")).count(), incidents.len());
    assert_eq!(email.matches("  Act:     ").count(), 1);

    let chat: Json = serde_json::from_str(&form("https")).unwrap();
    let (content, steps) = (&chat["content"], chat["content"]["nextSteps"].as_array().unwrap());
    for text in [&content["title"], &content["description"], &chat["metadata"]["summary"]].into_iter().chain(steps) {
        let text = text.as_str().unwrap();
        let outside: String = text.split('`').step_by(2).collect();
        assert!(text.matches('`').count() % 2 == 0, "{text}");
        assert!(!text.contains(['<', '>', '\u{202e}', '\u{1b}']), "{text}");
        assert!(!outside.contains(['@', '[', ']', '~']) && !outside.contains("://"), "{outside}");
        assert!(text.chars().count() <= 4_000, "{}", text.chars().count());
    }
    let sms = form("sms");
    assert!(sms.len() <= 140 && sms.is_ascii() && !sms.contains('\n'), "{sms}");
    let machine: Json = serde_json::from_str(&form("default")).unwrap();
    assert_eq!(machine["incidents"].as_array().unwrap().len(), incidents.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn no_finding_bends_the_message_of_several(incidents in proptest::collection::vec(hostile_incident(), TOGETHER)) {
        check_together(&incidents);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_finding_bends_its_message(incident in hostile_incident()) {
        check(&incident);
    }

    #[test]
    fn a_plain_text_is_one_short_line(text in hostile_text(), longest in 1..200_usize) {
        let line = plain(&text, longest);
        prop_assert!(line.chars().count() <= longest + 1);
        prop_assert!(!line.chars().any(char::is_control));
        prop_assert!(!defanged(&text, longest).contains("://"));
        prop_assert!(ascii(&text, longest).len() <= longest.max(3));
    }

    #[test]
    fn what_is_cut_is_cut_between_characters(text in hostile_text(), longest in 0..200_usize) {
        prop_assert!(fit::text(&text, longest).chars().count() <= longest + 1);
    }
}

#[test]
fn a_finding_of_any_size_has_a_good_message() {
    let flood = |seed: &str| seed.repeat(1_048_576 / seed.len());
    for seed in ["\"", "\u{202e}", "測"] {
        let other = |number: usize| {
            subject(SubjectKind::Container { name: format!("{number} {}", flood(seed).get(..900).unwrap_or(seed)) })
        };
        let mut part = part(key_plan(), Response::Contain, vec![Outcome::Changed]);
        part.plan.subject = subject(SubjectKind::Container { name: flood(seed) });
        let parts = (0..10_000).map(|number| without_steps(&other(number), NoSteps::NotCovered(String::new())));
        let mut incident = incident(std::iter::once(part).chain(parts).collect());
        let finding = &mut incident.finding;
        (finding.title, finding.description, finding.arn) = (flood(seed), flood(seed), flood(seed));
        finding.action = Some(flood(seed));
        let remote = finding.remotes[0].clone();
        finding.remotes = vec![Remote { network: Some(flood(seed).chars().take(5_000).collect()), ..remote }; 5_000];
        check(&incident);
        let email = text(&incident);
        assert!(
            email.contains("access key AKIAIOSFODNN7EXAMPLE of user ann: Active -> Inactive: done, read back"),
            "{email}"
        );
        assert!(email.contains("\naws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE\n"));
        assert!(email.contains(" more\n"));
    }
}

#[test]
fn a_large_plan_is_cut_between_commands() {
    let say = |number: usize| {
        Manual::run(
            format!("Step {number}."),
            format!("aws s3api put-object --body '{}' # {number}", "\"".repeat(1_000)),
        )
    };
    let mut big = part(key_plan().manual((0..500).map(say)), Response::Plan, Vec::new());
    big.plan.manual.push(Manual::run("Too long.", "x".repeat(100_000)));
    big.plan.manual.rotate_right(1);
    let incident = incident(vec![big; 50]);
    check(&incident);
    let email = text(&incident);
    let whole =
        |line: &&str| line.starts_with("aws s3api ") && line.rsplit(' ').next().unwrap().parse::<usize>().is_err();
    assert_eq!(email.lines().filter(whole).count(), 0);
    assert!(email.contains("(a command of 100000 characters"));
}

#[test]
fn a_name_is_shown_as_it_is_in_each_place() {
    let cases = [
        ("ann\n\nCONTAINED: all is well", "ann CONTAINED: all is well"),
        ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
        ("https://evil.example/x", "https[:]//evil[.]example/x"),
        ("198.51.100.23 v1.2 and so on...", "198.51.100.23 v1.2 and so on..."),
        ("e\u{301}", "e\\u{301}"),
    ];
    for (text, line) in cases {
        assert_eq!(defanged(text, 100), line);
    }
    assert_eq!(plain("abcdef", 3), "abc…");
    assert_eq!(
        markdown("<!channel> @here [x](y) *b* snake_case _i_ :tada: iam:ListKeys"),
        "‹!channel› ＠here ［x］(y) ∗b∗ snake_case ＿i＿ ꞉tada꞉ iam:ListKeys"
    );
    assert_eq!(code("`<!here>` C&CActivity &lt;"), "`'‹!here›' C＆CActivity ＆lt;`");
    assert_eq!(code("Backdoor:EC2/C&CActivity.B"), "`Backdoor:EC2/C&CActivity.B`");
    assert_eq!(ascii("naïve 測試…", 30), "na?ve ??~");
    assert!(
        is_pasteable("aws x --y \"$Z\"") && !is_pasteable("rm\u{200b}") && !is_pasteable("a\nb") && !is_pasteable(" ")
    );
}

#[test]
fn the_longest_id_and_region_still_fit_the_subject() {
    let mut incident = contained();
    incident.finding.id = FindingId::try_from("f".repeat(128)).unwrap();
    incident.parts[0].plan.subject.at.region = id("abcdefgh-abcdefgh-abcdefgh-abc-1");
    check(&incident);
}
