//! Why the ledger could not do what it was asked.

use crate::cloud_error::{CloudError, Kind};

/// Nothing was written, unless the variant says that it is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// DynamoDB did not do it, or did not answer: then it may have been written all the same.
    #[error("the ledger cannot be reached: {0}")]
    Unreachable(#[from] CloudError),
    /// Others wrote the same records again and again.
    #[error("the ledger's records are too busy")]
    Contended,
    /// Our lease ran out, and another worker has taken the incident.
    #[error("another worker has taken over incident {0}")]
    TakenOver(String),
    #[error("the ledger has no incident {0}")]
    Unknown(String),
    /// More than one transaction can hold: refused before anything was written.
    #[error("too much to record at once: {what}")]
    TooLarge { what: String },
    /// Something was to go on, and its claim could not be written.
    #[error("an incident cannot be gone on with: {0}")]
    Unwritten(Box<Self>),
    #[error("the ledger's record {key} cannot be read: {why}")]
    Unreadable { key: String, why: String },
}

impl LedgerError {
    /// Whether what was asked for is not there, or cannot be read: asking again does not help.
    #[must_use]
    pub fn is_about_the_order(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::TooLarge { .. } | Self::Unreadable { .. })
    }

    /// Whether the ledger as such is out of reach, and not one of its records.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            // Where there was no time to ask it, nothing is known of it.
            Self::Unreachable(error) => !error.is_out_of_time(),
            Self::Unwritten(error) => error.is_outage(),
            Self::Contended
            | Self::TakenOver(_)
            | Self::Unknown(_)
            | Self::TooLarge { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(error) => match error.kind {
                Kind::Transient => true,
                Kind::Gone | Kind::Exists | Kind::Refused | Kind::Other => PASSING.contains(&error.code.as_str()),
            },
            Self::Contended => true,
            Self::TakenOver(_)
            | Self::Unknown(_)
            | Self::TooLarge { .. }
            | Self::Unwritten(_)
            | Self::Unreadable { .. } => false,
        }
    }
}

/// DynamoDB's own words for "later", as in "Error handling" of its developer guide.
pub(super) const PASSING: [&str; 9] = [
    "TransactionConflict",
    "TransactionInProgressException",
    "TransactionConflictException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "ThrottlingError",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
];
