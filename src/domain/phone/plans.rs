//! Numbering plans, read from the table that `scripts/phone-plans` generates for SQL.

use std::{collections::HashMap, fmt, str::FromStr, sync::LazyLock};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// One source for both: SQL makes a function of this file, and here its JSON is parsed.
const TABLE: &str = include_str!("../../../sql/rules/phone_plans.sql");

#[expect(
    clippy::panic,
    reason = "the table is compiled in, and every test that reads a number reads it"
)]
pub(super) static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let json = TABLE.split("$plans$").nth(1).unwrap_or_default();
    serde_json::from_str(json).unwrap_or_else(|error| panic!("sql/rules/phone_plans.sql: {error}"))
});

#[derive(Debug, Deserialize)]
pub(super) struct Plans {
    pub digits: String,
    pub pluses: String,
    pub between: String,
    main: HashMap<String, String>,
    #[serde(rename = "plans")]
    by_region: HashMap<String, Plan>,
}

impl Plans {
    /// Main plan of the country code that an international number begins with.
    pub(super) fn main(&self, digits: &str) -> Option<&Plan> {
        let codes = (1..=3).filter_map(|size| digits.get(..size));
        let mut regions = codes.filter_map(|code| self.main.get(code));
        regions.next().and_then(|region| self.by_region.get(region))
    }

    pub(super) fn of(&self, region: Region) -> Option<&Plan> {
        self.by_region.get(region.as_str())
    }
}

/// How numbers of one region are written, and how long they are.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    pub code: String,
    lengths: Vec<usize>,
    #[serde(default)]
    local: Vec<usize>,
    /// `lengths` in words.
    pub said: String,
    idd: Option<Start>,
    prefix: Option<Start>,
    /// Replacement of the prefix: this text, then this group of its pattern.
    put: Option<(String, usize)>,
    form: Whole,
}

/// Length of a number compared with those of its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Equal to one of them.
    Possible,
    /// Shorter than or between two of them; or such a number can be dialled only within its area.
    Short,
    /// Longer than all.
    Long,
}

impl Plan {
    pub(super) fn length(&self, size: usize) -> Length {
        if self.local.contains(&size) {
            Length::Short
        } else if self.lengths.contains(&size) {
            Length::Possible
        } else if self.lengths.iter().all(|length| *length < size) {
            Length::Long
        } else {
            Length::Short
        }
    }

    /// Whether this looks like a number of the plan.
    pub(super) fn is_formed(&self, national: &str) -> bool {
        self.form.0.is_match(national)
    }

    /// What follows the prefix for dialling another country.
    pub(super) fn after_idd<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let end = self.idd.as_ref()?.0.find(digits)?.end();
        // No country code begins with 0.
        digits.get(end..).filter(|rest| !rest.starts_with('0'))
    }

    /// The number without the trunk prefix dialled within the country. Unchanged if it looked like a number with the
    /// prefix but does not without.
    pub(super) fn without_prefix(&self, national: &str) -> String {
        let found = self.prefix.as_ref().and_then(|it| it.0.captures(national));
        let Some(found) = found else {
            return national.to_owned();
        };
        let rest = national.get(found.get_match().end()..).unwrap_or_default();
        let put = self.put.as_ref().and_then(|(put, group)| {
            let kept = found.get(*group)?;
            Some(format!("{put}{}{rest}", kept.as_str()))
        });
        let bare = put.unwrap_or_else(|| rest.to_owned());
        if self.is_formed(national) && !self.is_formed(&bare) {
            return national.to_owned();
        }
        bare
    }
}

/// Number of digits after this country code, in words.
pub(super) fn lengths_of(code: u16) -> &'static str {
    let plan = PLANS.main(&code.to_string());
    plan.map_or("", |plan| plan.said.as_str())
}

/// A pattern anchored at the start of a text.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Start(Regex);

/// A pattern anchored at both ends.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Whole(Regex);

impl TryFrom<String> for Start {
    type Error = regex::Error;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        ascii(&format!("^(?:{pattern})")).map(Self)
    }
}

impl TryFrom<String> for Whole {
    type Error = regex::Error;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        ascii(&format!("^(?:{pattern})$")).map(Self)
    }
}

fn ascii(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).build()
}

/// A country by ISO 3166 alpha-2: the one whose national format a number without + is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region([u8; 2]);

/// Not a country that has telephone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a country: write the two letters that ISO 3166 has for it, as in US or GB")]
pub struct UnknownRegion;

impl Region {
    /// The two letters, in capitals.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = text.trim().to_ascii_uppercase();
        let letters: [u8; 2] = letters
            .as_bytes()
            .try_into()
            .map_err(|_size| UnknownRegion)?;
        let region = Self(letters);
        // The table also has plans that belong to no country, named by digits.
        PLANS.of(region).map(|_| region).ok_or(UnknownRegion)
    }
}

impl From<Region> for serde_json::Value {
    fn from(region: Region) -> Self {
        region.as_str().into()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
