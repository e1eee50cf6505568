//! What time it is, read in one place.
//!
//! A rehearsal sets it ahead: what is due in an hour, or tomorrow, is then due now. Only the work that is wrapped sees
//! that time; no setting of the deployed function reaches it.

use jiff::{SignedDuration, Timestamp};

tokio::task_local! {
    static AHEAD: SignedDuration;
}

/// The time, UTC.
#[must_use]
pub fn now() -> Timestamp {
    let ahead = AHEAD.try_with(|ahead| *ahead).unwrap_or_default();
    Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
}

/// Does the work as if it were so much later.
pub async fn ahead<T>(by: SignedDuration, work: impl Future<Output = T>) -> T {
    AHEAD.scope(by, work).await
}
