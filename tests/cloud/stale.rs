//! Answers of the past, for reads that AWS answers before a write has reached everywhere.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::{Response, Uri};

use super::naming::Asked;

/// What every read last answered, what it did before the latest writes, and when those were to each service. A read that was
/// up to date once may be stale the next time: AWS's servers do not all know the same.
#[derive(Default)]
pub struct Past(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    reads: HashMap<Read, Response<Bytes>>,
    before: HashMap<Read, Response<Bytes>>,
    writes: HashMap<String, Instant>,
}

/// Writes that follow each other within this time are one to those who read what was before.
const YOUNG: Duration = Duration::from_secs(2);

/// A read is the same read when service, signer, path and body are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Read {
    service: String,
    key: String,
    uri: Uri,
    body: Bytes,
}

impl Read {
    /// The call as a read, unless its name says that it writes.
    pub fn of(asked: &Asked, uri: &Uri, body: &Bytes) -> Option<Read> {
        let reads = ["Describe", "Get", "List", "Lookup"].iter().any(|verb| asked.operation.starts_with(verb));
        let read =
            || Read { service: asked.service.clone(), key: asked.key.clone(), uri: uri.clone(), body: body.clone() };
        reads.then(read)
    }
}

impl Past {
    /// Remembers what a read answered.
    pub fn remember_read(&self, read: Read, answer: &Response<Bytes>) {
        self.0.lock().expect("no holder panics").reads.insert(read, answer.clone());
    }

    /// As if all writes were long ago.
    pub fn settle(&self) {
        self.0.lock().expect("no holder panics").writes.clear();
    }

    /// Remembers that something was written just now.
    pub fn remember_write(&self, service: &str) {
        let mut memory = self.0.lock().expect("no holder panics");
        let Memory { reads, before, writes } = &mut *memory;
        let is_young = writes.insert(service.to_owned(), Instant::now()).is_some_and(|write| write.elapsed() < YOUNG);
        if !is_young {
            before.retain(|read, _| read.service != service);
        }
        for (read, answer) in reads.iter().filter(|(read, _)| read.service == service) {
            before.entry(read.clone()).or_insert_with(|| answer.clone());
        }
    }

    /// The earlier answer, if the service's latest write is younger than `window`.
    pub fn answer(&self, read: &Read, window: Duration) -> Option<Response<Bytes>> {
        let memory = self.0.lock().expect("no holder panics");
        let young = memory.writes.get(&read.service).is_some_and(|write| write.elapsed() < window);
        young.then(|| memory.before.get(read).cloned()).flatten()
    }
}
