//! Telnyx Call Control, with an AI assistant of Telnyx as the script: `https://api.telnyx.com`.
//!
//! `answers` reads its responses, `report` its reports of calls, `signature` verifies them. Where Telnyx's
//! documentation is silent the safe choice was made; see `docs/providers/telnyx.md`.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Cancellation, Capabilities, Error, Finding, Idempotency, LookUps, LookedUp, Order, Provider,
    Webhook, Webhooks,
    client::{Client, Credentials},
    platform::{Scripts, variables},
    protocol,
    signature::{Rejection, Secrets, Verified},
    words,
};
use crate::domain::{
    AnsweringMachine, Concerns, Outcome, Phone, Placement, Reference, Refusal, Report,
};

mod answers;
mod check;
mod report;
mod signature;

pub use signature::{BadPublicKey, PublicKeys};

/// Default address, the same for every account.
pub const ADDRESS: &str = "https://api.telnyx.com";
/// Range of Telnyx's fields, in seconds.
const RING: (i32, i32) = (5, 600);
const DURATION: (i32, i32) = (30, 14_400);
/// Events that must arrive, and the delays of their retries in milliseconds: at most a minute in all.
const EVENTS: [&str; 4] = [
    "call.initiated",
    "call.answered",
    "call.hangup",
    "call.cost",
];
const RETRIES: [u32; 4] = [1_000, 5_000, 15_000, 30_000];
/// Items per page and limit of pages of a list, so that an endless one is not read for ever.
const PAGE: usize = 100;
const MOST_PAGES: usize = 100;

/// A Call Control application.
#[derive(Debug)]
pub struct Telnyx {
    client: Client,
    connection_id: String,
    from: Option<Phone>,
    scripts: Scripts,
    public_keys: PublicKeys,
}

/// An application's id, all digits. It would be driven by the events that we receive: the callee would hear nothing.
fn is_application(script: &str) -> bool {
    script.bytes().all(|b| b.is_ascii_digit())
}

impl Telnyx {
    /// Client of an account, with its API key and the public key that verifies webhooks.
    ///
    /// `connection_id` is the Call Control application that dials; `from` is the default caller id; `scripts`
    /// are aliases of assistants. Does not connect yet.
    pub fn new(
        address: &str,
        key: SecretString,
        connection_id: &str,
        from: Option<Phone>,
        scripts: Scripts,
        public_keys: PublicKeys,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(address, Credentials::Bearer(key))?,
            connection_id: connection_id.to_owned(),
            from,
            scripts,
            public_keys,
        })
    }

    fn place_body<'a>(&'a self, order: &'a Order<'_>) -> Result<PlaceBody<'a>, Refusal> {
        let call = order.call;
        let refused = |concerns, why: &str| Refusal::Permanent {
            outcome: Outcome::Blocked,
            concerns,
            why: why.to_owned(),
        };
        let from = call.from_number.as_ref().or(self.from.as_ref());
        let from = from.ok_or_else(|| {
            let why = "Telnyx needs a number to call from: give the call one, or the trunk";
            refused(Concerns::CallerId, why)
        })?;
        let assistant = self.scripts.resolve(&call.script_id);
        if is_application(assistant) {
            let why = "the script id is that of an application of Telnyx: name an assistant";
            return Err(refused(Concerns::Script, why));
        }
        let reference = call.reference();
        let seconds = |seconds: i32, (least, most): (i32, i32)| seconds.clamp(least, most);
        Ok(PlaceBody {
            connection_id: &self.connection_id,
            to: call.phone.as_e164(),
            from: from.as_e164(),
            webhook_url: &order.webhook_url,
            webhook_url_method: "POST",
            webhook_retries_policies: EVENTS
                .map(|event| {
                    (
                        event,
                        Retries {
                            retries_ms: RETRIES,
                        },
                    )
                })
                .into(),
            client_state: report::client_state(reference),
            command_id: reference.to_string(),
            timeout_secs: seconds(call.ring_timeout_sec, RING),
            retry_on_timeout: false,
            time_limit_secs: seconds(call.max_duration_sec, DURATION),
            answering_machine_detection: match call.answering_machine {
                AnsweringMachine::Ignore => None,
                AnsweringMachine::HangUp => Some("detect"),
                AnsweringMachine::LeaveMessage => Some("greeting_end"),
            },
            assistant: Assistant {
                id: assistant,
                dynamic_variables: variables(&call.metadata)
                    .into_iter()
                    .map(|(name, value)| (name, flat(value)))
                    .collect(),
            },
        })
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        let body = match self.place_body(&order) {
            Ok(body) => body,
            Err(refusal) => return Placement::Refused(refusal),
        };
        let request = self.client.post("/v2/calls", &body);
        let is_own = order.call.from_number.is_some();
        let read = |answer: &_| answers::placement(answer, is_own, self.client.key());
        self.client.place(request, order.deadline, read).await
    }

    async fn cancel_now(&self, id: &str) -> Result<Cancellation, Error> {
        // Without a command id: a reused one is ignored.
        let path = format!("/v2/calls/{}/actions/hangup", words::percent(id));
        let answer = self.client.ask(self.client.post(&path, &json!({}))).await?;
        answers::cancellation(&answer, self.client.key())
    }

    /// The call object says whether the call is up, its events how it went.
    async fn by_id(&self, id: &str) -> Result<LookedUp, Error> {
        let path = format!("/v2/calls/{}", words::percent(id));
        let answer = self.client.ask(self.client.get(&path)).await?;
        let Some(call) = answers::call(&answer, self.client.key())? else {
            return Ok(LookedUp::NotFound);
        };
        let leg = call
            .get("call_leg_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut events = Vec::new();
        if !leg.is_empty() {
            let leg_id = words::percent(leg);
            let path = format!("/v2/call_events?filter%5Bleg_id%5D={leg_id}&");
            events = self.list(&path).await?;
            // A filter that Telnyx ignored would list the events of other calls.
            events.retain(|event| event.get("call_leg_id").and_then(Value::as_str) == Some(leg));
        }
        match report::of_call(&call, &events) {
            Some(report) => Ok(LookedUp::Found(report)),
            None => Err(answer.unread("the call is over, and its events do not say how")),
        }
    }

    /// Only active calls are listed: one that is missing may have rung all the same, so its absence proves
    /// nothing.
    async fn by_reference(&self, dial: Reference) -> Result<LookedUp, Error> {
        let connection = words::percent(&self.connection_id);
        let path = format!("/v2/connections/{connection}/active_calls?");
        let calls = self.list(&path).await?;
        let found = calls.iter().find_map(|call| report::of_active(call, dial));
        Ok(found.map_or(LookedUp::Inconclusive, LookedUp::Found))
    }

    /// All items of a list; `path` ends where a parameter may follow.
    async fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        for number in 1..=MOST_PAGES {
            let path = format!("{path}page%5Bnumber%5D={number}&page%5Bsize%5D={PAGE}");
            let answer = self.client.ask(self.client.get(&path)).await?;
            let page = answers::page(&answer, self.client.key())?;
            let is_last = match page.total {
                Some(total) => number >= total,
                None => page.items.len() < PAGE,
            };
            items.extend(page.items);
            if is_last {
                return Ok(items);
            }
        }
        Err(Error::NoAnswer {
            why: format!("its list has more than {MOST_PAGES} pages"),
        })
    }
}

impl Provider for Telnyx {
    /// Identified by the application that dials: the API has no other name of the account.
    fn account(&self) -> Option<String> {
        Some(self.client.account("telnyx", &[&self.connection_id]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: Some(LookUps::Hint),
            idempotency: Some(Idempotency::Honoured(Duration::from_mins(1))),
            cancels: Some(true),
            lists: Some(false),
            webhooks: Some(Webhooks::PerCall),
            calls_per_second: Some(30.0),
            // A machine is detected and reported; the assistant talks on.
            answering_machine: Some(&[]),
            ..Capabilities::UNKNOWN
        }
    }

    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(self.place_now(order))
    }

    fn cancel<'a>(
        &'a self,
        provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, Error>> {
        Box::pin(self.cancel_now(provider_call_id))
    }

    fn look_up<'a>(
        &'a self,
        dial: Reference,
        provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, Error>> {
        Box::pin(async move {
            // An id that we had to shorten is not theirs.
            match provider_call_id.filter(|id| protocol::is_verbatim(id)) {
                Some(id) => self.by_id(id).await,
                None => self.by_reference(dial).await,
            }
        })
    }

    fn check<'a>(&'a self, _account_url: &'a str) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(check::check(self))
    }

    fn claims_signature(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        signature::claimed(headers)
    }

    /// With the account's public key; the trunk's secrets only make tags.
    fn verify(&self, webhook: &Webhook<'_>, _secrets: &Secrets) -> Result<Verified, Rejection> {
        signature::verify(webhook, &self.public_keys)
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        report::of_webhook(webhook.body)
    }
}

/// Telnyx's variables are texts, numbers and booleans.
fn flat(value: Value) -> Value {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
        value => value,
    }
}

#[derive(Serialize)]
struct PlaceBody<'a> {
    connection_id: &'a str,
    to: &'a str,
    from: &'a str,
    webhook_url: &'a str,
    webhook_url_method: &'static str,
    webhook_retries_policies: BTreeMap<&'static str, Retries>,
    client_state: String,
    command_id: String,
    timeout_secs: i32,
    /// If true, the call goes on over other routes and rings for a multiple of the time.
    retry_on_timeout: bool,
    time_limit_secs: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    answering_machine_detection: Option<&'static str>,
    assistant: Assistant<'a>,
}

#[derive(Serialize)]
struct Retries {
    retries_ms: [u32; 4],
}

#[derive(Serialize)]
struct Assistant<'a> {
    id: &'a str,
    dynamic_variables: Map<String, Value>,
}

#[cfg(test)]
mod tests;
