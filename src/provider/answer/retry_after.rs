//! How long the provider asks us to wait, from all the places where providers say so.
//!
//! Whatever it says becomes whole seconds from 0 to a day, or nothing: no value of a provider may overflow what
//! follows.

use std::time::Duration;

use chrono::DateTime;
use hyper::{HeaderMap, header};
use serde_json::Value;

/// Seconds; longer requests are cut to this.
const LONGEST: f64 = 86_400.0;
/// From the first on, a number is not a duration but an instant, in seconds since 1970; from the second on, in
/// milliseconds.
const MOMENT: (f64, f64) = (1e9, 1e12);

/// Seconds to wait: from `retry-after`, else another header, else the body.
pub(crate) fn seconds(headers: &HeaderMap, body: &Value) -> Option<u32> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let now = text(header::DATE.as_str()).and_then(date);
    let span = |name: &str| text(name).and_then(|text| span(text, now));
    let milliseconds = |name: &str| text(name)?.parse().ok().map(|ms: f64| ms / 1000.0);
    // A limit that is not used up is not the reason of the refusal.
    let used_up = [
        "x-ratelimit-remaining",
        "ratelimit-remaining",
        "x-rate-limit-remaining",
    ]
    .into_iter()
    .filter_map(text)
    .all(|left| left == "0");
    let reset = || {
        [
            "x-ratelimit-reset-after",
            "ratelimit-reset",
            "x-ratelimit-reset",
            "x-rate-limit-reset",
            "x-ratelimit-reset-requests",
        ]
        .into_iter()
        .find_map(span)
        .or_else(|| text("ratelimit").and_then(of_policy))
        .filter(|_| used_up)
    };
    let asked = span(header::RETRY_AFTER.as_str())
        .or_else(|| milliseconds("retry-after-ms"))
        .or_else(|| milliseconds("x-retry-after-ms"))
        .or_else(reset)
        .or_else(|| in_body(body))?;
    whole(asked)
}

/// Whole seconds, rounded up; `None` if it is not a time to wait.
fn whole(seconds: f64) -> Option<u32> {
    let fits = seconds.is_finite() && seconds >= 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a day"
    )]
    fits.then(|| seconds.min(LONGEST).ceil() as u32)
}

/// Reads seconds, a duration in words (`1m30s`), or an instant. An instant is compared with the response's own
/// `Date`, because our clock does not measure theirs; without a `Date` it is ignored.
fn span(text: &str, now: Option<f64>) -> Option<f64> {
    let until = |moment: f64| now.map(|now| (moment - now).max(0.0));
    match text.parse::<f64>() {
        Ok(number) if number >= MOMENT.1 => until(number / 1000.0),
        Ok(number) if number >= MOMENT.0 => until(number),
        Ok(number) => Some(number),
        Err(_) => date(text).and_then(until).or_else(|| {
            humantime::parse_duration(text)
                .ok()
                .map(|d| d.as_secs_f64())
        }),
    }
}

/// An HTTP or RFC 3339 date, in seconds since 1970.
fn date(text: &str) -> Option<f64> {
    let date = DateTime::parse_from_rfc2822(text)
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()?;
    let since = date.timestamp_millis();
    let length = Duration::from_millis(since.unsigned_abs()).as_secs_f64();
    Some(if since < 0 { -length } else { length })
}

/// Reads `limit=100, remaining=0, reset=50` or `"default";r=0;t=50`.
fn of_policy(text: &str) -> Option<f64> {
    let mut parts = text.split([',', ';']).map(str::trim);
    parts.find_map(|part| {
        let value = part.strip_prefix("reset=").or(part.strip_prefix("t="))?;
        value.parse().ok()
    })
}

fn in_body(body: &Value) -> Option<f64> {
    let number = |name: &str| {
        let value = body.get(name).or_else(|| body.get("error")?.get(name))?;
        value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok())
    };
    [
        "retry_after_seconds",
        "retryAfterSeconds",
        "retryAfterSec",
        "retry_after",
        "retryAfter",
    ]
    .into_iter()
    .find_map(number)
    .or_else(|| {
        ["retry_after_ms", "retryAfterMs"]
            .into_iter()
            .find_map(number)
            .map(|ms| ms / 1000.0)
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_wait_is_read_from_every_place_and_fits() {
        for (pairs, expected) in [
            (&[("retry-after", "5")][..], Some(5)),
            (&[("retry-after", " 0 ")], Some(0)),
            (&[("retry-after", "2.5")], Some(3)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "86401")], Some(86_400)),
            (&[("retry-after", "999999999")], Some(86_400)),
            (
                &[("retry-after", "99999999999"), ("date", DATE)],
                Some(86_400),
            ),
            (
                &[("retry-after", "3000000000"), ("date", DATE)],
                Some(86_400),
            ),
            (&[("retry-after", "1m30s")], Some(90)),
            (&[("retry-after", DATE)], None),
            (
                &[
                    ("retry-after", DATE),
                    ("date", "Fri, 02 Jan 2026 03:03:05 GMT"),
                ],
                Some(60),
            ),
            (
                &[
                    ("retry-after", DATE),
                    ("date", "Fri, 02 Jan 2026 03:05:05 GMT"),
                ],
                Some(0),
            ),
            (
                &[
                    ("retry-after", "Sat, 02 Jan 9999 03:04:05 GMT"),
                    ("date", DATE),
                ],
                Some(86_400),
            ),
            (
                &[("retry-after", "2026-01-02T03:05:05Z"), ("date", DATE)],
                Some(60),
            ),
            (&[("retry-after-ms", "1500")], Some(2)),
            (&[("x-ratelimit-reset", "30")], Some(30)),
            (
                &[("x-ratelimit-reset", "1767323105"), ("date", DATE)],
                Some(60),
            ),
            (
                &[("x-ratelimit-reset", "1767323105000"), ("date", DATE)],
                Some(60),
            ),
            (&[("x-ratelimit-reset", "1767323105")], None),
            (
                &[("x-ratelimit-reset", "30"), ("x-ratelimit-remaining", "4")],
                None,
            ),
            (
                &[("ratelimit-reset", "7"), ("ratelimit-remaining", "0")],
                Some(7),
            ),
            (
                &[("ratelimit", "limit=100, remaining=0, reset=50")],
                Some(50),
            ),
            (&[("ratelimit", "\"default\";r=0;t=12")], Some(12)),
            (
                &[("retry-after", "4"), ("x-ratelimit-reset", "30")],
                Some(4),
            ),
        ] {
            assert_eq!(
                seconds(&headers(pairs), &Value::Null),
                expected,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn a_wait_is_read_from_the_body() {
        for (body, expected) in [
            (json!({"retry_after_seconds": 9}), Some(9)),
            (json!({"retry_after": "2.2"}), Some(3)),
            (json!({"error": {"retryAfter": 4}}), Some(4)),
            (json!({"retry_after_ms": 2500}), Some(3)),
            (json!({"retry_after_seconds": -9}), None),
            (json!({"retry_after_seconds": 1e300}), Some(86_400)),
            (json!({"retry_after_seconds": [9]}), None),
            (json!([9]), None),
        ] {
            assert_eq!(seconds(&HeaderMap::new(), &body), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_text_of_a_provider_is_more_than_a_day(
            text in "[ -~]{0,30}", number in any::<f64>(), name in 0..5_usize
        ) {
            let name = ["retry-after", "retry-after-ms", "x-ratelimit-reset", "ratelimit", "date"][name];
            for value in [text, number.to_string()] {
                let headers = headers(&[("date", DATE), (name, &value)]);
                prop_assert!(seconds(&headers, &Value::Null).is_none_or(|wait| wait <= 86_400));
            }
        }
    }
}
