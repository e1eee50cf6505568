//! What many measurements say: the one in the middle, and the ends.

use std::fmt;
use std::time::Duration;

/// The median, the least and the most.
pub struct Spread<T> {
    pub median: T,
    pub least: T,
    pub most: T,
}

impl<T: Copy + Ord> Spread<T> {
    /// None without measurements.
    pub fn of(values: impl Iterator<Item = T>) -> Option<Self> {
        let mut values: Vec<T> = values.collect();
        values.sort_unstable();
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Self { median: *values.get(values.len() / 2)?, least, most })
    }
}

/// `123 (110 to 140)`, in milliseconds.
impl fmt::Display for Spread<Duration> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, least, most } = self;
        let [median, least, most] = [median, least, most].map(Duration::as_millis);
        if least == most { write!(f, "{median}") } else { write!(f, "{median} ({least} to {most})") }
    }
}

impl fmt::Display for Spread<usize> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, least, most } = self;
        if least == most { write!(f, "{median}") } else { write!(f, "{median} ({least} to {most})") }
    }
}
