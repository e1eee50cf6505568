//! Shows what Quell does, in an emulated AWS: real events go into the real Lambda, and what is shown of AWS is read
//! back from AWS. A scene that does not show what it says makes the demonstration fail.

#![expect(clippy::indexing_slicing, reason = "of JSON, where what is not there is null")]

#[path = "../../tests/cloud/mod.rs"]
mod cloud;
mod event;
mod scenes;
mod screen;
mod shown;
mod stage;

use clap::Parser;
use scenes::SCENES;
use screen::Screen;
use shown::Shown;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Shows findings contained, told and refused, in an emulated AWS.
#[derive(Parser)]
struct Arguments {
    /// The Lambda; without it the one that was built beside this program
    bootstrap: Option<PathBuf>,
    /// Shows only these scenes, by number
    #[arg(long, value_delimiter = ',')]
    only: Vec<usize>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { bootstrap, only } = Arguments::parse();
    let screen = Screen::new();
    let bootstrap = match bootstrap.map_or_else(beside_this_program, Ok) {
        Ok(path) if path.exists() => path,
        Ok(path) => return screen.stop(&format!("{} is missing: run cargo build --bins --examples", path.display())),
        Err(why) => return screen.stop(&why.to_string()),
    };
    let started = Instant::now();
    screen.opening();
    let mut all = Vec::new();
    for (number, scene) in (1..).zip(SCENES).filter(|(number, _)| only.is_empty() || only.contains(number)) {
        screen.title(number, SCENES.len(), scene);
        let shown = (scene.play)(&bootstrap).await.unwrap_or_else(|why| Shown::failed(&why));
        let shown = Shown { title: scene.title, ..shown };
        screen.show(&shown);
        all.push(shown);
    }
    screen.summary(&all, started.elapsed());
    if all.iter().all(Shown::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Examples lie in a folder beside the Lambda.
fn beside_this_program() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).map(PathBuf::from);
    Ok(folder.unwrap_or_default().join("bootstrap"))
}

/// The one in the middle.
fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
