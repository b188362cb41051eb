//! What happens to which number: `*07=busy`, `+1415*=seq:busy/completed,dup`.
//!
//! A rule is a glob over the E.164 number and a list of behaviours; the first rule that
//! matches a number decides, and without one the call ends by the default weights. The
//! server reads a [`Plan`] once, when a request comes in, and the call's life follows it.

use std::{str::FromStr, time::Duration};

use super::options::{BadOption, duration};

/// How a call ends when nobody cancels it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Answered, talked, done.
    Completed,
    /// Answered, and then the provider failed.
    Fault,
    /// A machine answered.
    Voicemail,
    /// Busy.
    Busy,
    /// Rang, nobody there.
    NoAnswer,
    /// Turned down.
    Declined,
    /// The network could not reach it.
    Failed,
    /// Called off by the provider.
    Canceled,
    /// No such number; does not ring.
    InvalidNumber,
    /// Not allowed; does not ring.
    Blocked,
    /// No room; does not ring.
    Capacity,
    /// No money; does not ring.
    Account,
}

impl Ending {
    /// Every ending and its word in a rule.
    pub const ALL: [(&'static str, Self); 12] = [
        ("completed", Self::Completed),
        ("fault", Self::Fault),
        ("voicemail", Self::Voicemail),
        ("busy", Self::Busy),
        ("no_answer", Self::NoAnswer),
        ("declined", Self::Declined),
        ("failed", Self::Failed),
        ("canceled", Self::Canceled),
        ("invalid_number", Self::InvalidNumber),
        ("blocked", Self::Blocked),
        ("capacity", Self::Capacity),
        ("account", Self::Account),
    ];

    /// The word in a rule.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, ending)| *ending == self);
        found.map_or("", |(word, _)| word)
    }

    /// The last status word of the call.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::Fault | Self::Failed => "FAILED",
            Self::Voicemail => "VOICEMAIL",
            Self::Busy => "BUSY",
            Self::NoAnswer => "NO_ANSWER",
            Self::Declined => "DECLINED",
            Self::Canceled => "CANCELED",
            Self::InvalidNumber => "INVALID_NUMBER",
            Self::Blocked => "BLOCKED",
            Self::Capacity => "CAPACITY",
            Self::Account => "ACCOUNT",
        }
    }

    /// It reaches the network, and so counts as a ring. When in doubt it does: the witness
    /// would rather count a busy line as rung than miss a second one.
    pub const fn rings(self) -> bool {
        !matches!(
            self,
            Self::InvalidNumber | Self::Blocked | Self::Capacity | Self::Account
        )
    }

    /// Somebody picks up.
    pub const fn is_answered(self) -> bool {
        matches!(self, Self::Completed | Self::Fault)
    }
}

impl FromStr for Ending {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, ending)| *ending)
            .ok_or_else(|| BadOption::Ending(text.to_owned()))
    }
}

/// One thing that the fake provider does to a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Every call ends so.
    End(Ending),
    /// The first call ends by the first word and so on; the last repeats.
    Sequence(Vec<Ending>),
    /// Accepts at once, and answers the request so much later.
    Slow(Duration),
    /// Accepts, and answers 500.
    ErrorAfterAccept,
    /// Accepts, and resets the connection.
    ResetAfterAccept,
    /// Answers this status; there is no call.
    Reject(u16),
    /// Answers 429, with these seconds in Retry-After if given; there is no call.
    RateLimit(Option<u32>),
    /// Sends every webhook twice.
    Dup,
    /// Sends the last webhook first.
    Reorder,
    /// Sends every webhook before it answers the request; such a call is over in no time.
    Early,
    /// Sends every webhook so much later.
    Late(Duration),
    /// Sends no webhook.
    Lost,
    /// Says that it knows no such call when it is asked.
    False404,
    /// Sends one more event, with a status word that nobody knows.
    UnknownWord,
    /// Sends one more signed event that is no JSON.
    Garbage,
}

impl FromStr for Behaviour {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadOption::Behaviour(text.to_owned());
        let (word, value) = match text.split_once(':') {
            Some((word, value)) => (word, Some(value)),
            None => (text, None),
        };
        Ok(match (word, value) {
            ("seq", Some(list)) => Self::Sequence(
                list.split('/')
                    .map(Ending::from_str)
                    .collect::<Result<_, _>>()?,
            ),
            ("slow", Some(value)) => Self::Slow(duration(value)?),
            ("late", Some(value)) => Self::Late(duration(value)?),
            ("error_after_accept", None) => Self::ErrorAfterAccept,
            ("reset_after_accept", None) => Self::ResetAfterAccept,
            ("reject", Some(code)) => match code.parse() {
                Ok(code @ 300..=599) => Self::Reject(code),
                _ => return Err(bad()),
            },
            ("rate_limit", None) => Self::RateLimit(None),
            ("rate_limit", Some(value)) => match value.parse() {
                Ok(seconds) => Self::RateLimit(Some(seconds)),
                Err(_) => return Err(bad()),
            },
            ("dup", None) => Self::Dup,
            ("reorder", None) => Self::Reorder,
            ("early", None) => Self::Early,
            ("lost", None) => Self::Lost,
            ("false_404", None) => Self::False404,
            ("unknown_word", None) => Self::UnknownWord,
            ("garbage", None) => Self::Garbage,
            (_, None) => Self::End(word.parse().map_err(|_e| bad())?),
            _ => return Err(bad()),
        })
    }
}

/// `PATTERN=BEHAVIOUR[,BEHAVIOUR...]`. In a pattern `*` is any text and `?` any one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pattern: String,
    behaviours: Vec<Behaviour>,
}

impl FromStr for Rule {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pattern, list) = text
            .split_once('=')
            .ok_or_else(|| BadOption::Rule(text.to_owned()))?;
        let behaviours = list
            .split(',')
            .map(|word| word.trim().parse())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            pattern: pattern.trim().to_owned(),
            behaviours,
        })
    }
}

impl Rule {
    /// The rule is about this number.
    pub fn matches(&self, number: &str) -> bool {
        glob(self.pattern.as_bytes(), number.as_bytes())
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob(rest, text) || matches!(text, [_, tail @ ..] if glob(pattern, tail))
        }
        ([b'?', rest @ ..], [_, tail @ ..]) => glob(rest, tail),
        ([p, rest @ ..], [t, tail @ ..]) if p == t => glob(rest, tail),
        _ => false,
    }
}

/// Everything that will happen to one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// How it ends; by the default weights when `None`.
    pub(super) ending: Option<Ending>,
    pub(super) refusal: Option<Refusal>,
    pub(super) slow: Option<Duration>,
    pub(super) late: Option<Duration>,
    pub(super) faults: Vec<Behaviour>,
}

/// Answers by which there is no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Status(u16),
    RateLimit(Option<u32>),
}

impl Plan {
    /// The plan for the `nth` call (from 0) to a number.
    pub(super) fn read(rules: &[Rule], number: &str, nth: usize) -> Self {
        let mut plan = Self::default();
        let found = rules.iter().find(|rule| rule.matches(number));
        for behaviour in found.into_iter().flat_map(|rule| &rule.behaviours) {
            match behaviour {
                Behaviour::End(ending) => plan.ending = Some(*ending),
                Behaviour::Sequence(endings) => {
                    plan.ending = endings.get(nth).or(endings.last()).copied();
                }
                Behaviour::Slow(by) => plan.slow = Some(*by),
                Behaviour::Late(by) => plan.late = Some(*by),
                Behaviour::Reject(code) => plan.refusal = Some(Refusal::Status(*code)),
                Behaviour::RateLimit(after) => plan.refusal = Some(Refusal::RateLimit(*after)),
                fault => plan.faults.push(fault.clone()),
            }
        }
        plan
    }

    pub(super) fn does(&self, fault: &Behaviour) -> bool {
        self.faults.contains(fault)
    }
}

#[cfg(test)]
mod tests;
