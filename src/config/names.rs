//! Known variable names. A variable that is nearly one of them is a setting that its author believes to be in
//! force.

use std::collections::BTreeSet;

use clap::Arg;

use super::{
    Variables, flags,
    trunks::{DEFAULT, PARTS, PREFIX, variable},
};

/// Our variables that are neither flags nor belong to a trunk.
const OTHERS: [&str; 3] = [
    super::secrets::API_KEYS,
    // Read by `demo` and by tests, for a private server.
    "PGDIAL_PG_BINDIR",
    // Read by docker-compose.yml.
    "PGDIAL_PORT",
];

/// All our variables, except those of further trunks.
pub(super) fn known() -> Vec<String> {
    let flags = flags::all();
    let flags = flags.get_arguments().filter_map(Arg::get_long);
    let of_trunk = PARTS.iter().map(|part| variable(DEFAULT, part));
    let others = OTHERS.map(str::to_owned);
    flags
        .map(flags::variable_of)
        .chain(of_trunk)
        .chain(others)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// A warning for each unknown `PGDIAL_` variable.
pub(super) fn unknown(variables: &Variables) -> Vec<String> {
    let known = known();
    variables
        .names()
        .filter(|name| name.starts_with("PGDIAL_") && !is_known(&known, name))
        .map(|name| match nearest(&known, name) {
            Some(near) => {
                format!("{name} is not a setting and changes nothing; did you mean {near}?")
            }
            None => format!("{name} is not a setting and changes nothing"),
        })
        .collect()
}

fn is_known(known: &[String], name: &str) -> bool {
    let of_trunk = || {
        name.strip_prefix(PREFIX)
            .is_some_and(|rest| PARTS.iter().any(|part| rest.ends_with(part)))
    };
    known.iter().any(|known| known == name) || of_trunk()
}

/// The known name with the smallest distance, if that is small.
fn nearest(known: &[String], name: &str) -> Option<String> {
    // PGDIAL_TRUNK_EU_PROVIDR_URL: compare with its own prefix and each suffix.
    let of_trunk = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'));
    let of_trunk = of_trunk.into_iter().flat_map(|(trunk, _)| {
        PARTS
            .iter()
            .map(move |part| format!("{PREFIX}{trunk}_{part}"))
    });
    known
        .iter()
        .cloned()
        .chain(of_trunk)
        .map(|known| (distance(name, &known), known))
        .min()
        .filter(|(away, _)| *away <= 4)
        .map(|(_, known)| known)
}

/// Levenshtein distance.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, left) in one.chars().enumerate() {
        let mut corner = at;
        let mut last = at + 1;
        for (right, cell) in other.chars().zip(row.iter_mut().skip(1)) {
            let change = corner + usize::from(left != right);
            corner = *cell;
            last = change.min(corner + 1).min(last + 1);
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_named_with_the_nearest_known_one() {
        let variables = Variables::from_iter([
            ("PGDIAL_PERMIT", "3"),
            ("PGDIAL_TRUNK_EU_PROVIDR_URL", "x"),
            ("PGDIAL_ENTIRELY_DIFFERENT", "x"),
            ("PGDIAL_LISTEN", "x"),
            ("PGDIAL_TRUNK_EU_PROVIDER_URL", "x"),
            ("HOME", "x"),
        ]);
        assert_eq!(
            unknown(&variables),
            [
                "PGDIAL_ENTIRELY_DIFFERENT is not a setting and changes nothing",
                "PGDIAL_PERMIT is not a setting and changes nothing; did you mean PGDIAL_PERMITS?",
                "PGDIAL_TRUNK_EU_PROVIDR_URL is not a setting and changes nothing; did you mean PGDIAL_TRUNK_EU_PROVIDER_URL?",
            ]
        );
    }

    #[test]
    fn distances_are_levenshtein_s() {
        for (one, other, away) in [
            ("", "", 0),
            ("a", "", 1),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(one, other), away, "{one} {other}");
        }
    }
}
