//! What the ledger's rules answer, state by state.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has said what it has to say")]

use crate::protocol_model::world::{finding, planned};
use jiff::{SignedDuration, Timestamp};
use quell::change::{Change, KeyStatus, Value};
use quell::document::Document;
use quell::incident::{Incident, News, Outcome, Returned, StepResult, Verdict};
use quell::ledger::key::CounterKey;
use quell::ledger::protocol::{
    Claim, Decided, Denied, Done, Finish, LetGo, Limit, No, NoUndo, Occasion, Seen, begin_undo, claim, finish,
    finish_undo, over, postponed, reject, told, verified,
};
use quell::ledger::record::{Approval, IncidentRecord, Status, What, Who, Worker};
use quell::ledger::schedule::Due;
use quell::plan::Step;
use quell::policy::{Fallback, Response};
use quell::setting::{AccessKeyStatus, InlinePolicy, Principal, Setting};

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_mins(minutes)).unwrap()
}

/// A worker who begins at this minute and has one minute.
fn worker(minute: i64) -> Worker {
    Worker::new(Who::Policy, "request", at(minute + 1))
}

fn incident(response: Response, works: bool, count: u64) -> Incident {
    let mut incident = planned(finding(0, count), works, at(0));
    incident.parts[0].decision.response = response;
    incident
}

fn ask(incident: Incident, occasion: Occasion, minute: i64) -> Claim {
    Claim { incident, by: worker(minute), occasion, limits: Vec::new(), now: at(minute) }
}

fn decided(asked: &Claim, record: &IncidentRecord) -> Decided {
    claim(asked, &Seen::incident(record.clone()))
}

/// The record as won, or none.
fn won(asked: &Claim, seen: &Seen) -> Option<IncidentRecord> {
    match claim(asked, seen) {
        Decided::Write(swap, _) => swap.incident,
        Decided::Won(_) | Decided::Denied(_) | Decided::Unsure => None,
    }
}

fn check(asked: &Claim, record: &IncidentRecord, expect: &str) {
    let said = match decided(asked, record) {
        Decided::Write(_, how) => format!("{how:?}"),
        Decided::Won(_) => "Won".to_owned(),
        Decided::Denied(Denied::Known(_)) => "Known".to_owned(),
        Decided::Denied(Denied::OtherPlan(_)) => "OtherPlan".to_owned(),
        Decided::Denied(Denied::Another) => "Another".to_owned(),
        Decided::Denied(Denied::Busy { .. }) => "Busy".to_owned(),
        Decided::Denied(Denied::Wait { .. }) => "Wait".to_owned(),
        Decided::Denied(Denied::OverLimit { .. }) => "OverLimit".to_owned(),
        Decided::Unsure => "Unsure".to_owned(),
    };
    // What was read early may be written on, and turns nobody away.
    let early = claim(asked, &Seen::early(record.clone()));
    let decided = decided(asked, record);
    let is_denied = matches!(decided, Decided::Denied(_));
    assert_eq!(early, if is_denied { Decided::Unsure } else { decided });
    assert_eq!(said, expect, "{:?} of {:?}", asked.occasion, record.status);
}

fn done(record: &IncidentRecord, outcome: &Outcome, approval: Option<Approval>) -> IncidentRecord {
    let mut incident = record.incident.clone();
    for part in incident.parts.iter_mut().filter(|part| part.decision.response == Response::Contain) {
        let changes: Vec<_> = part.plan.steps().map(|step| step.change.clone()).collect();
        let result = |change| StepResult::new(change, outcome.clone());
        part.results = changes.into_iter().map(result).collect();
    }
    let done = Finish { incident, approval, now: at(0) };
    finish(record, &worker(0), &done, &Seen::default()).incident.unwrap()
}

fn containing() -> IncidentRecord {
    won(&ask(incident(Response::Contain, true, 1), Occasion::Delivery, 0), &Seen::default()).unwrap()
}

fn held() -> IncidentRecord {
    told(&done(&containing(), &Outcome::Changed, None), at(0)).incident.unwrap()
}

fn waiting() -> IncidentRecord {
    let asked = ask(incident(Response::Approve, true, 1), Occasion::Delivery, 0);
    let record = won(&asked, &Seen::default()).unwrap();
    let approval = Approval { plan: 1, expires: at(60), fallback: Fallback::Contain };
    told(&done(&record, &Outcome::Changed, Some(approval)), at(0)).incident.unwrap()
}

fn released() -> IncidentRecord {
    let begun = begin_undo(&held(), &worker(2), None, at(2)).unwrap().incident.unwrap();
    let done: Vec<_> = begun.to_give_back().into_iter().map(|key| Done::new(key, LetGo::GivenBack)).collect();
    told(&finish_undo(&begun, &worker(2), &done, undone(), at(2)).incident.unwrap(), at(2)).incident.unwrap()
}

#[test]
fn a_delivery_is_answered_by_what_is_known() {
    let same = |minute| ask(incident(Response::Contain, true, 1), Occasion::Delivery, minute);
    let newer = |minute| ask(incident(Response::Contain, true, 2), Occasion::Delivery, minute);
    check(&same(0), &containing(), "Busy");
    check(&newer(0), &containing(), "Wait");
    check(&same(1), &containing(), "Resumed");
    check(&ask(incident(Response::Contain, true, 0), Occasion::Delivery, 1), &containing(), "Known");
    let untold = done(&containing(), &Outcome::Changed, None);
    check(&same(0), &untold, "Busy");
    check(&same(1), &untold, "Announce");
    check(&same(1), &held(), "Known");
    check(&newer(1), &held(), "Again");
    check(&same(5), &released(), "Known");
    check(&newer(5), &released(), "LeftAlone");
    let said = told(&won(&newer(5), &Seen::incident(released())).unwrap(), at(5)).incident.unwrap();
    check(&newer(7), &said, "Known");
    check(&newer(1), &waiting(), "Again");
    let undoing = begin_undo(&held(), &worker(2), None, at(2)).unwrap().incident.unwrap();
    check(&newer(12), &undoing, "Wait");
    check(&same(12), &undoing, "Known");
}

/// Somebody sent a copy of a finding with a time to come while GuardDuty could not be asked for its own.
#[test]
fn a_state_is_no_older_than_itself_whatever_time_it_had_before() {
    let of = |minutes, mut incident: Incident| {
        incident.finding.updated = Some(at(minutes));
        incident
    };
    let asks = |occasion| ask(of(5, incident(Response::Contain, true, 1)), occasion, 2);
    let mut begun = containing();
    begun.incident = of(10, begun.incident);
    check(&asks(Occasion::Delivery), &begun, "Resumed");
    let mut unasked = waiting();
    unasked.incident = of(10, unasked.incident);
    unasked.incident.parts[0].decision.passing = true;
    check(&asks(Occasion::Asked), &unasked, "Again");
    // Another state that is older is.
    let other = ask(of(5, incident(Response::Contain, true, 2)), Occasion::Delivery, 2);
    check(&other, &begun, "Known");
}

/// By itself, that something was given back would be all that people hear of what is contained since.
#[test]
fn an_undo_that_nobody_was_told_of_does_not_hide_what_a_newer_state_does() {
    let newer = ask(incident(Response::Contain, true, 2), Occasion::Delivery, 2);
    let mut untold = held();
    let key = Returned { setting: "the key".to_owned(), became: "given back".to_owned(), is_back: true };
    let news = News::GivenBack { by: "the sweep".to_owned(), settings: vec![key], others: 0 };
    (untold.told, untold.incident.news) = (None, Some(news));
    let record = won(&newer, &Seen::incident(untold)).unwrap();
    assert_eq!((record.status, record.incident.news), (Status::Containing, None));
    let said = &record.incident.parts[0].plan.notes;
    assert!(said.iter().any(|note| note == "before this, and not told yet: the key: given back"), "{said:?}");
}

#[test]
fn what_waits_gives_way_to_what_the_policy_wants_by_now_and_to_another_plan() {
    let newer = |response| ask(incident(response, true, 2), Occasion::Delivery, 1);
    check(&newer(Response::Approve), &waiting(), "Known");
    check(&newer(Response::Plan), &waiting(), "Known");
    let raised = won(&newer(Response::Contain), &Seen::incident(waiting())).unwrap();
    assert_eq!(raised.incident.parts[0].decision.response, Response::Contain);
    assert!(!raised.holds.is_empty() && raised.incident.finding.count == 2, "{raised:?}");

    let mut held_back = waiting();
    let decision = held_back.incident.parts[0].decision.clone();
    held_back.incident.parts[0].decision = decision.lowered_to(Response::Approve, "a guard");
    held_back.incident.parts[0].decision.lowered = vec!["a guard".to_owned()];
    check(&newer(Response::Contain), &held_back, "Known");

    // Another plan of it is shown, and waits as well.
    let mut more = newer(Response::Contain);
    let step = &mut more.incident.parts[0].plan.stages[0][0];
    step.change.to = step.change.from.clone();
    let asked = won(&more, &Seen::incident(held_back)).unwrap();
    assert_eq!((asked.approval.as_ref().unwrap().plan, &asked.incident.news), (2, &Some(News::AskAgain)));
    let decision = &asked.incident.parts[0].decision;
    assert_eq!((decision.response, decision.lowered.first().unwrap().as_str()), (Response::Approve, "a guard"));
    assert!(decision.lowered.last().unwrap().starts_with("that was said of an earlier plan"), "{decision:?}");
    assert!(asked.holds.is_empty() && asked.incident.finding.count == 2, "{asked:?}");
    assert!(asked.incident.parts[0].plan == more.incident.parts[0].plan);

    let mut noted = waiting();
    noted.incident.parts[0].decision =
        noted.incident.parts[0].decision.clone().lowered_to(Response::Plan, "a person said no");
    check(&newer(Response::Contain), &noted, "Known");
    let asked = won(&more, &Seen::incident(noted)).unwrap();
    assert_eq!(asked.incident.parts[0].decision.response, Response::Approve, "{asked:?}");
    assert!(asked.holds.is_empty() && asked.incident.parts[0].plan == more.incident.parts[0].plan);

    let mut other = newer(Response::Approve);
    let step = &mut other.incident.parts[0].plan.stages[0][0];
    step.change.to = step.change.from.clone();
    let shown = won(&other, &Seen::incident(waiting())).unwrap();
    assert_eq!((shown.approval.as_ref().unwrap().plan, &shown.incident.news), (2, &Some(News::AskAgain)));
    assert_eq!(shown.next_plan(), 3, "no plan has its number again: {:?}", shown.history);
    let contained = done(&raised, &Outcome::Changed, None);
    assert_eq!((contained.approval.clone(), contained.next_plan()), (None, 2), "{:?}", contained.history);
    assert!(shown.holds.is_empty() && shown.incident.parts[0].plan == other.incident.parts[0].plan);
}

/// A resumed run goes on with the plan whose original values were saved, whatever is seen now.
#[test]
fn a_resumed_run_keeps_the_first_plan() {
    let record = containing();
    let again =
        won(&ask(incident(Response::Contain, false, 1), Occasion::Delivery, 1), &Seen::incident(record.clone()));
    let again = again.unwrap();
    assert_eq!(again.incident.parts, record.incident.parts);
    assert_eq!((again.runs, again.version, again.holds), (2, 2, record.holds));
}

#[test]
fn a_plan_is_approved_as_it_was_read_or_shown_again() {
    let approve = |plan, works| ask(incident(Response::Approve, works, 1), Occasion::Approve { plan }, 1);
    check(&approve(1, true), &waiting(), "Approved");
    check(&approve(2, true), &waiting(), "OtherPlan");
    check(&approve(1, true), &held(), "Known");
    check(&approve(1, false), &waiting(), "AskAgain");
    let approved = won(&approve(1, true), &Seen::incident(waiting())).unwrap();
    assert_eq!((approved.status, approved.holds.len()), (Status::Containing, 1));
    assert_eq!(approved.incident.parts[0].decision.response, Response::Contain);
    check(&approve(1, true), &approved, "Busy");
    let asked = told(&won(&approve(1, false), &Seen::incident(waiting())).unwrap(), at(1)).incident.unwrap();
    assert_eq!((asked.status, asked.approval.as_ref().map(|it| it.plan)), (Status::Waiting, Some(2)));
    check(&approve(1, false), &asked, "OtherPlan");
    check(&approve(2, false), &asked, "Approved");
}

#[test]
fn a_plan_is_the_same_in_whatever_order_aws_lists_things() {
    let two = |reversed: bool| {
        let mut incident = incident(Response::Approve, true, 1);
        let mut steps = incident.parts[0].plan.stages[0].clone();
        let mut other = steps[0].clone();
        other.change.setting = Setting::AccessKeyStatus(AccessKeyStatus {
            user: "ann".try_into().unwrap(),
            key: "AKIAI44QH8DHBEXAMPLE".try_into().unwrap(),
        });
        steps.push(other);
        if reversed {
            steps.reverse();
        }
        incident.parts[0].plan.stages = vec![steps];
        incident
    };
    let shown = IncidentRecord { incident: two(false), ..waiting() };
    check(&ask(two(true), Occasion::Approve { plan: 1 }, 1), &shown, "Approved");
    let mut less = two(false);
    less.parts[0].plan.stages[0].pop();
    check(&ask(less, Occasion::Approve { plan: 1 }, 1), &shown, "AskAgain");
}

#[test]
fn no_plan_has_the_number_of_one_that_was_decided() {
    let mut rejected = reject(&waiting(), &worker(1), No::Person, undone(), at(1)).unwrap().incident.unwrap();
    // As a release wrote it that did not note that it asked.
    rejected.history.retain(|entry| !matches!(entry.what, What::Asked { .. }));
    assert_eq!(rejected.next_plan(), 2);
}

#[test]
fn time_and_a_person_may_say_no() {
    assert_eq!(waiting().is_due(at(59)), None);
    assert_eq!(waiting().is_due(at(60)), Some(Due::Expired(Fallback::Contain)));
    let expired = |minute| ask(incident(Response::Approve, false, 1), Occasion::Expired, minute);
    check(&expired(59), &waiting(), "Known");
    check(&expired(60), &waiting(), "Approved");
    let no = |no| reject(&waiting(), &worker(1), no, undone(), at(1)).unwrap().incident.unwrap().status;
    assert_eq!((no(No::Person), no(No::Time)), (Status::Rejected, Status::Closed));
    assert_eq!(reject(&held(), &worker(1), No::Person, undone(), at(1)), None);
    assert_eq!(begin_undo(&waiting(), &worker(1), None, at(1)), Err(NoUndo::Waiting));
}

#[test]
fn undo_takes_what_is_held_and_goes_on_where_it_crashed() {
    assert_eq!(begin_undo(&containing(), &worker(0), None, at(0)), Err(NoUndo::Busy { until: at(1) }));
    assert_eq!(begin_undo(&released(), &worker(9), None, at(9)), Err(NoUndo::Over(Status::Released)));
    assert_eq!(begin_undo(&held(), &worker(2), Some(&[]), at(2)), Err(NoUndo::NotHeld));
    let begun = begin_undo(&held(), &worker(2), None, at(2)).unwrap().incident.unwrap();
    assert_eq!(begun.is_due(at(3)), Some(Due::FinishUndo));
    let sweep = Worker { who: Who::Sweep, ..worker(3) };
    let resumed = begin_undo(&begun, &sweep, None, at(3)).unwrap().incident.unwrap();
    assert_eq!((resumed.to_give_back(), &resumed.undo), (held().holds, &begun.undo), "as it was asked for");
}

#[test]
fn what_was_refused_is_not_ours_and_what_may_pass_is_tried_again() {
    let refused = done(&containing(), &Outcome::Refused { why: "denied".to_owned() }, None);
    assert_eq!((refused.status, refused.holds.len()), (Status::Closed, 0));
    let failed = done(&containing(), &Outcome::Failed { why: "throttled".to_owned(), transient: true }, None);
    assert_eq!((failed.status, failed.failures), (Status::Containing, 1));
    let rested = told(&failed, at(0)).incident.unwrap();
    assert_eq!((rested.is_due(at(0)), rested.is_due(at(1))), (None, Some(Due::Resume)));
    let given_up = done(
        &IncidentRecord { failures: 11, ..containing() },
        &Outcome::Failed { why: String::new(), transient: true },
        None,
    );
    assert_eq!(given_up.status, Status::Held);
}

#[test]
fn a_quiet_look_changes_nothing_that_people_read() {
    let looked = won(&ask(held().incident, Occasion::Verify, 1), &Seen::incident(held())).unwrap();
    let rested = verified(&looked, at(1)).incident.unwrap();
    assert_eq!((&rested.incident, &rested.history, rested.told), (&held().incident, &held().history, held().told));
    assert_eq!(rested.due, Some(at(60)));
}

#[test]
fn a_full_counter_stops_a_new_containment_only() {
    let counter = CounterKey::at(&finding(0, 1).at.account, Some("compromised-access-key"), at(0));
    let seen =
        |record: Option<IncidentRecord>| Seen { incident: record, full: [counter.clone()].into(), ..Seen::default() };
    let mut asked = ask(incident(Response::Contain, true, 1), Occasion::Delivery, 1);
    asked.limits = vec![Limit { counter: counter.clone(), at_most: 10 }];
    let settings = asked.incident.parts[0].keys().collect();
    assert_eq!(claim(&asked, &seen(None)), Decided::Denied(Denied::OverLimit { counter: counter.clone(), settings }));
    assert!(won(&asked, &seen(Some(containing()))).is_some());
    asked.incident.parts[0].decision.response = Response::Approve;
    assert!(won(&asked, &seen(None)).is_some());
}

/// What people are told of an undo, of which the rules know nothing.
fn undone() -> News {
    News::GivenBack { by: "ann".to_owned(), settings: Vec::new(), others: 0 }
}

#[test]
fn what_was_let_go_is_neither_held_nor_executed() {
    let mut record = waiting();
    record.let_go = record.incident.parts.iter().flat_map(quell::incident::Part::keys).collect();
    let closed = reject(&record, &worker(61), No::Time, News::Rejected { by: String::new() }, at(61)).unwrap();
    let closed = told(&closed.incident.unwrap(), at(61)).incident.unwrap();
    assert_eq!(closed.status, Status::Closed);
    for record in [closed, record] {
        let mut asked = ask(incident(Response::Contain, true, 2), Occasion::Delivery, 70);
        if record.status == Status::Waiting {
            asked.occasion = Occasion::Approve { plan: 1 };
            asked.incident.parts[0].decision.response = Response::Approve;
        }
        let won = won(&asked, &Seen::incident(record)).unwrap();
        assert!(won.holds.is_empty() && won.incident.parts[0].plan.stages.is_empty(), "{won:?}");
    }
}

#[test]
fn a_persons_undo_is_not_absorbed_by_one_that_was_for_less() {
    let held = held();
    let keys = held.holds.clone();
    let step = begin_undo(&held, &worker(2), Some(&keys[..1]), at(2)).unwrap().incident.unwrap();
    let failed = [Done::new(keys[0].clone(), LetGo::Failed { why: "throttled".to_owned() })];
    let failed = finish_undo(&step, &worker(2), &failed, undone(), at(2)).incident.unwrap();
    let failed = told(&failed, at(2)).incident.unwrap();
    assert_eq!(failed.status, Status::Releasing);
    let sweep = Worker::new(Who::Sweep, "request", at(11));
    let goes_on = begin_undo(&failed, &sweep, None, at(10)).unwrap().incident.unwrap();
    assert!(!goes_on.undo.unwrap().whole, "the sweep goes on with what was asked for");
    let whole = begin_undo(&failed, &worker(10), None, at(10)).unwrap().incident.unwrap();
    assert_eq!((whole.undo.as_ref().map(|undo| undo.whole), whole.to_give_back().len()), (Some(true), keys.len()));
}

#[test]
fn what_cannot_be_looked_at_when_the_time_is_up_is_put_off_for_a_quarter_of_an_hour() {
    let mut record = waiting();
    let expired = record.approval.as_ref().unwrap().expires;
    let mut now = expired;
    while let Some(swap) = postponed(&record, now) {
        record = swap.incident.unwrap();
        assert_eq!((record.is_due(now), record.due), (None, record.approval.as_ref().map(|it| it.expires)));
        now = record.due.unwrap();
        assert!(matches!(record.is_due(now), Some(Due::Expired(_))), "{record:?}");
    }
    assert_eq!(now.duration_since(expired).as_mins(), 15);
}

/// Two keys of one user: the user's policy is a setting of both parts.
#[test]
fn a_setting_of_two_parts_ends_with_the_later_one() {
    let step = |setting, from, to| Step::new(Change { setting, from, to }, "");
    let key = |key: &str| {
        let key = AccessKeyStatus { user: "ann".try_into().unwrap(), key: key.try_into().unwrap() };
        let (on, off) = (Value::Status(KeyStatus::Active), Value::Status(KeyStatus::Inactive));
        step(Setting::AccessKeyStatus(key), on, off)
    };
    let policy = || {
        let policy = InlinePolicy {
            principal: Principal::User("ann".try_into().unwrap()),
            name: "QuellQuarantine".try_into().unwrap(),
        };
        step(Setting::InlinePolicy(policy), Value::Absent, Value::Document(Document::new("{}")))
    };
    let mut both = incident(Response::Contain, true, 1);
    let part = both.parts.remove(0);
    for (hours, id) in [(1, "AKIAIOSFODNN7EXAMPLE"), (2, "AKIAI44QH8DHBEXAMPLE")] {
        let mut part = part.clone();
        part.plan.remediation = Some(id.to_owned());
        part.plan.stages = vec![vec![key(id), policy()]];
        part.decision.expires = Some(SignedDuration::from_hours(hours));
        both.parts.push(part);
    }
    let claimed = won(&ask(both, Occasion::Delivery, 0), &Seen::default()).unwrap();
    let held = told(&done(&claimed, &Outcome::Changed, None), at(0)).incident.unwrap();
    assert_eq!((held.holds.len(), held.ends), (3, Some(at(60))));
    let first = over(&held, at(60)).unwrap();
    assert_eq!(first.len(), 1, "{first:?}");
    let sweep = Worker::new(Who::Sweep, "request", at(61));
    let begun = begin_undo(&held, &sweep, Some(&first), at(60)).unwrap().incident.unwrap();
    let gone: Vec<_> = first.into_iter().map(|key| Done::new(key, LetGo::GivenBack)).collect();
    let rest = told(&finish_undo(&begun, &sweep, &gone, undone(), at(60)).incident.unwrap(), at(60)).incident.unwrap();
    assert_eq!((rest.holds.len(), rest.ends, over(&rest, at(120))), (2, Some(at(120)), None), "all of it is over then");
}

/// GuardDuty sends some findings again for years, and a record is written as one.
#[test]
fn a_history_that_goes_on_for_years_keeps_what_persons_did_and_says_what_it_left_out() {
    let by = Worker { who: Who::Operator { says: "olga".to_owned(), identity: None }, ..worker(1) };
    let order = Claim { by, ..ask(incident(Response::Approve, true, 1), Occasion::Approve { plan: 1 }, 1) };
    let approved = won(&order, &Seen::incident(waiting())).unwrap();
    let mut record = told(&done(&approved, &Outcome::Changed, None), at(1)).incident.unwrap();
    for count in 2..1_202 {
        let minute = i64::try_from(count).unwrap() * 2;
        if count == 102 {
            // A person looks, and somebody is asked, in between.
            record.history[80].who = Who::Operator { says: "olga".to_owned(), identity: None };
            record.history[90].what = What::Asked { plan: 7 };
        }
        let next = ask(incident(Response::Contain, true, count), Occasion::Delivery, minute);
        let again = won(&next, &Seen::incident(record)).unwrap();
        record = told(&done(&again, &Outcome::Changed, None), at(minute)).incident.unwrap();
    }
    let left_out = record.history.iter().find_map(|entry| {
        let What::LeftOut { lines, next_plan } = entry.what else { return None };
        Some((lines, next_plan))
    });
    let (kept, (left_out, of_before)) = (record.history.len(), left_out.unwrap());
    assert!((490..520).contains(&kept) && left_out > 1_800, "{kept} {left_out}");
    let lines = |is: &dyn Fn(&What, &Who) -> bool| record.history.iter().filter(|it| is(&it.what, &it.who)).count();
    assert_eq!(lines(&|what, _| *what == What::Approved { plan: 1 }), 1, "a person did that");
    assert!(lines(&|_, who| matches!(who, Who::Operator { .. })) > 1, "and looked");
    assert_eq!(lines(&|what, _| *what == What::Asked { plan: 7 }), 1, "it was asked last");
    assert_eq!((record.next_plan(), of_before), (8, 8), "no plan gets an old number");
    assert_eq!(
        record.history.last().map(|last| last.what.clone()),
        Some(What::Finished { verdict: Verdict::Contained })
    );
}
