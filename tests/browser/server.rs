//! The built program, and the fake provider that it dials at.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::database::{TestDb, url_as};

const SECRET: &str = "whsec_dGVzdHMgc2hhcmUgdGhpcyBzZWNyZXQgb24gcHVycG9zZQ==";
/// Far more than a start takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// A process that is killed when the test ends in any way.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// A server with its provider.
pub(crate) struct Server {
    api: SocketAddr,
    _running: [Process; 2],
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts `pgdial` with these arguments, and waits until it responds. `log`: where it writes what it does.
    pub(crate) async fn start(db: &TestDb, args: &[&str], log: Option<File>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (api, at) = (free_address(), free_address());
        let command = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_pgdial"));
            command
                .args(args)
                .current_dir(folder.path())
                .env_remove("PGDIAL_API_KEYS")
                .env("DATABASE_URL", url_as("dialer", &db.url))
                .env("PGDIAL_LISTEN", api.to_string())
                .env("PGDIAL_PUBLIC_URL", format!("http://{api}"))
                .env("PGDIAL_PROVIDER_URL", format!("http://{at}"))
                .env("PGDIAL_WEBHOOK_SECRETS", SECRET)
                .env("PGDIAL_LOG", "error")
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            command
        };
        let listen = at.to_string();
        let fake = ["fake-provider", "--listen", &listen, "--talk", "10m"];
        let mut program = command(args);
        if let Some(log) = log {
            program.stderr(log);
        }
        let running = [command(&fake), program].map(|mut it| Process(it.spawn().unwrap()));
        for address in [at, api] {
            until_healthy(address).await;
        }
        Self {
            api,
            _running: running,
            _folder: folder,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api)
    }
}

async fn until_healthy(address: SocketAddr) {
    let url = format!("http://{address}/healthz");
    let healthy = tokio::time::timeout(PATIENCE, async {
        while !reqwest::get(&url)
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(healthy.await.is_ok(), "{url} does not respond");
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}

/// A path with this in the place of its parameter.
pub(crate) fn address_of(path: &str, value: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(from), Some(to)) => format!("{}{value}{}", &path[..from], &path[to + 1..]),
        _ => path.to_owned(),
    }
}
