//! How bad GuardDuty says it is.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// A number from 0 to 10.
///
/// The default is the lowest: a finding that does not say how bad it is must not count as a bad one.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Severity(f64);

/// A number that is no severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a severity from 0 to 10")]
pub struct InvalidSeverity;

/// The word that the console shows for a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// Puts the number in its band.
    ///
    /// The documented bands leave gaps (3.9 to 4.0); here each reaches up to the next.
    #[must_use]
    pub fn band(self) -> Band {
        match self.0 {
            low if low < 4.0 => Band::Low,
            medium if medium < 7.0 => Band::Medium,
            high if high < 9.0 => Band::High,
            _ => Band::Critical,
        }
    }
}

impl TryFrom<f64> for Severity {
    type Error = InvalidSeverity;
    fn try_from(value: f64) -> Result<Self, InvalidSeverity> {
        // Adding zero turns -0.0 into 0.0, so that equal severities also sort as equal.
        if (0.0..=10.0).contains(&value) { Ok(Self(value + 0.0)) } else { Err(InvalidSeverity) }
    }
}

impl From<Severity> for f64 {
    fn from(severity: Severity) -> f64 {
        severity.0
    }
}

impl PartialEq for Severity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Severity {}

impl PartialOrd for Severity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Severity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Band {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_reaches_up_to_the_next() {
        let bands = [(0.0, "low"), (3.95, "low"), (4.0, "medium"), (6.99, "medium"), (7.0, "high"), (8.99, "high")];
        for (value, band) in bands.into_iter().chain([(9.0, "critical"), (10.0, "critical")]) {
            assert_eq!(Severity::try_from(value).map(|severity| severity.band().to_string()), Ok(band.to_owned()));
        }
    }

    #[test]
    fn a_number_outside_the_scale_is_no_severity() {
        for value in [-0.1, 10.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Severity::try_from(value), Err(InvalidSeverity));
        }
        assert_eq!(Severity::try_from(-0.0), Ok(Severity::default()));
    }
}
