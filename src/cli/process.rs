//! `serve`, `api` and `work`: turn the settings as given into those of each part, and run until stopped.

use secrecy::ExposeSecret;

use super::{Exit, Failure};
use crate::{
    app::{self, Role, WorkerSettings},
    config::{ApiKey, Run},
    http::ApiKeys,
};

pub(super) async fn run(role: Role, run: Run) -> Result<Exit, Failure> {
    let settings = app::Settings {
        database_url: run.database_url,
        listen: run.listen,
        metrics_listen: run.metrics_listen,
        api_keys: api_keys(&run.api_keys)?,
        event_streams: run.event_streams,
        largest_webhook: run.largest_webhook,
        migrate: run.migrate,
        grace: run.grace,
        worker: WorkerSettings {
            trunks: run.trunks,
            public_url: run.public_url,
            permits: run.permits,
            poll: run.poll,
            keep_finished: run.keep_finished,
        },
    };
    app::run(role, settings).await?;
    Ok(Exit::Ok)
}

/// The API keeps only hashes of the keys.
fn api_keys(keys: &[ApiKey]) -> Result<ApiKeys, Failure> {
    let pairs = keys
        .iter()
        .map(|key| format!("{}:{}", key.name, key.key.expose_secret()));
    Ok(pairs.collect::<Vec<_>>().join(",").parse()?)
}
