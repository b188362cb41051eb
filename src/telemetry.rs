//! Logs: to stderr, for people or as JSON; data goes to stdout and nowhere else.

// One trace a call.
pub mod trace;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// The filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a log filter: write a level (error, warn, info, debug, trace) or as in info,pgdial::dispatcher=debug"
)]
pub struct BadFilter(#[source] tracing_subscriber::filter::ParseError);

/// Starts logging. A second call in one process changes nothing.
pub fn init(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let filter = filter.parse::<EnvFilter>().map_err(BadFilter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(true);
    let started = match format {
        LogFormat::Text => registry
            .with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())))
            .try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was already started");
    }
    Ok(())
}

/// Begins to send traces, where that is wished; until what it answers is dropped.
pub fn export(traces: &trace::Traces) -> trace::Exporting {
    trace::start(traces)
}
