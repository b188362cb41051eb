//! Everything one run needs: a Postgres, the proxies, the providers with their ledgers, and our own processes.

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use pgdial::provider::{
    adapters::{Adapter, FakeAccount},
    tag,
};
use pgdial_fake_provider::Speak;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    postgres::{self, Postgres},
    processes::{Keeper, free_address},
    proxy::{Proxy, Upstream},
    setup::{Setup, TrunkSetup, words},
};

/// The API key of every account.
const KEY: &str = "the-key-of-the-account";

/// One trunk of a running stage.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) name: &'static str,
    pub(crate) slots: usize,
    pub(crate) secret: String,
    /// Between the workers and the provider.
    pub(crate) proxy: Proxy,
    pub(crate) ledger: PathBuf,
    address: SocketAddr,
    _provider: Keeper,
}

/// A running set of everything.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) postgres: Postgres,
    /// Between our processes and Postgres.
    pub(crate) network: Proxy,
    /// Between providers and callers on one side and the APIs on the other.
    pub(crate) door: Proxy,
    pub(crate) trunks: Vec<Trunk>,
    pub(crate) apis: Vec<Keeper>,
    pub(crate) workers: Vec<Keeper>,
    pub(crate) speak: Speak,
    variables: HashMap<String, String>,
    folder: TempDir,
}

impl Stage {
    /// Starts everything but the workers.
    pub(crate) async fn new(setup: &Setup) -> Self {
        // Traversable, because the account that runs Postgres must reach its own folder in it.
        let mut folder = tempfile::Builder::new()
            .prefix(&format!("pgdial-chaos-{}-", setup.name))
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir()
            .unwrap();
        folder.disable_cleanup(std::env::var_os("CHAOS_KEEP").is_some());
        let postgres = Postgres::start(&folder.path().join("primary")).await;
        postgres.create_database().await;
        let network = Proxy::start(vec![Upstream::Unix(postgres.socket())]).await;
        let api_addresses: Vec<_> = (0..setup.apis).map(|_| free_address()).collect();
        let door = Proxy::start(api_addresses.iter().copied().map(Upstream::Tcp).collect()).await;
        let mut variables = HashMap::from([
            (
                "DATABASE_URL".to_owned(),
                Postgres::url_through(network.address),
            ),
            (
                "PGDIAL_PUBLIC_URL".to_owned(),
                format!("{}://{}", setup.speak.webhook_scheme(), door.address),
            ),
            ("PGDIAL_LOG".to_owned(), "info".to_owned()),
            (
                "PGDIAL_ENDPOINT_NETWORKS".to_owned(),
                "127.0.0.0/8".to_owned(),
            ),
        ]);
        let mut trunks = Vec::new();
        for trunk in &setup.trunks {
            trunks.push(start_trunk(folder.path(), trunk, setup, &mut variables).await);
        }
        let mut stage = Self {
            postgres,
            network,
            door,
            trunks,
            apis: Vec::new(),
            workers: Vec::new(),
            speak: setup.speak,
            variables,
            folder,
        };
        stage.migrate(setup).await;
        let subcommand = if setup.apis_dial { "serve" } else { "api" };
        stage.start_apis(subcommand, api_addresses).await;
        stage
    }

    /// As [`Self::new`], with the workers.
    pub(crate) async fn full(setup: &Setup) -> Self {
        let mut stage = Self::new(setup).await;
        for _ in 0..setup.workers {
            stage.start_worker().await;
        }
        stage
    }

    /// Runs `pgdial <args>`, which must succeed; returns its output.
    pub(crate) async fn command(&self, args: &[&str]) -> String {
        let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_pgdial"))
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .envs(&self.variables)
            .output()
            .await
            .unwrap();
        let words = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    async fn migrate(&self, setup: &Setup) {
        self.command(&["migrate"]).await;
        let mut role = self.postgres.as_the_role().await.unwrap();
        for trunk in &setup.trunks {
            let TrunkSetup {
                name,
                look_up,
                slots,
                idempotent,
            } = trunk;
            let campaign = setup.campaign;
            let mut said = json!({"slots": slots});
            if let Some(look_up) = look_up {
                said["lookUp"] = json!(look_up);
                said["idempotent"] = json!(idempotent);
            }
            let sql = format!(
                "select pgdial.create_trunk('{name}');
                 select pgdial.set_trunk('{name}', '{said}');
                 select pgdial.create_campaign('{name}');
                 select pgdial.set_campaign('{name}', '{{\"trunk\": \"{name}\"}}');
                 select pgdial.set_campaign('{name}', '{campaign}')"
            );
            postgres::run(&mut role, &sql).await.unwrap();
        }
    }

    async fn start_apis(&mut self, subcommand: &str, addresses: Vec<SocketAddr>) {
        for (at, address) in addresses.into_iter().enumerate() {
            let mut variables = self.variables.clone();
            variables.insert("PGDIAL_LISTEN".to_owned(), address.to_string());
            let name = format!("api-{}", at + 1);
            let api = Keeper::start(self.path(), &name, &words(&[subcommand]), &variables);
            self.apis.push(api);
        }
        let url = format!("{}/readyz", self.url());
        until("the API answers", Duration::from_secs(30), async || {
            get(&url).await.is_some()
        })
        .await;
    }

    /// Starts one more worker, and waits for its first heartbeat.
    pub(crate) async fn start_worker(&mut self) {
        let name = format!("worker-{}", self.workers.len() + 1);
        let alive = "select count(*) from pgdial.workers";
        let before = self.text(alive).await;
        self.workers.push(Keeper::start(
            self.path(),
            &name,
            &words(&["work"]),
            &self.variables,
        ));
        until(
            "a worker shows that it is alive",
            Duration::from_secs(30),
            async || self.text(alive).await != before,
        )
        .await;
    }

    /// Gives the first trunk another account at a provider of its own, which is appended to `trunks`; its workers
    /// end, and as many others start.
    pub(crate) async fn move_account(&mut self, args: &[String]) {
        let workers = std::mem::take(&mut self.workers).len();
        let (setup, secret) = (
            TrunkSetup::new("moved", "none"),
            self.trunks[0].secret.clone(),
        );
        let moved = start_provider(self.path(), &setup, secret, args).await;
        let url = moved.provider_url();
        self.variables.insert("PGDIAL_PROVIDER_URL".to_owned(), url);
        self.trunks.push(moved);
        for _ in 0..workers {
            self.start_worker().await;
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Base URL of the APIs for callers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.door.address)
    }

    /// One value, read past every proxy; the server must be up.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let mut connection = self.postgres.direct().await.unwrap();
        postgres::text(&mut connection, sql).await.unwrap()
    }

    /// Runs statements past every proxy.
    pub(crate) async fn sql(&self, sql: &str) {
        let mut connection = self.postgres.direct().await.unwrap();
        postgres::run(&mut connection, sql).await.unwrap();
    }

    /// Enqueues one call and wakes the workers; returns its id.
    pub(crate) async fn enqueue(&self, number: &str) -> String {
        let sql = format!(
            "pgdial.enqueue('{number}', 'chaos', p_campaign => '{}')",
            self.trunks[0].name
        );
        let mut connection = self.through_the_network().await.unwrap();
        postgres::text(&mut connection, &sql).await.unwrap()
    }

    /// Connects as our processes do.
    pub(crate) async fn through_the_network(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&Postgres::url_through(self.network.address)).await
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        self.text(&format!("select state from pgdial.calls where id = '{id}'"))
            .await
    }

    /// Waits until every call has ended.
    pub(crate) async fn until_all_over(&self, patience: Duration) -> Result<(), String> {
        let open = "select count(*) from pgdial.calls where ended_at is null";
        let began = Instant::now();
        while began.elapsed() < patience {
            if self.text(open).await == "0" {
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
        let left = "select string_agg(c.n || ' ' || c.state || coalesce(' (' || c.last_error || ')', ''), ', ')
                    from (select state, last_error, count(*) n from pgdial.calls where ended_at is null
                          group by 1, 2 order by 3 desc limit 8) c";
        Err(format!(
            "not over within {} s: {}",
            patience.as_secs(),
            self.text(left).await
        ))
    }

    /// Waits until the providers have no live call.
    pub(crate) async fn until_silent(&self) {
        for trunk in &self.trunks {
            let url = format!("http://{}/healthz", trunk.address);
            until(
                "the provider's calls end",
                Duration::from_mins(1),
                async || get(&url).await.is_some_and(|health| health["active"] == 0),
            )
            .await;
        }
    }

    /// Keeps the folder with all logs and ledgers for inspection.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.path().to_owned()
    }
}

/// Starts a trunk's provider; returns it with the address for our processes.
async fn start_trunk(
    folder: &Path,
    trunk: &TrunkSetup,
    setup: &Setup,
    variables: &mut HashMap<String, String>,
) -> Trunk {
    let prefix = match trunk.name {
        "default" => "PGDIAL".to_owned(),
        name => format!("PGDIAL_TRUNK_{}", name.to_uppercase()),
    };
    let secret = format!(
        "the-secret-of-{}-{:032x}",
        trunk.name,
        rand::random::<u128>()
    );
    let name = setup.speak.name();
    let mut args = setup.provider.clone();
    args.extend(words(&["--speak", &name]));
    if let Some(public_url) = variables.get("PGDIAL_PUBLIC_URL") {
        let account_url = tag::account_url(public_url, trunk.name);
        args.extend(words(&["--webhook-url", &account_url]));
    }
    let trunk = start_provider(folder, trunk, secret, &args).await;
    let settings = Adapter::named(&name).unwrap().rehearsal(&FakeAccount {
        address: trunk.provider_url(),
        key: KEY.to_owned(),
        public_key: setup.speak.public_key(&trunk.secret).unwrap_or_default(),
    });
    for (setting, value) in settings {
        variables.insert(format!("{prefix}_{setting}"), value);
    }
    variables.insert(format!("{prefix}_PROVIDER"), name);
    variables.insert(format!("{prefix}_WEBHOOK_SECRETS"), trunk.secret.clone());
    trunk
}

async fn start_provider(
    folder: &Path,
    setup: &TrunkSetup,
    secret: String,
    args: &[String],
) -> Trunk {
    let name = setup.name;
    let address = free_address();
    let ledger = folder.join(format!("ledger-{name}.jsonl"));
    let mut all = words(&["fake-provider", "--listen", &address.to_string()]);
    all.extend(words(&["--ledger", &ledger.to_string_lossy()]));
    all.extend_from_slice(args);
    if setup.idempotent {
        all.push("--idempotent".to_owned());
    }
    let signs = HashMap::from([
        ("PGDIAL_WEBHOOK_SECRETS".to_owned(), secret.clone()),
        ("PGDIAL_PROVIDER_KEY".to_owned(), KEY.to_owned()),
    ]);
    let provider = Keeper::start(folder, &format!("provider-{name}"), &all, &signs);
    let proxy = Proxy::start(vec![Upstream::Tcp(address)]).await;
    let url = format!("http://{address}/healthz");
    until(
        "the provider answers",
        Duration::from_secs(30),
        async || get(&url).await.is_some(),
    )
    .await;
    Trunk {
        name,
        slots: setup.slots,
        secret,
        proxy,
        ledger,
        address,
        _provider: provider,
    }
}

impl Trunk {
    fn provider_url(&self) -> String {
        format!("http://{}", self.proxy.address)
    }
}

/// The JSON of a 2xx response.
pub(crate) async fn get(url: &str) -> Option<serde_json::Value> {
    let answer = reqwest::get(url).await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

/// Waits until the condition holds. For what does happen: the patience is far more than needed.
pub(crate) async fn until(what: &str, patience: Duration, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(
            began.elapsed() < patience,
            "not within {} s: {what}",
            patience.as_secs()
        );
        sleep(Duration::from_millis(20)).await;
    }
}
