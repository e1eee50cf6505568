//! Findings, their next states, attackers and undos on the rules of one group, in any order, and runs that die on the way.

use super::*;
use crate::remediation::exposed_port::{Closing, closing};
use proptest::prelude::*;
use std::collections::BTreeMap;

const PORTS: [u16; 4] = [20, 22, 25, 28];

#[derive(Debug, Clone, Copy)]
enum Act {
    /// The finding names a port, for the first time or in its next state.
    Find(u8, u16),
    Look(u8),
    Undo(u8),
    /// Somebody puts back a rule that was there at first: beside what is there now, or in its place.
    PutBack {
        beside: bool,
    },
    /// Somebody adds a rule of their own.
    Add(i32, i32),
    /// A run claims a finding's port and dies: before it writes, or between its two calls.
    DieFinding(u8, u16, Died),
    /// An undo dies between its two calls; only undo goes on with it.
    DieUndoing(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Died {
    Before,
    Between,
}

use Act::{Add, DieFinding, DieUndoing, Find, Look, PutBack, Undo};

/// The group, and what is known of it.
struct World {
    first: BTreeSet<Rule>,
    now: BTreeSet<Rule>,
    hold: Option<Hold>,
    /// What each finding planned at first, and what is held for it.
    plans: BTreeMap<u8, (Change, Change)>,
    ports: BTreeMap<u8, BTreeSet<u16>>,
    /// Whose run died before it had closed all.
    begun: BTreeSet<u8>,
    /// Whose undo died.
    undoing: BTreeSet<u8>,
    minute: i32,
    is_attacked: bool,
    is_added: bool,
}

fn range(first: i32, last: i32) -> Rule {
    Rule { ports: Some((first, last)), peer: Peer::Network("0.0.0.0/0".parse().unwrap()), ..rule(0) }
}

fn lets_in(rules: &BTreeSet<Rule>, port: u16) -> bool {
    rules.iter().any(|rule| rule.lets_in_tcp(i32::from(port)))
}

impl World {
    fn of(ranges: &[(i32, i32)]) -> Self {
        let first: BTreeSet<Rule> = ranges.iter().map(|(first, last)| range(*first, *last)).collect();
        Self {
            now: first.clone(),
            first,
            hold: None,
            plans: BTreeMap::new(),
            ports: BTreeMap::new(),
            begun: BTreeSet::new(),
            undoing: BTreeSet::new(),
            minute: 0,
            is_attacked: false,
            is_added: false,
        }
    }

    fn at(&self) -> Timestamp {
        NOW + SignedDuration::from_mins(1) * self.minute
    }

    /// As the remediation plans it on what is there, and on what others keep closed; and what is held for it.
    fn plan(&self, who: u8, port: u16) -> Option<(Change, Change)> {
        let kept = self.hold.as_ref().and_then(|hold| hold.kept_closed_beside(&id(who)));
        let Closing { from, to, alone } = closing(&self.now, &BTreeSet::from([port]), kept.as_ref())?;
        let change = |from, to| Change { from: Value::Rules(from), to: Value::Rules(to), ..group(&[], &[]).change };
        let plan = change(from, to);
        let held = alone.map_or_else(|| plan.clone(), |(from, to)| change(from, to));
        Some((plan, held))
    }

    fn read(&self, change: &Change) -> Value {
        let (Value::Rules(from), Value::Rules(to)) = (&change.from, &change.to) else { panic!("{change:?}") };
        Value::Rules(&self.now & &(from | to))
    }

    /// Nothing that is written opens what an incident keeps closed. What is opened comes first; a run may die after that.
    fn write(&mut self, change: &Change, but: Option<u8>, dies: bool) {
        let (Value::Rules(from), Value::Rules(to)) = (&change.from, &change.to) else { panic!("{change:?}") };
        let opened = &(to - from) - &self.now;
        let is_kept = |holder: &u8| Some(*holder) != but && !self.undoing.contains(holder);
        for (holder, ports) in self.ports.iter().filter(|(holder, _)| is_kept(holder)) {
            for port in ports {
                assert!(!lets_in(&opened, *port), "{port} is opened, which {holder} keeps closed: {change}");
            }
        }
        self.now = &self.now | to;
        if !dies {
            self.now = &self.now - &(from - to);
        }
    }

    fn act(&mut self, act: Act) {
        self.minute += 1;
        match act {
            Find(who, port) => self.find(who, port, None),
            Look(who) => self.look(who),
            Undo(who) => self.undo(who, false),
            DieFinding(who, port, died) => self.find(who, port, Some(died)),
            DieUndoing(who) => self.undo(who, true),
            PutBack { beside } => self.put_back(beside),
            Add(first, last) => {
                self.now.insert(range(first, last));
                (self.is_attacked, self.is_added) = (true, true);
            }
        }
        if !self.is_attacked {
            let held = |port: &u16| self.ports.values().any(|ports| ports.contains(port));
            // What a run that died was about may be so or so.
            let halves = self.begun.union(&self.undoing).filter_map(|who| self.ports.get(who)).flatten();
            let halves: BTreeSet<u16> = halves.copied().collect();
            let kept = self.ports.iter().filter(|(who, _)| !self.begun.contains(who) && !self.undoing.contains(who));
            let kept: BTreeSet<u16> = kept.flat_map(|(_, ports)| ports).copied().collect();
            for port in (15..45_u16).filter(|port| kept.contains(port) || !halves.contains(port)) {
                let expect = lets_in(&self.first, port) && !held(&port);
                assert_eq!(lets_in(&self.now, port), expect, "{port} after {act:?}: {:?}", self.now);
            }
        }
    }

    fn find(&mut self, who: u8, port: u16, died: Option<Died>) {
        if self.undoing.contains(&who) {
            return;
        }
        if self.begun.contains(&who) {
            self.resume(who);
        }
        let (new, old) = (self.plan(who, port), self.plans.get(&who).cloned());
        let more = |old: &Change, new: &Change| {
            both((&old.from, &old.to), (&new.from, &new.to)).map(|(from, to)| Change { from, to, ..old.clone() })
        };
        let plan = match (&old, &new) {
            (None, None) => return,
            (None, Some(new)) => new.clone(),
            (Some((plan, held)), Some((_, new))) => (plan.clone(), more(held, new).unwrap_or_else(|| held.clone())),
            (Some(old), None) => old.clone(),
        };
        if new.is_some() {
            self.ports.entry(who).or_default().insert(port);
        }
        let before = self.hold.clone();
        self.join(who, &plan.1);
        self.plans.insert(who, plan);
        if died.is_some() {
            self.begun.insert(who);
        }
        if died == Some(Died::Before) {
            return;
        }
        let dies = died.is_some();
        if old.is_some() {
            self.look_and(who, dies);
        } else {
            self.contain(who, before.as_ref(), dies);
        }
        if dies {
            return;
        }
        // What somebody opens by a rule that nobody spoke of is seen once a finding names the port.
        let is_seen = |held: &&u16| !self.is_added || **held == port;
        for port in self.ports[&who].iter().filter(is_seen) {
            assert!(!lets_in(&self.now, *port), "{port} is open though {who} found it: {:?}", self.now);
        }
    }

    fn join(&mut self, who: u8, plan: &Change) {
        let (placed, now) = (Placed { at: at(), change: plan.clone() }, self.at());
        self.hold = Some(Hold::joined(self.hold.as_ref(), &placed, &id(who), now, now, now).unwrap());
    }

    /// What is planned, as far as the hold that was there before allows.
    fn contain(&mut self, who: u8, before: Option<&Hold>, dies: bool) {
        let made = self.hold.as_ref().unwrap().made_of(&self.plans[&who].0, before);
        self.write(&made, None, dies);
    }

    /// The sweep goes on with what a run began: it looks how far that came.
    fn resume(&mut self, who: u8) {
        let held = self.plans[&who].1.clone();
        self.join(who, &held);
        self.look_and(who, false);
        self.begun.remove(&who);
    }

    fn look(&mut self, who: u8) {
        if self.begun.contains(&who) {
            self.resume(who);
        }
        if !self.undoing.contains(&who) {
            self.look_and(who, false);
        }
    }

    fn look_and(&mut self, who: u8, dies: bool) {
        let Some(kept) = self.hold.as_ref().and_then(|hold| hold.kept_by(&id(who))) else { return };
        if let Some(change) = again(&kept, &self.read(&kept)) {
            self.write(&change, None, dies);
        }
    }

    fn undo(&mut self, who: u8, dies: bool) {
        let Some(hold) = self.hold.clone().filter(|_| self.plans.contains_key(&who)) else { return };
        let now = self.at();
        let hold = match hold.release(&id(who), now) {
            Release::KeptBy(_) => hold,
            Release::Back(back) => {
                let lease = Lease { request: String::new(), token: who.to_string(), until: now + LEASE };
                let hold = hold.marked(&id(who), &lease, now).unwrap();
                match hold.give_back(&back, &self.read(&hold.seen_with(&back))) {
                    GiveBack::Already => {}
                    GiveBack::Write(change) => self.write(&change, Some(who), dies),
                    other @ (GiveBack::WriteBut { .. } | GiveBack::Drifted) => {
                        panic!("nobody closed anything: {other:?}")
                    }
                }
                if dies {
                    self.minute += 5;
                    self.undoing.insert(who);
                    self.hold = Some(hold);
                    return;
                }
                hold
            }
            other @ (Release::NotHeld | Release::Wait { .. }) => panic!("{other:?}"),
        };
        self.hold = Some(hold.released_by(&id(who), now));
        self.plans.remove(&who);
        self.ports.remove(&who);
        self.begun.remove(&who);
        self.undoing.remove(&who);
    }

    fn put_back(&mut self, beside: bool) {
        let Some(rule) = self.first.iter().find(|rule| !self.now.contains(rule)).cloned() else { return };
        if !beside {
            self.now.retain(|part| !part.is_within(&rule) || self.first.contains(part));
        }
        self.now.insert(rule);
        self.is_attacked = true;
    }

    /// The last to let go leaves all as it was.
    fn end(mut self) {
        for who in 0..3 {
            self.act(Undo(who));
        }
        if self.is_attacked {
            assert!(self.first.is_subset(&self.now), "{:?}", self.now);
        } else {
            assert_eq!(self.now, self.first);
        }
    }
}

fn check(ranges: &[(i32, i32)], acts: &[Act]) {
    let mut world = World::of(ranges);
    for act in acts {
        world.act(*act);
    }
    world.end();
}

const ONE: &[(i32, i32)] = &[(20, 30)];

#[test]
fn a_next_state_makes_nothing_of_anothers_its_own() {
    check(ONE, &[Find(0, 22), Find(1, 25), Find(0, 22), Find(0, 22), Undo(0)]);
    check(ONE, &[Find(0, 22), Find(1, 25), Find(0, 22), Undo(1), Find(0, 28)]);
    check(ONE, &[Find(1, 28), Find(0, 22), Find(1, 28), Undo(0), Find(1, 28), Undo(1)]);
}

#[test]
fn a_rule_that_was_a_part_before_is_closed_like_any_other() {
    check(&[(20, 30), (23, 30)], &[Find(0, 22), Find(1, 25), Undo(0)]);
    check(&[(20, 30), (23, 30)], &[Find(0, 22), Find(1, 25), Undo(1), Undo(0)]);
}

#[test]
fn what_somebody_puts_back_opens_nothing_that_is_closed() {
    check(ONE, &[Find(0, 22), PutBack { beside: true }, Find(1, 25), Undo(0), Undo(1)]);
    check(ONE, &[Find(1, 22), Find(0, 28), PutBack { beside: false }, Find(1, 25)]);
    check(ONE, &[Find(1, 28), Find(0, 22), PutBack { beside: true }, Find(0, 28)]);
    check(ONE, &[Find(0, 28), Find(2, 22), PutBack { beside: false }, Find(1, 25)]);
    check(ONE, &[Find(0, 28), Find(2, 22), PutBack { beside: true }, Find(1, 25)]);
}

#[test]
fn another_rule_that_opens_a_port_is_closed_by_the_next_state() {
    for (first, last) in [(22, 22), (0, 65_535), (21, 40)] {
        check(ONE, &[Find(0, 22), Add(first, last), Find(0, 22)]);
        check(ONE, &[Find(0, 22), Find(1, 25), Add(first, last), Find(0, 22), Find(1, 25), Undo(0)]);
    }
}

#[test]
fn an_undo_that_died_leaves_nothing_that_another_makes_its_own() {
    check(ONE, &[Find(0, 22), Find(1, 25), DieUndoing(0), Undo(1)]);
    check(ONE, &[Find(0, 22), Find(1, 25), DieUndoing(0), DieUndoing(1), Undo(0), Undo(1)]);
    check(ONE, &[Find(0, 22), Find(1, 25), DieUndoing(0), Find(2, 28), Undo(1)]);
}

#[test]
fn a_run_that_died_is_given_back_like_any_other() {
    for died in [Died::Before, Died::Between] {
        check(ONE, &[Find(0, 22), DieFinding(1, 25, died), Undo(0)]);
        check(ONE, &[Find(0, 22), DieFinding(0, 25, died), Undo(0)]);
        check(ONE, &[Find(0, 22), DieFinding(1, 25, died), Undo(0), Find(1, 28)]);
    }
}

#[test]
fn what_another_closed_stays_closed_for_whoever_names_it_too() {
    check(ONE, &[Find(0, 22), Find(1, 22), Undo(0), Look(1), Undo(1)]);
    check(ONE, &[Find(0, 22), Find(1, 25), Find(1, 22), Undo(0), Undo(1)]);
    check(ONE, &[Find(0, 22), Find(1, 25), Find(0, 25), Undo(1), Find(1, 25), Undo(0)]);
    check(&[(22, 22)], &[Find(0, 22), Find(1, 22), Find(2, 22), Undo(0), Undo(1), Undo(2)]);
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..3_u8;
    prop_oneof![
        5 => (who.clone(), proptest::sample::select(PORTS.as_slice())).prop_map(|(who, port)| Find(who, port)),
        2 => who.clone().prop_map(Look),
        2 => who.clone().prop_map(Undo),
        1 => who.clone().prop_map(DieUndoing),
        1 => (who, proptest::sample::select(PORTS.as_slice()), any::<bool>()).prop_map(|(who, port, is_between)| {
            DieFinding(who, port, if is_between { Died::Between } else { Died::Before })
        }),
        1 => any::<bool>().prop_map(|beside| PutBack { beside }),
        1 => proptest::sample::select(vec![(22, 22), (0, 65_535), (21, 40), (28, 28)])
            .prop_map(|(first, last)| Add(first, last)),
    ]
}

const GROUPS: [&[(i32, i32)]; 5] =
    [ONE, &[(20, 30), (23, 30)], &[(20, 30), (22, 40)], &[(20, 30), (24, 26)], &[(20, 21), (22, 22), (25, 30)]];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_held_is_opened_and_the_last_undo_leaves_all_as_it_was(
        group in proptest::sample::select(GROUPS.as_slice()),
        acts in proptest::collection::vec(act(), 1..14),
    ) {
        check(group, &acts);
    }
}
