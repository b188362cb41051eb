//! All of pgdial on one machine, with nothing to configure.
//!
//! A private Postgres, the API, a worker and the fake provider, which speaks real HTTP and sends signed
//! webhooks; 100 calls from a list, some numbers twice, some failing by rule. At the end the provider's
//! ledger is judged: did anything ring that should not have?

// Results of a run.
pub mod summary;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use pgdial_fake_provider::{self as fake, FakeOptions, FakeProvider, Speak, ledger};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use self::summary::Summary;
use crate::{
    app,
    config::WorkerSettings,
    db::{self, private},
    flow::{self, Queue, enqueue::Enqueued, groups::ChangeError, groups::GroupKind},
    http,
    lifecycle::Supervisor,
    provider::{
        Provider,
        adapters::{Adapter, FakeAccount, Given},
        signature::Secrets,
        tag,
    },
    trunks::{Trunk, Trunks},
};

/// List of calls of the demo.
pub const CALLS_CSV: &str = include_str!("demo/calls.csv");
/// Slots of the trunk.
pub const SLOTS: usize = 30;
/// The trunk of a new database.
const TRUNK: &str = "default";
/// The campaign, so that a demo in a database in use touches nothing else.
const CAMPAIGN: &str = "demo";

/// Behavior of some numbers of the list.
const RULES: [&str; 9] = [
    "*00=busy",
    "*11=seq:busy/completed",
    "*22=seq:no_answer/no_answer/completed",
    "*33=invalid_number",
    "*44=voicemail",
    "*55=declined",
    "*66=dup,reorder",
    "*77=early",
    "*88=error_after_accept",
];

/// Why the demo could not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The private Postgres failed.
    #[error(transparent)]
    Postgres(#[from] private::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// A verb failed.
    #[error(transparent)]
    Flow(#[from] flow::Error),
    /// Setting up the campaign failed.
    #[error(transparent)]
    Campaign(#[from] ChangeError),
    /// The fake provider failed.
    #[error(transparent)]
    Fake(#[from] fake::Error),
    /// The API or the worker failed.
    #[error(transparent)]
    App(#[from] app::Error),
    /// A task was lost.
    #[error("a task of the demo was lost")]
    Task(#[from] tokio::task::JoinError),
    /// The demo's own settings are not valid.
    #[error("the demo's own {0} cannot be read")]
    Own(&'static str),
    /// A call of the list was refused.
    #[error("line {line} of the list was not taken: {why}")]
    NotTaken {
        /// Line of the list, from 1.
        line: usize,
        /// Reason of the refusal.
        why: String,
    },
}

/// Where the demo runs.
#[derive(Debug)]
pub struct Place {
    /// An existing database; none starts a private Postgres.
    pub database_url: Option<SecretString>,
    /// Environment in which to find Postgres.
    pub environment: private::Environment,
    /// Address of the API.
    pub listen: SocketAddr,
    /// File of the provider's ledger.
    pub ledger: PathBuf,
    /// Protocol of the provider.
    pub speak: Speak,
}

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    calls: Queue,
    provider: FakeProvider,
    owner: String,
    /// Address of the API.
    pub api: SocketAddr,
    /// Command line that opens psql on the demo's database.
    pub psql: String,
    /// Database URL for other commands.
    pub database_url: String,
    // Last field, so dropped after its users.
    postgres: Option<private::PrivatePostgres>,
}

impl Demo {
    /// Starts everything; the loops run in `supervisor`.
    pub async fn start(place: Place, supervisor: &mut Supervisor) -> Result<Self, Error> {
        let (url, psql, postgres) = if let Some(url) = place.database_url {
            let url = url.expose_secret().to_owned();
            (url, "psql \"$DATABASE_URL\"".to_owned(), None)
        } else {
            let postgres = private_postgres(place.environment).await?;
            (postgres.url(), postgres.psql_line(), Some(postgres))
        };
        let pool = db::connect(&url, "demo", app::API_CONNECTIONS).await?;
        db::migrate(&pool).await?;
        let calls = Queue::new(pool);
        set_up_campaign(&calls).await?;

        let listener = app::bind(place.listen)?;
        let api = listener.local_addr().unwrap_or(place.listen);
        let public_url = format!("{}://{api}", place.speak.webhook_scheme());
        let secret = format!("demo-{}-{}", Uuid::new_v4(), Uuid::new_v4());
        let secrets: Secrets = secret.parse().map_err(|_bad| Error::Own("secret"))?;
        let mut options = fake_options(place.ledger, &secret)?;
        options.speak = place.speak;
        // For platforms whose calls bring none.
        let account_url = tag::account_url(&public_url, TRUNK);
        options.webhook_url = Some(account_url.parse().map_err(|_bad| Error::Own("address"))?);
        let provider = FakeProvider::start(options).await?;
        let trunk = Trunk {
            name: TRUNK.to_owned(),
            provider: adapter(place.speak, &provider, &secret)?,
            secrets,
        };
        let trunks: Trunks = [trunk].into_iter().collect();

        let settings = http::Settings {
            trunks: trunks.clone(),
            public_url: public_url.clone(),
            ..http::Settings::default()
        };
        app::start_api(supervisor, calls.clone(), listener, settings);
        let worker = WorkerSettings {
            trunks,
            public_url,
            permits: SLOTS,
            poll: Some(Duration::from_secs(30)),
            keep_finished: Some(Duration::from_hours(24)),
            // Whoever tries it out receives events on this machine.
            endpoint_networks: "127.0.0.0/8,::1".parse().unwrap_or_default(),
        };
        let pool = db::connect(&url, "demo worker", app::WORKER_CONNECTIONS).await?;
        app::start_worker(supervisor, &calls.beside(pool), worker).await?;
        app::start_notifier(supervisor, calls.clone());
        let owner = format!("demo-{}", Uuid::new_v4());
        Ok(Self {
            calls,
            provider,
            owner,
            api,
            psql,
            database_url: url,
            postgres,
        })
    }

    /// Enqueues the list; returns the number of calls.
    pub async fn enqueue(&self, csv: &str) -> Result<usize, Error> {
        let requests = requests_of(csv)?;
        let results = self.calls.enqueue(&self.owner, &requests).await?;
        for (line, result) in (2..).zip(&results) {
            if !matches!(result, Enqueued::Created(_)) {
                return Err(Error::NotTaken {
                    line,
                    why: format!("{result:?}"),
                });
            }
        }
        Ok(results.len())
    }

    /// Results so far.
    pub async fn summary(&self) -> Result<Summary, Error> {
        Ok(Summary::of(&self.calls.timeline(&self.owner).await?, SLOTS))
    }

    /// Verdict on the provider's ledger.
    pub fn verdict(&self) -> std::io::Result<ledger::Verdict> {
        Ok(ledger::judge(&ledger::read(self.provider.ledger())?))
    }

    /// Address of the provider.
    pub fn provider_url(&self) -> String {
        self.provider.url()
    }

    /// File of the ledger.
    pub fn ledger(&self) -> &std::path::Path {
        self.provider.ledger()
    }

    /// Stops the provider; the rest stops with its supervisor, Postgres last.
    pub async fn stop(self) -> Option<private::PrivatePostgres> {
        self.provider.shutdown().await;
        self.postgres
    }
}

/// The adapter that speaks the provider's protocol.
fn adapter(
    speak: Speak,
    provider: &FakeProvider,
    secret: &str,
) -> Result<Arc<dyn Provider>, Error> {
    let adapter = Adapter::named(&speak.name()).ok_or(Error::Own("provider"))?;
    let settings = adapter.rehearsal(&FakeAccount {
        address: provider.url(),
        key: "demo".to_owned(),
        public_key: speak.public_key(secret).unwrap_or_default(),
    });
    let given = |name: &str| settings.get(name).map(String::as_str);
    (adapter.build)(&Given(&given)).map_err(|_fault| Error::Own("account"))
}

/// A private server, which ends with the demo.
async fn private_postgres(
    environment: private::Environment,
) -> Result<private::PrivatePostgres, Error> {
    let options = private::Options::careless(environment);
    let start = move || private::PrivatePostgres::start(&options);
    Ok(tokio::task::spawn_blocking(start).await??)
}

/// Retries in seconds instead of minutes, and calls of at most a minute.
async fn set_up_campaign(calls: &Queue) -> Result<(), Error> {
    let policies = json!({
        "busyBase": "1 second", "noAnswerBase": "1 second", "faultBase": "1 second",
        "ringTimeout": "10 seconds", "maxDuration": "1 minute",
    });
    if !calls
        .create_group(GroupKind::Campaign, CAMPAIGN, &policies, "demo", None)
        .await?
    {
        calls
            .set_group(GroupKind::Campaign, CAMPAIGN, &policies, "demo", None)
            .await?;
    }
    Ok(())
}

fn fake_options(ledger: PathBuf, secret: &str) -> Result<FakeOptions, Error> {
    let mut options = FakeOptions::new(ledger, secret);
    options.ring = "0.2s..0.6s"
        .parse()
        .map_err(|_bad| Error::Own("ring time"))?;
    options.talk = "0.5s..2s".parse().map_err(|_bad| Error::Own("talk time"))?;
    for rule in RULES {
        options
            .rules
            .push(rule.parse().map_err(|_bad| Error::Own("rule"))?);
    }
    Ok(options)
}

fn requests_of(csv: &str) -> Result<Vec<Value>, Error> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.deserialize::<Row>();
    rows.map(|row| {
        let row = row.map_err(|_bad| Error::Own("list"))?;
        Ok(json!({
            "to": row.to, "scriptId": row.script_id, "campaign": CAMPAIGN,
            "metadata": { "name": row.name, "note": row.note },
        }))
    })
    .collect()
}

#[derive(serde::Deserialize)]
struct Row {
    to: String,
    #[serde(rename = "scriptId")]
    script_id: String,
    #[serde(rename = "metadata.name")]
    name: String,
    #[serde(rename = "metadata.note")]
    note: String,
}
