//! `fake-provider`: runs the fake provider as a process of its own.

use super::{Failure, Out};
use crate::{
    config::Variables,
    lifecycle::Supervisor,
    provider::fake::{FakeOptions, FakeProvider},
};

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
    let mut options = args.options.clone();
    let secrets = variables.get("PGDIAL_WEBHOOK_SECRETS").ok_or_else(|| {
        Failure::setting("PGDIAL_WEBHOOK_SECRETS is not set: webhooks are signed with it").hint(
            "give it the same value as `pgdial serve` has: PGDIAL_WEBHOOK_SECRETS=whsec_$(openssl rand -base64 32)",
        )
    })?;
    let secrets = secrets
        .parse()
        .map_err(|error| Failure::setting(format!("PGDIAL_WEBHOOK_SECRETS: {error}")))?;
    options.webhook_secrets = Some(secrets);
    options.key = variables.get("PGDIAL_PROVIDER_KEY").map(Into::into);
    let provider = FakeProvider::start(options).await?;
    out.note(format!(
        "listening on {}, ledger {}",
        provider.url(),
        provider.ledger().display()
    ));
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
