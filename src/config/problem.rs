//! What is wrong with the settings: all of it, in words that a person can act on.

use std::fmt;

use super::flags;

/// One wrong setting. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
    /// What would be right, as `NAME=value`.
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

/// Every wrong setting of a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    problems: Vec<Problem>,
    /// A misspelt name, beside the one that seems to be missing.
    notes: Vec<String>,
}

impl Problems {
    /// One by one.
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

/// Goes on after a wrong setting, so that the next one is seen too.
#[derive(Debug, Default)]
pub(super) struct Collected(Vec<Problem>);

impl Collected {
    /// The value, or nothing and one more problem.
    pub(super) fn keep<T, E: IntoProblems>(&mut self, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(problems) => {
                self.0.extend(problems.into_problems());
                None
            }
        }
    }

    /// The whole, or everything that was wrong with it.
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
