//! Rules that make calls go wrong, in the ways that AWS and networks go wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::naming::Asked;
use super::refusal::Refusal;

/// What goes wrong with a call.
#[derive(Clone)]
pub enum Fault {
    /// AWS does not act, and says so.
    Refuse(Refusal),
    /// AWS does not act, and the connection closes without an answer.
    Unreached,
    /// AWS acts, and the connection closes without an answer: the caller cannot know.
    LostResponse,
    /// AWS acts, and the connection closes in the middle of its answer.
    Truncated,
    /// A read answers as the same read last answered, for so long after the latest write (IAM takes seconds).
    /// A read that was never made before has nothing stale to answer, and answers the truth.
    Stale(Duration),
    /// The call takes longer.
    Delay(Duration),
    /// The call waits at a breakpoint before AWS acts.
    PauseBefore(Pause),
    /// The call waits at a breakpoint after AWS acted, before the answer.
    PauseAfter(Pause),
}

impl Fault {
    /// The fault as a name for records.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Refuse(refusal) => refusal.name(),
            Fault::Unreached => "unreached",
            Fault::LostResponse => "lost response",
            Fault::Truncated => "truncated",
            Fault::Stale(_) => "stale",
            Fault::Delay(_) => "delay",
            Fault::PauseBefore(_) => "pause before",
            Fault::PauseAfter(_) => "pause after",
        }
    }
}

/// Which calls get a fault: every matching call, unless [`Rule::nth`] or [`Rule::times`] says otherwise.
pub struct Rule {
    action: String,
    containing: String,
    skip: usize,
    times: usize,
    fault: Fault,
}

impl Rule {
    /// A rule for one operation (`UpdateAccessKey` or `iam:UpdateAccessKey`), one service (`iam:*`) or all calls (`*`).
    pub fn on(action: &str, fault: Fault) -> Rule {
        Rule { action: action.to_owned(), containing: String::new(), skip: 0, times: usize::MAX, fault }
    }

    /// Only calls whose parameters, written as JSON, contain this text.
    pub fn containing(mut self, text: &str) -> Rule {
        text.clone_into(&mut self.containing);
        self
    }

    /// Only the nth matching call, counted from 1.
    pub fn nth(mut self, nth: usize) -> Rule {
        self.skip = nth.checked_sub(1).expect("calls are counted from 1");
        self.times = 1;
        self
    }

    /// Only so many matching calls.
    pub fn times(mut self, times: usize) -> Rule {
        self.times = times;
        self
    }

    fn matches(&self, asked: &Asked) -> bool {
        let (service, operation) = self.action.split_once(':').unwrap_or(("*", &self.action));
        (service == "*" || service == asked.service)
            && (operation == "*" || operation == asked.operation)
            && (self.containing.is_empty() || asked.parameters.to_string().contains(&self.containing))
    }
}

/// The rules in force. The first that matches a call decides; the others do not count it.
#[derive(Default)]
pub struct Rules(Mutex<Vec<Rule>>);

impl Rules {
    pub fn add(&self, rule: Rule) {
        self.0.lock().expect("no holder panics").push(rule);
    }

    pub fn clear(&self) {
        self.0.lock().expect("no holder panics").clear();
    }

    /// The fault for a call, counted as used.
    pub fn fault_for(&self, asked: &Asked) -> Option<Fault> {
        let mut rules = self.0.lock().expect("no holder panics");
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && rule.matches(asked))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

/// The proxy's end of a breakpoint. Only the first call that reaches it waits; later ones pass.
#[derive(Clone)]
pub struct Pause(Arc<Mutex<Option<PauseEnds>>>);

struct PauseEnds {
    reached: oneshot::Sender<()>,
    resumed: oneshot::Receiver<()>,
}

/// The test's end of a breakpoint.
///
/// Dropping it instead of resuming loses the call: before AWS acts, the call never happened; after, its answer
/// is lost. That is how a test kills the Lambda exactly here.
pub struct Breakpoint {
    reached: oneshot::Receiver<()>,
    resume: oneshot::Sender<()>,
}

/// A new breakpoint: the first half goes into a rule, the second stays with the test.
pub fn breakpoint() -> (Pause, Breakpoint) {
    let (reached, was_reached) = oneshot::channel();
    let (resume, resumed) = oneshot::channel();
    let pause = Pause(Arc::new(Mutex::new(Some(PauseEnds { reached, resumed }))));
    (pause, Breakpoint { reached: was_reached, resume })
}

impl Breakpoint {
    /// Waits until a call stands at the breakpoint.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.expect("the rule stays in force until its call arrives");
    }

    /// Lets the call go on.
    pub fn resume(self) {
        self.resume.send(()).expect("a call stands at the breakpoint");
    }
}

impl Pause {
    /// Waits for the test, and says whether the call may go on.
    pub async fn wait(&self) -> bool {
        let ends = self.0.lock().expect("no holder panics").take();
        let Some(PauseEnds { reached, resumed }) = ends else { return true };
        reached.send(()).is_ok() && resumed.await.is_ok()
    }
}
