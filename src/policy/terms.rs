//! What a rule may say about how long: of containment, and of waiting for a person.

use super::Response;
use super::error::Told;
use super::table::{Table, expected, text, unknown};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};
use toml::de::DeValue;

/// How long an approval is waited for, and what comes then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub within: SignedDuration,
    pub fallback: Fallback,
}

/// What becomes of a plan that nobody approved or rejected in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// It is carried out.
    Contain,
    /// It is dropped, and people are told.
    Abandon,
}

const FALLBACKS: [(&str, Fallback); 2] = [("contain", Fallback::Contain), ("abandon", Fallback::Abandon)];

/// The longest time that makes sense here; it also keeps every sum of time and duration within the calendar.
const LONGEST: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Reads `approval = { within = "1h", fallback = "abandon" }`. Without a fallback nothing is done unasked.
pub(super) fn approval(rule: &mut Table<'_>, told: &mut Told) -> Option<Approval> {
    let mut table = rule.take_table("approval", "within = \"1h\", fallback = \"abandon\"", told)?;
    let (at, complaints) = (table.at, told.len());
    let within = table.take("within", told, duration);
    let fallback = table.take("fallback", told, fallback);
    table.finish(told);
    if within.is_none() && told.len() == complaints {
        told.push((at, "\"approval\" does not say how long to wait, as in within = \"1h\"".to_owned()));
    }
    Some(Approval { within: within?, fallback: fallback.unwrap_or(Fallback::Abandon) })
}

/// Tells of keys that mean nothing beside the rule's response.
pub(super) fn tell_pointless(at: usize, response: Response, keys: &[(&str, bool)], told: &mut Told) {
    if response < Response::Approve {
        let given = keys.iter().filter(|(_, given)| *given);
        let say = |key: &str| format!("{key:?} has no meaning here: the response \"{response}\" changes nothing");
        told.extend(given.map(|(key, _)| (at, say(key))));
    }
}

/// Reads a length of time, `"90m"`, `"4h"`, `"1d 12h"`; a day is 24 hours.
pub(super) fn duration(value: &DeValue<'_>) -> Result<SignedDuration, String> {
    let text = value.as_str().ok_or_else(|| expected("a length of time in quotes, such as \"4h\"", value))?;
    let span = text.parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let duration =
        duration.ok_or_else(|| format!("{text:?} is not a length of time such as \"30m\", \"4h\" or \"7d\""))?;
    if duration.is_positive() && duration <= LONGEST {
        Ok(duration)
    } else {
        Err(format!("{text:?} must be longer than nothing, and at most ten years"))
    }
}

fn fallback(value: &DeValue<'_>) -> Result<Fallback, String> {
    let word = text(value)?;
    let found = FALLBACKS.into_iter().find(|(known, _)| *known == word).map(|(_, fallback)| fallback);
    found.ok_or_else(|| unknown("fallback", word, &FALLBACKS.map(|(known, _)| known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_as_people_write_it() {
        let read = |text: &str| duration(&DeValue::String(text.into())).ok().map(|read| read.to_string());
        for (text, expect) in [
            ("90m", Some("PT1H30M")),
            ("4h", Some("PT4H")),
            ("1h 30min", Some("PT1H30M")),
            ("7d", Some("PT168H")),
            ("PT15M", Some("PT15M")),
            ("0s", None),
            ("-4h", None),
            ("11000d", None),
            ("1 month", None),
            ("soon", None),
            ("4", None),
        ] {
            assert_eq!(read(text).as_deref(), expect, "{text}");
        }
    }
}
