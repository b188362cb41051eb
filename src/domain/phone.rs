//! A telephone number in E.164, which masks itself.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A number in E.164 form (ITU-T E.164): `+`, then 7 to 15 digits, the first not 0.
///
/// Two spellings of one number would be two keys, and so two phones ringing;
/// therefore every number is normalised before anything else sees it.
/// `Debug` and `Display` show the first three and the last two digits only;
/// [`Phone::as_e164`] is the one way to the whole number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

/// The text is not a telephone number that we can dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an E.164 number: write + and the country code, then 7 to 15 digits in all, as in +14155550100"
)]
pub struct BadPhone;

impl Phone {
    /// Reads a number as people write it: spaces, dots, hyphens, slashes and
    /// parentheses are dropped, the `+` is required. `pgdial.normal_phone` in SQL
    /// follows the same rule.
    pub fn parse(text: &str) -> Result<Self, BadPhone> {
        let bare: String = text.chars().filter(|c| !" .-()/".contains(*c)).collect();
        let digits = bare.strip_prefix('+').ok_or(BadPhone)?;
        let shaped = (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        if shaped {
            Ok(Self(bare))
        } else {
            Err(BadPhone)
        }
    }

    /// The whole number. Never log it.
    pub fn as_e164(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        for (at, c) in self.0.chars().enumerate() {
            let shown = at < 4 || at + 2 >= count;
            write!(f, "{}", if shown { c } else { '*' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({self})")
    }
}

impl FromStr for Phone {
    type Err = BadPhone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Phone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_may_write_separators() {
        let phone = Phone::parse(" +1 (415) 555-01.00").unwrap();
        assert_eq!(phone.as_e164(), "+14155550100");
    }

    #[test]
    fn a_number_masks_itself() {
        let phone = Phone::parse("+14155550100").unwrap();
        assert_eq!(phone.to_string(), "+141******00");
        assert_eq!(format!("{phone:?}"), "Phone(+141******00)");
    }

    #[test]
    fn what_is_not_e164_is_refused() {
        for text in [
            "",
            "+",
            "14155550100",
            "0014155550100",
            "+0123456789",
            "+123456",
            "+1234567890123456",
            "+1415555010a",
            "++14155550100",
            "+١٤١٥٥٥٥٠١٠٠",
            "tel:+14155550100",
            "+1415555\n0100",
        ] {
            assert_eq!(Phone::parse(text), Err(BadPhone), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in "\\PC{0,24}") {
            if let Ok(phone) = Phone::parse(&text) {
                prop_assert_eq!(Phone::parse(phone.as_e164()).unwrap(), phone);
            }
        }

        #[test]
        fn every_e164_number_survives_separators(digits in "[1-9][0-9]{6,14}", at in 1usize..6) {
            let plain = format!("+{digits}");
            let mut spaced = plain.clone();
            spaced.insert(at, ' ');
            let phone = Phone::parse(&spaced).unwrap();
            prop_assert_eq!(phone.as_e164(), plain);
        }
    }
}
