//! A telephone number in E.164, which masks itself.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

mod plans;
mod spelling;

use plans::{Length, PLANS, Plan};
pub use plans::{Region, UnknownRegion};
use spelling::Spelled;

/// A telephone number in E.164 form: `+`, then 7 to 15 digits, the first not 0.
///
/// Two spellings of one number would be two keys, and so two phones ringing; therefore every number is normalised
/// before anything else sees it. `Debug` and `Display` show only the first three and the last two digits;
/// [`Phone::as_e164`] is the only way to the whole number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

/// Why a text is not a number that can be dialled, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Only separators, or nothing.
    #[error("not a number: it is empty")]
    Empty,
    /// Longer than any spelling of a number.
    #[error("not a number: it has more than 250 characters")]
    Endless,
    /// Letters, or signs that no number contains.
    #[error(
        "not a number: digits may stand in it, + in front, spaces, dots, hyphens, slashes and parentheses"
    )]
    Unreadable,
    /// Several numbers in one field.
    #[error("more than one number: write one")]
    Several,
    /// A number with an extension.
    #[error("a number with an extension, which cannot be dialled: leave the extension out")]
    Extension,
    /// A spreadsheet wrote it in scientific notation, as 1.4E+10.
    #[error("a number that a spreadsheet has rounded: make the column text, and export it again")]
    Rounded,
    /// A `tel:` URI that is local to some private network.
    #[error("a number of a private network: write + and the country code, as in +1415…")]
    Private,
    /// Neither a + nor a region.
    #[error(
        "not an E.164 number: write + and the country code, as in +1415…, or say in which region it is dialled, as in US"
    )]
    National,
    /// No country code matches.
    #[error("not a number: no country code begins it, as in +1415…")]
    UnknownCode,
    /// The country has no numbers of this length.
    #[error("not a number of +{code}: {} digits follow the country code, not {has}", plans::lengths_of(*code))]
    Length {
        /// The country code.
        code: u16,
        /// Digits that follow the country code.
        has: usize,
    },
    /// Too short or too long for E.164 in any country; the number of digits.
    #[error("not an E.164 number: 7 to 15 digits with the country code, not {0}")]
    Size(usize),
}

impl Phone {
    /// Reads an international number as people write it: [`Phone::parse_in`] without a region.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        Self::parse_in(text, None)
    }

    /// Reads a number as people write it: digits of any script, separators, `tel:`. The trunk prefix dialled within
    /// the country is dropped, as in +44 (0)20. With a region, also reads that region's national format. The result
    /// is what libphonenumber reads, provided it calls the number possible. `pgdial.normal_phone` in SQL follows the
    /// same rule.
    pub fn parse_in(text: &str, region: Option<Region>) -> Result<Self, PhoneError> {
        let spelled = spelling::read(text)?;
        let (plan, full) = located(&spelled, region.and_then(|region| PLANS.of(region)))?;
        let bare = plan.without_prefix(&full);
        let national = match plan.length(bare.len()) {
            Length::Short => full,
            Length::Possible | Length::Long => bare,
        };
        let (has, code) = (national.len(), plan.code.as_str());
        let main = PLANS.main(code).unwrap_or(plan);
        if main.length(has) != Length::Possible {
            let code = code.parse().unwrap_or_default();
            return Err(PhoneError::Length { code, has });
        }
        let size = code.len() + has;
        if !(7..=15).contains(&size) {
            return Err(PhoneError::Size(size));
        }
        let whole = format!("+{code}{national}");
        if whole == text {
            return Ok(Self(whole));
        }
        // The result must parse to itself: +49 00 30 would become +49 0 30, and that yet another number.
        Self::parse_in(&whole, None)
    }

    /// A number from the database. It was possible when it was stored and stays valid even if the table of plans has
    /// changed since; only E.164 is accepted.
    pub fn stored(text: &str) -> Result<Self, PhoneError> {
        let digits = text.strip_prefix('+').ok_or(PhoneError::National)?;
        let is_shaped = (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        is_shaped
            .then(|| Self(text.to_owned()))
            .ok_or(PhoneError::Unreadable)
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
    type Err = PhoneError;

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
        Self::stored(&text).map_err(serde::de::Error::custom)
    }
}

/// Plan the number belongs to, and the digits after the country code.
fn located<'a>(
    spelled: &Spelled,
    home: Option<&'a Plan>,
) -> Result<(&'a Plan, String), PhoneError> {
    let digits = spelled.digits.as_str();
    if spelled.is_international
        && let Some(found) = abroad(digits)
    {
        return Ok(found);
    }
    // Also refuses +00 44, which says twice that it is international.
    let is_dialled = spelled.is_international;
    let home = home.ok_or(if is_dialled {
        PhoneError::UnknownCode
    } else {
        PhoneError::National
    })?;
    if let Some(rest) = home.after_idd(digits) {
        return abroad(rest).ok_or(PhoneError::UnknownCode);
    }
    match with_code_alone(digits, home) {
        Some(national) => Ok((PLANS.main(&home.code).unwrap_or(home), national)),
        None if is_dialled => Err(PhoneError::UnknownCode),
        None => Ok((home, digits.to_owned())),
    }
}

/// A number that begins with a country code.
fn abroad(digits: &str) -> Option<(&'static Plan, String)> {
    let plan = PLANS.main(digits)?;
    let national = digits.get(plan.code.len()..)?;
    Some((plan, national.to_owned()))
}

/// A number of the region with its country code but without the +. It is taken as one only if it looks like a number
/// without the code and not with it, or is too long with it.
fn with_code_alone(digits: &str, home: &Plan) -> Option<String> {
    let national = home.without_prefix(digits.strip_prefix(&home.code)?);
    let is_meant = !home.is_formed(digits) && home.is_formed(&national)
        || home.length(digits.len()) == Length::Long;
    is_meant.then_some(national)
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

    fn read(text: &str, region: &str) -> Result<String, PhoneError> {
        let region = (!region.is_empty()).then(|| region.parse().unwrap());
        Phone::parse_in(text, region).map(|phone| phone.as_e164().to_owned())
    }

    #[test]
    fn one_number_has_one_spelling() {
        for (text, region, number) in [
            ("+44 (0)7700 900115", "", "+447700900115"),
            ("+4407700900115", "", "+447700900115"),
            ("+39 (0)6 1234567", "", "+39061234567"),
            ("+7 (8) 495 123-45-67", "", "+74951234567"),
            ("(+1) 415/555-0100", "", "+14155550100"),
            (
                "+\u{661}\u{664}\u{661}\u{665} 555 \u{ff10}\u{ff11}00",
                "",
                "+14155550100",
            ),
            (
                "\u{202a}+1\u{202f}415\u{2011}555\u{2013}0100\u{202c}",
                "",
                "+14155550100",
            ),
            ("'+14155550100", "", "+14155550100"),
            ("=\"+14155550100\"", "", "+14155550100"),
            ("\u{2018}+14155550100\u{2019}\r\n", "", "+14155550100"),
            ("TEL:+1-415-555-0100;isub=1", "", "+14155550100"),
            ("tel:555-0100;phone-context=+1-415;x=y", "", "+14155550100"),
            ("(415) 555-0100", "US", "+14155550100"),
            ("14155550100.0", "us", "+14155550100"),
            ("011 44 20 7946 0958", "US", "+442079460958"),
            ("00 44 20 7946 0958", "DE", "+442079460958"),
            ("+00 44 20 7946 0958", "DE", "+442079460958"),
            ("020 7946 0958", "GB", "+442079460958"),
            ("11 15 2345 6789", "AR", "+5491123456789"),
            ("224433", "GG", "+441481224433"),
            ("+49 00 30 123456", "", "+4930123456"),
        ] {
            assert_eq!(read(text, region).as_deref(), Ok(number), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_number_hears_why() {
        use PhoneError::*;
        for (text, region, why) in [
            ("", "", Empty),
            (" \n", "", Empty),
            ("+", "", Unreadable),
            ("+1415555010a", "", Unreadable),
            ("+1-800-FLOWERS", "", Unreadable),
            ("+1415555\n0100", "", Unreadable),
            ("whatsapp:+14155550100", "", Unreadable),
            ("=+14155550100", "", Unreadable),
            ("14155550100", "", National),
            ("0014155550100", "", National),
            ("+0123456789", "", UnknownCode),
            ("+999999999999", "", UnknownCode),
            ("0099 9999999", "GB", UnknownCode),
            ("+123456", "", Length { code: 1, has: 5 }),
            ("+10000000", "", Length { code: 1, has: 7 }),
            ("+1 415-555-0100-123", "", Length { code: 1, has: 13 }),
            ("5550100", "US", Length { code: 1, has: 7 }),
            ("+989601", "", Size(6)),
            ("+1 415 555 0100 ext. 5", "", Extension),
            ("tel:+14155550100;ext=5", "", Extension),
            ("+14155550100,,5#", "", Extension),
            ("+1 415 555 0100 / +1 415 555 0101", "", Several),
            ("1.41555E+10", "", Rounded),
            ("tel:7042;phone-context=example.com", "", Private),
        ] {
            assert_eq!(read(text, region), Err(why), "{text:?}");
        }
        assert_eq!(read(&"1".repeat(251), ""), Err(Endless));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let said = |text| Phone::parse(text).unwrap_err().to_string();
        assert_eq!(
            said("+44 20 7946 09580"),
            "not a number of +44: 7, 9 or 10 digits follow the country code, not 11"
        );
        assert!(said("020 7946 0958").contains("or say in which region it is dialled"));
    }

    #[test]
    fn what_is_stored_stays_a_number() {
        assert_eq!(Phone::stored("+10000000").unwrap().as_e164(), "+10000000");
        for text in [
            "",
            "+",
            "1415",
            "+0123456789",
            "+1 4155550100",
            "+1234567890123456",
        ] {
            assert!(Phone::stored(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in "\\PC{0,24}") {
            for region in [None, "US".parse().ok(), "AR".parse().ok()] {
                if let Ok(phone) = Phone::parse_in(&text, region) {
                    prop_assert_eq!(&Phone::parse(phone.as_e164()).unwrap(), &phone);
                    prop_assert_eq!(&Phone::stored(phone.as_e164()).unwrap(), &phone);
                }
            }
        }

        #[test]
        fn a_number_survives_separators(digits in "[2-9][0-9]{9}", at in 1usize..6) {
            let plain = format!("+1{digits}");
            let mut spaced = plain.clone();
            spaced.insert(at, ' ');
            let phone = Phone::parse(&spaced).unwrap();
            prop_assert_eq!(phone.as_e164(), plain);
        }
    }
}
