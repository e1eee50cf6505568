//! Any record: it is no record, or it is kept as it is, told, looked after and undone.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use quell::ledger::hold::Hold;
use quell::ledger::record::IncidentRecord;
use quell::ledger::record::Status::{self, Closed, Containing, Held, Rejected, Released, Releasing, Waiting};
use quell_fuzz::{hold, message, mutate, record};

const STATES: [Status; 7] = [Containing, Waiting, Held, Releasing, Released, Rejected, Closed];

fuzz_target!(|text: &[u8]| {
    if let Ok(known) = serde_json::from_slice::<IncidentRecord>(text) {
        // A mutation seldom finds the word for another state, and that is where the rules differ.
        for status in STATES {
            record::check(&IncidentRecord { status, ..known.clone() });
        }
        message::check(&known.incident);
    }
    if let Ok(known) = serde_json::from_slice::<Hold>(text) {
        hold::check(&known);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, longest: usize, seed: u32| {
    mutate::tree(data, size, longest, seed, include_str!("../dictionaries/records"))
});
