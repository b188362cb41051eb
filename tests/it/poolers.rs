//! `PgBouncer` between us and Postgres, as packaged by Debian.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    str::FromStr,
};

use pgdial::{
    db::{self, Error, Refusal},
    flow::Queue,
};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{TestDb, ask, eventually, number};

/// A running `PgBouncer` in front of a database; stopped when dropped.
struct Bouncer {
    url: String,
    child: Child,
    _files: TempDir,
}

impl Bouncer {
    /// `None`, with a message, if it is not installed.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    async fn before(db: &TestDb, settings: &str) -> Option<Self> {
        let places = [
            "/usr/sbin/pgbouncer",
            "/usr/bin/pgbouncer",
            "/usr/local/bin/pgbouncer",
        ];
        let Some(program) = places.iter().map(PathBuf::from).find(|path| path.exists()) else {
            eprintln!("SKIPPED, PgBouncer is not installed: apt-get install pgbouncer");
            return None;
        };
        let files = tempfile::tempdir().unwrap();
        fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let options = PgConnectOptions::from_str(&db.url).unwrap();
        let address = free_address();
        let config = files.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port=5432 user=dialer\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\n{settings}\n",
            options.get_socket().unwrap().display(),
            address.ip(),
            address.port()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root; the account that runs Postgres can reach its socket.
            let owner = fs::metadata(options.get_socket().unwrap()).unwrap();
            command.uid(owner.uid()).gid(owner.gid());
        }
        let bouncer = Self {
            url: format!(
                "postgres://dialer@{address}/{}?sslmode=disable",
                options.get_database().unwrap()
            ),
            child: command.spawn().unwrap(),
            _files: files,
        };
        eventually("PgBouncer listens", || async {
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
        Some(bouncer)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn session_mode_as_installed_works_with_all_settings() {
    let db = TestDb::new().await;
    let name = db.text("select current_database()").await;
    db.sql(&format!(
        "alter database {name} set synchronous_commit = off; \
         alter database {name} set default_transaction_isolation = 'repeatable read'"
    ))
    .await;
    for settings in [
        "pool_mode = session",
        "pool_mode = session\nignore_startup_parameters = extra_float_digits,options",
    ] {
        let Some(bouncer) = Bouncer::before(&db, settings).await else {
            return;
        };
        let pool = db::connect(&bouncer.url, "pooled", 4).await.unwrap();
        let mut session = pool.acquire().await.unwrap();
        for (setting, value) in [
            ("synchronous_commit", "on"),
            ("transaction_isolation", "read committed"),
            ("statement_timeout", "30s"),
            ("pgdial.notify", "off"),
        ] {
            let told = ask(
                &mut session,
                &format!("select current_setting('{setting}')"),
            )
            .await;
            assert_eq!(told, value, "{setting}");
        }
        drop(session);
        let calls = Queue::new(pool);
        calls.check_listen().await.unwrap();
        let request = json!({ "to": number(1), "scriptId": "s" });
        calls.enqueue_one("tester", &request).await.unwrap();
        assert!(!db.claim(1).await.is_empty());
        db.sql("truncate pgdial.calls cascade").await;
    }
}

#[tokio::test]
async fn transaction_mode_is_refused_by_every_command_with_its_reason() {
    let db = TestDb::new().await;
    let Some(bouncer) = Bouncer::before(&db, "pool_mode = transaction").await else {
        return;
    };
    for _ in 0..3 {
        let refused = db::connect(&bouncer.url, "test", 2).await.unwrap_err();
        assert!(
            matches!(refused, Error::Refused(Refusal::TransactionMode)),
            "{refused:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["migrate"][..],
        &["serve"],
        &["calls", "list"],
        &["doctor"],
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_pgdial"))
            .args(args)
            .current_dir(folder.path())
            .env("DATABASE_URL", &bouncer.url)
            .env("PGDIAL_PROVIDER_URL", "http://127.0.0.1:1")
            .env("PGDIAL_WEBHOOK_SECRETS", crate::support::processes::SECRET)
            .output()
            .unwrap();
        let words = [ended.stdout, ended.stderr].concat();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(words.contains("transaction mode"), "{args:?}: {words}");
        let code = if args == ["doctor"] { 1 } else { 64 };
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {words}");
    }
}

/// The pooler's pool is smaller than ours: sessions that come back are reused, and nobody waits for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_without_room_for_all_slows_nobody_to_death() {
    let db = TestDb::new().await;
    let small = "pool_mode = session\ndefault_pool_size = 2";
    let Some(bouncer) = Bouncer::before(&db, small).await else {
        return;
    };
    let calls = Queue::new(db::connect(&bouncer.url, "crowd", 8).await.unwrap());
    let mut all = JoinSet::new();
    for n in 0..60 {
        let calls = calls.clone();
        all.spawn(async move {
            let request = json!({ "to": number(n), "scriptId": "s" });
            let enqueued = calls.enqueue_one("tester", &request).await;
            enqueued.is_ok() && calls.stats().await.is_ok()
        });
    }
    assert!(all.join_all().await.into_iter().all(|done| done));
}
