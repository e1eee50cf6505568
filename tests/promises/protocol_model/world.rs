//! What there is: one access key, the ledger's records, and whoever works on them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::result_large_err,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics has said what it has to say"
)]

use super::Sabotage;
use super::run::{Run, Step};
use jiff::Timestamp;
use quell::change::{Change, KeyStatus, Value};
use quell::finding::{Finding, parse};
use quell::id::Place;
use quell::incident::{Incident, Part};
use quell::ledger::hold::Hold;
use quell::ledger::key::IncidentId;
use quell::ledger::protocol::{Seen, Swap};
use quell::ledger::record::{IncidentRecord, Lease, Status, What, Who, Worker};
use quell::plan::{Plan, Step as PlanStep};
use quell::policy::{Decision, Response};
use quell::setting::{AccessKeyStatus, Setting};
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::{Arc, LazyLock};

/// How much may happen.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Finding and count, in any order.
    pub deliveries: &'static [(usize, u64)],
    pub crashes: u8,
    /// Answers that are lost after what was asked for was done: by the ledger, the key's service, or who tells people.
    pub lost: u8,
    /// How often the attacker makes the key work again.
    pub reopens: u8,
    /// How many of the incidents an operator undoes.
    pub undos: usize,
    /// Each ends all leases.
    pub hours: u8,
    /// Whether an hour may pass while somebody is at work: a run that stood still and goes on.
    pub stalls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A free worker takes a delivery, and looks at the key.
    Take(usize, usize),
    /// The sweep finds an incident due.
    Sweep(usize),
    Undo(usize),
    /// A run takes its next step.
    Go(usize),
    /// It does, never hears that it did, and asks again.
    GoUnheard(usize),
    Crash(usize),
    Reopen,
    Hour,
}

pub const WORKERS: usize = 2;
pub const SWEEP: usize = 2;
pub const OPERATOR: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub key_works: bool,
    pub incidents: [Kept<IncidentRecord>; 2],
    pub hold: Kept<Hold>,
    pub waiting: Vec<(usize, u64)>,
    pub runs: [Option<Run>; 4],
    pub hour: u8,
    pub crashes: u8,
    pub lost: u8,
    pub reopens: u8,
    pub undos: Vec<usize>,
    pub hours: u8,
    pub stalls: bool,
    /// Whether people were ever told of each incident, and how often more than there was something new to tell.
    pub said: [bool; 2],
    pub extra: [i8; 2],
    /// Whether something was contained again that people were not told of.
    pub owed: [bool; 2],
    /// Whether the key was read as contained since each incident last wrote it.
    pub read: [bool; 2],
    /// Whether an operator has given back all of an incident.
    pub given_back: [bool; 2],
    pub broken: Vec<&'static str>,
}

/// A record, compared and hashed by all of it, but for what of its history no rule reads.
#[derive(Debug, Clone)]
pub struct Kept<T>(Option<Arc<T>>, u64);

impl<T> Kept<T> {
    pub fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }
}

impl<T: Print> Kept<T> {
    pub fn some(record: T) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        record.print(&mut hasher);
        Self(Some(Arc::new(record)), hasher.finish())
    }

    pub fn none() -> Self {
        Self(None, 0)
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

impl<T> Eq for Kept<T> {}

impl<T> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.hash(state);
    }
}

pub trait Print {
    fn print(&self, to: &mut impl Hasher);
}

impl Print for IncidentRecord {
    fn print(&self, to: &mut impl Hasher) {
        (self.history.is_empty(), self.history.iter().any(|entry| entry.what == What::Rejected)).hash(to);
        let bare = Self { history: Vec::new(), ..self.clone() };
        serde_json::to_writer(Written(to), &bare).unwrap();
    }
}

impl Print for Hold {
    fn print(&self, to: &mut impl Hasher) {
        serde_json::to_writer(Written(to), self).unwrap();
    }
}

impl Print for Seen {
    fn print(&self, to: &mut impl Hasher) {
        (self.is_early, &self.full, self.incident.is_some()).hash(to);
        if let Some(record) = &self.incident {
            record.print(to);
        }
        for hold in self.holds.values() {
            hold.print(to);
        }
    }
}

/// Whatever is written to it is hashed.
struct Written<'a, H>(&'a mut H);

impl<H: Hasher> io::Write for Written<'_, H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept<IncidentRecord> {
    pub fn is_told(&self) -> bool {
        self.get().is_some_and(|record| record.told.is_some())
    }

    pub fn is_unfinished(&self) -> bool {
        let unfinished = |record: &IncidentRecord| {
            let working = matches!(record.status, Status::Containing | Status::Releasing);
            working || record.told.is_none() || record.lease.is_some()
        };
        self.get().is_some_and(unfinished)
    }

    pub fn is_scheduled(&self) -> bool {
        self.get().is_some_and(|record| record.due.is_some())
    }
}

impl State {
    pub fn start(bound: &Bound) -> Self {
        Self {
            key_works: true,
            incidents: [Kept::none(), Kept::none()],
            hold: Kept::none(),
            waiting: bound.deliveries.to_vec(),
            runs: [None, None, None, None],
            hour: 0,
            crashes: bound.crashes,
            lost: bound.lost,
            reopens: bound.reopens,
            undos: (0..bound.undos).collect(),
            hours: bound.hours,
            stalls: bound.stalls,
            said: [false; 2],
            extra: [0; 2],
            owed: [false; 2],
            read: [false; 2],
            given_back: [false; 2],
            broken: Vec::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + i64::from(self.hour) * 3600).unwrap()
    }

    pub fn is_at_rest(&self) -> bool {
        self.runs.iter().all(Option::is_none)
    }

    pub fn is_all_released(&self) -> bool {
        let mut known = self.incidents.iter().filter_map(Kept::get).peekable();
        known.peek().is_some() && known.all(|record| record.status == Status::Released)
    }

    /// What may have happened that excuses telling again.
    pub fn mishaps(&self, bound: &Bound) -> i8 {
        let mishaps = bound.crashes - self.crashes + bound.lost - self.lost + bound.hours - self.hours;
        mishaps.cast_signed()
    }

    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let free = (0..WORKERS).find(|slot| self.runs[*slot].is_none());
        for (place, delivery) in self.waiting.iter().enumerate() {
            let first = !self.waiting[..place].contains(delivery);
            actions.extend(free.filter(|_| first).map(|slot| Action::Take(slot, place)));
        }
        for (which, record) in self.incidents.iter().enumerate() {
            let due = record.get().and_then(|record| record.is_due(self.now()));
            if due.is_some() && self.runs[SWEEP].is_none() {
                actions.push(Action::Sweep(which));
            }
            if self.undos.contains(&which) && record.get().is_some() && self.runs[OPERATOR].is_none() {
                actions.push(Action::Undo(which));
            }
        }
        for (slot, run) in self.runs.iter().enumerate() {
            let Some(run) = run else { continue };
            actions.push(Action::Go(slot));
            if self.lost > 0 && run.step.is_written() {
                actions.push(Action::GoUnheard(slot));
            }
            if self.crashes > 0 {
                actions.push(Action::Crash(slot));
            }
        }
        if self.reopens > 0 && !self.key_works {
            actions.push(Action::Reopen);
        }
        if self.hours > 0 && (self.stalls || self.is_at_rest()) {
            actions.push(Action::Hour);
        }
        actions
    }

    pub fn after(&self, action: Action, sabotage: Sabotage) -> Self {
        let mut next = self.clone();
        match action {
            Action::Take(slot, place) => {
                let (which, count) = next.waiting.remove(place);
                next.begin(slot, which, |state, _| Run::delivery(state, slot, which, count));
            }
            Action::Sweep(which) => next.begin(SWEEP, which, |state, by| Run::sweep(state, by, which)),
            Action::Undo(which) => {
                next.undos.retain(|undo| *undo != which);
                next.begin(OPERATOR, which, |_, _| Step::BeginUndo);
            }
            Action::Go(slot) => next.go(slot, sabotage),
            Action::GoUnheard(slot) => {
                let (run, extra) = (next.runs[slot].clone(), next.extra);
                next.go(slot, sabotage);
                // What was written is written once; who was told is told twice.
                let is_told = matches!(&run, Some(Run { step: Step::Tell { .. }, .. }));
                next.extra = if is_told { next.extra } else { extra };
                next.runs[slot] = run;
                next.lost -= 1;
            }
            Action::Crash(slot) => {
                next.stop(slot, true);
                next.crashes -= 1;
            }
            Action::Reopen => {
                next.key_works = true;
                next.reopens -= 1;
            }
            Action::Hour => {
                next.hour += 1;
                next.hours -= 1;
            }
        }
        next
    }

    fn begin(&mut self, slot: usize, which: usize, step: impl Fn(&Self, &Worker) -> Step) {
        let token = self.new_token(slot);
        let until = self.now().checked_add(jiff::SignedDuration::from_mins(30)).unwrap();
        let who = match slot {
            SWEEP => Who::Sweep,
            OPERATOR => Who::Operator { says: "ann".to_owned(), identity: None },
            _ => Who::Policy,
        };
        let by = Worker { who, lease: Lease { request: String::new(), token, until } };
        let step = step(self, &by);
        self.runs[slot] = Some(Run { by, which, step });
    }

    /// A token that no record knows.
    fn new_token(&self, slot: usize) -> String {
        let known = |token: &String| {
            let records = self.incidents.iter().filter_map(Kept::get).filter_map(|record| record.lease.as_ref());
            records.into_iter().any(|lease| lease.token == *token)
        };
        (0..9).map(|n| format!("{slot}.{n}")).find(|token| !known(token)).unwrap()
    }

    fn go(&mut self, slot: usize, sabotage: Sabotage) {
        let Some(run) = self.runs[slot].clone() else { return };
        match run.step(self, sabotage) {
            Some(step) => self.runs[slot] = Some(Run { step, ..run }),
            None => self.stop(slot, false),
        }
    }

    /// Ends a run. A delivery that was not claimed yet comes again: Lambda sees to that.
    fn stop(&mut self, slot: usize, crashed: bool) {
        let Some(run) = self.runs[slot].take() else { return };
        match run.step {
            Step::Claim { delivery: Some(delivery), wait, .. } if wait || crashed => {
                self.waiting.push(delivery);
                self.waiting.sort_unstable();
            }
            Step::BeginUndo if crashed => self.undos.push(run.which),
            _ => {}
        }
    }

    pub fn break_rule(&mut self, rule: &'static str) {
        if !self.broken.contains(&rule) {
            self.broken.push(rule);
        }
    }

    /// All records or none, as DynamoDB does it.
    pub fn swap(&mut self, which: usize, swap: &Swap) -> Result<(), Seen> {
        let mut there = Seen::default();
        let old = self.incidents[which].get();
        if swap.incident.as_ref().is_some_and(|new| old.map_or(0, |old| old.version) + 1 != new.version) {
            there.incident = old.cloned();
        }
        for new in &swap.holds {
            let old = self.hold.get();
            if old.map_or(0, |old| old.version) + 1 != new.version {
                there.holds.extend(old.map(|old| (old.key.clone(), old.clone())));
            }
        }
        if there != Seen::default() {
            return Err(there);
        }
        if let Some(record) = swap.incident.clone() {
            self.incidents[which] = Kept::some(record);
        }
        if let Some(hold) = swap.holds.first().cloned() {
            self.hold = Kept::some(hold);
        }
        Ok(())
    }
}

pub fn works(value: &Value) -> bool {
    *value == Value::Status(KeyStatus::Active)
}

pub fn value(works: bool) -> Value {
    Value::Status(if works { KeyStatus::Active } else { KeyStatus::Inactive })
}

pub fn finding(which: usize, count: u64) -> Finding {
    static BARE: LazyLock<Finding> = LazyLock::new(|| {
        let detail = serde_json::json!({
            "id": "0", "accountId": "111122223333", "region": "eu-west-1",
            "type": "UnauthorizedAccess:IAMUser/TorIPCaller", "severity": 8,
            "resource": { "resourceType": "AccessKey", "accessKeyDetails": {
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "ann", "userType": "IAMUser" } }
        });
        parse(detail).unwrap()
    });
    let id = which.to_string().try_into().unwrap();
    Finding { id, count, ..BARE.clone() }
}

pub fn id(which: usize) -> &'static IncidentId {
    static IDS: LazyLock<[IncidentId; 2]> = LazyLock::new(|| [0, 1].map(|which| IncidentId::of(&finding(which, 1))));
    &IDS[which]
}

/// The plan for the key as it was seen: to make it inactive, or to leave it so.
pub fn planned(finding: Finding, works: bool, now: Timestamp) -> Incident {
    let user = "ann".try_into().unwrap();
    let setting = Setting::AccessKeyStatus(AccessKeyStatus { user, key: "AKIAIOSFODNN7EXAMPLE".try_into().unwrap() });
    let change = Change { setting, from: value(works), to: value(false) };
    let mut plan = Plan::new(&finding.subjects[0].clone(), "compromised-access-key");
    plan.subject.at = Place { ..finding.at.clone() };
    plan.stages.push(vec![PlanStep::new(change, "it is in the wrong hands")]);
    let decision = Decision::new(Response::Contain, None);
    let parts = vec![Part { plan, decision, results: Vec::new(), ends: None }];
    Incident::new(finding, parts, now)
}
