//! The HTTP API, the webhook, and what operators scrape.
//!
//! This module turns requests into verbs of [`crate::flow::Queue`] and verdicts into statuses; it
//! decides nothing about a call and never sees the pool. `serve` and `api` run it.
//!
//! | path | for whom | key |
//! |---|---|---|
//! | `/api/v1/...` | callers of the API | yes, where keys are configured |
//! | `/callbacks/...` | providers, by signature | no |
//! | `/healthz`, `/readyz`, `/metrics` | operators | no: no numbers, no names of people |
//! | `/`, `/docs`, `/openapi.json` | readers | no |
//!
//! Every answer has an `x-request-id`; every error is a [`crate::http::Problem`]; a panic is a 500 for
//! its own request and nothing for the others.

// Problem documents.
mod problem;

// Outermost layer of every request.
mod edge;

// API keys.
mod auth;

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
mod lanes;
mod trunks;

// How often a number may be rung.
mod contact_limits;
// Where events are delivered to.
mod endpoints;

// Calling hours and calendars.
mod hours;

mod workers;

// The audit trail.
mod acts;

// The do-not-call list, and forgetting a number.
mod numbers;

// Listing calls in pages.
mod listing;

// Server-sent events.
mod events;

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

// HTML page that shows the OpenAPI document.
mod page;

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
    catch_panic::CatchPanicLayer, sensitive_headers::SetSensitiveRequestHeadersLayer,
};

use self::operations::{Operations, operations};
pub use self::{
    auth::ApiKeys,
    problem::{Code, Document, Problem},
    serve::{Error, Server, serve},
};
use crate::{flow::Queue, provider::signature, trunks::Trunks};

/// HTTP settings of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Accepted API keys; without any, every client is allowed.
    pub api_keys: ApiKeys,
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
    let api_keys = settings.api_keys.clone();
    let app = App::new(calls, settings);
    let routes = every_operation(api_keys)
        .router
        .route("/docs", get(page::page))
        .route("/", get(page::page))
        .with_state(app.clone())
        .merge(more);
    at_the_edge(app, routes)
}

/// Every operation of the API.
fn every_operation(keys: ApiKeys) -> Operations {
    let document = operations![openapi::openapi];
    api()
        .behind(keys)
        .merge(webhooks())
        .merge(operators())
        .merge(document)
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
        .layer(SetSensitiveRequestHeadersLayer::new(secret))
}

fn api() -> Operations {
    operations![
        calls::create_call,
        batch::create_calls,
        listing::list_calls,
        calls::show_call,
        calls::amend_call,
        calls::cancel_call,
        calls::redrive_call,
        calls::resolve_call,
        calls::why_call,
        calls::call_evidence,
        call_webhooks::call_webhooks,
        matching::cancel_calls,
        matching::redrive_calls,
        matching::resolve_calls,
        matching::recheck_calls,
        matching::export_calls,
        campaigns::list_campaigns,
        campaigns::create_campaign,
        campaigns::show_campaign,
        campaigns::change_campaign,
        campaigns::preview_campaign,
        campaigns::pause_campaign,
        campaigns::resume_campaign,
        trunks::list_trunks,
        trunks::create_trunk,
        trunks::show_trunk,
        trunks::change_trunk,
        trunks::pause_trunk,
        trunks::resume_trunk,
        caller_ids::list_caller_ids,
        caller_ids::add_caller_id,
        caller_ids::set_caller_id,
        caller_ids::remove_caller_id,
        contact_limits::list_contact_limits,
        contact_limits::show_contact_limit,
        contact_limits::set_contact_limit,
        contact_limits::delete_contact_limit,
        hours::list_calling_hours,
        hours::show_calling_hours,
        hours::set_calling_hours,
        hours::delete_calling_hours,
        hours::list_calendars,
        hours::show_calendar,
        hours::set_calendar,
        hours::delete_calendar,
        endpoints::list_endpoints,
        endpoints::create_endpoint,
        endpoints::show_endpoint,
        endpoints::change_endpoint,
        endpoints::delete_endpoint,
        endpoints::pause_endpoint,
        endpoints::resume_endpoint,
        endpoints::rotate_endpoint,
        endpoints::test_endpoint,
        endpoints::resend_events,
        endpoints::list_deliveries,
        endpoints::show_delivery,
        endpoints::resend_event,
        workers::list_workers,
        workers::drain_worker,
        acts::list_acts,
        numbers::forget_number,
        numbers::list_do_not_call,
        numbers::add_do_not_call,
        numbers::remove_do_not_call,
        calls::stats,
        events::events,
    ]
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
