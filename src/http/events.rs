//! Events as they happen: server-sent events (WHATWG HTML, section 9.2), or pages for those who poll.
//!
//! A stream is a [`Subscription`] written as text. It holds no database connection while it waits. The
//! process bounds the number of streams and of pages kept for slow clients; a client that does not read is
//! disconnected (`serve/stall.rs`) and resumes with its `Last-Event-ID`. On stop every stream ends at once,
//! so that shutdown does not wait for it.

use std::{borrow::Cow, pin::pin, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::OwnedSemaphorePermit, time::Interval};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{
    App,
    auth::Owner,
    masked::{self, Masked},
    problem::{Code, Problem},
    query::{Limit, Query},
    schema::{EventData, EventPageBody},
};
use crate::{
    domain::CallId,
    flow::{
        events::{Event, EventError, EventFilter, Since, Subscription},
        view::EventKinds,
    },
};

/// Looks between two heartbeats, at most; one is also sent when events begin to be withheld.
const HEARTBEAT: u8 = 15;
const BETWEEN_CHECKS: Duration = Duration::from_secs(4);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Withholding is reported from this many milliseconds on.
const WITHHELD: i64 = 1000;
/// Bytes written at once.
const CHUNK: usize = 64 * 1024;
/// How soon a client reconnects after it lost its stream.
const RETRY: &str = "retry: 1000\n\n";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Filters and position of a stream or a page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventQuery {
    /// Only events of these kinds, separated by commas: `completed,failed`.
    #[serde(default)]
    #[param(inline)]
    kind: EventKinds,
    /// Only events of this campaign.
    #[param(pattern = r"^[^\u0000]*$")]
    campaign: Option<String>,
    /// Only events on this trunk.
    #[param(pattern = r"^[^\u0000]*$")]
    trunk: Option<String>,
    /// Only events of this call.
    call: Option<CallId>,
    /// Events on a page. A stream has no pages.
    #[serde(default)]
    #[param(inline)]
    limit: Limit<500, 5000>,
    /// Where to begin: the id of an event, `start` (the oldest kept), `now` (the default), or an instant (RFC
    /// 3339; a few events from before it may come too).
    #[param(pattern = r"^[^\u0000]*$")]
    after: Option<String>,
}

/// Follow events.
///
/// A stream of server-sent events, one for each change of a call: `event:` is its kind, `data:` its JSON,
/// `id:` where to resume. A client that reconnects with its last id as `Last-Event-ID`, as an `EventSource`
/// does by itself, misses nothing and gets nothing twice. An event is sent once everything before it is
/// final: an open writing transaction holds back later events. A `heartbeat` is sent at least every 15 s and
/// says for how long events have been withheld, and by which connection.
///
/// With `Accept: application/json` the response is a page of the same events for those who poll: ask again with
/// `nextCursor` as `after`, at once if `more` is true. No event is skipped or repeated from one page to the next.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "calls",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen; it wins over `after`.")),
    extensions(("x-problem-codes" = json!([Code::CursorGone, Code::TooManyStreams]))),
    responses((status = 200, description = "The stream, where `data` is an Event, or for `heartbeat` a Heartbeat; or a page.", content((EventData = "text/event-stream"), (EventPageBody = "application/json")))),
)]
pub(super) async fn events(
    State(app): State<App>,
    Extension(owner): Extension<Owner>,
    Query(mut query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query.campaign = owner.filtered(query.campaign)?;
    let limit = query.limit;
    let (filter, since) = read(query, &headers)?;
    if wants_page(&headers) {
        return page(&app, &filter, &since, limit).await;
    }
    let permit = Arc::clone(&app.streams)
        .try_acquire_owned()
        .map_err(|_full| {
            Problem::new(
                Code::TooManyStreams,
                "this process has no room for another stream: come back later",
            )
            .retry_after(5)
        })?;
    let events = app.calls.events().filter(filter).since(since);
    let events = events.subscribe().await.map_err(refusal)?;
    let stream = Stream {
        owner,
        checks: tokio::time::interval(BETWEEN_CHECKS),
        events,
        stop: app.stop,
        _permit: permit,
        stage: Stage::Begins,
    };
    let chunks = stream::unfold(stream, |mut stream| async move {
        let chunk = stream.chunk().await?;
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(chunk)),
            stream,
        ))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        // For proxies that buffer responses.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((Extension(Masked), headers, Body::from_stream(chunks)).into_response())
}

/// Whether a client accepts JSON and no stream.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = |kind: &str| {
        let all = headers.get_all(header::ACCEPT).into_iter();
        let all = all.filter_map(|value| value.to_str().ok());
        all.flat_map(|text| text.split(','))
            .any(|item| item.split(';').next().unwrap_or_default().trim() == kind)
    };
    accepts("application/json") && !accepts("text/event-stream")
}

async fn page(
    app: &App,
    filter: &EventFilter,
    since: &Since,
    limit: Limit<500, 5000>,
) -> Result<Response, Problem> {
    let limit = i32::try_from(limit.get()).unwrap_or(i32::MAX);
    let page = app.calls.events_after(since, limit, filter).await;
    let page = page.map_err(refusal)?;
    Ok(Json(EventPageBody {
        events: page.events,
        next_cursor: page.next.to_string(),
        more: page.more,
        heartbeat: page.heartbeat,
    })
    .into_response())
}

fn read(query: EventQuery, headers: &HeaderMap) -> Result<(EventFilter, Since), Problem> {
    let refusal = |words: &str| Problem::new(Code::InvalidQuery, words.to_owned());
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str());
    let last = last
        .transpose()
        .map_err(|_odd| refusal("Last-Event-ID is no cursor: give it back as it was"))?;
    let after = last
        .map(str::to_owned)
        .filter(|last| !last.is_empty())
        .or(query.after);
    // It is sent back as an id, which is a single line.
    if after.iter().any(|text| text.contains(char::is_control)) {
        return Err(refusal("\"after\" is no cursor: give one back as it was"));
    }
    let since = match after.as_deref() {
        None | Some("" | "now") => Since::Now,
        Some("start") => Since::Start,
        Some(text) => Since::Cursor(text.to_owned().into()),
    };
    let filter = EventFilter {
        kinds: query.kind.into(),
        campaign: query.campaign,
        trunk: query.trunk,
        call: query.call,
    };
    Ok((filter, since))
}

fn refusal(error: EventError) -> Problem {
    match error {
        EventError::Refused(words) => Problem::new(Code::InvalidQuery, words),
        EventError::Gone(words) => Problem::new(Code::CursorGone, words),
        EventError::Flow(error) => error.into(),
    }
}

/// Stream of one client.
struct Stream {
    owner: Owner,
    /// When to check that the owner's key still is one.
    checks: Interval,
    events: Subscription,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Begins,
    Goes,
    Ended,
}

impl Stream {
    /// Next chunk to write; none once the stream is over.
    async fn chunk(&mut self) -> Option<String> {
        match self.stage {
            Stage::Ended => return None,
            Stage::Begins => {
                self.stage = Stage::Goes;
                return Some(format!("{RETRY}{}", self.heartbeat()));
            }
            Stage::Goes => {}
        }
        let next = match self.next().await {
            Ok(next) => next,
            Err(last) => {
                self.stage = Stage::Ended;
                return Some(last);
            }
        };
        match next {
            Next::Silence => Some(self.heartbeat()),
            Next::End => None,
            Next::Event(event) => {
                let is_masked = self.owner.is_masked();
                let mut chunk = written(&event, is_masked);
                while chunk.len() < CHUNK
                    && let Some(event) = self.events.next_ready()
                {
                    chunk.push_str(&written(&event, is_masked));
                }
                Some(chunk)
            }
            Next::Error(error) => {
                self.stage = Stage::Ended;
                Some(last_words(&refusal(error)))
            }
        }
    }

    /// What comes next, or the last words if the stream has to end.
    async fn next(&mut self) -> Result<Next, String> {
        let mut next = pin!(next_or_silence(&mut self.events));
        loop {
            tokio::select! {
                // First: a stream that always has more to say must end too.
                biased;
                () = self.stop.cancelled() => return Err(RETRY.to_owned()),
                _ = self.checks.tick() => match self.owner.still().await {
                    Err(problem) if problem.code() == Code::Unauthorized => return Err(last_words(&problem)),
                    // While the database cannot be asked, it has no events either.
                    Ok(()) | Err(_) => {}
                },
                next = &mut next => return Ok(next),
            }
        }
    }

    /// Carries an id, so that a client whose filter lets nothing pass still advances.
    fn heartbeat(&self) -> String {
        let data = serde_json::to_string(&self.events.heartbeat()).unwrap_or_default();
        format!(
            "id: {}\nevent: heartbeat\ndata: {data}\n\n",
            self.events.cursor()
        )
    }
}

enum Next {
    Event(Arc<Event>),
    Error(EventError),
    /// Nothing was sent for a while: a heartbeat is due.
    Silence,
    End,
}

async fn next_or_silence(events: &mut Subscription) -> Next {
    let is_withheld =
        |events: &Subscription| events.heartbeat().lag_ms.is_some_and(|ms| ms >= WITHHELD);
    let was_withheld = is_withheld(events);
    for _ in 0..HEARTBEAT {
        match tokio::time::timeout(BETWEEN_LOOKS, events.next()).await {
            Ok(Some(Ok(event))) => return Next::Event(event),
            Ok(Some(Err(error))) => return Next::Error(error),
            Ok(None) => return Next::End,
            Err(_elapsed) if !was_withheld && is_withheld(events) => break,
            Err(_elapsed) => {}
        }
    }
    Next::Silence
}

/// JSON has no line feed of its own, and a kind is a single word.
fn written(event: &Event, is_masked: bool) -> String {
    let data = if is_masked {
        let mut data = json!(event);
        masked::mask(&mut data);
        data.to_string().into()
    } else {
        Cow::Borrowed(event.json())
    };
    let (id, kind) = (&event.cursor, &event.kind);
    format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
}

/// The status can no longer change; the client reconnects and gets the error then.
fn last_words(problem: &Problem) -> String {
    let data = json!({ "code": problem.code(), "detail": problem.detail() });
    format!("event: error\ndata: {data}\n\n")
}
