//! The process environment and the `.env` file: the one place that reads them.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{Problem, Problems};
use crate::db::private::Environment;

/// File that is read by default.
const USUAL_FILE: &str = ".env";

/// Environment variables. `Debug` shows only names: values include secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The environment of this process, and as a fallback the file. A file given by name must exist; the
    /// default one need not.
    pub fn of_process(file: Option<&Path>) -> Result<Self, Problems> {
        let mut all = read_file(file)?;
        all.extend(std::env::vars_os().map(|(name, value)| {
            // A name or value that is not valid UTF-8 can only be wrong: its parser reports it.
            (lossy(&name), lossy(&value))
        }));
        Ok(Self(all))
    }

    /// Value of a variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Value of a variable, also an empty one: an empty secret is a mistake, not an absence.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Variables that a private server needs.
    pub fn private_postgres(&self) -> Environment {
        Environment {
            pg_bindir: self.get("PGDIAL_PG_BINDIR").map(PathBuf::from),
            path: self.raw("PATH").map(Into::into),
        }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

fn read_file(named: Option<&Path>) -> Result<BTreeMap<String, String>, Problems> {
    let path = named.unwrap_or_else(|| Path::new(USUAL_FILE));
    match File::open(path) {
        Ok(file) => read_lines(file, path),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            Ok(BTreeMap::new())
        }
        Err(error) => Err(file_problem(path, &error.to_string())),
    }
}

fn read_lines(file: impl io::Read, path: &Path) -> Result<BTreeMap<String, String>, Problems> {
    let mut read = BTreeMap::new();
    let mut place = "at the beginning".to_owned();
    for line in dotenvy::from_read_iter(file) {
        let (name, value) = line.map_err(|error| file_problem(path, &in_words(&error, &place)))?;
        place = format!("after {name}");
        read.insert(name, value);
    }
    Ok(read)
}

/// The library's own message quotes the line, and with it possibly a secret.
fn in_words(error: &dotenvy::Error, place: &str) -> String {
    match error {
        dotenvy::Error::LineParse(..) => format!(
            "the line {place} is not NAME=value, or its value has spaces, quotes, $ or # in it and no ' around it"
        ),
        other => other.to_string(),
    }
}

fn file_problem(path: &Path, why: &str) -> Problems {
    let what = format!("names {}, which cannot be used: {why}", path.display());
    Problem::new("PGDIAL_ENV_FILE", what, "/etc/pgdial/env").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let missing = Variables::of_process(Some(Path::new("/no/such/file")));
        let problem = missing.unwrap_err().to_string();
        assert!(
            problem.contains("PGDIAL_ENV_FILE (--env-file)"),
            "{problem}"
        );
        assert!(problem.contains("/no/such/file"), "{problem}");
    }

    #[test]
    fn a_broken_line_is_reported_by_its_place_and_without_its_value() {
        for text in ["A=1\nB=hidden value with spaces\n", "A=1\nhidden\n"] {
            let problem = read_lines(text.as_bytes(), Path::new("x.env")).unwrap_err();
            let words = problem.to_string();
            assert!(
                words.contains("x.env") && words.contains("the line after A"),
                "{words}"
            );
            assert!(!words.contains("hidden"), "{words}");
        }
    }

    #[test]
    fn lines_quotes_and_comments_are_read() {
        let text = "# a comment\nPGDIAL_LISTEN=127.0.0.1:1\nexport A='b # c'\n";
        let read = read_lines(text.as_bytes(), Path::new("x.env")).unwrap();
        assert_eq!(read["PGDIAL_LISTEN"], "127.0.0.1:1");
        assert_eq!(read["A"], "b # c");
    }

    #[test]
    fn values_are_not_shown() {
        let variables = Variables::from_iter([("PGDIAL_PROVIDER_KEY", "hidden")]);
        assert_eq!(format!("{variables:?}"), r#"{"PGDIAL_PROVIDER_KEY"}"#);
    }
}
