//! What is promised, beside what was measured.

use crate::contender::Contender;
use crate::scene::{AccessKey, Containment};
use crate::spread::Spread;
use std::time::Duration;

/// What Quell may take between being able to run and its first call, and between its calls.
const OWN_TIME: Duration = Duration::from_millis(40);
const MEMORY_KIB: u64 = 25 * 1024;
/// Observe, claim, write.
const ROUNDS: usize = 3;

pub struct Goal {
    pub what: String,
    pub limit: String,
    pub measured: String,
    pub reached: bool,
}

/// The goals, by medians; of memory and round trips the worst counts.
pub fn goals(keys: &[Vec<AccessKey>; 3]) -> Vec<Goal> {
    let [quell, bare, python] = keys;
    let most_rounds = contained(quell).map(|contained| contained.rounds).max().unwrap_or(usize::MAX);
    let most_memory = quell.iter().map(|sample| sample.memory_kib).max().unwrap_or(u64::MAX);
    let median = |samples: &[AccessKey]| Spread::of(contained(samples).map(|contained| contained.after));
    let ours = median(quell).map(|spread| spread.median);
    // How long calls take is a setting of this benchmark, and Python makes fewer: what is compared is the rest.
    let own = |samples: &[AccessKey]| {
        Spread::of(contained(samples).map(|each| each.after.saturating_sub(each.waiting))).map(|spread| spread.median)
    };
    let (our_own, their_own) = (own(quell), own(python));
    let floor = Spread::of(bare.iter().map(|sample| sample.cold)).map(|spread| spread.median);
    // A call that nothing runs beside: what a round trip is here.
    let trip =
        Spread::of(contained(python).filter_map(|each| each.waiting.checked_div(u32::try_from(each.rounds).ok()?)));
    let trip = trip.map(|spread| spread.median);
    let limit = floor.zip(trip).map(|(floor, trip)| floor + 3 * trip + OWN_TIME);
    let third = their_own.map(|theirs| theirs / 3);
    vec![
        Goal {
            what: "round trips until the containing write is acknowledged".to_owned(),
            limit: format!("at most {ROUNDS}"),
            measured: most_rounds.to_string(),
            reached: most_rounds <= ROUNDS,
        },
        time(
            &format!(
                "cold start to containment: a Lambda without calls ({}), {ROUNDS} round trips ({} each), 40 ms",
                milliseconds(floor),
                milliseconds(trip)
            ),
            ours,
            limit,
        ),
        time(&format!("the same without waiting for AWS: a third of {}", Contender::Python.name()), our_own, third),
        Goal {
            what: "peak memory, MiB".to_owned(),
            limit: format!("below {}", MEMORY_KIB / 1024),
            measured: mebibytes(most_memory),
            reached: most_memory < MEMORY_KIB,
        },
    ]
}

fn time(what: &str, measured: Option<Duration>, limit: Option<Duration>) -> Goal {
    Goal {
        what: what.to_owned(),
        limit: format!("at most {}", milliseconds(limit)),
        measured: milliseconds(measured),
        reached: measured.zip(limit).is_some_and(|(measured, limit)| measured <= limit),
    }
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "?".to_owned(), |time| format!("{} ms", time.as_millis()))
}

fn contained(samples: &[AccessKey]) -> impl Iterator<Item = Containment> {
    samples.iter().filter_map(|sample| sample.contained)
}

/// With one decimal.
pub fn mebibytes(kibibytes: u64) -> String {
    let tenths = kibibytes * 10 / 1024;
    format!("{}.{}", tenths / 10, tenths % 10)
}
