//! Reason for an act.

use std::{ops::Deref, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

/// Reason, kept with the act or in the call's history. 1 to 500 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    example = "the list was wrong",
    min_length = 1,
    max_length = 500,
    pattern = r"^[^\u0000]*$"
)]
pub struct Why(String);

/// Why a text is not accepted as a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// Empty, or only white space.
    #[error("is empty: it is kept with the act")]
    Empty,
    /// More than 500 characters.
    #[error("has at most 500 characters")]
    TooLong,
}

impl FromStr for Why {
    type Err = WhyError;

    fn from_str(text: &str) -> Result<Self, WhyError> {
        if text.trim().is_empty() {
            return Err(WhyError::Empty);
        }
        if text.chars().count() > 500 {
            return Err(WhyError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Why {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = String::deserialize(text)?;
        text.parse()
            .map_err(|error| D::Error::custom(format!("\"why\" {error}")))
    }
}

impl Deref for Why {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
