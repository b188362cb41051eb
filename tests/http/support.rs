//! One private Postgres per process, one database and one server per test.

use std::{fs, path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use pgdial::{
    db::{
        self,
        private::{Environment, Options, PrivatePostgres},
    },
    domain::{ClaimedCall, Placement, Reference, Report},
    flow::Queue,
    http::{self, Server, Settings},
    provider::{
        self, Cancellation, LookedUp, Order, Provider, Webhook, protocol, signature::Secrets,
    },
    trunks::{Trunk, Trunks},
};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, sync::OnceCell};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// A deadline for what must happen; it does not measure speed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

static POSTGRES: OnceCell<PrivatePostgres> = OnceCell::const_new();

async fn postgres() -> &'static PrivatePostgres {
    let start = || async {
        let environment = Environment {
            pg_bindir: std::env::var_os("PGDIAL_PG_BINDIR").map(Into::into),
            path: std::env::var_os("PATH"),
        };
        let start = move || PrivatePostgres::start(&Options::careless(environment)).unwrap();
        let postgres = tokio::task::spawn_blocking(start).await.unwrap();
        make_template(&postgres).await;
        postgres
    };
    POSTGRES.get_or_init(start).await
}

/// A database with the schema, which every test's database is copied from.
async fn make_template(postgres: &PrivatePostgres) {
    let mut server = PgConnection::connect(&postgres.url()).await.unwrap();
    run(&mut server, "create database template_pgdial").await;
    let mut template = PgConnection::connect(&postgres.url_for("template_pgdial"))
        .await
        .unwrap();
    run(&mut template, "set check_function_bodies = off").await;
    for folder in ["migrations", "sql/rules", "sql/flow", "sql/views"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|e| e == "sql"))
            .collect();
        files.sort();
        for file in files {
            run(&mut template, &fs::read_to_string(&file).unwrap()).await;
        }
    }
    template.close().await.unwrap();
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{sql}"));
}

/// An adapter that only reads reports.
#[derive(Debug)]
struct Reader;

impl Provider for Reader {
    fn place<'a>(&'a self, _order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(async { Placement::Late })
    }

    fn cancel<'a>(
        &'a self,
        _provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, provider::Error>> {
        Box::pin(async { Ok(Cancellation::Unsupported) })
    }

    fn look_up<'a>(
        &'a self,
        _dial: Reference,
        _provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, provider::Error>> {
        Box::pin(async { Ok(LookedUp::Unsupported) })
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        protocol::read_report(webhook.body)
    }
}

/// Secrets of the trunk `default`: the signing one, and a retired one.
pub(crate) const SECRETS: &str = "whsec_bmV3IHNlY3JldCBvZiB0aGUgdHJ1bms=,retired secret";
/// Secrets of the trunk `other`.
pub(crate) const OTHER_SECRETS: &str = "the secret of another trunk";

/// What differs between the tests' servers.
pub(crate) struct ServerOptions {
    /// Pairs `name:key`.
    pub(crate) api_keys: &'static str,
    /// Limits on connections.
    pub(crate) server: Server,
    /// Limit on one request.
    pub(crate) time_limit: Duration,
    /// Concurrent streams of events.
    pub(crate) most_streams: usize,
    pub(crate) largest_webhook: usize,
    /// Shows the page without a key.
    pub(crate) is_viewable: bool,
    /// Additional routes.
    pub(crate) more: axum::Router,
    /// The trunk `default`, in place of the default one.
    pub(crate) trunk: Option<Trunk>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            api_keys: "",
            server: Server::default(),
            time_limit: Settings::default().time_limit,
            most_streams: http::MOST_STREAMS,
            largest_webhook: http::LARGEST_WEBHOOK,
            is_viewable: false,
            more: axum::Router::new(),
            trunk: None,
        }
    }
}

/// A database and a server on it.
pub(crate) struct World {
    pub(crate) pool: PgPool,
    /// The pool of the verbs.
    pub(crate) verbs: db::Pool,
    pub(crate) calls: Queue,
    pub(crate) address: String,
    pub(crate) client: Client,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(ServerOptions::default()).await
    }

    pub(crate) async fn with(options: ServerOptions) -> Self {
        let postgres = postgres().await;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut server = PgConnection::connect(&postgres.url()).await.unwrap();
        run(
            &mut server,
            &format!("create database {name} template template_pgdial"),
        )
        .await;
        let url = postgres.url_for(&name);
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .connect(&url)
            .await
            .unwrap();
        let verbs = db::connect(&url, "http", 8).await.unwrap();
        let calls = Queue::new(verbs.clone());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let settings = Settings {
            public_url: String::new(),
            api_keys: options
                .api_keys
                .split(',')
                .filter_map(|key| key.split_once(':'))
                .collect(),
            trunks: trunks(options.trunk),
            is_open: true,
            is_viewable: options.is_viewable,
            time_limit: options.time_limit,
            most_streams: options.most_streams,
            largest_webhook: options.largest_webhook,
            stop: stop.clone(),
        };
        let router = http::router_with(calls.clone(), settings, options.more);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = options.server.serve(listener, router, stop.clone());
        tasks.spawn(async move { serving.await.unwrap() });
        tasks.close();
        Self {
            pool,
            verbs,
            calls,
            address,
            client: Client::new(),
            stop,
            tasks,
        }
    }

    /// A request to a path of this server.
    pub(crate) fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).answer().await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path).json(body).answer().await
    }

    /// Waits until a well-behaved client is served. A slow machine may miss a short limit, so it retries; a server
    /// that cuts everyone off never serves it.
    pub(crate) async fn until_served(&self) {
        let served = async {
            loop {
                if let Ok(answer) = self.ask("GET", "/healthz").send().await {
                    return answer.status();
                }
                tokio::task::yield_now().await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, served).await.unwrap();
        assert_eq!(status, 200);
    }

    /// Enqueues a call; returns its id.
    pub(crate) async fn enqueue(&self, to: &str) -> String {
        let body = serde_json::json!({"to": to, "scriptId": "welcome"});
        let answer = self.send("POST", "/api/v1/calls", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn claim(&self) -> Vec<ClaimedCall> {
        let trunks = ["default".to_owned(), "other".to_owned()];
        self.calls
            .claim(Uuid::new_v4(), &trunks, 30)
            .await
            .unwrap()
            .calls
    }

    /// A call that was just enqueued and claimed.
    pub(crate) async fn dialing(&self, to: &str) -> ClaimedCall {
        self.enqueue(to).await;
        let mut claimed = self.claim().await;
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// The number returned by a query.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        let answer = self.get(&format!("/api/v1/calls/{id}")).await;
        answer.body["state"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn secrets(text: &str) -> Secrets {
    text.parse().unwrap()
}

fn trunks(other: Option<Trunk>) -> Trunks {
    [("default", SECRETS), ("other", OTHER_SECRETS)]
        .into_iter()
        .map(|(name, text)| Trunk {
            name: name.to_owned(),
            provider: Arc::new(Reader),
            secrets: secrets(text),
        })
        .chain(other)
        .collect()
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null if it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem, after checking that the problem is complete.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.body["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(
            self.body["requestId"],
            self.header("x-request-id"),
            "{self:?}"
        );
        for member in ["type", "title", "detail"] {
            assert!(
                self.body[member].as_str().is_some_and(|s| !s.is_empty()),
                "{self:?}"
            );
        }
        self.body["code"].as_str().unwrap()
    }

    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

/// Sends the request and reads the whole response.
pub(crate) trait Send {
    async fn answer(self) -> Answer;
}

impl Send for RequestBuilder {
    async fn answer(self) -> Answer {
        let response = self.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer {
            status,
            headers,
            text,
            body,
        }
    }
}
