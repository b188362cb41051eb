//! Spans with the feature `otel`, by OpenTelemetry's own library.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        TracerProvider,
    },
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

use super::{Exporting, Fact, Traces, is_traceparent};

/// Set once spans are exported; one per process, as for the log.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Starts exporting if an endpoint is set.
pub(crate) fn start(traces: &Traces) -> Exporting {
    let Some(endpoint) = &traces.endpoint else {
        return Exporting::default();
    };
    if !endpoint.starts_with("http://") {
        tracing::error!(
            endpoint,
            "no traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT must be http://, to a collector beside pgdial"
        );
        return Exporting::default();
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build();
    match exporter {
        Ok(exporter) => {
            let service = Resource::builder().with_service_name(traces.service.clone());
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(service.build())
                .build();
            TRACER.get_or_init(|| provider.tracer("pgdial"));
            Exporting(Some(provider))
        }
        Err(error) => {
            tracing::error!(%error, "no traces are sent");
            Exporting::default()
        }
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// A span; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Span {
    /// Whether spans are exported at all.
    pub(crate) fn is_on() -> bool {
        TRACER.get().is_some()
    }

    /// A span under this `traceparent`, or the root of a new trace.
    pub(crate) fn under(name: &'static str, parent: Option<&str>) -> Self {
        Self(TRACER.get().map(|tracer| {
            let context = parent.map_or_else(Context::new, read);
            tracer.start_with_context(name, &context)
        }))
    }

    /// As [`Self::under`], but started `ago` before now.
    #[must_use]
    pub(crate) fn began(name: &'static str, parent: Option<&str>, ago: Duration) -> Self {
        Self(TRACER.get().map(|tracer| {
            let context = parent.map_or_else(Context::new, read);
            let began = host_now().checked_sub(ago).unwrap_or_else(host_now);
            let builder = tracer.span_builder(name).with_start_time(began);
            tracer.build_with_context(builder, &context)
        }))
    }

    #[must_use]
    pub(crate) fn with(mut self, facts: &[Fact<'_>]) -> Self {
        self.add(facts);
        self
    }

    /// Adds attributes known only later.
    pub(crate) fn add(&mut self, facts: &[Fact<'_>]) {
        if let Some(span) = &mut self.0 {
            for (name, value) in facts {
                span.set_attribute(KeyValue::new(*name, value.to_string()));
            }
        }
    }

    /// Ends the span explicitly, which reads better than a drop.
    pub(crate) fn end(self) {
        drop(self);
    }

    /// This span's own `traceparent`, for what follows from it.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        Some(format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8()
        ))
    }
}

/// The span context of another process.
fn read(traceparent: &str) -> Context {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let ([_, trace, span, flags], true) = (&*parts, is_traceparent(traceparent)) else {
        return Context::new();
    };
    let ids = (TraceId::from_hex(trace), SpanId::from_hex(span));
    let (Ok(trace), Ok(span), Ok(flags)) = (ids.0, ids.1, u8::from_str_radix(flags, 16)) else {
        return Context::new();
    };
    let flags = TraceFlags::new(flags);
    let remote = SpanContext::new(trace, span, flags, true, TraceState::default());
    Context::new().with_remote_span_context(remote)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a span shows to people; nothing is decided by it"
)]
fn host_now() -> SystemTime {
    SystemTime::now()
}
