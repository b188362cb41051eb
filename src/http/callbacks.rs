//! The webhook: what a provider says about a call.
//!
//! Order matters: the raw bytes are verified with the secrets of the trunk that the URL
//! names and no other, then the tag that ties the URL to a dial, and only then is the
//! body read. What passed is kept before it is answered (P2); 2xx means durable.
//! Whatever is refused here is refused with one and the same answer, so that nobody
//! learns which trunks exist or how close a guess was; the reason is counted.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, Uri},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    App, body,
    problem::{Code, Problem},
    schema::StatusReport,
};
use crate::{
    domain::{Reference, ReportKind},
    flow::webhook::{Event, Verdict},
    provider::{
        Stopwatch,
        signature::{self, Rejection},
        tag,
    },
    telemetry::trace::Span,
    trunks::{Trunk, Trunks},
};

const LARGEST: usize = 256 * 1024;
const LONGEST_ID: usize = 255;
const USUAL_TRUNK: &str = "default";

/// Report how a call goes (for the provider).
///
/// Signed by Standard Webhooks headers, or by `x-signature: hex(hmac_sha256(secret, body))`.
/// The URL, with its reference and tag, was given to the provider with the dial.
/// Any signed body is answered 200, after it is durable; anything else is 401.
#[utoipa::path(
    post, path = "/callbacks/call-status", tag = "webhooks", request_body = StatusReport,
    params(
        ("trunk" = Option<String>, Query, description = "The trunk whose secrets sign; `default` when absent."),
        ("reference" = Option<String>, Query, description = "The dial that it is about; without it the event is matched by the provider's call id."),
        ("tag" = Option<String>, Query, description = "Ties the reference to this URL."),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks."),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks."),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks."),
        ("x-signature" = Option<String>, Header, description = "The plain scheme."),
    ),
    responses((status = 200, description = "Kept.", body = Object)),
)]
pub(super) async fn call_status(
    State(app): State<App>,
    uri: Uri,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let address = Address::read(&uri);
    let headers = request.headers().clone();
    let too_large = "a webhook has at most 256 KiB";
    let bytes = body::read(request, LARGEST, too_large)
        .await
        .inspect_err(|_| {
            app.calls.metrics().rejections.add("unreadable");
        })?;
    let refuse = |reason: &'static str| {
        app.calls.metrics().rejections.add(reason);
        tracing::info!(reason, "webhook refused");
        refusal()
    };
    let Accepted {
        trunk,
        reference,
        verified,
    } = accept(&app.trunks, &address, &headers, &bytes).map_err(refuse)?;
    let report = trunk.provider.read_report(&bytes);
    let webhook_id = indexable(verified.event_id);
    let event = Event {
        trunk: &trunk.name,
        reference,
        event_id: report.event_id.as_deref().unwrap_or(&webhook_id),
        signed_at: verified.signed_at_unix,
        body: &bytes,
        report: &report,
    };
    #[cfg(feature = "crash-points")]
    crate::crash::point("webhook_received");
    let began = Stopwatch::start();
    let mut span = trace(&app, trunk, reference).await;
    // What ends a call ends its trace.
    let settle = matches!(report.kind, ReportKind::Ended)
        .then(|| Span::under("settle", span.traceparent().as_deref()));
    let verdict = app.calls.webhook(event).await.map_err(not_kept)?;
    if let Some(settle) = settle {
        settle.end();
    }
    span.add(&[("verdict", &word(verdict))]);
    span.end();
    let took = began.elapsed().as_secs_f64();
    app.calls.metrics().webhook_seconds.observe(took);
    #[cfg(feature = "crash-points")]
    crate::crash::point("webhook_committed");
    if verdict == Verdict::TooOld {
        return Err(refuse("too_old"));
    }
    count(&app, verdict, reference);
    Ok(Json(json!({})))
}

/// In the trace of the call that it is about, which is asked for only where somebody collects traces.
async fn trace(app: &App, trunk: &Trunk, reference: Option<Reference>) -> Span {
    let parent = match reference {
        Some(dial) if Span::is_on() => app.calls.traceparent(dial.call).await,
        _ => None,
    };
    let span = Span::under("webhook", parent.as_deref()).with(&[("trunk", &trunk.name)]);
    match reference {
        Some(dial) => span.with(&[("call.id", &dial.call), ("dial.reference", &dial)]),
        None => span,
    }
}

/// What the URL says. The query is not ours alone (a provider may add to it), so what is
/// unknown is passed over. It is never logged.
pub(super) struct Address {
    trunk: String,
    reference: Option<String>,
    tag: String,
}

impl Address {
    pub(super) fn read(uri: &Uri) -> Self {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|query| query.0)
            .unwrap_or_default();
        // Of two the first counts; the tag holds for one trunk and one reference anyway.
        let first = |name: &str| {
            let found = pairs.iter().find(|pair| pair.0 == name);
            found
                .map(|pair| pair.1.clone())
                .filter(|value| !value.is_empty())
        };
        Self {
            trunk: first("trunk").unwrap_or_else(|| USUAL_TRUNK.to_owned()),
            reference: first("reference"),
            tag: first("tag").unwrap_or_default(),
        }
    }
}

pub(super) struct Accepted<'a> {
    pub(super) trunk: &'a Trunk,
    pub(super) reference: Option<Reference>,
    verified: signature::Verified,
}

/// Who sent it, and which dial may it be about? The error is the reason, for the counter.
pub(super) fn accept<'a>(
    trunks: &'a Trunks,
    address: &Address,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Accepted<'a>, &'static str> {
    let trunk = trunks.get(&address.trunk).ok_or("unknown_trunk")?;
    let verified = signature::verify(headers, bytes, &trunk.secrets).map_err(|why| match why {
        Rejection::Missing(_) => "unsigned",
        Rejection::Malformed(_) => "malformed",
        Rejection::Mismatch => "signature",
    })?;
    let reference = match &address.reference {
        None => None,
        Some(text) => {
            let reference: Reference = text.parse().map_err(|_not_ours| "tag")?;
            if !tag::verify(&trunk.secrets, &trunk.name, reference, &address.tag) {
                return Err("tag");
            }
            Some(reference)
        }
    };
    Ok(Accepted {
        trunk,
        reference,
        verified,
    })
}

/// A name that an index can hold; the body's own id was bounded when it was read.
/// Cut off, two ids could become one; a digest keeps them apart.
fn indexable(id: String) -> String {
    if id.len() > LONGEST_ID {
        format!("sha256:{}", hex::encode(Sha256::digest(id)))
    } else {
        id
    }
}

/// One answer for every reason.
fn refusal() -> Problem {
    Problem::new(
        Code::WebhookRejected,
        "the webhook is not signed by an active secret over these bytes, for this URL, now",
    )
    .challenge("Webhook-Signature")
}

/// Whatever the database says, the event is not kept, and the provider must send it again.
fn not_kept(error: crate::flow::Error) -> Problem {
    Problem::new(Code::Unavailable, "the event was not kept: send it again")
        .retry_after(5)
        .cause(error)
}

fn count(app: &App, verdict: Verdict, reference: Option<Reference>) {
    let word = word(verdict);
    app.calls.metrics().events.add(word);
    match verdict {
        // A person must look: somebody may be rung twice, or a URL is used for another call.
        Verdict::LateAnswer | Verdict::Mismatch => {
            tracing::warn!(
                verdict = word,
                dial.reference = reference.map(tracing::field::display),
                "webhook kept, but look at it"
            );
        }
        Verdict::Applied
        | Verdict::Noted
        | Verdict::Stale
        | Verdict::Parked
        | Verdict::Unparsable
        | Verdict::Duplicate
        | Verdict::TooOld => {
            tracing::debug!(
                verdict = word,
                dial.reference = reference.map(tracing::field::display),
                "webhook kept"
            );
        }
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Applied => "applied",
        Verdict::Noted => "noted",
        Verdict::Stale => "stale",
        Verdict::LateAnswer => "late_answer",
        Verdict::Mismatch => "mismatch",
        Verdict::Parked => "parked",
        Verdict::Unparsable => "unparsable",
        Verdict::Duplicate => "duplicate",
        Verdict::TooOld => "too_old",
    }
}
