//! What happens to each request: `*07=busy`, `script:bad*&50%=reject:500`.
//!
//! A rule is a pattern (a glob over the E.164 number, or another condition of `pattern`) and a list of
//! behaviors; the first rule that matches decides, and without one the call ends by the default weights. The
//! server makes a [`Plan`] once, when a request arrives, and the call follows it.

use std::{str::FromStr, time::Duration};

use self::pattern::Pattern;
use super::reading::{BadOption, duration};

mod pattern;

pub use pattern::Asked;

/// How a call ends unless it is canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Answered, conversation held.
    Completed,
    /// Answered, then the provider failed.
    Fault,
    /// A machine answered.
    Voicemail,
    /// The line is busy.
    Busy,
    /// Rang, but was not answered.
    NoAnswer,
    /// Rejected by the callee.
    Declined,
    /// The network could not reach it.
    Failed,
    /// Canceled by the provider.
    Canceled,
    /// No such number; does not ring.
    InvalidNumber,
    /// Not allowed; does not ring.
    Blocked,
    /// No capacity; does not ring.
    Capacity,
    /// Account out of funds; does not ring.
    Account,
}

impl Ending {
    /// Every ending with its word in a rule.
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

    /// Whether it reaches the network, and so counts as a ring. In doubt it does: the witness would rather
    /// count a busy line as rung than miss a second ring.
    pub const fn rings(self) -> bool {
        !matches!(
            self,
            Self::InvalidNumber | Self::Blocked | Self::Capacity | Self::Account
        )
    }

    /// Whether the call is answered.
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

/// One behavior of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Every call ends like this.
    End(Ending),
    /// The first call ends like the first item and so on; the last repeats.
    Sequence(Vec<Ending>),
    /// Accepts at once, and delays the response.
    Slow(Duration),
    /// Keeps the call in a queue before it rings.
    Queued(Duration),
    /// Accepts, and responds 500.
    ErrorAfterAccept,
    /// Accepts, and resets the connection.
    ResetAfterAccept,
    /// Responds with this status and these words; there is no call.
    Reject(u16, Option<String>),
    /// Responds 429, with these seconds in Retry-After if given; there is no call.
    RateLimit(Option<u32>),
    /// Sends this Retry-After with a refusal, unchanged.
    RetryAfter(String),
    /// Refuses, and rings all the same.
    PlacesAnyway,
    /// Sends every webhook twice.
    Dup,
    /// Sends the last webhook first.
    Reorder,
    /// Sends every webhook before the response; such a call ends almost at once.
    Early,
    /// Delays every webhook.
    Late(Duration),
    /// Sends no webhook.
    Lost,
    /// Sends no webhook about the answer.
    LostAnswer,
    /// Look-ups return 404.
    False404,
    /// After a conversation: what it came to.
    Disposition(String),
    /// After a conversation: the callee asks for a call, this long after its end.
    CallBack(Duration),
    /// Sends an additional event with an unknown status word.
    UnknownWord,
    /// Sends an additional signed event that is not JSON.
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
            ("queued", Some(value)) => Self::Queued(duration(value)?),
            ("late", Some(value)) => Self::Late(duration(value)?),
            ("disposition", Some(value)) if is_word(value) => Self::Disposition(value.to_owned()),
            ("call_back", Some(value)) => Self::CallBack(duration(value)?),
            ("error_after_accept", None) => Self::ErrorAfterAccept,
            ("reset_after_accept", None) => Self::ResetAfterAccept,
            ("reject", Some(value)) => {
                let (code, words) = value.split_once(':').unzip();
                match code.unwrap_or(value).parse() {
                    Ok(code @ 300..=599) => Self::Reject(code, words.map(str::to_owned)),
                    _ => return Err(bad()),
                }
            }
            ("rate_limit", None) => Self::RateLimit(None),
            ("rate_limit", Some(value)) => match value.parse() {
                Ok(seconds) => Self::RateLimit(Some(seconds)),
                Err(_) => return Err(bad()),
            },
            ("retry_after", Some(value)) if is_header(value) => Self::RetryAfter(value.to_owned()),
            ("places_anyway", None) => Self::PlacesAnyway,
            ("dup", None) => Self::Dup,
            ("reorder", None) => Self::Reorder,
            ("early", None) => Self::Early,
            ("lost", None) => Self::Lost,
            ("lost_answer", None) => Self::LostAnswer,
            ("false_404", None) => Self::False404,
            ("unknown_word", None) => Self::UnknownWord,
            ("garbage", None) => Self::Garbage,
            (_, None) => Self::End(word.parse().map_err(|_e| bad())?),
            _ => return Err(bad()),
        })
    }
}

/// Whether it is a word as our own protocol has it.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Whether it is valid in a header.
fn is_header(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// `PATTERN=BEHAVIOUR[,BEHAVIOUR...]`. In a pattern `*` is any text and `?` any one character.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pattern: Pattern,
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
            pattern: pattern.parse()?,
            behaviours,
        })
    }
}

impl Rule {
    /// Whether the rule matches this request. `draw` returns a number from 0 to 100.
    pub fn matches(&self, asked: Asked<'_>, draw: impl FnMut() -> f64) -> bool {
        self.pattern.matches(asked, draw)
    }
}

/// Everything that will happen to one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// How it ends; `None` means by the default weights.
    pub(super) ending: Option<Ending>,
    pub(super) refusal: Option<Refusal>,
    pub(super) slow: Option<Duration>,
    pub(super) queued: Option<Duration>,
    pub(super) late: Option<Duration>,
    pub(super) disposition: Option<String>,
    pub(super) call_back: Option<Duration>,
    pub(super) faults: Vec<Behaviour>,
}

/// A refusal, after which there is no call, or should be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) words: String,
    pub(super) retry_after: Option<String>,
}

impl Refusal {
    /// The platform itself fails, after it has accepted the call.
    pub(super) fn broken() -> Self {
        Self::new(500, "internal", Some("something broke"))
    }

    fn new(status: u16, code: &'static str, words: Option<&str>) -> Self {
        Self {
            status,
            code,
            words: words.unwrap_or("a rule rejects this number").to_owned(),
            retry_after: None,
        }
    }
}

impl Plan {
    /// The plan for the `nth` call (from 0) to a number.
    pub(super) fn read(
        rules: &[Rule],
        asked: Asked<'_>,
        nth: usize,
        mut draw: impl FnMut() -> f64,
    ) -> Self {
        let mut plan = Self::default();
        let found = rules.iter().find(|rule| rule.matches(asked, &mut draw));
        for behaviour in found.into_iter().flat_map(|rule| &rule.behaviours) {
            match behaviour {
                Behaviour::End(ending) => plan.ending = Some(*ending),
                Behaviour::Sequence(endings) => {
                    plan.ending = endings.get(nth).or(endings.last()).copied();
                }
                Behaviour::Slow(by) => plan.slow = Some(*by),
                Behaviour::Queued(by) => plan.queued = Some(*by),
                Behaviour::Late(by) => plan.late = Some(*by),
                Behaviour::Disposition(word) => plan.disposition = Some(word.clone()),
                Behaviour::CallBack(after) => {
                    plan.disposition = Some("callback".to_owned());
                    plan.call_back = Some(*after);
                }
                Behaviour::Reject(status, words) => {
                    plan.refusal = Some(Refusal::new(*status, "rejected", words.as_deref()));
                }
                Behaviour::RateLimit(after) => {
                    plan.refusal = Some(Refusal {
                        retry_after: after.map(|seconds| seconds.to_string()),
                        ..Refusal::new(429, "rate_limited", Some("try later"))
                    });
                }
                Behaviour::RetryAfter(after) => {
                    if let Some(refusal) = &mut plan.refusal {
                        refusal.retry_after = Some(after.clone());
                    }
                }
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
