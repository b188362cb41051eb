//! `GET /ui/live`: tells open screens that something has changed, and nothing else.
//!
//! The events themselves would be megabytes a minute for a screen that shows numbers. So a stream says at most once a
//! second that there were some, and the script reads its screen again.

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
    time::{Instant, timeout},
};

use super::{
    super::{
        masked::Masked,
        problem::{Code, Problem},
    },
    frame::Frame,
};
use crate::flow::events::{EventError, Subscription};

/// Between two changes that are told.
const BETWEEN: Duration = Duration::from_secs(1);
/// Without a change, screens are told to look again: pauses, for one, are not events of calls.
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
    let events = frame
        .app
        .calls
        .events()
        .subscribe()
        .await
        .map_err(|error| match error {
            EventError::Flow(error) => error.into(),
            EventError::Refused(words) | EventError::Gone(words) => {
                Problem::new(Code::InvalidQuery, words)
            }
        })?;
    let changes = Changes {
        frame,
        events,
        told: Instant::now(),
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
    events: Subscription,
    told: Instant,
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

impl Changes {
    /// What to write next; none once the stream is over.
    async fn next(&mut self) -> Option<&'static str> {
        if std::mem::take(&mut self.is_first) {
            return Some("retry: 2000\n\n: here\n\n");
        }
        let stop = self.frame.app.stop.clone();
        let began = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                changed = timeout(CHECK, self.changed()) => match changed {
                    Ok(true) => break,
                    Ok(false) => return None,
                    Err(_elapsed) => {}
                },
            }
            let checked = self.frame.owner.still().await;
            if checked.is_err_and(|problem| problem.code() == Code::Unauthorized) {
                return None;
            }
            if began.elapsed() >= LOOK_AGAIN {
                break;
            }
        }
        self.told = Instant::now();
        Some("event: changed\ndata: 1\n\n")
    }

    /// Waits for an event, and for the pause after the last time; false once there are no more. Whatever else has
    /// happened meanwhile is told with it.
    async fn changed(&mut self) -> bool {
        if !matches!(self.events.next().await, Some(Ok(_))) {
            return false;
        }
        tokio::time::sleep_until(self.told + BETWEEN).await;
        while self.events.next_ready().is_some() {}
        true
    }
}
