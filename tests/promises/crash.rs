//! Whatever goes wrong at whichever call: in the end it is contained as without it, or told honestly, and undo gives back
//! what was there before, byte for byte.
//!
//! Every call of a containment, of an undo, of containing again what an attacker opened, and of what a person or time decided
//! or ended is met with every mishap, for every remediation. Killed work is found by the sweep and by Lambda's second
//! delivery; what an operator was refused, the operator orders again. The table of all cases is written to `crash-sweep` in
//! Cargo's folder for tests.
//!
//! moto answers every call at once and in order; that AWS keeps its own promises under such loads is not shown here.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

mod mishap;
pub mod scene;

use crate::attacker::Attacker;
use crate::cloud::{Call, Fault, Message, Refusal, Rule, breakpoint};
use crate::rehearsal::{Rehearsal, incident_in};
use mishap::{MISHAPS, Mishap, Place, happened, places};
use scene::{Scene, Work};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Accounts in which the same thing is contained and undone again and again.
struct Sweep {
    quell: Rehearsal,
    attacker: Attacker,
    scene: Scene,
    work: Work,
    before: Value,
    /// The rules of the main account's groups with their tags, which are not among what is compared there.
    rules: Vec<Value>,
    contained: Vec<String>,
    /// What people are told last of the work.
    verdict: String,
    /// What the ledger has as original values, but for the ids of rules.
    originals: Vec<String>,
    cases: usize,
    table: Vec<String>,
}

/// So often the SDK asks before it says that there is no answer.
const EVERY_TRY: usize = 4;

/// What was open again and is not any more.
const AGAIN: &str = "CONTAINED AGAIN";
const KILL_SWITCH: &str = "quell-kill-switch";
const MAYBE_KNOWN: &str = "You may have been told this before";

async fn sweep(work: Work, scene: Scene) {
    let quell = Rehearsal::of(&work.policy()).await.with("QUELL_KILL_SWITCH", KILL_SWITCH);
    quell.cloud.set_parameter(KILL_SWITCH, "contain").await;
    scene.prepare(&quell).await;
    let (before, rules) = (scene.part_of_world(&quell.cloud).await, quell.cloud.main().rules().await);
    let mut sweep = Sweep {
        attacker: Attacker::before(&quell).await,
        quell,
        scene,
        work,
        before,
        rules,
        contained: Vec::new(),
        verdict: String::new(),
        originals: Vec::new(),
        cases: 0,
        table: Vec::new(),
    };
    for place in sweep.reference().await {
        for mishap in MISHAPS.into_iter().filter(|mishap| mishap.can_meet(&place)) {
            sweep.case(&place, mishap).await;
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-sweep");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{scene}-{work}.txt").replace(' ', "-")), sweep.table.join("\n") + "\n")
        .unwrap();
    let ends: BTreeSet<&str> = sweep.table.iter().filter_map(|line| line.rsplit("| ").next()).collect();
    let stale: Vec<&String> = sweep.table.iter().filter(|line| line.contains("reads stale")).collect();
    // What another finding has done, this one does not write.
    let writes = work != Work::Beside || scene.service != "iam";
    assert!(!writes || stale.is_empty() || stale.iter().any(|line| !line.contains("(nothing was)")), "{stale:?}");
    assert!(sweep.table.len() > 40 && ends.iter().any(|end| end.ends_with("undone")), "{ends:?}");
}

/// Only the index of what is due may be behind: a decision on a state of the past would be a wrong one.
fn reads_what_is_there(call: &Call) {
    let asked = match call.operation.as_str() {
        "GetItem" | "Query" | "Scan" => vec![&call.parameters],
        "BatchGetItem" => call.parameters["RequestItems"].as_object().into_iter().flat_map(|of| of.values()).collect(),
        _ => Vec::new(),
    };
    for asked in asked.into_iter().filter(|asked| asked.get("IndexName").is_none()) {
        assert_eq!(asked["ConsistentRead"], true, "{call:?}");
    }
}

impl Sweep {
    /// Does it without a mishap, and tells which calls that takes.
    async fn reference(&mut self) -> Vec<Place> {
        let finding = self.next().await;
        let event = self.event_of(&finding);
        self.prepare(&event).await;
        let order = self.order_of(&event, &finding);
        self.quell.cloud.forget_calls();
        let answer = self.quell.handle(order, self.work.later()).await;
        let calls = self.quell.calls();
        calls.iter().filter(|call| call.service == "dynamodb").for_each(reads_what_is_there);
        let places = places(&calls);
        self.verdict = self.quell.verdicts().join(", ");
        let expected = if self.stays_held() { "PARTLY RELEASED" } else { self.verdict() };
        assert_eq!(self.verdict, expected, "{answer:?} {}", self.quell.email());
        let changes = self.changes().await;
        assert_eq!(changes.is_empty(), self.gives_back() && !self.leaves_some(), "{changes:?}");
        if self.work == Work::Again {
            assert_eq!(changes, self.contained, "the same is contained again");
        }
        self.contained = changes;
        self.originals = originals(&self.show(&finding).await);
        assert_eq!(self.originals.is_empty(), self.gives_back() && self.work != Work::UndoStep);
        self.undo("without a mishap", &finding).await;
        places
    }

    /// What comes before the work.
    async fn prepare(&mut self, event: &Value) {
        if !matches!(self.work, Work::Contain | Work::Beside) {
            self.quell.handle(event.clone(), 0).await.unwrap();
        }
        if self.has_other() {
            let finding = self.other();
            let other = self.quell.event(&self.scene.other_event().replace(self.scene.finding, &finding));
            self.quell.handle(other, 0).await.unwrap();
        }
        // Seconds have passed when the work begins.
        self.quell.cloud.settle();
        if self.work == Work::Again {
            let contained = self.changes().await;
            assert!(!contained.is_empty(), "{}", self.quell.email());
            self.contained = contained;
            self.open().await;
            assert_eq!(self.changes().await, [""; 0], "the attacker has it all back");
        }
    }

    /// What has Quell do the work.
    fn order_of(&self, event: &Value, finding: &str) -> Value {
        let incident = self.incident(finding);
        match self.work {
            Work::Contain | Work::Beside => event.clone(),
            Work::More => self.quell.event(&self.scene.other_event().replace(self.scene.finding, finding)),
            Work::UndoStep => json!({ "quell": { "command": "undo", "incident": incident, "step": 1 } }),
            Work::Undo | Work::UndoBeside => json!({ "quell": { "command": "undo", "incident": incident } }),
            Work::Approve => {
                json!({ "quell": { "command": "approve", "incident": incident, "plan": self.plan_to_approve() } })
            }
            Work::Again | Work::Fallback | Work::End => json!({ "quell": "tick" }),
        }
    }

    /// What people are told of the work when all goes well.
    fn verdict(&self) -> &'static str {
        match self.work {
            Work::Contain | Work::Approve | Work::Fallback | Work::More | Work::Beside => "CONTAINED",
            Work::Again => AGAIN,
            Work::Undo | Work::End | Work::UndoBeside | Work::UndoStep => "RELEASED",
        }
    }

    fn gives_back(&self) -> bool {
        matches!(self.work, Work::Undo | Work::End | Work::UndoBeside | Work::UndoStep)
    }

    /// Whether something is still contained once this is undone: another finding's, or other steps.
    fn leaves_some(&self) -> bool {
        matches!(self.work, Work::UndoBeside | Work::UndoStep)
    }

    /// Whether the undo gives back nothing of what it was for, or not all.
    fn stays_held(&self) -> bool {
        self.work == Work::UndoStep || self.work == Work::UndoBeside && self.scene.service == "iam"
    }

    fn has_other(&self) -> bool {
        matches!(self.work, Work::Beside | Work::UndoBeside)
    }

    /// The id of the other finding.
    fn other(&self) -> String {
        format!("{:032x}", 0x5e8f_0000_0000_0000_u64 + self.cases as u64)
    }

    /// The number of the plan that people were last asked to approve.
    fn plan_to_approve(&self) -> u32 {
        let messages = self.quell.cloud.messages();
        let asked = messages.iter().rev().find_map(|message| {
            let (_, rest) = message.bodies["email"].split_once("--plan ")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        asked.unwrap_or(1)
    }

    /// The attacker takes it all back.
    async fn open(&self) {
        if self.scene.service == "iam" {
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
        self.quell.event(&self.scene.event().replace(self.scene.finding, finding))
    }

    fn incident(&self, finding: &str) -> String {
        incident_in(self.scene.account(&self.quell.cloud), finding)
    }

    async fn order(&self, command: &str, finding: &str, later: i64) -> Value {
        self.quell.order(json!({ "command": command, "incident": self.incident(finding) }), later).await
    }

    async fn changes(&self) -> Vec<String> {
        self.quell.changes(&self.before, &self.scene.part_of_world(&self.quell.cloud).await)
    }

    async fn case(&mut self, place: &Place, mishap: Mishap) {
        let finding = self.next().await;
        let event = self.event_of(&finding);
        self.prepare(&event).await;
        let order = self.order_of(&event, &finding);
        self.quell.cloud.forget_calls();
        let met = self.meet(order.clone(), place, mishap).await;
        let what = happened(format!("{} | {} | {place} | {mishap}", self.scene, self.work), mishap, met);
        let end = if self.gives_back() {
            self.judge_undo(&what, &finding, mishap).await;
            "undone"
        } else {
            let event = if self.work == Work::More { &order } else { &event };
            let originals = originals(&self.look_after(event, &finding).await);
            let all = mishap != Mishap::Denied || originals.len() == self.originals.len();
            assert!(!all || originals == self.originals, "{what}: {originals:?} {:?}", self.originals);
            assert!(
                originals.iter().all(|it| self.originals.contains(it)),
                "{what}: {originals:?} {:?}",
                self.originals
            );
            match (self.judge(&what, mishap).await, self.work) {
                (false, _) => "told, undone",
                (true, Work::Again) => "contained again, undone",
                (true, _) => "contained, undone",
            }
        };
        self.undo(&what, &finding).await;
        self.table.push(format!("{what} | {end}"));
    }

    /// Handles an event, with the mishap at this call, and says whether it happened.
    async fn meet(&self, event: Value, place: &Place, mishap: Mishap) -> bool {
        let rule = |fault| Rule::on(&place.action, fault);
        let (cloud, later) = (&self.quell.cloud, self.work.later());
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
                Mishap::AnswerLost => rule(Fault::LostResponse).nth(place.nth).times(EVERY_TRY),
                Mishap::Throttled => rule(Fault::Refuse(Refusal::Throttled)).nth(place.nth).times(EVERY_TRY),
                Mishap::Unavailable => rule(Fault::Refuse(Refusal::Unavailable)).nth(place.nth).times(EVERY_TRY),
                Mishap::Denied => rule(Fault::Refuse(Refusal::Denied)).nth(place.nth),
                Mishap::Conflict => rule(Fault::Refuse(Refusal::Conflict)).nth(place.nth).times(EVERY_TRY),
                Mishap::StaleReads => rule(Fault::Stale(Duration::from_secs(2))),
                Mishap::KilledBefore | Mishap::KilledAfter => return false,
            });
            self.quell.handle(event, later).await.ok();
            cloud.heal();
            self.quell.calls().iter().any(|call| call.fault.is_some())
        }
    }

    /// The sweep's next ticks, Lambda's second delivery where the first left no trace, and whoever approved it and reads that
    /// it still waits: what the ledger has in the end. Which of the two comes first is another in each second case.
    async fn look_after(&self, event: &Value, finding: &str) -> Value {
        let base = self.work.later();
        let (first, second) = if self.cases.is_multiple_of(2) {
            (json!({ "quell": "tick" }), event.clone())
        } else {
            (event.clone(), json!({ "quell": "tick" }))
        };
        self.quell.handle(first, base + 60).await.ok();
        let mut shown = self.show(finding).await;
        // That an attacker has opened it only a look finds, and what more there is only its delivery brings.
        if matches!(self.work, Work::More | Work::Again) || !is_settled(&shown) {
            self.quell.handle(second, base + 120).await.ok();
            shown = self.show(finding).await;
        }
        for later in [200, 600, 2_000] {
            if is_settled(&shown) {
                break;
            }
            self.quell.tick(base + later).await.ok();
            shown = self.show(finding).await;
        }
        if self.work == Work::Approve && status(&shown) == "waiting" {
            self.quell.handle(self.order_of(event, finding), base + 2_100).await.ok();
            shown = self.show(finding).await;
        }
        shown
    }

    async fn show(&self, finding: &str) -> Value {
        self.order("show", finding, self.work.later() + 150).await
    }

    /// Whether all is contained. If not, AWS or a guard did not allow it, and the last message says so.
    async fn judge(&self, what: &str, mishap: Mishap) -> bool {
        let changes = self.changes().await;
        let verdicts = self.quell.verdicts();
        let last = last_of(&verdicts).unwrap_or_default();
        let is_told = last == self.verdict || last == "CONTAINED";
        // What AWS denies this finding, the other one has done.
        let is_others = self.work == Work::Beside && mishap == Mishap::Denied && !is_told;
        let all = changes == self.contained && !is_others;
        let again = self.work == Work::Again;
        if mishap == Mishap::Denied && !all {
            let thing = |change: &String| change.split(": ").next().unwrap_or_default().to_owned();
            let things: BTreeSet<String> = self.contained.iter().map(thing).collect();
            assert!(changes.iter().map(thing).all(|thing| things.contains(&thing)), "{what}: {changes:?}");
            assert!(!last.is_empty() && !last.starts_with("CONTAINED"), "{what}: {changes:?} {verdicts:?}");
            assert!(!changes.is_empty() || !last.starts_with("PARTLY"), "{what}: {verdicts:?}");
        } else {
            assert_eq!(changes, self.contained, "{what}: {verdicts:?}\n{}", self.quell.email());
            // What is told last may be that the rest could be contained after all.
            assert!(is_told, "{what}: {verdicts:?}\n{}", self.quell.email());
            let set_back =
                |message: &Message| message.bodies.values().any(|body| body.contains("Somebody had set it back"));
            let is_said = self.quell.cloud.messages().iter().any(set_back);
            assert!(is_said == again, "{what}: {verdicts:?}\n{}", self.quell.email());
        }
        // Who tells what became of it, and writes that down, is not asked whether they did.
        let is_known = !mishap.kills() && !what.contains("dynamodb:") && !what.contains("sns:");
        let marked = |message: &Message| message.bodies.values().any(|body| body.contains(MAYBE_KNOWN));
        assert!(!is_known || !self.quell.cloud.messages().iter().any(marked), "{what}: {verdicts:?}");
        let unmarked = self.quell.cloud.messages().into_iter().filter(|message| {
            message.subject.as_deref().is_some_and(|subject| subject.starts_with("CONTAINED")) && !marked(message)
        });
        // What a stale read hides is found, and told, by the next look.
        let seen_later = mishap == Mishap::StaleReads && again;
        let most = if seen_later { 2 } else { 1 };
        assert!(unmarked.count() <= most, "{what}: {verdicts:?}");
        all
    }

    /// The sweep ends what was begun, without an order; what AWS does not allow, it cannot, and people hear of that.
    async fn judge_undo(&self, what: &str, finding: &str, mishap: Mishap) {
        for later in [100, 400] {
            self.quell.tick(self.work.later() + later).await.ok();
        }
        let shown = self.order("show", finding, self.work.later() + 500).await;
        let begun = shown["ok"]["incident"]["history"].to_string().contains("began to undo it");
        let changes = self.changes().await;
        assert!(begun || self.work != Work::End, "{what}: {shown}");
        assert!(!begun || mishap == Mishap::Denied || changes == self.contained, "{what}: {changes:?}");
        let verdicts = self.quell.verdicts();
        let last = last_of(&verdicts);
        let is_unmarked = |message: &Message| {
            let is_about_it = message.subject.as_deref().is_some_and(|subject| subject.starts_with("RELEASED"));
            is_about_it && !message.bodies["email"].contains(MAYBE_KNOWN)
        };
        assert!(self.quell.cloud.messages().iter().filter(|it| is_unmarked(it)).count() <= 1, "{what}: {verdicts:?}");
        if begun && changes == self.contained {
            assert!(last == Some(self.verdict.as_str()), "{what}: {verdicts:?} {}", self.quell.email());
        } else if begun {
            assert!(last.is_some_and(|last| last != "RELEASED"), "{what}: {changes:?} {verdicts:?}");
        }
    }

    /// Undoes it, twice, and all is as before.
    async fn undo(&self, what: &str, finding: &str) {
        let later = self.work.later() + 3_000;
        self.order("undo", finding, later).await;
        if self.has_other() {
            self.order("undo", &self.other(), later + 50).await;
        }
        let again = self.order("undo", finding, later + 100).await;
        let error = again.get("error").and_then(Value::as_str).unwrap_or_default();
        assert!(
            error.starts_with("there is nothing to undo") || error.starts_with("nothing was done"),
            "{what}: {again}"
        );
        let now = self.scene.part_of_world(&self.quell.cloud).await;
        assert_eq!(self.quell.changes(&self.before, &now), [""; 0], "{what}: {}", self.quell.email());
        assert!(now == self.before, "{what}: something else is no longer as it was: {} {now}", self.before);
        if self.scene.service == "ec2" {
            assert_eq!(self.quell.cloud.main().rules().await, self.rules, "{what}: {}", self.quell.email());
        }
    }
}

/// The last that was told of the incident. That the ledger does not answer is told beside it.
fn last_of(verdicts: &[String]) -> Option<&str> {
    verdicts.iter().map(String::as_str).rfind(|verdict| !verdict.starts_with("QUELL CANNOT USE ITS LEDGER"))
}

/// Whether the incident that was shown is held, or over, and nobody is at it.
fn is_settled(shown: &Value) -> bool {
    ["held", "closed"].contains(&status(shown))
}

fn status(shown: &Value) -> &str {
    shown.pointer("/ok/incident/status").and_then(Value::as_str).unwrap_or_default()
}

/// The settings that the incident holds, and what they were before.
fn originals(shown: &Value) -> Vec<String> {
    let holds = shown["ok"]["holds"].as_array().into_iter().flatten().map(|hold| {
        let mut original = hold["original"].clone();
        for rule in original.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
            rule.as_object_mut().and_then(|rule| rule.remove("id"));
        }
        format!("{} was {original}", hold["setting"])
    });
    let mut holds: Vec<String> = holds.collect();
    holds.sort_unstable();
    holds
}

#[tokio::test]
async fn containing_a_key() {
    sweep(Work::Contain, scene::KEY).await;
}

#[tokio::test]
async fn containing_a_key_again() {
    sweep(Work::Again, scene::KEY).await;
}

#[tokio::test]
async fn undoing_a_key() {
    sweep(Work::Undo, scene::KEY).await;
}

#[tokio::test]
async fn containing_a_key_that_a_person_approved() {
    sweep(Work::Approve, scene::KEY).await;
}

#[tokio::test]
async fn containing_a_key_that_nobody_decided_on_in_time() {
    sweep(Work::Fallback, scene::KEY).await;
}

#[tokio::test]
async fn ending_a_keys_containment_after_an_hour() {
    sweep(Work::End, scene::KEY).await;
}

#[tokio::test]
async fn containing_a_member_accounts_key() {
    sweep(Work::Contain, scene::MEMBERS_KEY).await;
}

#[tokio::test]
async fn containing_a_member_accounts_key_again() {
    sweep(Work::Again, scene::MEMBERS_KEY).await;
}

#[tokio::test]
async fn undoing_a_member_accounts_key() {
    sweep(Work::Undo, scene::MEMBERS_KEY).await;
}

#[tokio::test]
async fn containing_a_role_session() {
    sweep(Work::Contain, scene::SESSION).await;
}

#[tokio::test]
async fn containing_a_role_session_again() {
    sweep(Work::Again, scene::SESSION).await;
}

#[tokio::test]
async fn undoing_a_role_session() {
    sweep(Work::Undo, scene::SESSION).await;
}

#[tokio::test]
async fn containing_an_instance() {
    sweep(Work::Contain, scene::INSTANCE).await;
}

#[tokio::test]
async fn containing_an_instance_again() {
    sweep(Work::Again, scene::SMALL_INSTANCE).await;
}

#[tokio::test]
async fn undoing_an_instance() {
    sweep(Work::Undo, scene::INSTANCE).await;
}

#[tokio::test]
async fn containing_an_instance_whose_quarantine_group_has_rules() {
    sweep(Work::Contain, scene::INTO_RULES).await;
}

#[tokio::test]
async fn undoing_an_instance_whose_quarantine_group_had_rules() {
    sweep(Work::Undo, scene::INTO_RULES).await;
}

#[tokio::test]
async fn containing_a_port_that_load_balancers_send_to() {
    sweep(Work::Contain, scene::BALANCED_PORT).await;
}

#[tokio::test]
async fn containing_a_port() {
    sweep(Work::Contain, scene::PORT).await;
}

#[tokio::test]
async fn containing_a_port_again() {
    sweep(Work::Again, scene::PORT).await;
}

#[tokio::test]
async fn undoing_a_port() {
    sweep(Work::Undo, scene::PORT).await;
}

#[tokio::test]
async fn containing_a_port_of_a_range() {
    sweep(Work::Contain, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn containing_a_port_of_a_range_again() {
    sweep(Work::Again, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn undoing_a_port_of_a_range() {
    sweep(Work::Undo, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn containing_a_role_session_that_a_person_approved() {
    sweep(Work::Approve, scene::SESSION).await;
}

#[tokio::test]
async fn containing_a_role_session_that_nobody_decided_on_in_time() {
    sweep(Work::Fallback, scene::SESSION).await;
}

#[tokio::test]
async fn ending_a_role_sessions_containment_after_an_hour() {
    sweep(Work::End, scene::SESSION).await;
}

#[tokio::test]
async fn containing_an_instance_that_a_person_approved() {
    sweep(Work::Approve, scene::SMALL_INSTANCE).await;
}

#[tokio::test]
async fn containing_an_instance_that_nobody_decided_on_in_time() {
    sweep(Work::Fallback, scene::SMALL_INSTANCE).await;
}

#[tokio::test]
async fn ending_an_instances_containment_after_an_hour() {
    sweep(Work::End, scene::SMALL_INSTANCE).await;
}

#[tokio::test]
async fn containing_a_port_that_a_person_approved() {
    sweep(Work::Approve, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn containing_a_port_that_nobody_decided_on_in_time() {
    sweep(Work::Fallback, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn ending_a_ports_containment_after_an_hour() {
    sweep(Work::End, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn containing_a_second_port_of_a_range() {
    sweep(Work::More, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn containing_a_port_beside_another_findings() {
    sweep(Work::Beside, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn undoing_a_port_beside_another_findings() {
    sweep(Work::UndoBeside, scene::PORT_OF_A_RANGE).await;
}

#[tokio::test]
async fn containing_a_key_that_another_finding_holds() {
    sweep(Work::Beside, scene::KEY).await;
}

#[tokio::test]
async fn undoing_a_key_that_another_finding_holds() {
    sweep(Work::UndoBeside, scene::KEY).await;
}

#[tokio::test]
async fn undoing_a_step_of_a_key() {
    sweep(Work::UndoStep, scene::KEY).await;
}
