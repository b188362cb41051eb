//! Position of a page of calls, as an opaque text.
//!
//! Pages are keyset by id, newest first: the cursor is the last id shown, and the next page begins below it.
//! Calls that arrive meanwhile have higher ids, so no call is shown twice and none is left out.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::CallId;

/// Version byte, to tell a later form apart.
const FORM: u8 = 1;

/// Last call of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^A[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$")]
pub(super) struct Cursor(pub(super) CallId);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = [FORM].into_iter().chain(*self.0.0.as_bytes()).collect();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_not_base64| BadCursor)?;
        match bytes.split_first() {
            Some((&FORM, id)) => Uuid::from_slice(id)
                .map(|id| Self(CallId(id)))
                .map_err(|_wrong_length| BadCursor),
            _ => Err(BadCursor),
        }
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        cursor(text)
    }
}

/// Reads a cursor.
pub(super) fn cursor<'de, D: Deserializer<'de>, C: FromStr>(text: D) -> Result<C, D::Error> {
    let text = String::deserialize(text)?;
    text.parse()
        .map_err(|_not_ours| D::Error::custom("is not one of ours: give back nextCursor as it was"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_as_it_was_written(id in any::<u128>()) {
            let cursor = Cursor(CallId(Uuid::from_u128(id)));
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn reading_never_panics_and_one_cursor_has_one_spelling(text in "\\PC{0,40}|[A-Za-z0-9_-]{20,26}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let id = "AZf14AAAcACAAAAAAAAAAQ";
        for text in ["", "1", "****", id, &format!("{id}=="), &"A".repeat(23)] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
