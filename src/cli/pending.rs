//! Stand-ins for modules that are written elsewhere at the same time: their signatures,
//! and no bodies. Remove this file and let `use super::pending::{..}` say `crate::{..}`.

/// Becomes `crate::db`.
pub(crate) mod db {
    use sqlx::PgPool;

    #[derive(Debug, thiserror::Error)]
    #[error("the database did not answer")]
    pub(crate) struct Error(#[from] sqlx::Error);

    #[derive(Debug)]
    pub(crate) struct Migrated {
        pub(crate) applied: Vec<String>,
    }

    impl std::fmt::Display for Migrated {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} files applied", self.applied.len())
        }
    }

    pub(crate) async fn connect(
        url: &str,
        role: &'static str,
        max_connections: u32,
    ) -> Result<PgPool, Error> {
        tracing::debug!(role, "connecting");
        let options = sqlx::postgres::PgPoolOptions::new()
            .max_connections(max_connections)
            // The pool tries a refused connection again until this is over.
            .acquire_timeout(std::time::Duration::from_secs(3));
        Ok(options.connect(url).await?)
    }

    pub(crate) async fn check_schema(pool: &PgPool) -> Result<(), Error> {
        pool.acquire().await?;
        Ok(())
    }

    pub(crate) async fn migrate(pool: &PgPool) -> Result<Migrated, Error> {
        pool.acquire().await?;
        Ok(Migrated {
            applied: Vec::new(),
        })
    }
}

/// Becomes `crate::app`.
pub(crate) mod app {
    pub(crate) type Error = std::io::Error;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Role {
        Serve,
        Api,
        Work,
    }

    pub(crate) async fn run(role: Role, config: crate::config::Run) -> Result<(), Error> {
        std::future::ready(()).await;
        let why = format!("{role:?} is not there yet, listening on {}", config.listen);
        Err(Error::other(why))
    }
}

/// Becomes `crate::telemetry`.
pub(crate) mod telemetry {
    pub(crate) fn init(filter: &str, format: crate::config::LogFormat) {
        tracing::debug!(filter, ?format, "logging");
    }
}

/// Becomes `super::demo`.
pub(crate) mod demo {
    use crate::{
        cli::{DemoArgs, Failure},
        config::Variables,
    };

    pub(crate) async fn run(args: &DemoArgs, variables: &Variables) -> Result<(), Failure> {
        std::future::ready(()).await;
        tracing::debug!(?args, ?variables, "demo");
        Err(Failure::failed("demo is not there yet"))
    }
}
