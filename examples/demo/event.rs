//! The events in `events/`, as if GuardDuty had just sent them.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::path::Path;

/// How long ago GuardDuty updated the finding. EventBridge gets it a minute after that.
const SINCE_UPDATE: SignedDuration = SignedDuration::from_secs(60);

/// Reads an event, and moves all of its times so that it is as old as a real one is when it arrives.
pub fn fresh(name: &str) -> Result<Value, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name).with_extension("json");
    let text = std::fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut event: Value = serde_json::from_str(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    let updated = event["detail"]["updatedAt"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let updated = updated.ok_or_else(|| format!("{}: no time of update", path.display()))?;
    shift(&mut event, Timestamp::now().duration_since(updated) - SINCE_UPDATE);
    Ok(event)
}

fn shift(value: &mut Value, by: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = format!("{:.3}", time + by);
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| shift(entry, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shift(field, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
