//! What a response to a look-up means.
//!
//! The invariant: `Found` only with a readable report, `NotFound` only if the provider says so in the protocol's
//! words. On that word a call may be placed again, so everything else is an error, which proves nothing.

use chrono::{DateTime, Utc};

use super::answer::refused;
use crate::{
    domain::{Reference, Report, ReportKind},
    provider::{Error, LookedUp, answer::Answer, platform::most_telling, protocol},
};

/// Reads the response about the call with an id.
pub(super) fn by_id(answer: &Answer, key: Option<&str>) -> Result<LookedUp, Error> {
    match answer.status.as_u16() {
        200 => {
            let report = protocol::read_report(&answer.body);
            if report.kind == ReportKind::Unparsable {
                return Err(answer.unread("it cannot be read as a report"));
            }
            Ok(LookedUp::Found(report))
        }
        404 | 410 => Ok(LookedUp::NotFound),
        405 | 501 => Ok(LookedUp::Unsupported),
        _ => Err(nothing(answer, key)),
    }
}

/// Reads the response about the calls with our reference.
pub(super) fn by_reference(
    answer: &Answer,
    dial: Reference,
    key: Option<&str>,
) -> Result<LookedUp, Error> {
    match answer.status.as_u16() {
        200 => listed(answer, dial),
        // It has no list, which does not mean that the list is empty.
        404 | 405 | 501 => Ok(LookedUp::Unsupported),
        _ => Err(nothing(answer, key)),
    }
}

fn listed(answer: &Answer, dial: Reference) -> Result<LookedUp, Error> {
    let Some(calls) = protocol::read_calls(&answer.body) else {
        return Err(answer.unread("it cannot be read as a list of calls"));
    };
    if calls.is_empty() {
        return Ok(LookedUp::NotFound);
    }
    if calls.iter().any(|call| call.kind == ReportKind::Unparsable) {
        return Err(answer.unread("a call in the list cannot be read"));
    }
    // A provider that does not know the parameter ignores it and lists everyone's calls; later nothing would tell a
    // nameless one from ours.
    let reference = dial.to_string();
    let ours = calls
        .into_iter()
        .filter(|call| call.reference.as_ref() == Some(&reference));
    match most_telling(ours, dial) {
        Some(call) => Ok(LookedUp::Found(call)),
        None => Err(answer.unread("no call in the list names the reference")),
    }
}

/// One page of a list of calls.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) calls: Vec<Report>,
    /// Cursor of the next page; `None` on the last.
    pub(super) next: Option<String>,
}

/// Reads one page of the calls since a time. `None` if the provider has no such list. A response that does not repeat
/// the same `since` counts as none: a provider that does not know the parameter ignores it, and one that goes back
/// less far lists with gaps.
pub(super) fn page(
    answer: &Answer,
    asked: DateTime<Utc>,
    key: Option<&str>,
) -> Result<Option<Page>, Error> {
    match answer.status.as_u16() {
        200 => {}
        400 | 404 | 405 | 422 | 501 => return Ok(None),
        _ => return Err(nothing(answer, key)),
    }
    let Some((calls, since, next)) = protocol::read_page(&answer.body) else {
        return Err(answer.unread("it cannot be read as a list of calls"));
    };
    if calls.iter().any(|call| call.kind == ReportKind::Unparsable) {
        return Err(answer.unread("a call in the list cannot be read"));
    }
    let since = since.and_then(|since| DateTime::parse_from_rfc3339(&since).ok());
    let is_as_asked =
        since.is_some_and(|since| since.timestamp_micros() <= asked.timestamp_micros());
    Ok(is_as_asked.then_some(Page { calls, next }))
}

/// An answer by which nothing is proved.
fn nothing(answer: &Answer, key: Option<&str>) -> Error {
    if answer.status.is_success() {
        // Accepted, but not done; or a part of a list.
        answer.unread("it is no whole answer")
    } else {
        refused(answer, key)
    }
}

#[cfg(test)]
mod tests;
