//! TLS to Postgres and to providers: only a peer that proves its identity is trusted.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pgdial::{
    db::{
        self,
        private::{Options, PrivatePostgres},
    },
    flow::Queue,
};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};

use crate::support::{
    ask,
    certificates::{Authority, Certificate},
    environment, eventually, number,
    processes::Machine,
    run,
};

/// A Postgres that speaks TLS as `localhost`, and the authority that certifies it.
struct Server {
    port: u16,
    files: TempDir,
    _postgres: PrivatePostgres,
}

impl Server {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut options = Options::careless(environment());
        options.settings = vec![
            ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
            ("port".to_owned(), port.to_string()),
        ];
        let server = Self {
            port,
            files: tempfile::tempdir().unwrap(),
            _postgres: PrivatePostgres::start(&options).unwrap(),
        };
        let (ours, others) = (Authority::new("ours"), Authority::new("another"));
        fs::write(server.file("ours.pem"), ours.pem()).unwrap();
        fs::write(server.file("another.pem"), others.pem()).unwrap();
        server.serve_tls(&ours.certify("localhost")).await;
        server
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A URL that reaches it under this host name, with these parameters.
    fn url(&self, host: &str, parameters: &str) -> String {
        format!(
            "postgres://pgdial@{host}:{}/postgres?{parameters}",
            self.port
        )
    }

    /// The same, trusting this authority.
    fn believing(&self, host: &str, mode: &str, authority: &str) -> String {
        let file = self.file(authority);
        let parameters = format!("sslmode={mode}&sslrootcert={}", file.display());
        self.url(host, &parameters)
    }

    /// Written by the server itself, because its account must own the key.
    async fn serve_tls(&self, certificate: &Certificate) {
        let mut admin = self.plain().await;
        for (name, pem) in [
            ("server.crt", certificate.certificate.pem()),
            ("server.key", certificate.key.serialize_pem()),
        ] {
            let write = format!(
                "copy (select unnest(string_to_array('{}', e'\\n'))) to program 'umask 077; cat > {name}'",
                pem.trim_end()
            );
            run(&mut admin, &write).await.unwrap();
        }
        run(&mut admin, "alter system set ssl = on").await.unwrap();
        run(&mut admin, "select pg_reload_conf()").await.unwrap();
        eventually("the server speaks TLS", || async {
            let mut admin = self.plain().await;
            ask(&mut admin, "select current_setting('ssl')").await == "on"
        })
        .await;
    }

    async fn plain(&self) -> PgConnection {
        let url = self.url("127.0.0.1", "sslmode=disable");
        PgConnection::connect(&url).await.unwrap()
    }
}

/// Whether the session of this URL is encrypted, or why there is none.
async fn connect(url: &str) -> Result<bool, String> {
    let pool = db::connect(url, "test", 1).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.unwrap_or_default()
    })?;
    let ssl = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let mut session = pool.acquire().await.unwrap();
    Ok(ask(&mut session, ssl).await == "true")
}

#[tokio::test]
async fn postgres_must_be_who_it_says_where_verify_full_is_asked_for() {
    let server = Server::start().await;
    let right = server.believing("localhost", "verify-full", "ours.pem");
    assert_eq!(connect(&right).await, Ok(true));
    for (host, mode, authority, why) in [
        ("localhost", "verify-full", "another.pem", "UnknownIssuer"),
        ("localhost", "verify-ca", "another.pem", "UnknownIssuer"),
        ("127.0.0.1", "verify-full", "ours.pem", "not valid for name"),
    ] {
        let refused = connect(&server.believing(host, mode, authority)).await;
        assert!(
            refused.as_ref().is_err_and(|words| words.contains(why)),
            "{host} {mode} {authority}: {refused:?}"
        );
    }
    // Without sslrootcert the system's authorities decide, and ours is not among them.
    let unknown = connect(&server.url("localhost", "sslmode=verify-full")).await;
    assert!(unknown.is_err(), "{unknown:?}");
    // What the documentation says about the weaker modes.
    for mode in ["require", "prefer"] {
        let believed = connect(&server.believing("127.0.0.1", mode, "another.pem")).await;
        assert_eq!(believed, Ok(true), "{mode} encrypts and believes anybody");
    }
    let allow = server.url("localhost", "sslmode=allow");
    assert_eq!(connect(&allow).await, Ok(false), "allow never encrypts");

    // The listener's own connection, too.
    let pool = db::connect(&right, "test", 3).await.unwrap();
    db::migrate(&pool).await.unwrap();
    Queue::new(pool).check_listen().await.unwrap();

    // A server without TLS, or an attacker who says so: no fallback to plain text.
    let mut admin = server.plain().await;
    run(&mut admin, "alter system set ssl = off").await.unwrap();
    run(&mut admin, "select pg_reload_conf()").await.unwrap();
    let prefer = server.url("localhost", "sslmode=prefer");
    eventually("the server speaks no TLS", || async {
        connect(&prefer).await == Ok(false)
    })
    .await;
    for mode in ["verify-full", "require"] {
        let refused = connect(&server.believing("localhost", mode, "ours.pem")).await;
        assert!(refused.is_err(), "{mode}: {refused:?}");
    }
}

/// What `pgdial migrate` prints about a database on a nonexistent host.
fn words_about(url: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pgdial"))
        .arg("migrate")
        .env("DATABASE_URL", url)
        .env_remove("PGSSLMODE")
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_way_that_nobody_decided_about_is_said() {
    let secret = "hunter22-hunter22";
    let url = format!("postgres://pgdial:{secret}@db.pgdial.invalid/pgdial");
    let words = words_about(&url);
    let said = "the way to Postgres is open to whoever stands between";
    assert_eq!(words.matches(said).count(), 1, "{words}");
    assert!(words.contains("db.pgdial.invalid"), "{words}");
    assert!(!words.contains(secret), "{words}");
    for mode in ["disable", "verify-full"] {
        let words = words_about(&format!("{url}?sslmode={mode}"));
        assert!(!words.contains(said), "{mode}: {words}");
    }
}

/// Starts a provider that accepts every call, behind this certificate.
async fn provider(
    running: &mut JoinSet<()>,
    certificate: Certificate,
    requests: Arc<AtomicUsize>,
) -> SocketAddr {
    let key = PrivatePkcs8KeyDer::from(certificate.key.serialize_der());
    let chain = vec![certificate.certificate.der().clone()];
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    running.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            // A client that does not trust us hangs up here.
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let mut request = Vec::new();
                // Up to the last field of a dial. Closing earlier would reset the connection.
                while !(request.ends_with(b"}") && contains(&request, b"ringTimeoutSec")) {
                    request.push(stream.read_u8().await.unwrap());
                }
                requests.fetch_add(1, Ordering::Relaxed);
                let answer =
                    b"HTTP/1.1 202 Accepted\r\ncontent-length: 17\r\n\r\n{\"callId\":\"tls1\"}";
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.ok();
            }
        }
    });
    address
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// P1: a dial that fails before its first byte certainly rings nobody, and a provider that cannot prove its identity
/// gets none.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_who_it_says_gets_no_dial() {
    let machine = Machine::new().await;
    let (ours, others) = (Authority::new("ours"), Authority::new("another"));
    let known = machine.file("ours.pem");
    fs::write(&known, ours.pem()).unwrap();
    let mut command = machine.command(&["work"]);
    command
        .env("SSL_CERT_FILE", &known)
        .env_remove("SSL_CERT_DIR");
    let (right, wrong) = (Arc::default(), Arc::default());
    let mut running = JoinSet::new();
    for (trunk, certificate, requests) in [
        ("right", ours.certify("localhost"), &right),
        ("unknown", others.certify("localhost"), &wrong),
        ("elsewhere", ours.certify("voice.example.com"), &wrong),
        ("expired", ours.certify_once("localhost"), &wrong),
    ] {
        let port = provider(&mut running, certificate, Arc::clone(requests))
            .await
            .port();
        let name = format!("PGDIAL_TRUNK_{}_", trunk.to_uppercase());
        command
            .env(
                format!("{name}PROVIDER_URL"),
                format!("https://localhost:{port}"),
            )
            .env(
                format!("{name}WEBHOOK_SECRETS"),
                format!("a secret of the trunk {trunk}"),
            );
        let lane = format!(
            "select pgdial.create_trunk('{trunk}'), pgdial.create_campaign('{trunk}', '{{\"trunk\": \"{trunk}\"}}')"
        );
        machine.db.sql(&lane).await;
    }
    let _worker = machine.start_command("worker", command);

    let mut calls = Vec::new();
    for (n, campaign) in ["unknown", "elsewhere", "expired", "right"]
        .into_iter()
        .enumerate()
    {
        let request = json!({ "to": number(n), "scriptId": "welcome", "campaign": campaign, "maxAttempts": 1 });
        calls.push((campaign, machine.db.enqueue_as(request).await));
    }
    let decided = "select count(*) = 0 from pgdial.calls where state in ('waiting', 'dialing')";
    machine.db.until(decided).await;
    let (_, accepted) = calls.pop().unwrap();
    assert_eq!(machine.db.state(accepted).await, "in_call");
    for ((campaign, id), why) in
        calls
            .into_iter()
            .zip(["UnknownIssuer", "not valid for name", "expired"])
    {
        assert_eq!(
            machine.db.story(id).await,
            "waiting active failed",
            "{campaign}"
        );
        assert_eq!(machine.db.column(id, "outcome").await, "provider_fault");
        let words = machine.db.column(id, "last_error").await;
        assert!(
            words.starts_with("no connection") && words.contains(why),
            "{campaign}: {words}"
        );
    }
    let counted = |requests: &Arc<AtomicUsize>| requests.load(Ordering::Relaxed);
    assert_eq!((counted(&right), counted(&wrong)), (1, 0));
}
