//! What all protocols share: connections, admission of calls, and the misbehaviour around the response.
//!
//! A call runs in a task of its own and never in a handler: hyper drops the handler when the caller
//! disconnects, and an impatient caller has still placed a call.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    calls::{Call, Calls, Order, Taken},
    delivery::{Courier, Outbox},
    dialect::Dialect,
    ledger,
    life::Guide,
    rules::{Behaviour, Refusal},
};

/// State shared by the handlers.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) dialect: Arc<dyn Dialect>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) guide: Arc<Guide>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Cancelled by a handler that wants its connection reset. An extension of each request.
#[derive(Debug, Clone)]
pub(crate) struct Cut(CancellationToken);

/// Result of a request to place a call, as the caller is to see it.
#[derive(Debug)]
pub(crate) enum Placed {
    /// A call, or with `replayed` the call of an earlier request with the same key.
    Accepted { call: Arc<Call>, replayed: bool },
    /// The key was used for another request.
    KeyReused,
    /// Every slot holds a call.
    Full,
    /// Refused; with `places_anyway` and the like there is a call all the same.
    Refused(Refusal),
}

/// A platform's paths.
pub(crate) trait Paths {
    fn router(&self) -> Router<Desk>;
}

pub(crate) fn router(desk: Desk, paths: Router<Desk>) -> Router {
    Router::new()
        .route("/ledger", get(read_ledger))
        .route("/healthz", get(health))
        .merge(paths)
        .with_state(desk)
}

/// Accepts connections until stopped, and then drops them.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A caller that left before it was accepted is no reason to stop.
        if let Ok((stream, _peer)) = accepted {
            tasks.spawn(converse(stream, router.clone(), stop.clone()));
        }
    }
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let cut = CancellationToken::new();
    let marked = Cut(cut.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(marked.clone());
        router.clone().oneshot(request)
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ended = &mut connection => return,
        () = stop.cancelled() => return,
        () = cut.cancelled() => {}
    }
    // With a linger time of zero, closing the socket sends RST instead of FIN.
    let stream = connection.into_parts().io.into_inner();
    if let Err(error) = stream.set_zero_linger() {
        tracing::warn!(%error, "a connection is closed and not reset");
    }
}

impl Desk {
    /// Places a call, and returns when the response is due. `body` tells a repeated request from another one
    /// with the same key.
    pub(crate) async fn place(
        &self,
        order: Order,
        key: Option<&str>,
        body: &[u8],
        cut: &Cut,
    ) -> Placed {
        let call_id = self.dialect.call_id();
        match self.calls.take(order, call_id, key, body) {
            Taken::New(call) => self.begin(call, cut).await,
            Taken::Replayed(call) => Placed::Accepted {
                call,
                replayed: true,
            },
            Taken::KeyReused => Placed::KeyReused,
            Taken::Full => Placed::Full,
            Taken::Refused(refusal) => Placed::Refused(refusal),
        }
    }

    /// Starts a call, and waits as its plan says.
    async fn begin(&self, call: Arc<Call>, Cut(cut): &Cut) -> Placed {
        let outbox = Outbox::open(
            &self.courier,
            call.webhook_url.clone(),
            &call.plan,
            call.reported.clone(),
        );
        let (guide, living) = (Arc::clone(&self.guide), Arc::clone(&call));
        self.tasks
            .spawn(async move { guide.lead(&living, outbox).await });
        if let Some(late) = call.plan.slow {
            self.stop
                .run_until_cancelled(tokio::time::sleep(late))
                .await;
        }
        if call.plan.does(&Behaviour::Early) && call.webhook_url.is_some() {
            self.stop
                .run_until_cancelled(call.reported.cancelled())
                .await;
        }
        if call.plan.does(&Behaviour::ResetAfterAccept) {
            cut.cancel();
            // The connection is reset, which drops this handler.
            std::future::pending::<Infallible>().await;
        }
        if let Some(refusal) = call.plan.refusal.clone() {
            return Placed::Refused(refusal);
        }
        if call.plan.does(&Behaviour::ErrorAfterAccept) {
            return Placed::Refused(Refusal::broken());
        }
        Placed::Accepted {
            call,
            replayed: false,
        }
    }

    /// The call with this id, unless look-ups are to miss it.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Call>> {
        self.calls.find(id).filter(is_visible)
    }

    /// The calls that look-ups may see and that `wanted` selects, in the order of their placement.
    pub(crate) fn select(&self, wanted: impl Fn(&Call) -> bool) -> Vec<Arc<Call>> {
        self.calls.select(|call| is_visible(call) && wanted(call))
    }
}

fn is_visible(call: &Arc<Call>) -> bool {
    !call.plan.does(&Behaviour::False404)
}

/// The key in `Authorization: Bearer KEY`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

/// `+` and 7 to 15 digits, the first of them not 0.
pub(super) fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// The reference in the path of a URL: the segment that is a UUID, `-`, and a number.
pub(super) fn reference_in(url: &str) -> Option<String> {
    let is_reference = |segment: &&str| {
        segment
            .rsplit_once('-')
            .is_some_and(|(id, claim)| id.parse::<Uuid>().is_ok() && claim.parse::<u32>().is_ok())
    };
    url.split(['/', '?', '#'])
        .find(is_reference)
        .map(str::to_owned)
}

/// The words of a refusal, and the platform's code that they may begin with.
pub(super) fn coded(words: &str) -> (Option<u32>, &str) {
    let (code, rest) = words.split_once(' ').unwrap_or((words, words));
    match code.parse() {
        Ok(code) => (Some(code), rest),
        Err(_) => (None, words),
    }
}

async fn read_ledger(State(desk): State<Desk>) -> Result<Json<Vec<ledger::Interval>>, Response> {
    match tokio::fs::read_to_string(desk.guide.ledger.path()).await {
        Ok(text) => Ok(Json(ledger::intervals(&text))),
        Err(error) => {
            let words = json!({"code": "ledger", "message": error.to_string()});
            Err((StatusCode::INTERNAL_SERVER_ERROR, Json(words)).into_response())
        }
    }
}

async fn health(State(desk): State<Desk>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "active": desk.calls.active(),
        "undelivered": desk.courier.undelivered(),
    }))
}
