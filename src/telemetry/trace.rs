//! Traces: one for each call, from the request that asks for it to the report that ends it.
//!
//! A call keeps the W3C `traceparent` of its request in its row, so that any process goes on
//! with the same trace: the worker that claims and dials it, and whoever hears the provider's
//! webhook, an hour later. The provider is told with the dial. That much always works.
//!
//! Spans of our own are made and sent (OTLP over HTTP) only in a build with the feature `otel`,
//! and only where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; else a [`Span`] is nothing and costs nothing.

use crate::config::Variables;

/// Sends spans until it is dropped; then the last of them.
#[derive(Debug, Default)]
pub struct Exporting(#[cfg(feature = "otel")] Option<opentelemetry_sdk::trace::SdkTracerProvider>);

/// What a process is told about traces, by the names that OpenTelemetry gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// Where they are sent; none = nowhere.
    pub endpoint: Option<String>,
    /// What this process is called there.
    pub service: String,
}

impl Traces {
    /// From the environment.
    pub fn read(variables: &Variables) -> Self {
        Self {
            endpoint: variables
                .get("OTEL_EXPORTER_OTLP_ENDPOINT")
                .map(|url| url.trim_end_matches('/').to_owned()),
            service: variables
                .get("OTEL_SERVICE_NAME")
                .unwrap_or("pgdial")
                .to_owned(),
        }
    }
}

/// Is this a `traceparent` that a call can keep?
pub(crate) fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let lengths = [("version", 2), ("trace", 32), ("span", 16), ("flags", 2)];
    let hex = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    text.starts_with("00-")
        && lengths.iter().all(|(_, length)| {
            parts
                .next()
                .is_some_and(|part| part.len() == *length && hex(part))
        })
        && parts.next().is_none()
}

/// What a span is about, by the names that log lines have.
pub(crate) type Fact<'a> = (&'static str, &'a dyn std::fmt::Display);

#[cfg(feature = "otel")]
pub(crate) use on::{Span, start};

#[cfg(not(feature = "otel"))]
pub(crate) use off::{Span, start};

/// Without the feature: nothing, at no cost.
#[cfg(not(feature = "otel"))]
mod off {
    use super::{Exporting, Fact, Traces};

    /// Says that this build sends none, where somebody expects some.
    pub(crate) fn start(traces: &Traces) -> Exporting {
        if traces.endpoint.is_some() {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build sends no traces: cargo build --features otel"
            );
        }
        Exporting()
    }

    #[derive(Debug)]
    pub(crate) struct Span;

    #[expect(clippy::unused_self, reason = "as it is with the feature")]
    impl Span {
        pub(crate) const fn is_on() -> bool {
            false
        }

        pub(crate) const fn under(_name: &'static str, _parent: Option<&str>) -> Self {
            Self
        }

        pub(crate) const fn began(
            _name: &'static str,
            _parent: Option<&str>,
            _ago: std::time::Duration,
        ) -> Self {
            Self
        }

        #[must_use]
        pub(crate) const fn with(self, _facts: &[Fact<'_>]) -> Self {
            self
        }

        pub(crate) const fn end(self) {}

        pub(crate) const fn add(&mut self, _facts: &[Fact<'_>]) {}

        pub(crate) const fn traceparent(&self) -> Option<String> {
            None
        }
    }
}

#[cfg(feature = "otel")]
mod on;

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn a_traceparent_is_of_the_form_that_the_database_takes() {
        let right = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(right));
        for wrong in [
            "",
            "00",
            &right.to_uppercase(),
            &right.replacen("00", "01", 1),
            right.trim_end_matches('1'),
            &format!("{right}-00"),
            &right.replacen("4bf9", "4bg9", 1),
            &right.replacen('-', "_", 1),
        ] {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }
}
