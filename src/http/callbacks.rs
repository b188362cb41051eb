//! The webhook endpoint: a provider's reports about calls.
//!
//! Order matters. The URL names the trunk, and only that trunk's secrets can have made its tag; a request
//! without a signature is refused before its body is read; the raw bytes are verified, and only then read as
//! a report. A verified event is stored before the response (P2): 2xx means durable, or certainly not about a
//! call from here. Every refusal has the same response, so that nobody learns which trunks exist or how close a
//! guess was; the reason is counted.

use std::borrow::Cow;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    App,
    body::{self, Share},
    encoding,
    problem::{Code, Problem},
    schema::StatusReport,
};
use crate::{
    domain::{Reference, ReportKind},
    flow::webhook::{Event, Verdict},
    provider::{
        Reply, Stopwatch, Webhook, protocol,
        signature::{self, Rejection},
        tag,
    },
    telemetry::trace::Span,
    trunks::{Trunk, Trunks},
};

const LONGEST_ID: usize = 255;
const USUAL_TRUNK: &str = "default";
/// Path segments of the webhook endpoint; the second only where the URL may name a dial.
const PATH: [&str; 2] = ["callbacks", "call-status"];

/// Report how the calls of an account go (for the provider).
///
/// As the operation with the reference in its path, for accounts with one URL for all calls. An event is
/// matched by the reference in its body, else by the provider's call id. One that is certainly about a call
/// that other software placed is acknowledged, counted and not kept.
#[utoipa::path(
    post, path = "/callbacks/{trunk}", tag = "webhooks", request_body = StatusReport,
    security(("signature" = [])),
    extensions(("x-problem-codes" = json!([Code::WebhookRejected, Code::NoRoom]))),
    params(
        ("trunk" = String, Path, description = "The trunk whose secrets sign."),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks; also as `svix-id`."),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks; also as `svix-timestamp`."),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks; also as `svix-signature`."),
        ("x-signature" = Option<String>, Header, description = "The plain scheme; also as `x-hub-signature-256` or `x-webhook-signature`."),
    ),
    responses(
        (status = 200, description = "Kept, or not about a call from here.", body = Object, example = json!({})),
        (status = 204, description = "The same, where the platform wants no body."),
    ),
)]
pub(super) async fn account_status(
    State(app): State<App>,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    receive(&app, &uri, request).await
}

/// Report how a call goes (for the provider).
///
/// Signed with Standard Webhooks headers, or with `x-signature: hex(hmac_sha256(secret, body))`. The URL,
/// with its reference and tag, was passed to the provider with the dial. Any signed body gets a 2xx once it
/// is durable; anything else a 401.
#[utoipa::path(
    post, path = "/callbacks/call-status/{trunk}/{reference}/{tag}", tag = "webhooks", request_body = StatusReport,
    security(("signature" = [])),
    extensions(("x-problem-codes" = json!([Code::WebhookRejected, Code::NoRoom]))),
    params(
        ("trunk" = String, Path, description = "The trunk whose secrets sign."),
        ("reference" = String, Path, description = "The dial that it is about."),
        ("tag" = String, Path, description = "Ties the reference to this URL."),
        ("webhook-id" = Option<String>, Header, description = "Standard Webhooks; also as `svix-id`."),
        ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks; also as `svix-timestamp`."),
        ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks; also as `svix-signature`."),
        ("x-signature" = Option<String>, Header, description = "The plain scheme; also as `x-hub-signature-256` or `x-webhook-signature`."),
    ),
    responses(
        (status = 200, description = "Kept.", body = Object, example = json!({})),
        (status = 204, description = "The same, where the platform wants no body."),
    ),
)]
pub(super) async fn dial_status(
    State(app): State<App>,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    receive(&app, &uri, request).await
}

async fn receive(app: &App, uri: &Uri, request: Request) -> Result<Response, Problem> {
    let refuse = |reason: &'static str| {
        app.calls.metrics().rejections.add(reason);
        tracing::info!(reason, "webhook refused");
        refusal()
    };
    let address = Address::read(uri);
    let (parts, body) = request.into_parts();
    let claimed = match claim(&app.trunks, &address, &parts.headers) {
        Ok(claimed) => claimed,
        Err(reason) => {
            body::discard(&parts.headers, body).await;
            return Err(refuse(reason));
        }
    };
    let request = Request::from_parts(parts.clone(), body);
    let unread = |problem: &Problem| {
        let reason = match problem.code() {
            Code::NoRoom => "no_room",
            _ => "unreadable",
        };
        app.calls.metrics().rejections.add(reason);
        tracing::info!(reason, "webhook refused");
    };
    let (bytes, mut share) = body::read_within(request, &app.bodies)
        .await
        .inspect_err(unread)?;
    let url = format!("{}{}", app.public_url, path_and_query(uri));
    let received = Webhook {
        method: &parts.method,
        url: &url,
        headers: &parts.headers,
        body: &bytes,
    };
    let (verified, bytes) = verify(&claimed, &received, &mut share)
        .await
        .inspect_err(unread)?
        .map_err(refuse)?;
    let Claimed { trunk, reference } = claimed;
    let report = trunk.provider.read(&Webhook {
        body: &bytes,
        ..received
    });
    let webhook_id = indexable(protocol::folded(verified.event_id));
    let event = Event {
        trunk: &trunk.name,
        reference,
        event_id: report.event_id.as_deref().unwrap_or(&webhook_id),
        signed_at: verified.signed_at,
        body: &bytes,
        report: &report,
    };
    #[cfg(feature = "crash-points")]
    crate::crash::point("webhook_received");
    let began = Stopwatch::start();
    let mut span = trace(app, trunk, reference).await;
    // The report that ends the call also ends its trace.
    let settle = matches!(report.kind, ReportKind::Ended)
        .then(|| Span::under("settle", span.traceparent().as_deref()));
    let verdict = app.calls.webhook(event).await.map_err(not_kept)?;
    if let Some(settle) = settle {
        settle.end();
    }
    span.add(&[("verdict", &verdict.as_str())]);
    span.end();
    let took = began.elapsed().as_secs_f64();
    app.calls.metrics().webhook_seconds.observe(took);
    #[cfg(feature = "crash-points")]
    crate::crash::point("webhook_committed");
    match verdict {
        Verdict::TooOld => return Err(refuse("too_old")),
        Verdict::NoRoom => {
            app.calls.metrics().rejections.add("no_room");
            tracing::info!(reason = "no_room", trunk = trunk.name, "webhook refused");
            return Err(no_room(
                "the account reports too many calls that are not known here",
            ));
        }
        kept => count(app, kept, reference),
    }
    Ok(match trunk.provider.reply() {
        Reply::EmptyObject => Json(json!({})).into_response(),
        Reply::Nothing => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Span in the trace of the call; the trace is only looked up if traces are exported.
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

/// What the URL says: the path, and the query for what the path lacks. A provider may add to the query, or
/// join our URL with an extra slash, so unknown parts are ignored. Never logged.
pub(super) struct Address {
    trunk: String,
    reference: Option<String>,
    tag: String,
}

impl Address {
    pub(super) fn read(uri: &Uri) -> Self {
        let mut path = uri.path().split('/').filter(|part| !part.is_empty());
        // Skip to what follows the segments of the route, which may themselves follow others.
        while path.next().is_some_and(|part| part != PATH[0]) {}
        let mut path = path.skip_while(|part| *part == PATH[1]).map(decoded);
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|query| query.0)
            .unwrap_or_default();
        // The first of two counts; the tag is valid for one trunk and one reference anyway.
        let mut first = |name: &str| {
            let found = pairs.iter().find(|pair| pair.0 == name);
            let found = found.map(|pair| pair.1.clone());
            path.next().or(found).filter(|value| !value.is_empty())
        };
        Self {
            trunk: first("trunk").unwrap_or_else(|| USUAL_TRUNK.to_owned()),
            reference: first("reference"),
            tag: first("tag").unwrap_or_default(),
        }
    }
}

/// Percent-decodes a path segment.
fn decoded(part: &str) -> String {
    let query = format!("p={}", part.replace('+', "%2B"));
    form_urlencoded::parse(query.as_bytes())
        .next()
        .map(|pair| pair.1.into_owned())
        .unwrap_or_default()
}

/// Claimed sender and reference of a webhook, not yet verified.
pub(super) struct Claimed<'a> {
    pub(super) trunk: &'a Trunk,
    pub(super) reference: Option<Reference>,
}

/// Checks everything that does not need the body. The error is the reason, for the counter.
pub(super) fn claim<'a>(
    trunks: &'a Trunks,
    address: &Address,
    headers: &HeaderMap,
) -> Result<Claimed<'a>, &'static str> {
    let trunk = trunks.get(&address.trunk).ok_or("unknown_trunk")?;
    trunk.provider.claims_signature(headers).map_err(reason)?;
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
    Ok(Claimed { trunk, reference })
}

/// Verifies the signature and returns the bytes to read, or the reason for a refusal. The outer error: there
/// is no room to decode them.
///
/// Whether a provider signs before or after compressing depends on its HTTP client. The bytes as they came are
/// verified first, and a header that no body fits is not worth decoding one.
pub(super) async fn verify<'b>(
    claimed: &Claimed<'_>,
    webhook: &Webhook<'b>,
    share: &mut Share<'_>,
) -> Result<Result<(signature::Verified, Cow<'b, [u8]>), &'static str>, Problem> {
    let Trunk {
        provider, secrets, ..
    } = claimed.trunk;
    let verify = |body: &[u8]| provider.verify(&Webhook { body, ..*webhook }, secrets);
    let verified = match verify(webhook.body) {
        Err(why @ (Rejection::Missing(_) | Rejection::Malformed(_))) => {
            return Ok(Err(reason(why)));
        }
        verified => verified,
    };
    let decoded = encoding::decoded(webhook.headers, webhook.body, share).await?;
    let verified = match (verified, &decoded) {
        (Err(_), Some(decoded)) => verify(decoded),
        (verified, _) => verified,
    };
    let bytes = decoded.map_or(webhook.body.into(), Cow::Owned);
    Ok(verified.map(|verified| (verified, bytes)).map_err(reason))
}

/// As received, percent signs included: a platform that signs the URL signs its spelling.
fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

fn reason(why: Rejection) -> &'static str {
    match why {
        Rejection::Missing(_) => "unsigned",
        Rejection::Malformed(_) => "malformed",
        Rejection::Mismatch => "signature",
    }
}

/// An event id short enough for an index (the body's own id was bounded on reading). Truncation could make
/// two ids equal; a digest keeps them apart.
fn indexable(id: String) -> String {
    if id.len() > LONGEST_ID {
        format!("sha256:{}", hex::encode(Sha256::digest(id)))
    } else {
        id
    }
}

/// The same response for every reason.
fn refusal() -> Problem {
    Problem::new(
        Code::WebhookRejected,
        "the webhook is not signed by an active secret over these bytes, for this URL, now",
    )
    .challenge("Webhook-Signature")
}

/// On any database error the event is not stored, and the provider must send it again.
fn not_kept(error: crate::flow::Error) -> Problem {
    Problem::new(Code::Unavailable, "the event was not kept: send it again")
        .retry_after(5)
        .cause(error)
}

pub(super) fn no_room(detail: &'static str) -> Problem {
    Problem::new(Code::NoRoom, format!("{detail}: send it again later")).retry_after(60)
}

fn count(app: &App, verdict: Verdict, reference: Option<Reference>) {
    let word = verdict.as_str();
    app.calls.metrics().events.add(word);
    match verdict {
        // A person must look: a callee may be rung twice, or a URL is being used for another call.
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
        | Verdict::Unmatched
        | Verdict::Duplicate
        | Verdict::Foreign
        | Verdict::TooOld
        | Verdict::NoRoom => {
            tracing::debug!(
                verdict = word,
                dial.reference = reference.map(tracing::field::display),
                "webhook taken"
            );
        }
    }
}
