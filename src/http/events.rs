//! Events as they happen: server-sent events (WHATWG HTML, section 9.2).
//!
//! A stream is a [`Subscription`] written as text. It holds no connection of the database while it
//! waits, and is bounded by the process: so many streams, so many pages kept for the slow; a
//! client that does not read is cut off with its connection (`serve/stall.rs`), and goes on
//! with its `Last-Event-ID`. On stop every stream ends at once, so that nobody waits for it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{
    App,
    problem::{Code, Problem},
    query::Query,
    schema::EventData,
};
use crate::{
    domain::CallId,
    flow::events::{Event, EventError, EventFilter, Since, Subscription},
};

/// A heartbeat comes at least each so many looks, and when events begin to be withheld.
const HEARTBEAT: u8 = 15;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// What is withheld for so long is worth a word, milliseconds.
const WITHHELD: i64 = 1000;
/// What is written at once.
const CHUNK: usize = 64 * 1024;
/// How soon a client that lost its stream comes back.
const RETRY: &str = "retry: 1000\n\n";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const KINDS: usize = 50;

/// Which events, and where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventQuery {
    /// Of these kinds only, with commas between: `completed,failed`.
    #[param(pattern = r"^[^\u0000]*$")]
    kind: Option<String>,
    /// Of this campaign only.
    #[param(pattern = r"^[^\u0000]*$")]
    campaign: Option<String>,
    /// On this trunk only.
    #[param(pattern = r"^[^\u0000]*$")]
    trunk: Option<String>,
    /// Of this call only.
    call: Option<CallId>,
    /// Where to begin: the id of an event, `start` (the oldest that is kept), `now` (when absent), or an
    /// instant (a few from before it come too).
    #[param(pattern = r"^[^\u0000]*$")]
    after: Option<String>,
}

/// Follow events.
///
/// A stream of server-sent events, one for each thing that happens to a call: `event:` is its kind,
/// `data:` its JSON, `id:` where to go on. A client that comes back with its last id as
/// `Last-Event-ID`, as an `EventSource` does by itself, misses nothing and gets nothing twice.
/// An event is told once all before it is final: an open writing transaction holds back what
/// comes after it. A `heartbeat` comes at least every 15 s, and says for how long events have
/// been withheld, and by whom.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "calls",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen; it wins over `after`.")),
    extensions(("x-problem-codes" = json!([Code::CursorGone, Code::TooManyStreams]))),
    responses((status = 200, description = "The stream. `data` is an Event, or for `heartbeat` a Heartbeat.", body = EventData, content_type = "text/event-stream")),
)]
pub(super) async fn events(
    State(app): State<App>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (filter, since) = read(query, &headers)?;
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
        // For proxies that collect answers before they pass them on.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

fn read(query: EventQuery, headers: &HeaderMap) -> Result<(EventFilter, Since), Problem> {
    let refusal = |words: &str| Problem::new(Code::InvalidQuery, words.to_owned());
    let kinds = query.kind.unwrap_or_default();
    let kinds = kinds
        .split(',')
        .map(str::trim)
        .filter(|kind| !kind.is_empty());
    let kinds: Vec<String> = kinds.map(str::to_owned).collect();
    if kinds.len() > KINDS {
        return Err(refusal("\"kind\" names 50 kinds at most"));
    }
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str());
    let last = last
        .transpose()
        .map_err(|_odd| refusal("Last-Event-ID is no cursor: give it back as it was"))?;
    let after = last
        .map(str::to_owned)
        .filter(|last| !last.is_empty())
        .or(query.after);
    // It comes back as an id, which is one line.
    if after.iter().any(|text| text.contains(char::is_control)) {
        return Err(refusal("\"after\" is no cursor: give one back as it was"));
    }
    let since = match after.as_deref() {
        None | Some("" | "now") => Since::Now,
        Some("start") => Since::Start,
        Some(text) => Since::Cursor(text.to_owned().into()),
    };
    let filter = EventFilter {
        kinds,
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

/// One client's stream.
struct Stream {
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
    /// What to write next; none: it is over.
    async fn chunk(&mut self) -> Option<String> {
        match self.stage {
            Stage::Ended => return None,
            Stage::Begins => {
                self.stage = Stage::Goes;
                return Some(format!("{RETRY}{}", self.heartbeat()));
            }
            Stage::Goes => {}
        }
        let next = tokio::select! {
            // First: a stream that always has more to say must end too.
            biased;
            () = self.stop.cancelled() => {
                self.stage = Stage::Ended;
                return Some(RETRY.to_owned());
            }
            next = next_or_silence(&mut self.events) => next,
        };
        match next {
            Next::Silence => Some(self.heartbeat()),
            Next::End => None,
            Next::Event(event) => {
                let mut chunk = written(&event);
                while chunk.len() < CHUNK
                    && let Some(event) = self.events.next_ready()
                {
                    chunk.push_str(&written(&event));
                }
                Some(chunk)
            }
            Next::Error(error) => {
                self.stage = Stage::Ended;
                Some(last_words(error))
            }
        }
    }

    /// With an id: where the filter lets nothing pass, the client gets on all the same.
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
    /// Time for a heartbeat.
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

/// JSON has no line feed of its own, and a kind is one word.
fn written(event: &Event) -> String {
    format!(
        "id: {}\nevent: {}\ndata: {}\n\n",
        event.cursor,
        event.kind,
        event.json()
    )
}

/// A stream cannot be answered with a status any more. The client comes back, and is told then.
fn last_words(error: EventError) -> String {
    let problem = refusal(error);
    let data = json!({ "code": problem.code(), "detail": problem.detail() });
    format!("event: error\ndata: {data}\n\n")
}
