//! What holds for each incident that the ledger may keep, whatever is asked of it.
//!
//! A record that a release wrote is never like most of those here. But what holds for any record holds for all of those.

use crate::{is_kept, noon, worker};
use jiff::Timestamp;
use quell::incident::{Incident, News, Outcome, StepResult};
use quell::ledger::key::HoldKey;
use quell::ledger::protocol::{
    self, Claim, Decided, Denied, Done, Finish, How, LetGo, No, NoUndo, Occasion, Seen, Swap,
};
use quell::ledger::record::{IncidentRecord, RETENTION, Status, What, Who, Worker};
use quell::ledger::schedule::Due;
use quell::policy::Response;
use std::collections::BTreeSet;

/// Begins to contain what was planned, and gives the record of it.
pub fn begun(incident: Incident) -> IncidentRecord {
    let by = worker(Who::Policy, "first", noon());
    let ask = Claim { incident, by, occasion: Occasion::Delivery, limits: Vec::new(), now: noon() };
    match protocol::claim(&ask, &Seen::default()) {
        Decided::Write(swap, How::Fresh) => written(*swap),
        other => panic!("nobody knew of it: {other:?}"),
    }
}

/// Asks all that the ledger's rules can be asked about the record, at each moment that may matter to it.
pub fn check(record: &IncidentRecord) {
    is_kept(record);
    if is_worn_out(record) {
        return;
    }
    for now in moments(record) {
        claims(record, now);
        looks(record, now);
        rests(record, now);
        for who in [Who::Operator { says: "ann".to_owned(), identity: None }, Who::Sweep] {
            undoes(record, &worker(who, "an undo", now), now);
        }
        rejects(record, now);
    }
}

/// Counters that no incident reaches in the lifetime of a table; the rules add to them unasked.
fn is_worn_out(record: &IncidentRecord) -> bool {
    let plan = record.approval.as_ref().map_or(0, |approval| approval.plan);
    record.version > u64::MAX / 2 || [record.runs, record.failures, plan].iter().any(|count| *count > u32::MAX / 2)
}

fn moments(record: &IncidentRecord) -> BTreeSet<Timestamp> {
    let lease = record.lease.as_ref().map(|lease| lease.until);
    let approval = record.approval.as_ref().map(|approval| approval.expires);
    let own = [record.due, record.ends, record.contained, lease, approval];
    own.into_iter().flatten().chain([Timestamp::MIN, noon(), Timestamp::MAX]).collect()
}

/// Who wins a claim keeps all that was held, takes back nothing that was let go, and keeps everybody else away.
fn claims(record: &IncidentRecord, now: Timestamp) {
    let plan = record.approval.as_ref().map_or(0, |approval| approval.plan);
    let mut newer = record.incident.clone();
    newer.finding.count = newer.finding.count.saturating_add(1);
    let mut other = newer.clone();
    for part in &mut other.parts {
        (part.decision.response, part.plan.remediation) = (Response::Contain, Some("another".to_owned()));
    }
    for (occasion, incident) in [
        (Occasion::Delivery, &newer),
        (Occasion::Delivery, &other),
        (Occasion::Delivery, &record.incident),
        (Occasion::Verify, &record.incident),
        (Occasion::Announce, &record.incident),
        (Occasion::Approve { plan }, &record.incident),
        (Occasion::Approve { plan: plan + 1 }, &record.incident),
        (Occasion::Expired, &other),
    ] {
        let by = worker(Who::Policy, "this run", now);
        let mut ask = Claim { incident: incident.clone(), by, occasion, limits: Vec::new(), now };
        match protocol::claim(&ask, &Seen::incident(record.clone())) {
            Decided::Write(swap, how) => {
                won(record, &ask, &swap, how);
                let next = written(*swap);
                let lease = &ask.by.lease;
                let again = protocol::claim(&ask, &Seen::incident(next.clone()));
                assert_eq!(again, Decided::Won(Box::new(next.clone())), "our own write is known again");
                if lease.is_alive(now) {
                    let until = lease.until;
                    ask.by = worker(Who::Sweep, "another run", now);
                    let other = protocol::claim(&ask, &Seen::incident(next));
                    let keeps_away = match other {
                        Decided::Denied(Denied::Busy { until: then }) => then == until,
                        // A newer state of the finding comes again: who is at it does not know of it.
                        Decided::Denied(Denied::Wait { until: then }) => {
                            then <= until && occasion == Occasion::Delivery
                        }
                        _ => false,
                    };
                    assert!(keeps_away, "{how:?}");
                }
            }
            Decided::Won(known) => assert!(*known == *record && record.is_leased_to(&ask.by.lease)),
            Decided::Unsure => panic!("nothing was read early"),
            Decided::Denied(Denied::Busy { until }) => assert_eq!(record.busy_until(now), Some(until)),
            Decided::Denied(Denied::Known(known)) => assert_eq!(*known, *record),
            Decided::Denied(Denied::OtherPlan(known)) => {
                assert!(
                    *known == *record && occasion == Occasion::Approve { plan: plan + 1 } || known.approval.is_none()
                );
            }
            Decided::Denied(Denied::Wait { until }) => {
                let is_undone = record.status == Status::Releasing && record.busy_until(now).is_none();
                let is_busy = record.busy_until(now).is_some_and(|busy| until <= busy);
                assert!(occasion == Occasion::Delivery && (is_busy || is_undone));
            }
            Decided::Denied(why @ (Denied::OverLimit { .. } | Denied::Another)) => {
                panic!("nothing forbids it: {why:?}")
            }
        }
    }
}

fn won(record: &IncidentRecord, ask: &Claim, swap: &Swap, how: How) {
    let next = written(swap.clone());
    assert_eq!((next.version, &next.id), (record.version + 1, &record.id));
    assert!(record.busy_until(ask.now).is_none() && next.is_leased_to(&ask.by.lease));
    assert!(record.holds.iter().all(|key| next.holds.contains(key)), "a claim lets nothing go");
    let new = next.holds.iter().filter(|key| !record.holds.contains(key));
    assert!(new.clone().all(|key| !record.let_go.contains(key)), "what was let go is not contained again");
    if matches!(record.status, Status::Released | Status::Rejected) {
        // Of another plan than the one that a person said no to, or gave back, a person is asked.
        let is_quiet = matches!(how, How::Announce | How::LeftAlone | How::Again);
        let joins = swap.holds.iter().any(|hold| !record.holds.contains(&hold.key));
        assert!(is_quiet && !joins && new.count() == 0, "{how:?}");
    }
    for hold in &swap.holds {
        assert!(next.holds.contains(&hold.key) && hold.holders.iter().any(|holder| holder.incident == next.id));
    }
    if how == How::Again {
        opens(&next, ask);
    }
    if next.status == Status::Containing && how != How::Announce {
        finishes(&next, ask, swap);
    }
}

/// All that was to be done was done: it is held, or there was nothing to hold, and people are to be told.
fn finishes(record: &IncidentRecord, ask: &Claim, swap: &Swap) {
    let mut incident = record.incident.clone();
    for part in incident.parts.iter_mut().filter(|part| part.decision.response == Response::Contain) {
        let done = |change| StepResult::new(change, Outcome::Changed);
        part.results = part.plan.steps().map(|step| done(step.change.clone())).collect();
    }
    let transient = incident.is_worth_retrying();
    let done = Finish { incident, approval: None, now: ask.now };
    let holds = swap.holds.iter().map(|hold| (hold.key.clone(), hold.clone())).collect();
    let swap = protocol::finish(record, &ask.by, &done, &Seen { holds, ..Seen::default() });
    let end = written(swap);
    assert_eq!((end.version, &end.holds), (record.version + 1, &record.holds));
    let is_known = end.told == record.told && record.said == Some(protocol::saying(&end));
    assert!(end.told.is_none() || is_known, "people are told of what they do not know");
    let at_rest = if end.holds.is_empty() { Status::Closed } else { Status::Held };
    let tries_again = transient && !end.is_given_up();
    assert_eq!(end.status, if tries_again { Status::Containing } else { at_rest });
    assert!(end.is_leased_to(&ask.by.lease), "the lease stays until people were told");
    is_kept(&end);
}

fn looks(record: &IncidentRecord, now: Timestamp) {
    match record.is_due(now) {
        None => {}
        Some(due) => {
            assert!(record.due.is_some_and(|due| due <= now) && record.busy_until(now).is_none());
            match due {
                Due::Resume => assert_eq!(record.status, Status::Containing),
                Due::FinishUndo => assert_eq!(record.status, Status::Releasing),
                Due::Announce => assert_eq!(record.told, None),
                Due::Verify => assert!(matches!(record.status, Status::Held | Status::Waiting)),
                Due::End => assert!(
                    matches!(record.status, Status::Held | Status::Waiting)
                        && record.ends.is_some_and(|end| end <= now)
                ),
                Due::Expired(_) => assert_eq!(record.status, Status::Waiting),
                Due::AskAgain => assert!(record.is_unasked()),
            }
        }
    }
    if record.status.is_open() {
        assert_eq!(record.expires(), None, "what is open is kept for ever");
    }
}

/// What somebody opened is to be told, once, whatever comes.
fn opens(record: &IncidentRecord, ask: &Claim) {
    let settings = ["the key".to_owned(), "the policy".to_owned()];
    let Some(swap) = protocol::reopened(record, &ask.by, &settings, ask.now) else { return };
    let next = written(swap);
    assert_eq!((next.version, next.told, next.status), (record.version + 1, None, Status::Containing));
    assert_eq!((&next.holds, &next.let_go, &next.lease), (&record.holds, &record.let_go, &record.lease));
    let Some(News::Reopened { settings: told }) = &next.incident.news else { panic!("{:?}", next.incident.news) };
    assert!(settings.iter().all(|setting| told.contains(setting)), "{told:?}");
    assert_eq!(protocol::reopened(&next, &ask.by, &settings, ask.now), None, "it is known");
    is_kept(&next);
}

/// Telling people, looking after it, and putting it down change nothing of what is held.
fn rests(record: &IncidentRecord, now: Timestamp) {
    let told = written(protocol::told(record, now));
    assert!(told.told == Some(now) || told.said_left == Some(now));
    assert_eq!(told.due, told.next_due(now));
    let put_down = written(protocol::put_down(record, now));
    // At once where people do not know of it, otherwise by the clock.
    let due = if record.told.is_some() { record.next_due(now) } else { Some(now) };
    assert_eq!((put_down.due, put_down.told), (due, record.told));
    assert!(put_down.status == record.status && told.status == record.status);
    let verified = written(protocol::verified(record, now));
    for rested in [&told, &put_down, &verified] {
        assert_eq!((&rested.lease, rested.version), (&None, record.version + 1));
        assert_eq!((&rested.holds, &rested.let_go), (&record.holds, &record.let_go));
        is_kept(rested);
    }
}

/// An undo that can begin can end, and then nothing is held.
fn undoes(record: &IncidentRecord, by: &Worker, now: Timestamp) {
    let begun = match protocol::begin_undo(record, by, None, now) {
        Ok(swap) => written(swap),
        Err(NoUndo::Busy { until }) => return assert_eq!(record.busy_until(now), Some(until)),
        Err(NoUndo::Waiting) => return assert!(record.status == Status::Waiting && record.holds.is_empty()),
        Err(NoUndo::Over(status)) => {
            let is_over = matches!(status, Status::Released | Status::Rejected);
            return assert!(status == record.status && (is_over || record.holds.is_empty()));
        }
        Err(NoUndo::NotHeld) => return assert!(record.holds.is_empty()),
    };
    assert_eq!((begun.status, &begun.holds), (Status::Releasing, &record.holds));
    assert_eq!(begun.version, record.version + 1);
    let undo = begun.undo.as_ref().expect("it is under way");
    let by_the_sweep = undo.who == Who::Sweep;
    // One that was under way goes on as it was asked for.
    let under_way = record.status == Status::Releasing;
    assert!(begun.approval.is_none() || under_way || by_the_sweep, "what waits is over with an operator's undo");
    let asked = begun.to_give_back();
    assert!(asked.iter().all(|key| record.holds.contains(key)));

    let finish = |keys: &[HoldKey], let_go: &LetGo| {
        let done: Vec<_> = keys.iter().map(|key| Done::new(key.clone(), let_go.clone())).collect();
        let news = News::GivenBack { by: "ann".to_owned(), settings: Vec::new(), others: 0 };
        let end = written(protocol::finish_undo(&begun, by, &done, news, now));
        is_kept(&end);
        end
    };
    let whole = finish(&begun.holds, &LetGo::GivenBack);
    assert!(whole.holds.is_empty(), "{whole:?}");
    let has_let_go = whole.let_go.is_superset(&begun.holds.iter().cloned().collect());
    if begun.approval.is_some() {
        assert!(whole.status == Status::Waiting && whole.ends.is_none(), "{whole:?}");
        return;
    }
    // What a person wanted back before its time was over is as good as given back by them.
    let by_a_person = !by_the_sweep || begun.is_wanted_back();
    assert_eq!(whole.status, if by_a_person { Status::Released } else { Status::Closed });
    assert_eq!(has_let_go, by_a_person || begun.holds.is_empty());
    let told = written(protocol::told(&whole, now));
    assert_eq!((told.due, told.is_due(Timestamp::MAX)), (None, None), "there is nothing more to do");
    assert!(matches!(told.history.last().map(|entry| &entry.what), Some(What::Released)));
    assert_eq!(told.expires().is_some(), now.checked_add(RETENTION).is_ok());

    // What was not asked for stays.
    let part = finish(&asked, &LetGo::WasBack);
    assert!(part.holds.iter().all(|key| !asked.contains(key)));
    assert!(record.holds.iter().all(|key| asked.contains(key) || part.holds.contains(key)));
    // What could not be given back is still held.
    for not_back in [LetGo::Failed { why: "throttled".to_owned() }, LetGo::Refused { why: "denied".to_owned() }] {
        let left = finish(&asked, &not_back);
        assert_eq!(left.holds, record.holds);
        assert!(left.status.is_open() || left.holds.is_empty(), "{left:?}");
    }
}

/// Who says no leaves what is contained as it is.
fn rejects(record: &IncidentRecord, now: Timestamp) {
    let ann = worker(Who::Operator { says: "ann".to_owned(), identity: None }, "ann's run", now);
    for no in [No::Person, No::Time] {
        let news = News::Rejected { by: "ann".to_owned() };
        let swap = protocol::reject(record, &ann, no, news, now);
        let can = record.status == Status::Waiting && record.busy_until(now).is_none();
        assert_eq!(swap.is_some(), can);
        let Some(end) = swap.map(written) else { continue };
        assert_eq!((&end.holds, &end.approval, end.told), (&record.holds, &None, None));
        assert_eq!(end.status.is_open(), !record.holds.is_empty());
        is_kept(&end);
    }
}

fn written(swap: Swap) -> IncidentRecord {
    swap.incident.expect("the incident is written")
}
