//! Traces: one per call, from the request that enqueues it to the report that ends it.
//!
//! A call's row keeps the W3C `traceparent` of its request, so any process can continue the trace: the worker that
//! claims and dials it, and the one that receives the webhook an hour later. The dial passes it on to the provider.
//! That much always works.
//!
//! Our own spans are made and sent (OTLP over HTTP) only in a build with the feature `otel` and with
//! `OTEL_EXPORTER_OTLP_ENDPOINT` set; otherwise a [`Span`] is empty and costs nothing.

use crate::config::Variables;

/// Exports spans until dropped; dropping flushes the last ones.
#[derive(Debug, Default)]
pub struct Exporting(#[cfg(feature = "otel")] Option<opentelemetry_sdk::trace::SdkTracerProvider>);

/// Tracing settings, from OpenTelemetry's standard variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// OTLP endpoint; `None` means that nothing is exported.
    pub endpoint: Option<String>,
    /// Service name reported there; `pgdial` by default.
    pub service: String,
}

impl Traces {
    /// Reads `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_SERVICE_NAME`.
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

/// Whether a call can store this: version 00, lower-case hex, the right lengths.
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

/// An attribute of a span, named as in log lines.
pub(crate) type Fact<'a> = (&'static str, &'a dyn std::fmt::Display);

#[cfg(feature = "otel")]
pub(crate) use on::{Span, start};

#[cfg(not(feature = "otel"))]
pub(crate) use off::{Span, start};

/// Stand-ins without the feature, at no cost.
#[cfg(not(feature = "otel"))]
mod off {
    use super::{Exporting, Fact, Traces};

    /// Warns that this build cannot export although an endpoint is set.
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
