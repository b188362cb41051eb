//! Retell AI: `https://api.retellai.com`.
//!
//! `answers` reads its responses, `report` its reports of calls, `signature` verifies them. Where Retell's
//! documentation is silent the safe choice was made; see `docs/providers/retell.md`.

use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Cancellation, Capabilities, Error, Finding, Idempotency, LookUps, LookedUp, Order, Provider,
    Webhook, Webhooks,
    client::{Client, Credentials},
    platform::{REFERENCE, Scripts, TRUNK, variables, voicemail_message},
    signature::{Rejection, Secrets, Verified},
    words,
};
use crate::domain::{
    AnsweringMachine, ClaimedCall, Concerns, Outcome, Phone, Placement, Reference, Refusal, Report,
};

mod answers;
mod check;
mod report;
mod signature;

/// Default address, the same for every workspace.
pub const ADDRESS: &str = "https://api.retellai.com";
/// Range of Retell's ring timeout, in milliseconds.
const RING: (i64, i64) = (5_000, 300_000);
const DURATION: (i64, i64) = (60_000, 7_200_000);
/// How long Retell's own client waits for the response to a dial.
const PLACE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long Retell waits for the response to a webhook, in milliseconds.
const WEBHOOK_TIMEOUT: u32 = 10_000;

/// A Retell workspace.
#[derive(Debug)]
pub struct Retell {
    client: Client,
    from: Option<Phone>,
    scripts: Scripts,
}

impl Retell {
    /// Client of a workspace, with its API key.
    ///
    /// `from` is the default caller id; `scripts` are aliases of agents. Does not connect yet.
    pub fn new(
        address: &str,
        key: SecretString,
        from: Option<Phone>,
        scripts: Scripts,
    ) -> Result<Self, Error> {
        let mut client = Client::new(address, Credentials::Bearer(key))?;
        client.place_timeout = PLACE_TIMEOUT;
        Ok(Self {
            client,
            from,
            scripts,
        })
    }

    fn place_body<'a>(&'a self, order: &'a Order<'_>) -> Result<PlaceBody<'a>, Refusal> {
        let call = order.call;
        let from = call.from_number.as_ref().or(self.from.as_ref());
        let from = from.ok_or_else(|| Refusal::Permanent {
            outcome: Outcome::Blocked,
            concerns: Concerns::CallerId,
            why: "Retell needs a number to call from: give the call one, or the trunk".to_owned(),
        })?;
        let (agent, version) = self.scripts.with_version(&call.script_id);
        let reference = call.reference().to_string();
        let milliseconds = |seconds: i32, (least, most): (i64, i64)| {
            (i64::from(seconds) * 1000).clamp(least, most)
        };
        Ok(PlaceBody {
            from_number: from.as_e164(),
            to_number: call.phone.as_e164(),
            override_agent_id: agent,
            override_agent_version: version.map(|version| {
                version
                    .parse::<u32>()
                    .map_or_else(|_word| json!(version), Value::from)
            }),
            metadata: json!({ REFERENCE: reference, TRUNK: call.trunk }),
            idempotency_key: reference,
            honor_internal_dnc: true,
            retell_llm_dynamic_variables: variables(&call.metadata)
                .into_iter()
                .map(|(name, value)| (name, as_text(value)))
                .collect(),
            agent_override: Override {
                agent: Agent {
                    webhook_url: &order.webhook_url,
                    webhook_events: ["call_started", "call_ended", "call_analyzed"],
                    webhook_timeout_ms: WEBHOOK_TIMEOUT,
                    ring_duration_ms: milliseconds(call.ring_timeout_sec, RING),
                    max_call_duration_ms: milliseconds(call.max_duration_sec, DURATION),
                    voicemail_option: voicemail_option(call),
                },
            },
        })
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        let body = match self.place_body(&order) {
            Ok(body) => body,
            Err(refusal) => return Placement::Refused(refusal),
        };
        let request = self.client.post("/v2/create-phone-call", &body);
        let read = |answer: &_| answers::placement(answer, self.client.key());
        self.client.place(request, order.deadline, read).await
    }

    async fn cancel_now(&self, id: &str) -> Result<Cancellation, Error> {
        let path = format!("/v2/stop-call/{}", words::percent(id));
        let answer = self.client.ask(self.client.post(&path, &json!({}))).await?;
        if answer.status == 400 {
            // The response does not say whether the call is over.
            let report = self.by_id(id).await?;
            if matches!(&report, LookedUp::Found(report) if report.outcome.is_some()) {
                return Ok(Cancellation::AlreadyOver);
            }
        }
        answers::cancellation(&answer, self.client.key())
    }

    async fn by_id(&self, id: &str) -> Result<LookedUp, Error> {
        let path = format!("/v2/get-call/{}", words::percent(id));
        let answer = self.client.ask(self.client.get(&path)).await?;
        answers::by_id(&answer, self.client.key())
    }

    async fn by_reference(&self, dial: Reference) -> Result<LookedUp, Error> {
        let named =
            json!({ "key": REFERENCE, "type": "string", "op": "eq", "value": dial.to_string() });
        let question = json!({ "filter_criteria": { "metadata": [named] }, "limit": 10 });
        let request = self.client.post("/v3/list-calls", &question);
        answers::by_reference(&self.client.ask(request).await?, dial, self.client.key())
    }
}

impl Provider for Retell {
    /// The address alone: the API does not name the workspace, and two keys of one workspace cannot be told
    /// from keys of two.
    fn account(&self) -> Option<String> {
        Some(self.client.account("retell", &[]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: Some(LookUps::Hint),
            // What a repeated key returns, and whether it outlives its call, is not documented.
            idempotency: Some(Idempotency::Untried(Duration::from_hours(1))),
            cancels: Some(true),
            lists: Some(false),
            webhooks: Some(Webhooks::PerCall),
            calls_per_second: Some(1.0),
            answering_machine: Some(&[AnsweringMachine::HangUp, AnsweringMachine::LeaveMessage]),
            place_timeout: PLACE_TIMEOUT,
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
            match provider_call_id {
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

    fn verify(&self, webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
        signature::verify(webhook, secrets)
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        report::of_webhook(webhook.body)
    }
}

/// What the agent does about a machine, instead of what it is set up to do. A message without a text is left to
/// the agent's own settings.
fn voicemail_option(call: &ClaimedCall) -> Option<Value> {
    let action = match call.answering_machine {
        AnsweringMachine::Ignore => return None,
        AnsweringMachine::HangUp => json!({ "type": "hangup" }),
        AnsweringMachine::LeaveMessage => {
            json!({ "type": "static_text", "text": voicemail_message(&call.metadata)? })
        }
    };
    Some(json!({ "action": action }))
}

/// Retell's variables are texts.
fn as_text(value: Value) -> Value {
    match value {
        Value::String(_) => value,
        other => Value::String(other.to_string()),
    }
}

#[derive(Serialize)]
struct PlaceBody<'a> {
    from_number: &'a str,
    to_number: &'a str,
    override_agent_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    override_agent_version: Option<Value>,
    metadata: Value,
    idempotency_key: String,
    honor_internal_dnc: bool,
    retell_llm_dynamic_variables: Map<String, Value>,
    agent_override: Override<'a>,
}

#[derive(Serialize)]
struct Override<'a> {
    agent: Agent<'a>,
}

#[derive(Serialize)]
struct Agent<'a> {
    webhook_url: &'a str,
    webhook_events: [&'static str; 3],
    webhook_timeout_ms: u32,
    ring_duration_ms: i64,
    max_call_duration_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    voicemail_option: Option<Value>,
}

#[cfg(test)]
mod tests;
