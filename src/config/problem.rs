//! Errors in the settings, all of them, with what to do.

use std::fmt;

use super::flags;

/// One invalid setting. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the variable.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
    /// A valid value, as `NAME=value`.
    pub example: String,
}

impl Problem {
    pub(super) fn new(name: impl Into<String>, what: impl Into<String>, example: &str) -> Self {
        let name = name.into();
        Self {
            what: what.into(),
            example: format!("{name}={example}"),
            name,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(flag) = flags::flag_of(&self.name) {
            write!(f, " ({flag})")?;
        }
        write!(f, " {}; for example {}", self.what, self.example)
    }
}

/// All invalid settings of a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    problems: Vec<Problem>,
    /// Hints about misspelled names that resemble a missing one.
    notes: Vec<String>,
}

impl Problems {
    /// The problems, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
            notes: Vec::new(),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => write!(f, "a setting is wrong: {one}")?,
            many => {
                write!(f, "{} settings are wrong:", many.len())?;
                many.iter().try_for_each(|one| write!(f, "\n  {one}"))?;
            }
        }
        self.notes
            .iter()
            .try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}

/// Collects errors, so that reading continues after an invalid setting.
#[derive(Debug, Default)]
pub(super) struct Collected(Vec<Problem>);

impl Collected {
    /// Returns the value, or records the error.
    pub(super) fn keep<T, E: IntoProblems>(&mut self, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(problems) => {
                self.0.extend(problems.into_problems());
                None
            }
        }
    }

    /// Returns the result, or all collected errors.
    pub(super) fn done<T>(self, whole: Option<T>, notes: &[String]) -> Result<T, Problems> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => Err(Problems {
                problems: self.0,
                notes: notes.to_vec(),
            }),
        }
    }
}

/// One problem or several.
pub(super) trait IntoProblems {
    fn into_problems(self) -> Vec<Problem>;
}

impl IntoProblems for Problem {
    fn into_problems(self) -> Vec<Problem> {
        vec![self]
    }
}

impl IntoProblems for Vec<Problem> {
    fn into_problems(self) -> Vec<Problem> {
        self
    }
}
