//! What the code under test asked of AWS, and how many round trips it waited for.

use std::time::Duration;

use serde_json::Value;

/// One call, as the proxy saw it. Times are since the proxy's start.
#[derive(Clone, Debug)]
pub struct Call {
    /// In the order of arrival.
    pub number: usize,
    pub start: Duration,
    pub end: Duration,
    pub service: String,
    pub operation: String,
    pub region: String,
    /// The account that the key belongs to; empty if the call never got far enough to ask.
    pub account: String,
    /// The access key id that signed.
    pub key: String,
    /// Form fields as strings, or the JSON body.
    pub parameters: Value,
    /// Whether AWS acted, whatever the caller got to see of it.
    pub accepted: bool,
    /// None if the caller got no answer, or half of one.
    pub status: Option<u16>,
    /// AWS's error code, if the answer was one.
    pub error: Option<String>,
    /// The fault that a rule put on this call.
    pub fault: Option<&'static str>,
    /// The id of its answer.
    pub request: String,
}

impl Call {
    /// The call as policies name it: `iam:UpdateAccessKey`.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// From the request to the answer.
    pub fn took(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }
}

/// How many round trips the calls took in sequence: the longest chain in which each call starts after the one
/// before it ended.
///
/// With a latency that dwarfs the machine's own noise, this is what a caller waits for, however many calls ran
/// side by side.
pub fn rounds(calls: &[Call]) -> usize {
    longest_chain(calls.iter().collect())
}

/// How many round trips were needed until this call's effect: those before it in sequence, and itself.
pub fn rounds_until(calls: &[Call], last: &Call) -> usize {
    longest_chain(calls.iter().filter(|call| call.end <= last.start).collect()) + 1
}

/// Taking, among those that start late enough, always the call that ends first gives a longest chain.
fn longest_chain(mut calls: Vec<&Call>) -> usize {
    calls.sort_by_key(|call| call.end);
    let mut reached = Duration::ZERO;
    let mut chain = 0;
    for call in calls {
        if chain == 0 || call.start >= reached {
            chain += 1;
            reached = call.end;
        }
    }
    chain
}
