//! Names of a call, of one claim of it, and of the two together.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Key of a call: a `UUIDv7` made by the database, so that ids sort by creation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

impl CallId {
    /// When the call was made, by the database's clock; its id says so.
    pub fn made_at(self) -> Option<DateTime<Utc>> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        DateTime::from_timestamp(seconds.try_into().ok()?, nanoseconds)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CallId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// One claim of one call: `<call id>-<claim_no>`.
///
/// It is the fencing token of every transition, the provider's idempotency key, and our name for the dial in URLs,
/// ledgers and logs. A claim number never goes down and is never reused, so a reference names at most one dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The claimed call.
    pub call: CallId,
    /// Number of the claim, from 1.
    pub claim_no: i64,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.call, self.claim_no)
    }
}

/// The text is not `<call id>-<claim_no>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reference is a call id, a hyphen and a claim number from 1")]
pub struct BadReference;

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Split at the last hyphen, because the id has hyphens of its own.
        let (id, number) = text.rsplit_once('-').ok_or(BadReference)?;
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let claim_no = if digits { number.parse().ok() } else { None };
        match (id.parse::<CallId>().ok(), claim_no) {
            // Only case may vary, which some providers change: a signed name must have no other spellings.
            (Some(call), Some(claim_no @ 1..))
                if Self { call, claim_no }
                    .to_string()
                    .eq_ignore_ascii_case(text) =>
            {
                Ok(Self { call, claim_no })
            }
            _ => Err(BadReference),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_as_it_was_written() {
        let text = "0197f5e0-0000-7000-8000-000000000001-12";
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.claim_no, 12);
        assert_eq!(reference.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(reference));
    }

    #[test]
    fn a_second_spelling_is_no_reference() {
        for text in [
            "",
            "-1",
            "0197f5e0-0000-7000-8000-000000000001",
            "0197f5e0-0000-7000-8000-000000000001-0",
            "0197f5e0-0000-7000-8000-000000000001-01",
            "0197f5e0-0000-7000-8000-000000000001-+1",
            "0197f5e0000070008000000000000001-1",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(BadReference), "{text}");
        }
    }
}
