//! The figures, side by side.

use crate::contender::Contender;
use crate::goal::{Goal, mebibytes};
use crate::scene::{AccessKey, Containment, Instance};
use crate::spread::Spread;
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Display;

/// A figure of one sample of an access key.
type Figure = (&'static str, fn(&[AccessKey]) -> Option<String>);

const FIGURES: [Figure; 8] = [
    ("cold start to first answer, ms", |samples| shown(Spread::of(samples.iter().map(|sample| sample.cold)))),
    ("cold start to containment, ms", |samples| shown(Spread::of(contained(samples).map(|each| each.after)))),
    ("  of that, waiting for AWS, ms", |samples| shown(Spread::of(contained(samples).map(|each| each.waiting)))),
    ("warm, ms", |samples| shown(Spread::of(samples.iter().map(|sample| sample.warm)))),
    ("round trips until containment", |samples| shown(Spread::of(contained(samples).map(|each| each.rounds)))),
    ("calls in all", |samples| shown(Spread::of(samples.iter().map(|sample| sample.calls)))),
    // The kernel counts in steps of ten.
    ("CPU of the cold start, ms", |samples| {
        let spread = Spread::of(samples.iter().map(|sample| sample.cpu))?;
        Some(if spread.median.is_zero() { "below 10".to_owned() } else { spread.to_string() })
    }),
    ("peak memory, MiB", |samples| {
        let spread = Spread::of(samples.iter().map(|sample| sample.memory_kib))?;
        let [median, least, most] = [spread.median, spread.least, spread.most].map(mebibytes);
        Some(format!("{median} ({least} to {most})"))
    }),
];

/// Medians, with the least and the most.
pub fn of_access_key(keys: &[Vec<AccessKey>; 3]) -> Table {
    let names = Contender::ALL.iter().map(|contender| contender.name());
    let mut table = table(std::iter::once("median (least to most)").chain(names));
    for (name, figure) in FIGURES {
        let cells = keys.iter().map(|samples| figure(samples).unwrap_or_else(|| "-".to_owned()));
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    numbers_right(table)
}

/// The first containment in a VPC, and the next.
pub fn of_instance(hosts: &[Vec<Instance>; 2]) -> Table {
    let mut table = table(["median (least to most)", "first in its VPC: makes the group", "the group is there"]);
    let mut row = |name: &str, figure: fn(&[Instance]) -> Option<String>| {
        let cells = hosts.iter().map(|samples| figure(samples).unwrap_or_else(|| "-".to_owned()));
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    };
    row("cold start to containment, ms", |samples| {
        shown(Spread::of(samples.iter().map(|sample| sample.contained.after)))
    });
    row("cold start to first answer, ms", |samples| shown(Spread::of(samples.iter().map(|sample| sample.cold))));
    row("round trips until containment", |samples| {
        shown(Spread::of(samples.iter().map(|sample| sample.contained.rounds)))
    });
    row("calls in all", |samples| shown(Spread::of(samples.iter().map(|sample| sample.calls))));
    numbers_right(table)
}

pub fn of_goals(goals: &[Goal]) -> Table {
    let mut table = table(["goal", "limit", "measured", ""]);
    for Goal { what, limit, measured, reached } in goals {
        let reached = if *reached { "reached" } else { "missed" };
        table.add_row([what.as_str(), limit, measured, reached]);
    }
    table
}

fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

fn numbers_right(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn contained(samples: &[AccessKey]) -> impl Iterator<Item = Containment> {
    samples.iter().filter_map(|sample| sample.contained)
}

fn shown(spread: Option<impl Display>) -> Option<String> {
    spread.map(|spread| spread.to_string())
}
