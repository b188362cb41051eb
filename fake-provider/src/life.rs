//! One call from its first ring to its last webhook.
//!
//! The order is the witness's promise: the ledger's start line, then the telephone
//! rings; the ledger's end line, then the call is over for everybody who asks, then the
//! last webhook. A ring that cannot be written down does not happen.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    calls::{Call, Calls},
    clock,
    delivery::{Outbox, Webhook},
    ledger::{Event, Ledger},
    rules::{Behaviour, Ending},
};

/// Leads calls through their lives.
#[derive(Debug)]
pub(super) struct Guide {
    pub(super) calls: Arc<Calls>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stop: CancellationToken,
}

/// How a wait ended.
enum Waited {
    Through,
    HungUp,
    /// The fake provider shuts down, and with it the line.
    Stopped,
}

/// How a call ended.
struct End {
    status: &'static str,
    talked: Option<Duration>,
    /// A webhook says so.
    is_reported: bool,
}

impl End {
    const fn by(status: &'static str) -> Self {
        Self {
            status,
            talked: None,
            is_reported: true,
        }
    }
}

impl Guide {
    pub(super) async fn lead(&self, call: &Call, outbox: Outbox) {
        post_report(call, &outbox, call.object());
        if call.plan.does(&Behaviour::Garbage) {
            post_garbage(call, &outbox);
        }
        let end = if call.ending.rings() {
            self.ring(call, &outbox).await
        } else {
            End::by(call.ending.status())
        };
        self.calls.end(call, end.status, last_fields(&end));
        if end.is_reported {
            post_report(call, &outbox, call.object());
        }
    }

    /// From the start line to the end line of the ledger.
    async fn ring(&self, call: &Call, outbox: &Outbox) -> End {
        if let Err(error) = self.ledger.write(Event::RingStarted, call.ring()).await {
            tracing::error!(%error, provider.call_id = call.id, "cannot write the ledger, so it does not ring");
            return End::by("FAILED");
        }
        let end = self.ring_and_talk(call, outbox).await;
        if let Err(error) = self.ledger.write(Event::RingEnded, call.ring()).await {
            tracing::error!(%error, provider.call_id = call.id, "cannot write the end of a ring");
        }
        end
    }

    async fn ring_and_talk(&self, call: &Call, outbox: &Outbox) -> End {
        call.show("RINGING");
        post_report(call, outbox, call.object());
        if call.plan.does(&Behaviour::UnknownWord) {
            let mut object = call.object();
            object.insert("status".to_owned(), json!("TELEPORTED"));
            post_report(call, outbox, object);
        }
        match self.wait(call, call.ring.min(call.ring_timeout)).await {
            Waited::Through if call.ring > call.ring_timeout => End::by("NO_ANSWER"),
            Waited::Through if call.ending.is_answered() => self.talk(call, outbox).await,
            Waited::Through => End::by(call.ending.status()),
            Waited::HungUp => End::by("CANCELED"),
            Waited::Stopped => End {
                is_reported: false,
                ..End::by("FAILED")
            },
        }
    }

    async fn talk(&self, call: &Call, outbox: &Outbox) -> End {
        call.show("IN_PROGRESS");
        post_report(call, outbox, call.object());
        let began = Instant::now();
        let waited = self.wait(call, call.talk).await;
        let status = match waited {
            // Whoever hangs up after an answer has had the conversation.
            Waited::HungUp => Ending::Completed.status(),
            Waited::Through | Waited::Stopped => call.ending.status(),
        };
        End {
            status,
            talked: Some(began.elapsed()),
            is_reported: !matches!(waited, Waited::Stopped),
        }
    }

    async fn wait(&self, call: &Call, time: Duration) -> Waited {
        // A timer of no length still costs its rounding, up to a millisecond.
        let through = async {
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Waited::Stopped,
            () = call.hang_up.cancelled() => Waited::HungUp,
            () = through => Waited::Through,
        }
    }
}

fn last_fields(end: &End) -> Map<String, Value> {
    let mut fields = Map::new();
    let talked = end.talked.unwrap_or_default();
    // Providers charge and report whole seconds, rounded up.
    fields.insert(
        "durationSec".to_owned(),
        json!(talked.as_millis().div_ceil(1000)),
    );
    let now = DateTime::from_timestamp_millis(clock::unix_ms()).unwrap_or_default();
    let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    fields.insert("completedAt".to_owned(), json!(now));
    let who = match end.status {
        "VOICEMAIL" => "machine",
        _ if end.talked.is_some() => "human",
        _ => return fields,
    };
    fields.insert("answeredBy".to_owned(), json!(who));
    fields
}

fn post_report(call: &Call, outbox: &Outbox, mut object: Map<String, Value>) {
    let event_id = format!("evt_{}", Uuid::new_v4().simple());
    object.insert("eventId".to_owned(), json!(event_id));
    outbox.post(Webhook {
        event_id,
        body: Bytes::from(Value::Object(object).to_string()),
        is_last: call.is_over(),
    });
}

/// Signed, but cut off in the middle.
fn post_garbage(call: &Call, outbox: &Outbox) {
    outbox.post(Webhook {
        event_id: format!("evt_{}", Uuid::new_v4().simple()),
        body: Bytes::from(format!("{{\"callId\": \"{}\", \"status", call.id)),
        is_last: false,
    });
}
