//! Findings, their next states, attackers and undos on the rules of one group, in any order.

use super::*;
use crate::holes::Holes;
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
}

use Act::{Add, Find, Look, PutBack, Undo};

/// The group, and what is known of it.
struct World {
    first: BTreeSet<Rule>,
    now: BTreeSet<Rule>,
    hold: Option<Hold>,
    plans: BTreeMap<u8, Change>,
    ports: BTreeMap<u8, BTreeSet<u16>>,
    minute: i32,
    is_attacked: bool,
    is_added: bool,
}

fn range(first: i32, last: i32) -> Rule {
    Rule { ports: Some((first, last)), ..rule(0) }
}

fn lets_in(rules: &BTreeSet<Rule>, port: u16) -> bool {
    rules.iter().any(|rule| rule.lets_in_tcp(i32::from(port)))
}

impl World {
    fn of(ranges: &[(i32, i32)]) -> Self {
        let first: BTreeSet<Rule> = ranges.iter().map(|(first, last)| range(*first, *last)).collect();
        let (plans, ports) = (BTreeMap::new(), BTreeMap::new());
        Self { now: first.clone(), first, hold: None, plans, ports, minute: 0, is_attacked: false, is_added: false }
    }

    fn at(&self) -> Timestamp {
        NOW + SignedDuration::from_mins(1) * self.minute
    }

    /// As the remediation plans it on what is there.
    fn plan(&self, port: u16) -> Option<Change> {
        let closed: BTreeSet<Rule> =
            self.now.iter().filter(|rule| rule.lets_in_tcp(i32::from(port))).cloned().collect();
        let parts: BTreeSet<Rule> = closed.iter().flat_map(|rule| Holes::of_tcp(rule, [port]).rest_of(rule)).collect();
        let there = &self.now & &parts;
        let change = Change { from: Value::Rules(&closed | &there), to: Value::Rules(parts), ..group(&[], &[]).change };
        (!closed.is_empty()).then_some(change)
    }

    fn read(&self, change: &Change) -> Value {
        let (Value::Rules(from), Value::Rules(to)) = (&change.from, &change.to) else { panic!("{change:?}") };
        Value::Rules(&self.now & &(from | to))
    }

    /// Nothing that is written opens what an incident keeps closed.
    fn write(&mut self, change: &Change, but: Option<u8>) {
        let (Value::Rules(from), Value::Rules(to)) = (&change.from, &change.to) else { panic!("{change:?}") };
        let opened = &(to - from) - &self.now;
        for (holder, ports) in self.ports.iter().filter(|(holder, _)| Some(**holder) != but) {
            for port in ports {
                assert!(!lets_in(&opened, *port), "{port} is opened, which {holder} keeps closed: {change}");
            }
        }
        self.now = &(&self.now | to) - &(from - to);
    }

    fn act(&mut self, act: Act) {
        self.minute += 1;
        match act {
            Find(who, port) => self.find(who, port),
            Look(who) => self.look(who),
            Undo(who) => self.undo(who),
            PutBack { beside } => self.put_back(beside),
            Add(first, last) => {
                self.now.insert(range(first, last));
                (self.is_attacked, self.is_added) = (true, true);
            }
        }
        if !self.is_attacked {
            let held = |port: &u16| self.ports.values().any(|ports| ports.contains(port));
            for port in 15..45_u16 {
                let expect = lets_in(&self.first, port) && !held(&port);
                assert_eq!(lets_in(&self.now, port), expect, "{port} after {act:?}: {:?}", self.now);
            }
        }
    }

    fn find(&mut self, who: u8, port: u16) {
        let (new, old) = (self.plan(port), self.plans.get(&who).cloned());
        let more = |old: &Change, new: &Change| {
            both((&old.from, &old.to), (&new.from, &new.to)).map(|(from, to)| Change { from, to, ..old.clone() })
        };
        let plan = match (&old, &new) {
            (None, None) => return,
            (None, Some(new)) => new.clone(),
            (Some(old), Some(new)) => more(old, new).unwrap_or_else(|| old.clone()),
            (Some(old), None) => old.clone(),
        };
        if new.is_some() {
            self.ports.entry(who).or_default().insert(port);
        }
        let placed = Placed { at: at(), change: plan.clone() };
        let now = self.at();
        let joined = Hold::joined(self.hold.as_ref(), &placed, &id(who), now, now, now).unwrap();
        let made = joined.made_of(&plan, &id(who), self.hold.as_ref());
        (self.hold, _) = (Some(joined), self.plans.insert(who, plan));
        if old.is_none() {
            self.write(&made, None);
        } else {
            self.look(who);
        }
        // What somebody opens by a rule that nobody spoke of is seen once a finding names the port.
        let is_seen = |held: &&u16| !self.is_added || **held == port;
        for port in self.ports[&who].iter().filter(is_seen) {
            assert!(!lets_in(&self.now, *port), "{port} is open though {who} found it: {:?}", self.now);
        }
    }

    fn look(&mut self, who: u8) {
        let Some(kept) = self.hold.as_ref().and_then(|hold| hold.kept_by(&id(who))) else { return };
        if let Some(change) = again(&kept, &self.read(&kept)) {
            self.write(&change, None);
        }
    }

    fn undo(&mut self, who: u8) {
        let Some(hold) = self.hold.clone().filter(|_| self.plans.contains_key(&who)) else { return };
        let now = self.at();
        match hold.release(&id(who), now) {
            Release::KeptBy(_) => {}
            Release::Back(back) => match give_back(&back, &self.read(&hold.seen_with(&back))) {
                GiveBack::Already => {}
                GiveBack::Write(change) => self.write(&change, Some(who)),
                other @ (GiveBack::WriteBut { .. } | GiveBack::Drifted) => panic!("nobody closed anything: {other:?}"),
            },
            other @ (Release::NotHeld | Release::Wait { .. }) => panic!("{other:?}"),
        }
        self.hold = Some(hold.released_by(&id(who), now));
        self.plans.remove(&who);
        self.ports.remove(&who);
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

fn act() -> impl Strategy<Value = Act> {
    let who = 0..3_u8;
    prop_oneof![
        5 => (who.clone(), proptest::sample::select(PORTS.as_slice())).prop_map(|(who, port)| Find(who, port)),
        2 => who.clone().prop_map(Look),
        2 => who.prop_map(Undo),
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
