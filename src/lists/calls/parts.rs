//! Parts of countries, as lists of people name them.

use crate::domain::Region;

/// The region of a row in a list whose numbers are dialled in `country`: `FL` or `Florida` in the United States is
/// `US-FL`. What is a region already, or unknown, stays as it is: SQL judges it.
pub(super) fn within(country: Region, region: &str) -> String {
    let region = region.trim();
    let parts = match country.as_str() {
        "US" => STATES,
        "CA" => PROVINCES,
        _ => &[],
    };
    let mut named = parts
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(region));
    if let Some((_, code)) = named.next() {
        return format!("{country}-{code}");
    }
    let is_code =
        (1..=3).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code && !region.eq_ignore_ascii_case(country.as_str()) {
        return format!("{country}-{}", region.to_ascii_uppercase());
    }
    region.to_owned()
}

const STATES: &[(&str, &str)] = &[
    ("Alabama", "AL"),
    ("Alaska", "AK"),
    ("Arizona", "AZ"),
    ("Arkansas", "AR"),
    ("California", "CA"),
    ("Colorado", "CO"),
    ("Connecticut", "CT"),
    ("Delaware", "DE"),
    ("District of Columbia", "DC"),
    ("Florida", "FL"),
    ("Georgia", "GA"),
    ("Hawaii", "HI"),
    ("Idaho", "ID"),
    ("Illinois", "IL"),
    ("Indiana", "IN"),
    ("Iowa", "IA"),
    ("Kansas", "KS"),
    ("Kentucky", "KY"),
    ("Louisiana", "LA"),
    ("Maine", "ME"),
    ("Maryland", "MD"),
    ("Massachusetts", "MA"),
    ("Michigan", "MI"),
    ("Minnesota", "MN"),
    ("Mississippi", "MS"),
    ("Missouri", "MO"),
    ("Montana", "MT"),
    ("Nebraska", "NE"),
    ("Nevada", "NV"),
    ("New Hampshire", "NH"),
    ("New Jersey", "NJ"),
    ("New Mexico", "NM"),
    ("New York", "NY"),
    ("North Carolina", "NC"),
    ("North Dakota", "ND"),
    ("Ohio", "OH"),
    ("Oklahoma", "OK"),
    ("Oregon", "OR"),
    ("Pennsylvania", "PA"),
    ("Rhode Island", "RI"),
    ("South Carolina", "SC"),
    ("South Dakota", "SD"),
    ("Tennessee", "TN"),
    ("Texas", "TX"),
    ("Utah", "UT"),
    ("Vermont", "VT"),
    ("Virginia", "VA"),
    ("Washington", "WA"),
    ("West Virginia", "WV"),
    ("Wisconsin", "WI"),
    ("Wyoming", "WY"),
];

const PROVINCES: &[(&str, &str)] = &[
    ("Alberta", "AB"),
    ("British Columbia", "BC"),
    ("Manitoba", "MB"),
    ("New Brunswick", "NB"),
    ("Newfoundland and Labrador", "NL"),
    ("Nova Scotia", "NS"),
    ("Northwest Territories", "NT"),
    ("Nunavut", "NU"),
    ("Ontario", "ON"),
    ("Prince Edward Island", "PE"),
    ("Quebec", "QC"),
    ("Saskatchewan", "SK"),
    ("Yukon", "YT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_part_of_the_country_in_which_the_list_is_dialled() {
        let us: Region = "US".parse().expect("a country");
        for (written, meant) in [
            ("FL", "US-FL"),
            ("ca", "US-CA"),
            ("new york", "US-NY"),
            ("US-TX", "US-TX"),
            ("US", "US"),
            ("EMEA", "EMEA"),
        ] {
            assert_eq!(within(us, written), meant);
        }
    }
}
