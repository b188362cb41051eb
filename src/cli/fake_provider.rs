//! `fake-provider`: runs the fake provider as a process of its own.

use pgdial_fake_provider::{FakeOptions, FakeProvider};

use super::{Failure, Out};
use crate::{config::Variables, lifecycle::Supervisor};

/// Run a fake provider, for trying and testing.
#[derive(Debug, Clone, clap::Args)]
pub struct FakeProviderArgs {
    #[command(flatten)]
    options: FakeOptions,
}

/// Runs until stopped.
pub async fn run(
    out: &mut Out,
    args: &FakeProviderArgs,
    variables: &Variables,
) -> Result<(), Failure> {
    let options = args.options.clone();
    let options = options
        .with_secrets(|name| variables.get(name).map(str::to_owned))
        .map_err(|error| {
            Failure::setting(error.to_string()).hint(
                "give it the same value as `pgdial serve` has: PGDIAL_WEBHOOK_SECRETS=whsec_$(openssl rand -base64 32)",
            )
        })?;
    let provider = FakeProvider::start(options).await?;
    out.note(format!(
        "listening on {}, ledger {}",
        provider.url(),
        provider.ledger().display()
    ));
    if let Some(key) = provider.public_key() {
        out.note(format!("PGDIAL_PUBLIC_KEYS={key}"));
    }
    let mut supervisor = Supervisor::new()?;
    let stop = supervisor.stop();
    supervisor.spawn("provider", async move {
        stop.cancelled().await;
        provider.shutdown().await;
        Ok::<(), std::convert::Infallible>(())
    });
    supervisor.run(std::time::Duration::from_secs(10)).await?;
    Ok(())
}
