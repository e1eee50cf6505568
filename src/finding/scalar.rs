//! Plain values that take what really arrives where the schema promises more.
//!
//! A number may come as a text, a time as a number. What cannot be read is as good as absent.

use super::error::cut;
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A text that is not blank, cut to a length that no AWS name has.
#[derive(Debug, Default)]
pub(super) struct Text(pub Option<String>);

/// A number, or a text that holds one.
#[derive(Debug, Default)]
pub(super) struct Number(pub Option<f64>);

/// A number from 0 without a fraction.
#[derive(Debug, Default)]
pub(super) struct Whole(pub Option<u64>);

/// True, or a text that says so.
#[derive(Debug, Default)]
pub(super) struct Flag(pub bool);

/// A moment: RFC 3339, the same without a zone (then UTC), or seconds or milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct When(pub Option<Timestamp>);

/// The longest text that is kept.
const LONGEST_TEXT: usize = 2048;

macro_rules! scalars {
    ($($name:ident: $read:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Value::deserialize(from).map(|value| Self($read(&value)))
            }
        }
    )*};
}

scalars! {
    Text: text;
    Number: number;
    Whole: whole;
    Flag: flag;
    When: moment;
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(cut(text, LONGEST_TEXT)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

fn whole(value: &Value) -> Option<u64> {
    // A float without a fraction prints without one.
    value.as_u64().or_else(|| number(value)?.to_string().parse().ok())
}

/// Reads true, `"true"` and `"True"`; everything else is false.
pub(super) fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case("true")))
}

fn moment(value: &Value) -> Option<Timestamp> {
    let text = value.as_str().map(str::trim);
    text.and_then(|text| text.parse().ok()).or_else(|| without_zone(text?)).or_else(|| since_1970(number(value)?))
}

fn without_zone(text: &str) -> Option<Timestamp> {
    text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|moment| moment.timestamp())
}

fn since_1970(number: f64) -> Option<Timestamp> {
    // As seconds, 100 000 000 000 is the year 5138; as milliseconds, 1973.
    let seconds = if number.abs() < 1e11 { number } else { number / 1000.0 };
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}
