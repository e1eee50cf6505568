//! What a worker, the sweep and the operator do, step by step. Between two steps anything may happen.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test that panics has said what it has to say"
)]

use super::Sabotage;
use super::world::{Kept, State, finding, id, planned, value, works};
use quell::change::Change;
use quell::incident::{News, Outcome, StepResult, Verdict};
use quell::ledger::hold::{GiveBack, Hold, Release};
use quell::ledger::protocol::{self, Claim, Decided, Denied, Done, Finish, How, LetGo, Occasion, Seen, Swap};
use quell::ledger::record::{IncidentRecord, Status, Worker};
use quell::ledger::schedule::Due;
use std::collections::BTreeSet;
use std::mem;

type Record = Kept<IncidentRecord>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    pub by: Worker,
    pub which: usize,
    pub step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// `count` and `saw` are what the claim is made of; `wait` is set when it must come again later.
    Claim {
        delivery: Option<(usize, u64)>,
        count: u64,
        saw: bool,
        occasion: Occasion,
        seen: Kept<Seen>,
        how: How,
        wait: bool,
    },
    Look {
        record: Record,
    },
    Correct {
        record: Record,
    },
    /// The attacker has opened it, and people are to be told so.
    Reopened {
        record: Record,
    },
    Contain {
        record: Record,
        again: bool,
    },
    ReadBack {
        record: Record,
        wrote: bool,
    },
    Finish {
        record: Record,
        holds: bool,
        wrote: bool,
    },
    Verified {
        record: Record,
    },
    Tell {
        record: Record,
    },
    Told {
        record: Record,
        said: bool,
    },
    BeginUndo,
    Release {
        record: Record,
    },
    Mark {
        record: Record,
        hold: Kept<Hold>,
    },
    GiveBack {
        record: Record,
    },
    Drop {
        record: Record,
        hold: Kept<Hold>,
        gone: u8,
    },
    FinishUndo {
        record: Record,
        gone: u8,
    },
}

const BACK: u8 = 0;
const WAS_BACK: u8 = 1;
const KEPT: u8 = 2;
const FAILED: u8 = 3;

impl Step {
    /// Whether it changes something, and waits for the answer: the ledger, the key, or what people know.
    pub fn is_written(&self) -> bool {
        match self {
            Self::Claim { .. }
            | Self::Correct { .. }
            | Self::Reopened { .. }
            | Self::Finish { .. }
            | Self::Verified { .. }
            | Self::Contain { .. }
            | Self::Tell { .. }
            | Self::BeginUndo
            | Self::Mark { .. }
            | Self::GiveBack { .. }
            | Self::Drop { .. }
            | Self::FinishUndo { .. } => true,
            Self::Told { said, .. } => *said,
            Self::Look { .. } | Self::ReadBack { .. } | Self::Release { .. } => false,
        }
    }
}

impl Run {
    /// One worker has read the ledger before, as real ones do; the other finds out what is there.
    pub fn delivery(state: &State, slot: usize, which: usize, count: u64) -> Step {
        let hold = || state.hold.get().map(|hold| (hold.key.clone(), hold.clone()));
        let seen = if slot == 0 {
            let incident = state.incidents[which].get().cloned();
            Seen { incident, holds: hold().into_iter().collect(), is_early: true, ..Seen::default() }
        } else {
            Seen::default()
        };
        claiming(state, Some((which, count)), count, Occasion::Delivery, seen)
    }

    pub fn sweep(state: &State, _: &Worker, which: usize) -> Step {
        let record = state.incidents[which].get().unwrap();
        let count = record.incident.finding.count;
        let known = || Seen::incident(record.clone());
        match record.is_due(state.now()).unwrap() {
            Due::Resume => claiming(state, None, count, Occasion::Delivery, Seen::early(record.clone())),
            Due::FinishUndo => Step::BeginUndo,
            Due::Announce => claiming(state, None, count, Occasion::Announce, known()),
            Due::Verify => claiming(state, None, count, Occasion::Verify, known()),
            Due::End | Due::Expired(_) | Due::AskAgain => {
                unreachable!("nothing here is for a time or to be approved")
            }
        }
    }

    /// Takes one step; none when the run is over.
    #[expect(clippy::too_many_lines, reason = "one short arm per step")]
    pub fn step(&self, state: &mut State, sabotage: Sabotage) -> Option<Step> {
        let (which, by, now) = (self.which, &self.by, state.now());
        let in_time = by.lease.is_alive(now);
        match self.step.clone() {
            Step::Claim { .. } => self.claim(state, sabotage),
            Step::Look { record } => {
                let change = state.hold.get().and_then(|hold| hold.kept_by(id(which)));
                let news = record.get()?.incident.news.is_some();
                state.read[which] |= change.as_ref().is_some_and(|change| change.to == value(state.key_works));
                match change {
                    Some(change) if change.to != value(state.key_works) && sabotage == Sabotage::ContainedUnsaid => {
                        Some(Step::Contain { record, again: true })
                    }
                    Some(change) if change.to != value(state.key_works) => Some(Step::Reopened { record }),
                    Some(_) if news => Some(Step::Finish { record, holds: true, wrote: true }),
                    Some(_) | None => Some(Step::Verified { record }),
                }
            }
            Step::Reopened { record } => {
                let record = match protocol::reopened(record.get()?, by, &["the key".to_owned()], now) {
                    Some(swap) => self.follow(state, &swap)?,
                    None => record,
                };
                Some(Step::Contain { record, again: true })
            }
            Step::Contain { record, again } => {
                if !in_time {
                    return None;
                }
                state.check_original(which);
                if state.given_back[which] {
                    state.break_rule("contained after undo");
                }
                state.owed[which] |= again && state.key_works;
                (state.key_works, state.read[which]) = (false, false);
                if sabotage == Sabotage::SaidUnread {
                    return Some(Step::Finish { record, holds: true, wrote: true });
                }
                Some(Step::ReadBack { record, wrote: true })
            }
            Step::ReadBack { record, wrote } => {
                let holds = !state.key_works;
                state.read[which] |= holds;
                if !holds && !wrote {
                    Some(Step::Correct { record })
                } else {
                    Some(Step::Finish { record, holds, wrote })
                }
            }
            Step::Correct { record } => {
                let hold = state.hold.get().unwrap().clone();
                let next = hold.corrected(id(which), &value(state.key_works), now);
                match next.map(|next| state.swap_hold(which, next)) {
                    None | Some(Ok(_)) => Some(Step::Contain { record, again: false }),
                    Some(Err(())) => Some(Step::Correct { record }),
                }
            }
            Step::Finish { record, holds, wrote } => {
                let done = done(record.get()?, holds, wrote, now);
                let mut swap = protocol::finish(record.get()?, by, &done, &Seen::default());
                if let Some(record) = swap.incident.as_mut().filter(|_| sabotage == Sabotage::RestUnscheduled) {
                    record.due = None;
                }
                state.check_original(which);
                let next = self.follow(state, &swap)?;
                state.extra[which] -= 1;
                Some(telling(next, sabotage))
            }
            Step::Verified { record } => {
                self.follow(state, &protocol::verified(record.get()?, now))?;
                None
            }
            Step::Tell { .. } if !in_time => None,
            Step::Tell { record } => {
                (state.said[which], state.extra[which]) = (true, state.extra[which] + 1);
                let incident = &record.get()?.incident;
                state.owed[which] &= !matches!(incident.news, Some(News::Reopened { .. }));
                if incident.verdict() == Verdict::Contained && !state.read[which] {
                    state.break_rule("said more than was read");
                }
                if sabotage == Sabotage::MarkerBeforeMessage { None } else { Some(Step::Told { record, said: true }) }
            }
            Step::Told { record, .. } => {
                let next = self.follow(state, &protocol::told(record.get()?, now))?;
                matches!(sabotage, Sabotage::MarkerBeforeMessage | Sabotage::ToldAgain)
                    .then_some(Step::Tell { record: next })
            }
            Step::BeginUndo => {
                let known = state.incidents[which].get()?;
                match protocol::begin_undo(known, by, None, now) {
                    Ok(swap) => {
                        let record = self.follow(state, &swap)?;
                        // What is given back is told as that.
                        state.owed[which] = false;
                        Some(Step::Release { record })
                    }
                    Err(protocol::NoUndo::Busy { .. }) if by.who != quell::ledger::record::Who::Sweep => {
                        state.undos.push(which);
                        None
                    }
                    Err(_) => None,
                }
            }
            Step::Release { record } => Some(self.release(state, record, sabotage)),
            Step::Mark { record, hold } => {
                let marked = hold.get()?.marked(id(which), &by.lease, now)?;
                match state.swap_hold(which, marked) {
                    Ok(_) => Some(Step::GiveBack { record }),
                    Err(()) => Some(Step::Release { record }),
                }
            }
            Step::GiveBack { record } => {
                if !in_time {
                    return None;
                }
                let hold = state.hold.clone();
                if hold.get()?.holders.iter().any(|holder| holder.incident != *id(which)) {
                    state.break_rule("reopened by us");
                }
                let Release::Back(Change { to, .. }) = released(hold.get()?, which, now, sabotage) else { return None };
                if sabotage != Sabotage::UndoWritesNothing {
                    state.key_works = works(&to);
                }
                Some(Step::Drop { record, hold, gone: BACK })
            }
            Step::Drop { record, hold, gone } => {
                match state.swap_hold(which, hold.get()?.released_by(id(which), now)) {
                    Ok(_) => Some(Step::FinishUndo { record, gone }),
                    Err(()) => Some(Step::Release { record }),
                }
            }
            Step::FinishUndo { record, gone } => {
                let done: Vec<Done> =
                    record.get()?.to_give_back().into_iter().map(|key| Done::new(key, let_go(gone))).collect();
                let next = self.follow(state, &protocol::finish_undo(record.get()?, by, &done, undone(), now))?;
                state.extra[which] -= 1;
                state.given_back[which] |= next.get()?.status == Status::Released;
                Some(telling(next, sabotage))
            }
        }
    }

    fn claim(&self, state: &mut State, sabotage: Sabotage) -> Option<Step> {
        let Step::Claim { delivery, count, saw, occasion, seen, how, .. } = self.step.clone() else { return None };
        let (which, now) = (self.which, state.now());
        let known = seen.get()?.incident.as_ref().map(|record| record.incident.clone());
        let incident = match (occasion, known) {
            (Occasion::Verify | Occasion::Announce, Some(known)) => known,
            _ => planned(finding(which, count), saw, now),
        };
        let claim = Claim { incident, by: self.by.clone(), occasion, limits: Vec::new(), now };
        let claiming =
            |seen: Seen, how, wait| Step::Claim { delivery, count, saw, occasion, seen: Kept::some(seen), how, wait };
        let mut seen_by_rules = seen.get()?.clone();
        if let Some(record) = seen_by_rules.incident.as_mut().filter(|_| sabotage == Sabotage::ReleasedForgotten) {
            let is_released = record.status == Status::Released;
            (record.status, record.let_go) = if is_released {
                (Status::Containing, BTreeSet::new())
            } else {
                (record.status, mem::take(&mut record.let_go))
            };
        }
        match protocol::claim(&claim, &seen_by_rules) {
            Decided::Won(record) => Some(won(*record, how, sabotage)),
            Decided::Denied(Denied::Wait { .. }) => {
                if let Some(delivery) = delivery {
                    state.waiting.push(delivery);
                    state.waiting.sort_unstable();
                }
                None
            }
            Decided::Denied(_) => None,
            Decided::Unsure => Some(claiming(Seen::default(), how, false)),
            Decided::Write(mut swap, how) => {
                if sabotage == Sabotage::OriginalOverwritten {
                    swap.holds.iter_mut().for_each(|hold| hold.original = value(saw));
                }
                match state.swap(which, &swap) {
                    Ok(()) => {
                        state.extra[which] -= i8::from(how == How::LeftAlone);
                        Some(won(swap.incident?, how, sabotage))
                    }
                    Err(there) => {
                        let mut seen = seen.get()?.clone();
                        seen.learn(there);
                        Some(claiming(seen, how, false))
                    }
                }
            }
        }
    }

    fn release(&self, state: &State, record: Record, sabotage: Sabotage) -> Step {
        let hold = state.hold.clone();
        let release = hold.get().map(|hold| (hold, released(hold, self.which, state.now(), sabotage)));
        match release {
            None | Some((_, Release::NotHeld)) => Step::FinishUndo { record, gone: WAS_BACK },
            Some((_, Release::Wait { .. })) => Step::FinishUndo { record, gone: FAILED },
            Some((_, Release::KeptBy(_))) => Step::Drop { record, hold, gone: KEPT },
            Some((there, Release::Back(back))) => match there.give_back(&back, &value(state.key_works)) {
                GiveBack::Write(_) | GiveBack::WriteBut { .. } => Step::Mark { record, hold },
                GiveBack::Already | GiveBack::Drifted => Step::Drop { record, hold, gone: WAS_BACK },
            },
        }
    }

    /// Writes the next state of our incident; none if it is no longer ours.
    fn follow(&self, state: &mut State, swap: &Swap) -> Option<Record> {
        let written = Kept::some(swap.incident.clone()?);
        match state.swap(self.which, swap) {
            Ok(()) => Some(written),
            Err(there) => (there.incident.as_ref() == written.get()).then_some(written),
        }
    }
}

impl State {
    fn swap_hold(&mut self, which: usize, next: Hold) -> Result<Kept<Hold>, ()> {
        let swap = Swap { holds: vec![next.clone()], ..Swap::default() };
        match self.swap(which, &swap) {
            Ok(()) => Ok(Kept::some(next)),
            Err(there) if there.holds.values().any(|there| *there == next) => Ok(Kept::some(next)),
            Err(_) => Err(()),
        }
    }

    /// The key worked before the first of us came.
    fn check_original(&mut self, which: usize) {
        let fine = |hold: &Hold| {
            let held = hold.holders.iter().any(|holder| holder.incident == *id(which));
            !held || works(&hold.original)
        };
        if !self.hold.get().is_some_and(fine) {
            self.break_rule("original");
        }
    }
}

fn claiming(state: &State, delivery: Option<(usize, u64)>, count: u64, occasion: Occasion, seen: Seen) -> Step {
    let (saw, seen) = (state.key_works, Kept::some(seen));
    Step::Claim { delivery, count, saw, occasion, seen, how: How::Fresh, wait: false }
}

fn won(record: IncidentRecord, how: How, sabotage: Sabotage) -> Step {
    let change = record.incident.parts[0].plan.stages[0][0].change.clone();
    let first = record.contained.is_none();
    let record = Kept::some(record);
    match how {
        How::Announce | How::LeftAlone | How::AskAgain => telling(record, sabotage),
        How::Fresh | How::Resumed | How::Approved if first && change.is_already_so() => {
            Step::ReadBack { record, wrote: false }
        }
        How::Fresh | How::Resumed | How::Approved if first => Step::Contain { record, again: false },
        How::Fresh | How::Resumed | How::Approved | How::Again => Step::Look { record },
    }
}

fn telling(record: Record, sabotage: Sabotage) -> Step {
    if sabotage == Sabotage::MarkerBeforeMessage { Step::Told { record, said: true } } else { Step::Tell { record } }
}

fn done(record: &IncidentRecord, holds: bool, wrote: bool, now: jiff::Timestamp) -> Finish {
    let mut incident = record.incident.clone();
    for part in &mut incident.parts {
        let outcome = match (holds, wrote) {
            (true, true) => Outcome::Changed,
            (true, false) => Outcome::AlreadySo,
            (false, _) => Outcome::Drifted { found: value(true) },
        };
        let changes: Vec<Change> = part.plan.steps().map(|step| step.change.clone()).collect();
        part.results = changes.into_iter().map(|change| StepResult::new(change, outcome.clone())).collect();
    }
    Finish { incident, approval: None, now }
}

fn released(hold: &Hold, which: usize, now: jiff::Timestamp, sabotage: Sabotage) -> Release {
    let mut hold = hold.clone();
    if sabotage == Sabotage::UndoForgetsOthers {
        hold.holders.retain(|holder| holder.incident == *id(which));
    }
    hold.release(id(which), now)
}

fn let_go(gone: u8) -> LetGo {
    match gone {
        BACK => LetGo::GivenBack,
        WAS_BACK => LetGo::WasBack,
        KEPT => LetGo::KeptBy(vec![id(1).clone()]),
        _ => LetGo::Failed { why: "it is being given back".to_owned() },
    }
}

/// What people are told of an undo, of which the rules know nothing.
fn undone() -> News {
    News::GivenBack { by: "ann".to_owned(), settings: Vec::new(), others: 0 }
}
