//! The shape of what is kept.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The shape that this release writes. It goes up where a release before could not read it, or would misread it.
///
/// 1 had policy documents parsed; 2 has their text.
pub const SCHEMA: u32 = 2;

/// A record's shape. What is written is of this release, whatever it was when it was read; what a later release wrote is
/// not read, since its fields may mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(SCHEMA)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            ..=SCHEMA => Ok(Self),
            later => Err(D::Error::custom(format!("a later release wrote it (schema {later}, this one has {SCHEMA})"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_of_this_release_and_what_is_later_is_not_read() {
        let old: Schema = serde_json::from_str("1").unwrap();
        assert_eq!(serde_json::to_string(&old).unwrap(), "2");
        let error = serde_json::from_str::<Schema>("3").unwrap_err().to_string();
        assert!(error.starts_with("a later release wrote it (schema 3, this one has 2)"), "{error}");
    }
}
