//! Whatever goes wrong at whichever call: in the end it is contained as without it, or told honestly, and undo gives back
//! what was there before, byte for byte.
//!
//! Every call of a containment, of an undo, and of containing again what an attacker opened is met with every mishap, for
//! every remediation. Killed work is found by the sweep and by Lambda's second delivery; what an operator was refused, the
//! operator orders again. The table of all cases is written to `crash-sweep` in Cargo's folder for tests.
//!
//! moto answers every call at once and in order; that AWS keeps its own promises under such loads is not shown here.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has said what it has to say"
)]

use crate::attacker::Attacker;
use crate::cloud::{Call, Fault, Message, Refusal, Rule, breakpoint};
use crate::rehearsal::Rehearsal;
use crate::stage::{CONTAIN, read};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    KilledBefore,
    KilledAfter,
    AnswerLost,
    Throttled,
    Unavailable,
    Denied,
    StaleReads,
}

const MISHAPS: [Mishap; 7] = [
    Mishap::KilledBefore,
    Mishap::KilledAfter,
    Mishap::AnswerLost,
    Mishap::Throttled,
    Mishap::Unavailable,
    Mishap::Denied,
    Mishap::StaleReads,
];

/// The nth call of an operation in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    action: String,
    nth: usize,
}

/// What is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Contain,
    /// The attacker opened everything; the sweep looks.
    Again,
    Undo,
}

/// An account in which the same thing is contained and undone again and again.
struct Sweep {
    quell: Rehearsal,
    attacker: Attacker,
    /// The service that the remediation changes: that part of the account is compared.
    service: &'static str,
    event: String,
    finding: &'static str,
    remediation: &'static str,
    before: Value,
    contained: Vec<String>,
    cases: usize,
    table: Vec<String>,
}

/// What was open again and is not any more.
const AGAIN: &str = "CONTAINED AGAIN";

/// Everything is contained, however often.
fn policy() -> String {
    format!("[limit]\nper_hour = 100000\n{CONTAIN}")
}

async fn sweep(work: Work, event: &str, finding: &'static str, service: &'static str) {
    let quell = Rehearsal::of(&policy()).await;
    let before = quell.cloud.part_of_world(service).await;
    let mut sweep = Sweep {
        attacker: Attacker::before(&quell).await,
        quell,
        service,
        event: read(event),
        finding,
        remediation: remediation_of(event),
        before,
        contained: Vec::new(),
        cases: 0,
        table: Vec::new(),
    };
    let places = sweep.reference(work).await;
    for place in places {
        for mishap in MISHAPS.into_iter().filter(|mishap| mishap.can_meet(&place)) {
            sweep.case(work, &place, mishap).await;
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-sweep");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{event}-{work}.txt").replace(' ', "-")), sweep.table.join("\n") + "\n")
        .unwrap();
    let ends: BTreeSet<&str> = sweep.table.iter().filter_map(|line| line.rsplit("| ").next()).collect();
    let stale: Vec<&String> = sweep.table.iter().filter(|line| line.contains("reads stale")).collect();
    assert!(stale.is_empty() || stale.iter().any(|line| !line.contains("(nothing was)")), "{stale:?}");
    assert!(sweep.table.len() > 40 && ends.iter().any(|end| end.ends_with("undone")), "{ends:?}");
}

fn remediation_of(event: &str) -> &'static str {
    match event {
        "access_key_used_from_tor" => "compromised-access-key",
        "instance_credentials_used_outside_aws" => "stolen-role-session",
        "port_probe" => "exposed-port",
        _ => "compromised-instance",
    }
}

impl Mishap {
    /// Only reads of what was written can be stale.
    fn can_meet(self, place: &Place) -> bool {
        let operation = place.action.split(':').nth(1).unwrap_or_default();
        let reads = ["iam:", "ec2:"].iter().any(|service| place.action.starts_with(service))
            && ["Get", "List", "Describe"].iter().any(|verb| operation.starts_with(verb));
        self != Self::StaleReads || reads
    }

    fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

impl Sweep {
    /// Contains and undoes without a mishap, and tells which calls that takes.
    async fn reference(&mut self, work: Work) -> Vec<Place> {
        let finding = self.next().await;
        self.quell.cloud.forget_calls();
        let event = self.event_of(&finding);
        let answer = self.quell.handle(event, 0).await;
        assert_eq!(crate::taking_back::verdict(&answer), "contained", "{}", self.quell.email());
        let contain = places(&self.quell.calls());
        self.contained = self.changes().await;
        self.quell.cloud.forget_calls();
        self.open().await;
        assert_eq!(self.changes().await, [""; 0], "the attacker has it all back");
        self.quell.tick(6).await.ok();
        assert_eq!((self.changes().await, self.quell.verdicts()), (self.contained.clone(), vec![AGAIN.to_owned()]));
        let again = places(&self.quell.calls());
        self.quell.cloud.forget_calls();
        let undone = self.quell.order_about("undo", &finding, 10).await;
        assert_eq!(undone.pointer("/ok/verdict").and_then(Value::as_str), Some("released"), "{undone}");
        let undo = places(&self.quell.calls());
        assert_eq!(self.changes().await, [""; 0]);
        match work {
            Work::Contain => contain,
            Work::Again => again,
            Work::Undo => undo,
        }
    }

    /// The attacker takes it all back.
    async fn open(&self) {
        if self.service == "iam" {
            self.attacker.open_identities(&self.quell).await;
        } else {
            self.attacker.open_network(&self.quell).await;
        }
    }

    /// A finding about the same thing, and a ledger that has never heard of it. moto copies the whole table for each
    /// transaction, so that a ledger with a past would make each case slower than the one before.
    async fn next(&mut self) -> String {
        self.quell.cloud.forget_ledger().await;
        // The ledger would have the claim wait until AWS shows what the last undo gave back.
        self.quell.cloud.settle();
        self.cases += 1;
        format!("{:032x}", 0x5e8e_0000_0000_0000_u64 + self.cases as u64)
    }

    fn event_of(&self, finding: &str) -> Value {
        self.quell.event(&self.event.replace(self.finding, finding))
    }

    async fn changes(&self) -> Vec<String> {
        self.quell.changes(&self.before, &self.quell.cloud.part_of_world(self.service).await)
    }

    async fn case(&mut self, work: Work, place: &Place, mishap: Mishap) {
        let finding = self.next().await;
        let what = format!("{} | {work} | {place} | {mishap}", self.remediation);
        self.quell.cloud.forget_calls();
        let event = self.event_of(&finding);
        match work {
            Work::Contain => {
                let met = self.meet(event.clone(), place, mishap, 0).await;
                let what = happened(what, mishap, met);
                self.look_after(&event, &finding).await;
                let held = self.judge(&what, mishap, "CONTAINED").await;
                self.undo(&what, &finding, 3_000).await;
                self.table.push(format!("{what} | {}", if held { "contained, undone" } else { "told, undone" }));
            }
            Work::Again => {
                self.quell.handle(event.clone(), 0).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                self.open().await;
                self.quell.cloud.forget_calls();
                let met = self.meet(json!({ "quell": "tick" }), place, mishap, 6).await;
                let what = happened(what, mishap, met);
                self.look_after(&event, &finding).await;
                let held = self.judge(&what, mishap, AGAIN).await;
                self.undo(&what, &finding, 3_000).await;
                self.table.push(format!("{what} | {}", if held { "contained again, undone" } else { "told, undone" }));
            }
            Work::Undo => {
                self.quell.handle(event, 0).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                self.quell.cloud.forget_calls();
                let order = json!({ "command": "undo", "incident": self.quell.incident(&finding) });
                let order = json!({ "quell": order });
                let met = self.meet(order, place, mishap, 10).await;
                let what = happened(what, mishap, met);
                for later in [100, 400] {
                    self.quell.tick(later).await.ok();
                }
                // The sweep ends what was begun, without another order; what AWS does not allow, it cannot.
                let shown = self.quell.order_about("show", &finding, 500).await;
                let begun = shown["ok"]["incident"]["history"].to_string().contains("began to undo it");
                let changes = self.changes().await;
                assert!(!begun || mishap == Mishap::Denied || changes == [""; 0], "{what}: {changes:?}");
                self.undo(&what, &finding, 3_000).await;
                self.table.push(format!("{what} | undone"));
            }
        }
    }

    /// Handles an event, with the mishap at this call, and says whether it happened.
    async fn meet(&self, event: Value, place: &Place, mishap: Mishap, later: i64) -> bool {
        let rule = |fault| Rule::on(&place.action, fault);
        let cloud = &self.quell.cloud;
        if mishap.kills() {
            let (pause, breakpoint) = breakpoint();
            let fault =
                if mishap == Mishap::KilledBefore { Fault::PauseBefore(pause) } else { Fault::PauseAfter(pause) };
            cloud.inject(rule(fault).nth(place.nth));
            let killed = self.quell.handle_until(event, later, breakpoint).await;
            cloud.heal();
            killed
        } else {
            cloud.inject(match mishap {
                Mishap::AnswerLost => rule(Fault::LostResponse).nth(place.nth),
                Mishap::Throttled => rule(Fault::Refuse(Refusal::Throttled)).nth(place.nth),
                Mishap::Unavailable => rule(Fault::Refuse(Refusal::Unavailable)).nth(place.nth),
                Mishap::Denied => rule(Fault::Refuse(Refusal::Denied)).nth(place.nth),
                Mishap::StaleReads => rule(Fault::Stale(Duration::from_secs(2))),
                Mishap::KilledBefore | Mishap::KilledAfter => return false,
            });
            self.quell.handle(event, later).await.ok();
            cloud.heal();
            self.quell.calls().iter().any(|call| call.fault.is_some())
        }
    }

    /// The sweep's next ticks, and Lambda's second delivery where the first left no trace.
    async fn look_after(&self, event: &Value, finding: &str) {
        self.quell.tick(60).await.ok();
        if !self.is_settled(finding).await {
            self.quell.handle(event.clone(), 120).await.ok();
        }
        for later in [200, 600, 2_000] {
            if self.is_settled(finding).await {
                break;
            }
            self.quell.tick(later).await.ok();
        }
    }

    /// Whether the incident is held, or over, and nobody is at it.
    async fn is_settled(&self, finding: &str) -> bool {
        let shown = self.quell.order_about("show", finding, 150).await;
        let status = shown.pointer("/ok/incident/status").and_then(Value::as_str).unwrap_or_default();
        ["held", "closed", "waiting"].contains(&status)
    }

    /// Whether all is contained. If not, AWS or a guard did not allow it, and the last message says so.
    async fn judge(&self, what: &str, mishap: Mishap, verdict: &str) -> bool {
        let changes = self.changes().await;
        let verdicts = self.quell.verdicts();
        let last = verdicts.last().map(String::as_str).unwrap_or_default();
        let all = changes == self.contained;
        if mishap == Mishap::Denied && !all {
            let thing = |change: &String| change.split(": ").next().unwrap_or_default().to_owned();
            let things: BTreeSet<String> = self.contained.iter().map(thing).collect();
            assert!(changes.iter().map(thing).all(|thing| things.contains(&thing)), "{what}: {changes:?}");
            assert!(!last.is_empty() && !last.starts_with("CONTAINED"), "{what}: {changes:?} {verdicts:?}");
        } else {
            assert_eq!(changes, self.contained, "{what}: {verdicts:?}\n{}", self.quell.email());
            // What is told last may be that the rest could be contained after all.
            assert!(last == verdict || last == "CONTAINED", "{what}: {verdicts:?}\n{}", self.quell.email());
            let set_back =
                |message: &Message| message.bodies.values().any(|body| body.contains("Somebody had set it back"));
            let is_said = self.quell.cloud.messages().iter().any(set_back);
            assert!(is_said == (verdict == AGAIN), "{what}: {verdicts:?}\n{}", self.quell.email());
        }
        let repeated = "You may have been told this before";
        let unmarked = self.quell.cloud.messages().into_iter().filter(|message| {
            message.subject.as_deref().is_some_and(|subject| subject.starts_with("CONTAINED"))
                && !message.bodies.values().any(|body| body.contains(repeated))
        });
        // SNS knows no way to ask twice for one message: whoever hears no answer asks again.
        let asked_twice = mishap == Mishap::AnswerLost && what.contains("sns:Publish");
        // What a stale read hides is found, and told, by the next look.
        let seen_later = mishap == Mishap::StaleReads && verdict == AGAIN;
        let most = if asked_twice || seen_later { 2 } else { 1 };
        assert!(unmarked.count() <= most, "{what}: {verdicts:?}");
        all
    }

    /// Undoes it, twice, and all is as before.
    async fn undo(&self, what: &str, finding: &str, later: i64) {
        self.quell.order_about("undo", finding, later).await;
        let again = self.quell.order_about("undo", finding, later + 100).await;
        let error = again.get("error").and_then(Value::as_str).unwrap_or_default();
        assert!(
            error.starts_with("there is nothing to undo") || error.starts_with("nothing was done"),
            "{what}: {again}"
        );
        assert_eq!(self.changes().await, [""; 0], "{what}: {}", self.quell.email());
    }
}

/// What was read before anything was written is never stale: that is no case, and told as none.
fn happened(what: String, mishap: Mishap, met: bool) -> String {
    assert!(met || mishap == Mishap::StaleReads, "{what}: it did not happen");
    if met { what } else { format!("{what} (nothing was)") }
}

/// Every call of a run, counted by its operation.
fn places(calls: &[Call]) -> Vec<Place> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let place = |call: &Call| {
        let action = call.action();
        let nth = counts.entry(action.clone()).or_default();
        *nth += 1;
        Place { nth: *nth, action }
    };
    calls.iter().map(place).collect()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.nth)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contain => "contain",
            Self::Again => "contain again",
            Self::Undo => "undo",
        })
    }
}

impl fmt::Display for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KilledBefore => "killed before",
            Self::KilledAfter => "killed after",
            Self::AnswerLost => "answer lost",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::StaleReads => "reads stale for 2 s",
        })
    }
}

#[tokio::test]
async fn containing_a_key() {
    sweep(Work::Contain, "access_key_used_from_tor", "5e8e95fc4de1f034e96967422b76b5c7", "iam").await;
}

#[tokio::test]
async fn containing_a_key_again() {
    sweep(Work::Again, "access_key_used_from_tor", "5e8e95fc4de1f034e96967422b76b5c7", "iam").await;
}

#[tokio::test]
async fn undoing_a_key() {
    sweep(Work::Undo, "access_key_used_from_tor", "5e8e95fc4de1f034e96967422b76b5c7", "iam").await;
}

#[tokio::test]
async fn containing_a_role_session() {
    sweep(Work::Contain, "instance_credentials_used_outside_aws", "c6c9af66c89db32765c152270257a69e", "iam").await;
}

#[tokio::test]
async fn containing_a_role_session_again() {
    sweep(Work::Again, "instance_credentials_used_outside_aws", "c6c9af66c89db32765c152270257a69e", "iam").await;
}

#[tokio::test]
async fn undoing_a_role_session() {
    sweep(Work::Undo, "instance_credentials_used_outside_aws", "c6c9af66c89db32765c152270257a69e", "iam").await;
}

#[tokio::test]
async fn containing_an_instance() {
    sweep(Work::Contain, "instance_talks_to_c2", "49f8ace915ec5c661c8d751b77f90ac6", "ec2").await;
}

#[tokio::test]
async fn containing_an_instance_again() {
    // With one interface: the larger instance's many calls would take minutes more.
    sweep(Work::Again, "instance_mines_bitcoin", "c218f816f3732196b9d69ecfe8a0f3e8", "ec2").await;
}

#[tokio::test]
async fn undoing_an_instance() {
    sweep(Work::Undo, "instance_talks_to_c2", "49f8ace915ec5c661c8d751b77f90ac6", "ec2").await;
}

#[tokio::test]
async fn containing_a_port() {
    sweep(Work::Contain, "port_probe", "f351532bafcc77f8c3301b51d22f8d61", "ec2").await;
}

#[tokio::test]
async fn containing_a_port_again() {
    sweep(Work::Again, "port_probe", "f351532bafcc77f8c3301b51d22f8d61", "ec2").await;
}

#[tokio::test]
async fn undoing_a_port() {
    sweep(Work::Undo, "port_probe", "f351532bafcc77f8c3301b51d22f8d61", "ec2").await;
}
