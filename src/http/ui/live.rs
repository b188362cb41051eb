//! `GET /ui/live`: tells open screens that something has changed, and nothing else.
//!
//! The events themselves would be megabytes a minute for a screen that shows numbers, and reading them would cost the
//! database as much as a process that follows them. So a stream says at most once a second that there were some, and the
//! script reads its screen again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

use super::{
    super::{
        masked::Masked,
        problem::{Code, Problem},
    },
    frame::Frame,
};
use crate::flow::seat::Latest;

/// Between two looks for a change.
const BETWEEN: Duration = Duration::from_secs(1);
/// Without a change, screens are told to look again: time alone opens hours, for one.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Between two checks that the key still is one.
const CHECK: Duration = Duration::from_secs(4);

/// `GET /ui/live`
pub(in crate::http) async fn live(frame: Frame) -> Result<Response, Problem> {
    let full = |_| {
        Problem::new(
            Code::TooManyStreams,
            "this process has no room for another stream",
        )
        .retry_after(5)
    };
    let permit = Arc::clone(&frame.app.streams)
        .try_acquire_owned()
        .map_err(full)?;
    let changes = Changes {
        frame,
        seen: Arc::default(),
        checked: Instant::now(),
        is_first: true,
        _permit: permit,
    };
    let chunks = stream::unfold(changes, |mut changes| async move {
        let chunk = changes.next().await?;
        Some((
            Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes())),
            changes,
        ))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // For proxies that buffer responses.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((Extension(Masked), headers, Body::from_stream(chunks)).into_response())
}

struct Changes {
    frame: Frame,
    /// What was the latest when it was last told. At first nothing: what the screen shows may be older than the stream.
    seen: Arc<Latest>,
    /// When the key was last checked.
    checked: Instant,
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

impl Changes {
    /// What to write next; none once the stream is over.
    async fn next(&mut self) -> Option<&'static str> {
        if std::mem::take(&mut self.is_first) {
            return Some("retry: 2000\n\n: here\n\n");
        }
        let began = Instant::now();
        while began.elapsed() < LOOK_AGAIN {
            tokio::select! {
                biased;
                () = self.frame.app.stop.cancelled() => return None,
                () = sleep(BETWEEN) => {}
            }
            if self.checked.elapsed() >= CHECK {
                self.checked = Instant::now();
                let still = self.frame.owner.still().await;
                if still.is_err_and(|problem| problem.code() == Code::Unauthorized) {
                    return None;
                }
            }
            // The browser says that the screen is old, and comes again.
            let latest = self
                .frame
                .app
                .kept
                .latest(&self.frame.app.calls)
                .await
                .ok()?;
            if latest != self.seen {
                self.seen = latest;
                return Some("event: changed\ndata: news\n\n");
            }
        }
        Some("event: changed\ndata: time\n\n")
    }
}
