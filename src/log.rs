//! Log lines as JSON, as CloudWatch Logs Insights reads them.

use tracing_subscriber::EnvFilter;

/// Sends log lines to standard output. `QUELL_LOG` sets the level (`info` unless set).
pub fn start() {
    let filter = EnvFilter::try_from_env("QUELL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_ansi(false).init();
}
