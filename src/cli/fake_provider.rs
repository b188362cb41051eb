//! `fake-provider`: a provider that only pretends to call, for trying and testing.
//!
//! Its options and its server are written elsewhere at the same time; this file then
//! flattens those options and starts that server.

use super::Failure;

/// Run a provider that only pretends to call.
#[derive(Debug, Clone, clap::Args)]
pub struct FakeProviderArgs {}

/// Runs until stopped.
pub async fn run(args: &FakeProviderArgs) -> Result<(), Failure> {
    std::future::ready(()).await;
    tracing::debug!(?args, "fake-provider");
    Err(Failure::failed("fake-provider is not there yet"))
}
