//! A provider that can be told to misbehave, and that keeps the evidence.
//!
//! It speaks the protocol of pgdial's generic adapter, or a platform's ([`Speak`]), over real HTTP, sends signed
//! webhooks until they are accepted, and writes every ring into a [`ledger`]. It is the witness against which pgdial's promises are
//! judged, so it shares neither state nor code with pgdial. Tests, the demo and the `fake-provider` command
//! run it.
//!
//! `life` leads a call from its first ring to its last report, `rules` decide what goes wrong with it, and
//! `wire` is the interface to callers: paths, words and signatures of each protocol.
//!
//! Every background task is tracked and ends with [`FakeProvider::shutdown`]; live calls end there too, their
//! rings are closed in the ledger and nobody is notified. When killed it leaves open rings behind, and its
//! next process knows none of its calls.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    calls::Calls,
    delivery::Courier,
    dialect::{Dialect, Keys},
    ledger::Ledger,
    life::Guide,
    wire::{
        Protocol,
        desk::{self, Desk},
    },
};

mod calls;
mod clock;
mod delivery;
mod dialect;
pub mod ledger;
mod life;
mod options;
mod reading;
mod rules;
mod wire;

pub use options::{FakeOptions, Scheme, Span, Speak, Weights};
pub use reading::BadOption;
pub use rules::{Asked, Behaviour, Ending, Rule};
pub use wire::http::signing::BadSecret;

/// Why the fake provider cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use, or not of this host.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address to listen on.
        address: SocketAddr,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Unsigned webhooks would all be refused.
    #[error("PGDIAL_WEBHOOK_SECRETS is not set: webhooks are signed with it")]
    NoSecret,
    /// The signing secret cannot be read.
    #[error("PGDIAL_WEBHOOK_SECRETS: {0}")]
    BadSecret(#[from] BadSecret),
    /// No key pair can be made of the signing secret.
    #[error("PGDIAL_WEBHOOK_SECRETS: no key pair can be made of it")]
    NoKeyPair,
    /// The ledger cannot be written; without it nothing rings.
    #[error("cannot open the ledger {}", path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

impl FakeOptions {
    /// Adds what has no flag, because a process list shows flags: secret and key, by the names of their
    /// variables.
    pub fn with_secrets(self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let secret = variable("PGDIAL_WEBHOOK_SECRETS").ok_or(Error::NoSecret)?;
        let options = Self {
            webhook_secret: Some(secret.into()),
            key: variable("PGDIAL_PROVIDER_KEY").map(Into::into),
            ..self
        };
        options.protocol()?;
        Ok(options)
    }

    fn protocol(&self) -> Result<Arc<dyn Protocol>, Error> {
        self.speak.protocol(Keys {
            api: self.key.clone(),
            webhook: self.webhook_secret.clone().ok_or(Error::NoSecret)?,
            scheme: self.scheme,
        })
    }
}

/// A running fake provider. Dropping it stops it too, without waiting.
pub struct FakeProvider {
    address: SocketAddr,
    desk: Desk,
}

impl FakeProvider {
    /// Starts one. It is listening when this returns.
    pub async fn start(options: FakeOptions) -> Result<Self, Error> {
        let protocol = options.protocol()?;
        let paths = protocol.router();
        let dialect: Arc<dyn Dialect> = protocol;
        let ledger = Ledger::open(&options.ledger).map_err(|source| Error::Ledger {
            path: options.ledger.clone(),
            source,
        })?;
        let refused = |source| Error::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let calls = Arc::new(Calls::new(
            &options,
            dialect.honors_keys(),
            dialect.overflow(),
        ));
        let desk = Desk {
            dialect: Arc::clone(&dialect),
            courier: Arc::new(Courier::new(
                &options,
                Arc::clone(&dialect),
                tasks.clone(),
                stop.clone(),
            )),
            guide: Arc::new(Guide {
                dialect: Arc::clone(&dialect),
                calls: Arc::clone(&calls),
                ledger: Arc::new(ledger),
                stop: stop.clone(),
            }),
            calls,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let router = desk::router(desk.clone(), paths);
        tasks.spawn(desk::serve(listener, router, tasks.clone(), stop));
        tasks.close();
        Ok(Self { address, desk })
    }

    /// Listen address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address for the adapter: `http://127.0.0.1:8090`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// File of the ledger; [`ledger::read`] and [`ledger::judge`] read it.
    pub fn ledger(&self) -> &Path {
        self.desk.guide.ledger.path()
    }

    /// Public key that verifies its webhooks, where the platform signs with a key pair.
    pub fn public_key(&self) -> Option<String> {
        self.desk.dialect.public_key().map(str::to_owned)
    }

    /// Number of calls that are not over.
    pub fn active(&self) -> usize {
        self.desk.calls.active()
    }

    /// Number of webhooks that are not accepted yet and will be sent again.
    pub fn undelivered(&self) -> usize {
        self.desk.courier.undelivered()
    }

    /// Ends every call and every task, and waits for them.
    pub async fn shutdown(self) {
        self.desk.stop.cancel();
        self.desk.tasks.wait().await;
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.desk.stop.cancel();
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider")
            .field("address", &self.address)
            .field("ledger", &self.ledger())
            .finish_non_exhaustive()
    }
}
