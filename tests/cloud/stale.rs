//! Answers of the past, for reads that AWS answers before a write has reached everywhere.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::{Response, Uri};

use super::naming::Asked;

/// What every read last answered, and when the latest write was.
#[derive(Default)]
pub struct Past(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    reads: HashMap<Read, Response<Bytes>>,
    latest_write: Option<Instant>,
}

/// A read is the same read when service, path and body are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Read(String, Uri, Bytes);

impl Read {
    /// The call as a read, unless its name says that it writes.
    pub fn of(asked: &Asked, uri: &Uri, body: &Bytes) -> Option<Read> {
        let reads = ["Describe", "Get", "List", "Lookup"].iter().any(|verb| asked.operation.starts_with(verb));
        reads.then(|| Read(asked.service.clone(), uri.clone(), body.clone()))
    }
}

impl Past {
    /// Remembers an answer, or for a write the time.
    pub fn remember(&self, read: Option<Read>, answer: &Response<Bytes>) {
        let mut memory = self.0.lock().expect("no holder panics");
        match read {
            Some(read) => drop(memory.reads.insert(read, answer.clone())),
            None => memory.latest_write = Some(Instant::now()),
        }
    }

    /// The earlier answer, if the latest write is younger than `window`.
    pub fn answer(&self, read: &Read, window: Duration) -> Option<Response<Bytes>> {
        let memory = self.0.lock().expect("no holder panics");
        let young = memory.latest_write.is_some_and(|write| write.elapsed() < window);
        young.then(|| memory.reads.get(read).cloned()).flatten()
    }
}
