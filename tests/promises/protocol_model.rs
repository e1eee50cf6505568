//! The ledger's rules, run in every order that two workers, a sweep, an operator, an attacker and crashes can bring
//! about, up to a bound. The rules are the library's own; only DynamoDB and the one access key are made up.

#![expect(clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

mod run;
pub mod world;

use stateright::{Checker, HasDiscoveries, Model, Property};
use std::time::Instant;
use world::{Action, Bound, State};

/// A rule that is broken on purpose, to see that breaking it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sabotage {
    None,
    MarkerBeforeMessage,
    OriginalOverwritten,
    UndoForgetsOthers,
    ContainedUnsaid,
    SaidUnread,
    ReleasedForgotten,
    ToldAgain,
    RestUnscheduled,
    UndoWritesNothing,
}

struct Protocol {
    bound: Bound,
    sabotage: Sabotage,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::start(&self.bound)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.actions());
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(state.after(action, self.sabotage))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("2: the original is saved before the first write, and stays", |_, state: &State| {
                !state.broken.contains(&"original")
            }),
            Property::always("5: undo opens nothing that another incident keeps closed", |_, state: &State| {
                !state.broken.contains(&"reopened by us")
            }),
            Property::always("5: the last to let go gives the original back", |_, state: &State| {
                !state.is_at_rest() || !state.is_all_released() || state.key_works
            }),
            Property::always("6: what an operator gave back is left alone", |_, state: &State| {
                !state.broken.contains(&"contained after undo")
            }),
            Property::always("6: told once, and again only after a crash", |model: &Self, state: &State| {
                state.extra.iter().all(|extra| *extra <= state.mishaps(&model.bound))
            }),
            Property::always("7: nobody is marked as told before they were", |_, state: &State| {
                state.incidents.iter().zip(&state.said).all(|(record, said)| !record.is_told() || *said)
            }),
            Property::always("7: what is unfinished or untold comes up again", |_, state: &State| {
                state.incidents.iter().all(|record| !record.is_unfinished() || record.is_scheduled())
            }),
            Property::always("7: that it was contained again is never kept quiet", |_, state: &State| {
                state.incidents.iter().zip(&state.owed).all(|(record, owed)| !owed || !record.is_told())
            }),
            Property::always("7: contained is said only of what was read back", |_, state: &State| {
                !state.broken.contains(&"said more than was read")
            }),
            Property::sometimes("something is contained", |_, state: &State| {
                state.is_at_rest() && !state.key_works && state.said[0]
            }),
        ]
    }
}

/// Checks every state within the bound, and gives the properties that fail.
fn check(name: &str, bound: Bound, sabotage: Sabotage) -> Vec<&'static str> {
    let began = Instant::now();
    let checker =
        Protocol { bound, sabotage }.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let (states, unique, depth) = (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{name}: {unique} states, {states} transitions, {depth} deep, {:.1} s", began.elapsed().as_secs_f32());
    let failed = |name: &&'static str| name.starts_with(|c: char| c.is_ascii_digit());
    let discoveries = checker.discoveries();
    for (name, path) in discoveries.iter().filter(|(name, _)| failed(name)) {
        println!("{name}: {:#?}", path.clone().into_actions());
    }
    assert!(sabotage != Sabotage::None || discoveries.contains_key("something is contained"), "{name}");
    discoveries.into_keys().filter(failed).collect()
}

/// Little of everything: what a test run has time for.
const SMALL: &[(&str, Bound)] = &[
    (
        "one finding twice, a crash, a lost answer, a stall",
        Bound { crashes: 1, lost: 1, hours: 1, stalls: true, ..TWICE },
    ),
    ("an update, an attacker, a crash, a lost answer", Bound { crashes: 1, lost: 1, reopens: 1, hours: 1, ..UPDATED }),
    ("an update, an undo, a crash, a lost answer", Bound { crashes: 1, lost: 1, undos: 1, hours: 1, ..UPDATED }),
    ("two holders, both undone, an attacker", Bound { undos: 2, reopens: 1, ..TWO_HOLDERS }),
    ("two holders, both undone, a crash", Bound { undos: 2, crashes: 1, hours: 1, ..TWO_HOLDERS }),
    (
        "an undo, an attacker, a crash, a lost answer",
        Bound { undos: 1, reopens: 1, crashes: 1, lost: 1, hours: 1, ..ONCE },
    ),
    ("an update, an undo, an attacker, a crash", Bound { undos: 1, reopens: 1, crashes: 1, hours: 1, ..UPDATED }),
];

/// More of it, for minutes.
const WIDE: &[(&str, Bound)] = &[
    ("one finding thrice, a crash, a stall", Bound { deliveries: &[(0, 1), (0, 1), (0, 2)], ..SMALL[0].1 }),
    ("an update, an attacker twice, a crash", Bound { reopens: 2, hours: 2, ..SMALL[1].1 }),
    ("an update, an undo, an attacker, two crashes", Bound { crashes: 2, lost: 0, reopens: 1, hours: 2, ..SMALL[2].1 }),
    ("two holders, an update, both undone", Bound { deliveries: &[(0, 1), (0, 2), (1, 1)], ..SMALL[3].1 }),
    ("two holders, both undone, a crash, two hours", Bound { hours: 2, ..SMALL[4].1 }),
    ("two holders, one undone, a stall", Bound { undos: 1, hours: 1, stalls: true, ..TWO_HOLDERS }),
];

const QUIET: Bound = Bound { deliveries: &[], crashes: 0, lost: 0, reopens: 0, undos: 0, hours: 0, stalls: false };
const ONCE: Bound = Bound { deliveries: &[(0, 1)], ..QUIET };
const TWICE: Bound = Bound { deliveries: &[(0, 1), (0, 1)], ..QUIET };
const UPDATED: Bound = Bound { deliveries: &[(0, 1), (0, 2)], ..QUIET };
const TWO_HOLDERS: Bound = Bound { deliveries: &[(0, 1), (1, 1)], ..QUIET };

#[test]
fn the_rules_hold_in_every_order() {
    for (name, bound) in SMALL {
        assert_eq!(check(name, *bound, Sabotage::None), Vec::<&str>::new(), "{name}");
    }
}

#[test]
#[ignore = "takes minutes: `cargo test --test promises -- --ignored every_wider_order`"]
fn the_rules_hold_in_every_wider_order() {
    for (name, bound) in WIDE {
        assert_eq!(check(name, *bound, Sabotage::None), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn a_broken_rule_is_found() {
    let found_in = |bound: Bound, sabotage, expect: &str| {
        let failed = check(&format!("{sabotage:?}"), bound, sabotage);
        assert!(failed.iter().any(|name| name.starts_with(expect)), "{sabotage:?}: {failed:?}");
    };
    let found = |bound: usize, sabotage, expect: &str| found_in(SMALL[bound].1, sabotage, expect);
    found(0, Sabotage::MarkerBeforeMessage, "7: nobody is marked");
    found(2, Sabotage::OriginalOverwritten, "2: ");
    found(4, Sabotage::UndoForgetsOthers, "5: undo opens nothing");
    found(1, Sabotage::ContainedUnsaid, "7: that it was contained again");
    found(0, Sabotage::SaidUnread, "7: contained is said only");
    found_in(Bound { undos: 1, ..TWICE }, Sabotage::ReleasedForgotten, "6: what an operator gave back");
    found(0, Sabotage::ToldAgain, "6: told once");
    found(0, Sabotage::RestUnscheduled, "7: what is unfinished");
    found(3, Sabotage::UndoWritesNothing, "5: the last to let go");
}
