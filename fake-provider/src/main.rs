//! The fake provider as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use pgdial_fake_provider::{Error, FakeOptions, FakeProvider};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A voice provider that only pretends to call. `PGDIAL_WEBHOOK_SECRETS` signs its webhooks.
#[derive(Debug, Parser)]
#[command(name = "pgdial-fake-provider", version)]
struct Program {
    #[command(flatten)]
    options: FakeOptions,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Program::parse().options;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_writer(std::io::stderr)
        .init();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the settings of this program are its flags, and these two secrets"
)]
async fn run(options: FakeOptions) -> Result<(), Error> {
    let options = options.with_secrets(|name| std::env::var(name).ok())?;
    let provider = FakeProvider::start(options).await?;
    tracing::info!(url = provider.url(), ledger = %provider.ledger().display(), "listening");
    if let Some(key) = provider.public_key() {
        tracing::info!(
            key,
            "signs webhooks; give it to pgdial as PGDIAL_PUBLIC_KEYS"
        );
    }
    stopped().await;
    provider.shutdown().await;
    Ok(())
}

/// Resolves on ^C or SIGTERM.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _pressed = interrupted => {}
                _sent = terminated.recv() => {}
            }
        }
        Err(_) => drop(interrupted.await),
    }
}
