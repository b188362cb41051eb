//! Logs go to stderr, as text or JSON; stdout is for data only.

pub mod trace;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// The log filter does not parse.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a log filter: write a level (error, warn, info, debug, trace) or as in info,pgdial::dispatcher=debug"
)]
pub struct BadFilter(#[source] tracing_subscriber::filter::ParseError);

/// Starts logging. A second call in the same process changes nothing.
pub fn init(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let filter = filter.parse::<EnvFilter>().map_err(BadFilter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(true);
    let started = match format {
        LogFormat::Text => registry
            .with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())))
            .try_init(),
        LogFormat::Json => {
            // The innermost span is the last of `spans`.
            let lines = lines.json().flatten_event(true).with_current_span(false);
            registry.with(lines).try_init()
        }
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was already started");
    }
    Ok(())
}

/// Starts exporting spans if an endpoint is set; ends when the returned value is dropped.
pub fn export(traces: &trace::Traces) -> trace::Exporting {
    trace::start(traces)
}
