//! The HTTP API, the webhook, and what operators scrape.
//!
//! This module turns requests into verbs of [`crate::flow::Queue`] and verdicts into statuses; it
//! decides nothing about a call and never sees the pool. `serve` and `api` run it.
//!
//! | path | for whom | key |
//! |---|---|---|
//! | `/api/v1/...` | callers of the API | yes, unless there is none |
//! | `/callbacks/...` | providers, by signature | no |
//! | `/healthz`, `/readyz`, `/metrics` | operators | no: no numbers, no names of people |
//! | `/ui/...`, and `/`, which leads there | operators, in a browser | yes, or a session |
//! | `/docs`, `/openapi.json` | readers | no |
//!
//! Every answer has an `x-request-id`; every error is a [`crate::http::Problem`]; a panic is a 500 for
//! its own request and nothing for the others.

// Problem documents.
mod problem;

// Outermost layer of every request.
mod edge;

// Who asks, and what they may do.
mod auth;

// What a key may not see.
mod masked;

// Reading bodies, path parameters and queries.
mod body;
mod path;
mod query;

// Operations on one call.
mod calls;

// Webhook events of one call.
mod call_webhooks;

// Enqueueing many calls in one request.
mod batch;

// Cancel, redrive, resolve and export by filter.
mod matching;

// The numbers that calls are dialed from.
mod caller_ids;

// Campaigns and trunks.
mod campaigns;
mod groups;
mod trunks;

// How often a number may be rung.
mod contact_limits;
// Where events are delivered to.
mod endpoints;

// Calling hours and calendars.
mod hours;

mod keys;
mod sessions;
mod workers;

// The audit trail.
mod acts;

// The do-not-call list, and forgetting a number.
mod numbers;

// Listing calls in pages.
mod listing;

// Server-sent events.
mod events;

// ETag and If-Match.
mod versions;

// Opaque page cursors.
mod cursor;

// Webhook endpoint.
mod callbacks;
mod encoding;

// Liveness and readiness.
mod health;

// Prometheus metrics.
pub(crate) mod metrics;

// Request and response types.
pub mod schema;

// What handlers' arguments take and refuse.
mod argument;

// Routes and OpenAPI operations from one list.
mod operations;

mod openapi;

// The page that shows the OpenAPI document.
mod docs;

// The page for operators.
mod ui;

// Accepting and bounding connections.
mod serve;

// Entry points for the fuzz targets.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::HeaderName,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer,
};

pub use self::{
    auth::ApiKeys,
    problem::{Code, Document, Problem},
    serve::{Error, Server, serve},
    ui::Screen,
};
use self::{
    auth::Directory,
    operations::{Operations, guarded, operations},
    ui::{Screens, screens},
};
use crate::{
    flow::{
        Queue,
        view::{Campaign, Trunk},
    },
    provider::signature,
    trunks::Trunks,
};

/// HTTP settings of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// API keys that are accepted beside those in the database.
    pub api_keys: ApiKeys,
    /// Without any key, here or in the database, every client on this host is allowed.
    pub is_open: bool,
    /// Without a key, every client on this host may see the page, with numbers masked.
    pub is_viewable: bool,
    /// Trunks whose webhooks are accepted.
    pub trunks: Trunks,
    /// Limit for one request, until the headers of its response.
    pub time_limit: Duration,
    /// Size limit of a webhook, in bytes.
    pub largest_webhook: usize,
    /// Limit of concurrent event streams.
    pub most_streams: usize,
    /// Public URL that providers call; some sign it.
    pub public_url: String,
    /// Ends the event streams, which have no end of their own.
    pub stop: CancellationToken,
}

/// Default size limit of a webhook: a long conversation's transcript with a time for every word.
pub const LARGEST_WEBHOOK: usize = 4 * 1024 * 1024;

/// Default limit of concurrent event streams.
pub const MOST_STREAMS: usize = 200;

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_keys: ApiKeys::none(),
            is_open: true,
            is_viewable: false,
            trunks: Trunks::default(),
            time_limit: Duration::from_secs(30),
            largest_webhook: LARGEST_WEBHOOK,
            most_streams: MOST_STREAMS,
            public_url: String::new(),
            stop: CancellationToken::new(),
        }
    }
}

/// State that all handlers share.
#[derive(Debug, Clone)]
struct App {
    calls: Queue,
    trunks: Arc<Trunks>,
    queue: Arc<metrics::Cache>,
    kept: Arc<ui::Kept>,
    time_limit: Duration,
    bodies: Arc<body::Room>,
    streams: Arc<Semaphore>,
    public_url: Arc<str>,
    stop: CancellationToken,
}

impl App {
    fn new(calls: Queue, settings: Settings) -> Self {
        Self {
            calls,
            trunks: Arc::new(settings.trunks),
            queue: Arc::default(),
            kept: Arc::default(),
            time_limit: settings.time_limit,
            bodies: Arc::new(body::Room::new(settings.largest_webhook)),
            streams: Arc::new(Semaphore::new(settings.most_streams)),
            public_url: settings.public_url.trim_end_matches('/').into(),
            stop: settings.stop,
        }
    }
}

/// All routes with all their layers.
pub fn router(calls: Queue, settings: Settings) -> Router {
    router_with(calls, settings, Router::new())
}

/// Operator endpoints for a process without the API: `/healthz`, `/readyz`, `/metrics`.
pub fn operators_router(calls: Queue) -> Router {
    let app = App {
        calls,
        trunks: Arc::default(),
        queue: Arc::default(),
        kept: Arc::default(),
        time_limit: Settings::default().time_limit,
        // A process without the API has neither webhooks nor streams.
        bodies: Arc::new(body::Room::new(0)),
        streams: Arc::new(Semaphore::new(0)),
        public_url: Arc::from(""),
        stop: CancellationToken::new(),
    };
    at_the_edge(app.clone(), operators().router.with_state(app))
}

/// Webhooks and operator endpoints, for a process without the API.
pub fn webhooks_router(calls: Queue, settings: Settings) -> Router {
    let app = App::new(calls, settings);
    let routes = operators().router.merge(webhooks().router);
    at_the_edge(app.clone(), routes.with_state(app))
}

/// The API with further routes beside it, under the same edge.
pub fn router_with(calls: Queue, settings: Settings, more: Router) -> Router {
    let directory = Directory::new(&settings, calls.clone());
    let app = App::new(calls, settings);
    let routes = api()
        .merge(sign_in())
        .behind(directory.clone())
        .merge(without_key())
        .router
        .merge(screens().behind(directory))
        .route("/docs", get(docs::page))
        .route("/docs/{file}", get(docs::file))
        .with_state(app.clone())
        .merge(more);
    at_the_edge(app, routes)
}

fn sign_in() -> Operations {
    operations![sessions::open_session]
}

/// Every operation that knows no key.
fn without_key() -> Operations {
    let document = operations![openapi::openapi];
    webhooks().merge(operators()).merge(document)
}

/// Also under doubled and trailing slashes: a base that ends in a slash doubles one, and some clients append one.
fn webhooks() -> Operations {
    let mut router = Router::new();
    for path in ["/callbacks", "//callbacks"] {
        router = router
            .route(
                &format!("{path}/{{trunk}}"),
                post(callbacks::account_status),
            )
            .route(
                &format!("{path}/{{trunk}}/"),
                post(callbacks::account_status),
            )
            .route(
                &format!("{path}/call-status/{{*dial}}"),
                post(callbacks::dial_status),
            );
    }
    Operations {
        router,
        ..operations![callbacks::account_status, callbacks::dial_status]
    }
}

fn operators() -> Operations {
    operations![health::healthz, health::readyz, metrics::metrics]
}

fn at_the_edge(app: App, routes: Router) -> Router {
    let secret = ["authorization", "cookie"].into_iter();
    let secret = secret
        .chain(signature::SECRET_HEADERS)
        .map(HeaderName::from_static);
    routes
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(from_fn_with_state(app, edge::edge))
        .layer(CompressionLayer::new().compress_when(edge::Compressible))
        .layer(SetSensitiveRequestHeadersLayer::new(secret))
}

/// What a key has to have for each operation: its scope, and what the operation is about.
fn api() -> Operations {
    guarded![
        Enqueue Named calls::create_call,
        Enqueue Named batch::create_calls,
        Read Named listing::list_calls,
        Read Call calls::show_call,
        Enqueue Call calls::amend_call,
        Enqueue Call calls::cancel_call,
        Operate Call calls::redrive_call,
        Operate Call calls::resolve_call,
        Read Call calls::why_call,
        Read Call calls::call_evidence,
        Read Call call_webhooks::call_webhooks,
        Operate Named matching::cancel_calls,
        Operate Named matching::redrive_calls,
        Operate Named matching::resolve_calls,
        Operate Named matching::recheck_calls,
        Read Named matching::export_calls,
        Read Named campaigns::list_campaigns,
        Operate Everything campaigns::create_campaign,
        Read Campaign campaigns::show_campaign,
        Operate Campaign campaigns::change_campaign,
        Read Campaign campaigns::preview_campaign,
        Operate Campaign campaigns::pause_campaign,
        Operate Campaign campaigns::resume_campaign,
        Operate Everything campaigns::archive_campaign,
        Operate Everything campaigns::unarchive_campaign,
        Operate Everything campaigns::delete_campaign,
        Read Everything trunks::list_trunks,
        Operate Everything trunks::create_trunk,
        Read Everything trunks::show_trunk,
        Operate Everything trunks::change_trunk,
        Operate Everything trunks::pause_trunk,
        Operate Everything trunks::resume_trunk,
        Operate Everything trunks::archive_trunk,
        Operate Everything trunks::unarchive_trunk,
        Operate Everything trunks::delete_trunk,
        Read Everything caller_ids::list_caller_ids,
        Operate Everything caller_ids::add_caller_id,
        Operate Everything caller_ids::set_caller_id,
        Operate Everything caller_ids::remove_caller_id,
        Read Everything contact_limits::list_contact_limits,
        Read Everything contact_limits::show_contact_limit,
        Operate Everything contact_limits::set_contact_limit,
        Operate Everything contact_limits::delete_contact_limit,
        Read Everything hours::list_calling_hours,
        Read Everything hours::show_calling_hours,
        Operate Everything hours::set_calling_hours,
        Operate Everything hours::delete_calling_hours,
        Read Everything hours::list_calendars,
        Read Everything hours::show_calendar,
        Operate Everything hours::set_calendar,
        Operate Everything hours::delete_calendar,
        Read Everything endpoints::list_endpoints,
        Admin Everything endpoints::create_endpoint,
        Read Everything endpoints::show_endpoint,
        Admin Everything endpoints::change_endpoint,
        Admin Everything endpoints::delete_endpoint,
        Operate Everything endpoints::pause_endpoint,
        Operate Everything endpoints::resume_endpoint,
        Admin Everything endpoints::rotate_endpoint,
        Operate Everything endpoints::test_endpoint,
        Operate Everything endpoints::resend_events,
        Read Everything endpoints::list_deliveries,
        Read Everything endpoints::show_delivery,
        Operate Everything endpoints::resend_event,
        Read Everything workers::list_workers,
        Operate Everything workers::drain_worker,
        Read Everything acts::list_acts,
        Admin Everything numbers::forget_number,
        Read Everything numbers::list_do_not_call,
        Enqueue Named numbers::add_do_not_call,
        Operate Named numbers::remove_do_not_call,
        Read Named keys::show_own_key,
        Admin Everything keys::list_keys,
        Admin Everything keys::create_key,
        Admin Everything keys::rotate_key,
        Admin Everything keys::revoke_key,
        Read Named sessions::show_session,
        Read Named sessions::end_session,
        Read Everything calls::stats,
        Read Named events::events,
    ]
}

/// What each screen of the page needs of a key.
fn screens() -> Screens {
    screens![
        GET Read Everything "/ui/" ui::overview::show,
        GET Read Named "/ui/live" ui::live::live,
        POST Read Named "/ui/sign-out" ui::sign_in::sign_out,
        GET Read Named "/ui/campaigns" ui::campaigns::list,
        GET Operate Everything "/ui/new-campaign" ui::campaigns::ask_new,
        POST Operate Everything "/ui/new-campaign" ui::campaigns::create,
        GET Read Campaign "/ui/campaigns/{name}" ui::campaigns::show,
        GET Read Campaign "/ui/campaigns/{name}/preview" ui::campaigns::preview,
        GET Operate Campaign "/ui/campaigns/{name}/pause" ui::groups::ask_pause::<Campaign>,
        POST Operate Campaign "/ui/campaigns/{name}/pause" ui::groups::pause::<Campaign>,
        GET Operate Campaign "/ui/campaigns/{name}/resume" ui::groups::ask_resume::<Campaign>,
        POST Operate Campaign "/ui/campaigns/{name}/resume" ui::groups::resume::<Campaign>,
        GET Operate Campaign "/ui/campaigns/{name}/set" ui::groups::ask_set::<Campaign>,
        POST Operate Campaign "/ui/campaigns/{name}/set" ui::groups::set::<Campaign>,
        GET Read Everything "/ui/trunks" ui::trunks::list,
        GET Read Everything "/ui/trunks/{name}" ui::trunks::show,
        GET Operate Everything "/ui/trunks/{name}/pause" ui::groups::ask_pause::<Trunk>,
        POST Operate Everything "/ui/trunks/{name}/pause" ui::groups::pause::<Trunk>,
        GET Operate Everything "/ui/trunks/{name}/resume" ui::groups::ask_resume::<Trunk>,
        POST Operate Everything "/ui/trunks/{name}/resume" ui::groups::resume::<Trunk>,
        GET Operate Everything "/ui/trunks/{name}/set" ui::groups::ask_set::<Trunk>,
        POST Operate Everything "/ui/trunks/{name}/set" ui::groups::set::<Trunk>,
        GET Read Named "/ui/calls" ui::calls::list,
        GET Operate Named "/ui/calls/cancel" ui::many::ask_cancel,
        POST Operate Named "/ui/calls/cancel" ui::many::cancel,
        GET Operate Named "/ui/calls/redrive" ui::many::ask_redrive,
        POST Operate Named "/ui/calls/redrive" ui::many::redrive,
        GET Operate Named "/ui/calls/resolve" ui::many::ask_resolve,
        POST Operate Named "/ui/calls/resolve" ui::many::resolve,
        GET Read Call "/ui/calls/{id}" ui::call::show,
        GET Read Call "/ui/calls/{id}/unmask" ui::call::show,
        POST Read Call "/ui/calls/{id}/unmask" ui::call::unmask,
        GET Enqueue Call "/ui/calls/{id}/amend" ui::call::acts::ask_amend,
        POST Enqueue Call "/ui/calls/{id}/amend" ui::call::acts::amend,
        GET Enqueue Call "/ui/calls/{id}/cancel" ui::call::acts::ask_cancel,
        POST Enqueue Call "/ui/calls/{id}/cancel" ui::call::acts::cancel,
        GET Operate Call "/ui/calls/{id}/redrive" ui::call::acts::ask_redrive,
        POST Operate Call "/ui/calls/{id}/redrive" ui::call::acts::redrive,
        GET Operate Call "/ui/calls/{id}/resolve" ui::call::acts::ask_resolve,
        POST Operate Call "/ui/calls/{id}/resolve" ui::call::acts::resolve,
        GET Operate Call "/ui/calls/{id}/release" ui::call::acts::ask_release,
        POST Operate Call "/ui/calls/{id}/release" ui::call::acts::release,
        GET Read Named "/ui/failures" ui::failures::show,
        GET Enqueue Named "/ui/upload" ui::upload::ask,
        POST Enqueue Named "/ui/upload" ui::upload::upload,
        GET Read Everything "/ui/do-not-call" ui::do_not_call::show,
        POST Read Everything "/ui/do-not-call" ui::do_not_call::look_up,
        GET Enqueue Everything "/ui/do-not-call/add" ui::do_not_call::show,
        POST Enqueue Everything "/ui/do-not-call/add" ui::do_not_call::add,
        GET Operate Everything "/ui/do-not-call/remove" ui::do_not_call::show,
        POST Operate Everything "/ui/do-not-call/remove" ui::do_not_call::remove,
        GET Admin Everything "/ui/do-not-call/forget" ui::do_not_call::show,
        POST Admin Everything "/ui/do-not-call/forget" ui::do_not_call::forget,
        GET Read Everything "/ui/workers" ui::workers::list,
        GET Operate Everything "/ui/workers/{id}/drain" ui::workers::ask_drain,
        POST Operate Everything "/ui/workers/{id}/drain" ui::workers::drain,
        GET Read Everything "/ui/acts" ui::audit::acts,
        GET Read Everything "/ui/endpoints" ui::endpoints::list,
        GET Operate Everything "/ui/endpoints/{name}/test" ui::endpoints::ask_test,
        POST Operate Everything "/ui/endpoints/{name}/test" ui::endpoints::test,
        GET Operate Everything "/ui/endpoints/{name}/pause" ui::endpoints::ask_pause,
        POST Operate Everything "/ui/endpoints/{name}/pause" ui::endpoints::pause,
        GET Operate Everything "/ui/endpoints/{name}/resume" ui::endpoints::ask_resume,
        POST Operate Everything "/ui/endpoints/{name}/resume" ui::endpoints::resume,
        GET Admin Everything "/ui/endpoints/{name}/delete" ui::endpoints::ask_delete,
        POST Admin Everything "/ui/endpoints/{name}/delete" ui::endpoints::delete,
        GET Admin Everything "/ui/keys" ui::keys::list,
        GET Admin Everything "/ui/keys/{name}/revoke" ui::keys::ask_revoke,
        POST Admin Everything "/ui/keys/{name}/revoke" ui::keys::revoke,
    ]
}

/// The screens of the page, for the test that tries each with each key.
#[doc(hidden)]
pub fn screen_list() -> Vec<Screen> {
    screens().list()
}

async fn no_such_route() -> Problem {
    Problem::new(
        Code::NoSuchRoute,
        "there is nothing at this path: /docs shows what there is",
    )
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "this path does not take this method: the Allow header names those that it takes",
    )
}
