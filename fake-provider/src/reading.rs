//! Parsing of options, and its errors.

use std::time::Duration;

/// Why an option cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    /// Not a duration.
    #[error("`{0}` is not a duration: write 0.5s, 20s, 2m or 200ms")]
    Duration(String),
    /// Not a range.
    #[error("`{0}` is not a range of durations: write 0.5s..2s, the shorter one first")]
    Span(String),
    /// Not an ending.
    #[error("`{0}` is no way for a call to end: write completed, busy, no_answer, ...")]
    Ending(String),
    /// Not weights.
    #[error("`{0}` are no weights: write completed=70,busy=30, at least one above 0")]
    Weights(String),
    /// Not a behavior.
    #[error("`{0}` is no behaviour: see the help on --rule")]
    Behaviour(String),
    /// Not a rule.
    #[error("`{0}` is no rule: write PATTERN=BEHAVIOUR, as in *07=busy")]
    Rule(String),
    /// Not a pattern.
    #[error("`{0}` is no pattern: write *07, script:bad*, from:+1800*, metadata.KEY:text or 5%")]
    Pattern(String),
}

/// Parses a duration as people write it, also with fractions of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, BadOption> {
    let fraction = || {
        let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    humantime::parse_duration(text)
        .ok()
        .or_else(fraction)
        .ok_or_else(|| BadOption::Duration(text.to_owned()))
}
