//! The built program as separate processes, with the fake provider's ledger as the witness.

use std::{
    collections::BTreeMap,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use pgdial::provider::{
    adapters::{Adapter, FakeAccount},
    tag,
};
use pgdial_fake_provider::Speak;
use tempfile::TempDir;

use super::{TestDb, eventually};

pub(crate) const SECRET: &str = "whsec_dGVzdHMgc2hhcmUgdGhpcyBzZWNyZXQgb24gcHVycG9zZQ==";

/// A database, addresses and files of one set of processes.
pub(crate) struct Machine {
    pub(crate) db: TestDb,
    pub(crate) api: SocketAddr,
    pub(crate) provider: SocketAddr,
    speak: Speak,
    folder: TempDir,
}

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Machine {
    pub(crate) async fn new() -> Self {
        Self::on(TestDb::new().await)
    }

    pub(crate) fn on(db: TestDb) -> Self {
        Self::that_speaks(Speak::Http, db)
    }

    /// Its provider and its adapter speak this protocol.
    pub(crate) fn that_speaks(speak: Speak, db: TestDb) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            speak,
            db,
            api: free_address(),
            provider: free_address(),
            folder,
        }
    }

    /// Starts `pgdial <args>` on this machine's database and provider.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Process {
        self.start_command(name, self.command(args))
    }

    /// Starts a command made by [`Machine::command`] and then changed.
    pub(crate) fn start_command(&self, name: &str, mut command: Command) -> Process {
        let log = self.folder.path().join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Process { child, log }
    }

    /// The command without starting it, for those that end by themselves. Uses a member of `pgdial_worker`, so
    /// `migrate` needs another login.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdial"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("PGDIAL_API_KEYS")
            .env("DATABASE_URL", self.db.url_as("dialer"))
            .env("PGDIAL_LISTEN", self.api.to_string())
            .env("PGDIAL_PUBLIC_URL", self.public_url())
            .envs(self.account())
            .env("PGDIAL_WEBHOOK_SECRETS", self.secret())
            .env("PGDIAL_LOG", "info")
            .stdin(Stdio::null());
        command
    }

    fn public_url(&self) -> String {
        format!("{}://{}", self.speak.webhook_scheme(), self.api)
    }

    /// Platforms sign with the text itself, which only Standard Webhooks encodes.
    fn secret(&self) -> &'static str {
        if self.speak == Speak::Http {
            SECRET
        } else {
            "the-secret-of-the-webhooks"
        }
    }

    /// Variables of the account at the provider.
    fn account(&self) -> BTreeMap<String, String> {
        let name = self.speak.name();
        let settings = Adapter::named(&name).unwrap().rehearsal(&FakeAccount {
            address: format!("http://{}", self.provider),
            key: "the-key-of-the-account".to_owned(),
            public_key: self.speak.public_key(self.secret()).unwrap_or_default(),
        });
        let variables = settings
            .into_iter()
            .map(|(setting, value)| (format!("PGDIAL_{setting}"), value));
        let kind = ("PGDIAL_PROVIDER".to_owned(), name);
        variables.chain([kind]).collect()
    }

    /// Starts the fake provider with these rules and talk times.
    pub(crate) async fn start_provider(&self, args: &[&str]) -> Process {
        let listen = self.provider.to_string();
        let ledger = self.ledger();
        let ledger = ledger.to_str().unwrap();
        let speak = self.speak.name();
        let mut all = vec!["fake-provider", "--listen", &listen, "--ledger", ledger];
        all.extend(["--speak", &speak]);
        let account_url = tag::account_url(&self.public_url(), "default");
        all.extend(["--webhook-url", &account_url]);
        all.extend(args);
        let process = self.start("provider", &all);
        self.until_healthy(self.provider, &process).await;
        process
    }

    /// Starts a second provider with its own ledger; returns its address.
    pub(crate) async fn start_another_provider(&self, args: &[&str]) -> (Process, SocketAddr) {
        let address = free_address();
        let listen = address.to_string();
        let mut all = vec![
            "fake-provider",
            "--listen",
            &listen,
            "--ledger",
            "another.jsonl",
        ];
        all.extend(args);
        let process = self.start("another", &all);
        self.until_healthy(address, &process).await;
        (process, address)
    }

    /// Starts the API and waits until it responds.
    pub(crate) async fn start_api(&self) -> Process {
        let process = self.start("api", &["api"]);
        self.until_healthy(self.api, &process).await;
        process
    }

    /// Starts API and worker in one process, and waits until it responds.
    pub(crate) async fn start_serve(&self) -> Process {
        let process = self.start("serve", &["serve"]);
        self.until_healthy(self.api, &process).await;
        process
    }

    /// Starts a worker and waits for its first heartbeat.
    pub(crate) async fn start_worker(&self, name: &str, args: &[&str]) -> Process {
        let mut all = vec!["work"];
        all.extend(args);
        let before = self.workers().await;
        let process = self.start(name, &all);
        eventually("a worker shows that it is alive", || async {
            self.workers().await > before
        })
        .await;
        process
    }

    async fn workers(&self) -> i64 {
        self.db
            .text("select count(*) from pgdial.workers")
            .await
            .parse()
            .unwrap()
    }

    async fn until_healthy(&self, address: SocketAddr, process: &Process) {
        let url = format!("http://{address}/healthz");
        let log = process.log.clone();
        eventually(
            &format!("{url} answers (see {})", log.display()),
            || async {
                reqwest::get(&url)
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            },
        )
        .await;
    }

    /// The fake provider's ledger file.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.file("ledger.jsonl")
    }

    /// Path of a file in this machine's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Number of rings in the ledger that have begun.
    pub(crate) fn rings_begun(&self) -> usize {
        self.witnessed("ring_started")
    }

    /// Number of rings in the ledger that have ended.
    pub(crate) fn rings_ended(&self) -> usize {
        self.witnessed("ring_ended")
    }

    fn witnessed(&self, event: &str) -> usize {
        std::fs::read_to_string(self.ledger())
            .unwrap_or_default()
            .matches(event)
            .count()
    }

    /// Waits until no call is waiting or in flight.
    pub(crate) async fn until_all_over(&self) {
        let open = "select coalesce(string_agg(concat_ws(' ', phone, state, run_at - pgdial.now(), last_error), '; '), '')
                    from pgdial.calls where ended_at is null";
        let over = tokio::time::timeout(PATIENCE, async {
            while !self.db.text(open).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(over.await.is_ok(), "not over: {}", self.db.text(open).await);
    }

    /// Runs the independent script on the ledger; returns what it printed if it found nothing wrong.
    pub(crate) fn judge(&self, cap: usize) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/judge-ledger");
        let output = Command::new(script)
            .arg(self.ledger())
            .args(["--cap", &cap.to_string()])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{words}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        words
    }
}

impl Process {
    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits for the end; returns whether it exited with success.
    pub(crate) async fn stop(self) -> bool {
        self.stop_by(rustix::process::Signal::TERM).await
    }

    /// The same with another signal.
    pub(crate) async fn stop_by(self, signal: rustix::process::Signal) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        self.ended().await
    }

    /// Waits for the end; returns whether it exited with success.
    pub(crate) async fn ended(mut self) -> bool {
        let mut status = None;
        eventually("the process ends", || {
            status = status.or_else(|| self.child.try_wait().unwrap());
            let ended = status.is_some();
            async move { ended }
        })
        .await;
        status.unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test may have killed it already.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Limit on waiting for what does happen; far more than needed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
