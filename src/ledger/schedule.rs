//! When an incident is looked at again, and what for.

use super::record::{IncidentRecord, Status, What, Who};
use crate::policy::Fallback;
use jiff::{SignedDuration, Timestamp};

/// Seconds after containment at which it is looked at again: soon, since an attacker with IAM rights takes a deny policy
/// off within seconds. After the last of these, hourly for a day.
const SOON: [i64; 3] = [5, 15, 60];
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// Runs that something transient ended, until we stop and say so.
const ENOUGH: u32 = 12;

/// Of giving back a part, or what was for a time: while that is tried, nobody looks after the incident, and its finding waits.
const ENOUGH_OF_A_PART: u32 = 3;

/// What the sweep does about an incident that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// A run crashed, or something transient ended it: handle the finding again.
    Resume,
    /// An undo crashed: go on with it.
    FinishUndo,
    /// People were not told of the present state, or it is not known that they were: tell them, marked as a repeat.
    Announce,
    /// See whether the held settings are as they were left.
    Verify,
    /// The containment was for a time, and that is over: undo it.
    End,
    /// A person was asked since something could not be: ask that again.
    AskAgain,
    /// Nobody decided in time.
    Expired(Fallback),
}

impl IncidentRecord {
    /// What is due now; none if it is not due, or somebody is at it.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> Option<Due> {
        if self.busy_until(now).is_some() || self.due.is_none_or(|due| due > now) {
            return None;
        }
        let is_untold = self.told.is_none();
        let end = self.ends.is_some_and(|end| end <= now);
        match self.status {
            Status::Containing => Some(Due::Resume),
            Status::Releasing => Some(Due::FinishUndo),
            // That people cannot be told keeps nobody from looking: whoever looks tells that too.
            Status::Waiting if is_untold && !self.holds.is_empty() => Some(if end { Due::End } else { Due::Verify }),
            Status::Waiting | Status::Released | Status::Rejected | Status::Closed if is_untold => Some(Due::Announce),
            Status::Waiting => match &self.approval {
                // What could not be asked is asked before it is dropped.
                Some(approval) if approval.expires <= now && !self.is_asked_on(now) => {
                    Some(Due::Expired(approval.fallback))
                }
                Some(_) | None if end && !self.holds.is_empty() => Some(Due::End),
                Some(_) | None if self.is_unasked() => Some(Due::AskAgain),
                Some(_) | None => Some(Due::Verify).filter(|_| !self.holds.is_empty()),
            },
            Status::Held if end => Some(Due::End),
            Status::Held => Some(Due::Verify),
            Status::Released | Status::Rejected | Status::Closed => None,
        }
    }

    /// When to look again, once people were told.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        match self.status {
            Status::Containing | Status::Releasing => Some(self.tried_again(now)),
            Status::Waiting | Status::Held => {
                let since = self.contained.filter(|_| !self.holds.is_empty());
                let look = since.and_then(|since| next_look(since, now));
                let expires = self.approval.as_ref().map(|approval| approval.expires);
                let ends = self.ends.filter(|_| !self.holds.is_empty());
                let asked = Some(after(now, backoff(self.unanswered + 1))).filter(|_| self.is_unasked());
                let expires = expires.filter(|expires| *expires > now || !self.is_asked_on(now));
                look.into_iter().chain(ends).chain(expires).chain(asked).min()
            }
            Status::Released | Status::Rejected | Status::Closed => None,
        }
    }

    /// Whether a person is asked only since something could not be, not so long ago that it is given up.
    fn is_asked_on(&self, now: Timestamp) -> bool {
        let asked = self.history.iter().rev().find(|entry| matches!(entry.what, What::Asked { .. }));
        self.is_unasked() && now < after(asked.map_or(self.incident.started, |entry| entry.at), DAY)
    }

    /// When to try again after its failures.
    #[must_use]
    pub fn tried_again(&self, now: Timestamp) -> Timestamp {
        after(now, backoff(self.failures))
    }

    /// Whether the try under way is the last, should it fail as well.
    #[must_use]
    pub fn is_last_try(&self) -> bool {
        self.failures + 1 >= self.tries()
    }

    /// Whether trying again has been tried often enough.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.failures >= self.tries()
    }

    fn tries(&self) -> u32 {
        match &self.undo {
            // What was for a time is tried again later.
            Some(undo) if !undo.whole || undo.who == Who::Sweep => ENOUGH_OF_A_PART,
            Some(_) | None => ENOUGH,
        }
    }
}

/// When containment made at `since` is looked at next; none once a day has passed.
#[must_use]
pub fn next_look(since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let passed = now.duration_since(since).as_secs().max(0);
    let soon = SOON.into_iter().find(|seconds| *seconds > passed);
    let next = soon.unwrap_or_else(|| (passed / HOUR + 1) * HOUR);
    (next <= DAY).then(|| after(since, next))
}

/// Seconds to wait after so many failures: one minute, doubled each time, an hour at the most.
fn backoff(failures: u32) -> i64 {
    60_i64.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(HOUR)
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment_is_looked_at_soon_and_then_hourly_for_a_day() {
        let since = Timestamp::UNIX_EPOCH;
        let check = |now: i64, expect: Option<i64>| {
            let next = next_look(since, after(since, now)).map(Timestamp::as_second);
            assert_eq!(next, expect, "{now} s after");
        };
        check(0, Some(5));
        check(5, Some(15));
        check(14, Some(15));
        check(15, Some(60));
        check(60, Some(HOUR));
        check(HOUR, Some(2 * HOUR));
        check(DAY - 1, Some(DAY));
        check(DAY, None);
        check(-3, Some(5));
    }

    #[test]
    fn trying_again_slows_down() {
        assert_eq!([0, 1, 2, 3, 6, 7, 40].map(backoff), [60, 60, 120, 240, 1920, HOUR, HOUR]);
    }
}
