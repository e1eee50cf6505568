//! Any event: it is refused in a few words, or understood; and what is understood is planned for, told and kept.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use quell::finding::{Finding, ParseError};
use quell::operator::wire::Envelope;
use quell::request::{Request, read};
use quell_fuzz::{is_kept, message, mutate, plan, record};
use serde_json::{Value, json};

fuzz_target!(|text: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Value>(text) else { return };
    let answer = read(event.clone());
    if ["quell", "detail", "detail-type"].iter().all(|key| event.get(key).is_none()) {
        let enveloped = read(json!({ "source": "aws.guardduty", "detail": event }));
        assert_eq!(enveloped, answer.clone().map_err(|error| error.within("detail")), "bare or not, it is the same");
    }
    match answer {
        Ok(Request::Finding(finding)) => handled(&finding),
        Ok(Request::Order(quell)) => is_kept(&Envelope { quell }),
        Ok(Request::Tick | Request::NoOrder(_) | Request::Other(_)) => {}
        Err(error) => in_a_few_words(&error),
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, longest: usize, seed: u32| {
    mutate::tree(data, size, longest, seed, include_str!("../dictionaries/events"))
});

fn handled(finding: &Finding) {
    is_kept(finding);
    let incident = plan::incident(finding);
    message::check(&incident);
    if finding.is_named() {
        record::check(&record::begun(incident));
    }
}

fn in_a_few_words(error: &ParseError) {
    assert!(error.to_string().chars().count() < 300, "{error}");
}
