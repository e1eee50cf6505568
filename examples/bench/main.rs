//! Measures from the event to the containment, against a Lambda that does nothing and one in Python that does the same.
//!
//! All run under the same emulator against the same emulated AWS, in turns, so that what the machine does besides hits
//! them alike. After every invocation the account is read, past all of them: who has not contained is not measured.

#![expect(clippy::indexing_slicing, reason = "of JSON, where what is not there is null")]

#[path = "../../tests/cloud/mod.rs"]
mod cloud;
mod contender;
#[path = "../demo/event.rs"]
mod event;
mod goal;
mod scene;
mod spread;
mod table;

use clap::Parser;
use contender::Contender;
use scene::{AccessKey, Instance, Scene};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures Quell against a Lambda that does nothing and one in Python that does the same.
#[derive(Parser)]
struct Arguments {
    /// The folder with the release build
    release: PathBuf,
    /// Cold starts of each contender
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// Milliseconds that every AWS call takes, the emulator's own time included
    #[arg(long, default_value_t = 60)]
    pace: u64,
    /// Fail if a goal is missed
    #[arg(long)]
    strict: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).await {
        Ok(missed) if missed && arguments.strict => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("nothing can be said: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything, prints it, and says whether a goal was missed.
async fn measure(arguments: &Arguments) -> Result<bool, String> {
    let Arguments { release, runs, pace, strict: _ } = arguments;
    let pace = Duration::from_millis(*pace);
    let mut scene = Scene::set(release, pace).await?;

    println!("An access key is misused, and the finding arrives in a function that does not run yet.");
    println!(
        "Cold starts of each, in turns: {runs}. Every call takes {} ms, or as long as the emulator needs.",
        pace.as_millis()
    );
    println!(
        "Python makes the same two writes and sends a message. It looks at nothing before, and reads nothing back."
    );
    println!("The ledger is empty, and GuardDuty knows the finding.\n");
    let mut keys: [Vec<AccessKey>; 3] = Default::default();
    for _ in 0..*runs {
        for (contender, samples) in Contender::ALL.into_iter().zip(&mut keys) {
            samples.push(scene.access_key(contender).await.map_err(|why| format!("{}: {why}", contender.name()))?);
        }
    }
    println!("{}\n", table::of_access_key(&keys));

    let few = runs.div_ceil(3);
    println!(
        "An instance mines coins, and Quell moves its interface to the quarantine group. Cold starts of each: {few}.\n"
    );
    let mut hosts: [Vec<Instance>; 2] = Default::default();
    for _ in 0..few {
        for (first, samples) in [true, false].into_iter().zip(&mut hosts) {
            samples.push(scene.instance(first).await?);
        }
    }
    println!("{}\n", table::of_instance(&hosts));

    let goals = goal::goals(&keys);
    println!("{}", table::of_goals(&goals));
    Ok(goals.iter().any(|goal| !goal.reached))
}
