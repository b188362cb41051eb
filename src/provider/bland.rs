//! Bland AI: `https://api.bland.ai`.
//!
//! `answers` reads its responses, `report` its reports of calls; it signs like the plain scheme of
//! `signature`. Where Bland's documentation is silent the safe choice was made; see
//! `docs/providers/bland.md`.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    Cancellation, Capabilities, Error, Finding, Idempotency, LookUps, LookedUp, Order, Provider,
    Webhook, Webhooks,
    client::{Client, Credentials},
    platform::{CLOCKS_DIFFER, REFERENCE, Scripts, TRUNK, variables, voicemail_message},
    protocol::{self, is_verbatim},
    words,
};
use crate::domain::{AnsweringMachine, Phone, Placement, Reference, Refusal, Report};

mod answers;
mod check;
mod report;

/// Default address; enterprises have hosts of their own.
pub const ADDRESS: &str = "https://api.bland.ai";
/// Range of Bland's field, in minutes.
const DURATION: (i32, i32) = (1, 720);
/// Calls on a list page, pages read for one dial, and calls looked up one by one if a list does not say whose
/// they are.
const PAGE: usize = 100;
const MOST_PAGES: usize = 50;
const MOST_ASKED: usize = 100;

/// Settings of an account beside its key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Default caller id; if none, one of Bland's pool.
    pub from: Option<Phone>,
    /// Aliases of pathways and personas.
    pub scripts: Scripts,
    /// Whether calls are recorded.
    pub record: bool,
}

/// A Bland account.
#[derive(Debug)]
pub struct Bland {
    client: Client,
    settings: Settings,
}

impl Bland {
    /// Client of an account, with its API key. Does not connect yet.
    pub fn new(address: &str, key: SecretString, settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(address, Credentials::Header("authorization", key))?,
            settings,
        })
    }

    fn place_body(&self, order: &Order<'_>) -> Result<Value, Refusal> {
        let call = order.call;
        if !order.webhook_url.starts_with("https://") {
            return Err(Refusal::Forbidden {
                why: "Bland reports to https:// only: give pgdial a public URL that is".to_owned(),
            });
        }
        // In minutes, rounded up.
        let (least, most) = DURATION;
        let minutes = (call.max_duration_sec.saturating_add(59) / 60).clamp(least, most);
        let mut body = json!({
            "phone_number": call.phone.as_e164(),
            "request_data": variables(&call.metadata),
            "metadata": { REFERENCE: call.reference(), TRUNK: call.trunk },
            "webhook": order.webhook_url,
            "webhook_events": ["call"],
            "max_duration": minutes,
            "record": self.settings.record,
        });
        let mut field = |name: &str, value: Value| {
            if let Some(fields) = body.as_object_mut() {
                fields.insert(name.to_owned(), value);
            }
        };
        if let Some(from) = call.from_number.as_ref().or(self.settings.from.as_ref()) {
            field("from", from.as_e164().into());
        }
        // Any message is left, whatever the action; without one there is nothing to leave.
        let message = voicemail_message(&call.metadata);
        match (call.answering_machine, message) {
            (AnsweringMachine::Ignore, _) => {}
            (AnsweringMachine::LeaveMessage, Some(message)) => {
                let voicemail = json!({ "action": "leave_message", "message": message });
                field("voicemail", voicemail);
            }
            _ => field("voicemail", json!({ "action": "hangup" })),
        }
        let script = self.settings.scripts.resolve(&call.script_id);
        if let Some(persona) = script.strip_prefix("persona:") {
            field("persona_id", persona.into());
        } else {
            let (id, version) = self.settings.scripts.with_version(&call.script_id);
            field("pathway_id", id.into());
            if let Some(version) = version {
                let number = version.parse::<u32>().map(Value::from);
                field(
                    "pathway_version",
                    number.unwrap_or_else(|_word| version.into()),
                );
            }
        }
        Ok(body)
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        let body = match self.place_body(&order) {
            Ok(body) => body,
            Err(refusal) => return Placement::Refused(refusal),
        };
        let request = self.client.post("/v1/calls", &body);
        let read = |answer: &_| answers::placement(answer, self.client.key());
        self.client.place(request, order.deadline, read).await
    }

    async fn cancel_now(&self, id: &str) -> Result<Cancellation, Error> {
        let path = format!("/v1/calls/{}/stop", words::percent(id));
        let answer = self.client.ask(self.client.post(&path, &json!({}))).await?;
        if answers::is_stopped(&answer) {
            return Ok(Cancellation::Agreed);
        }
        // The response is the same for a call not dialed yet and for one that is over.
        match self.by_id(id).await? {
            LookedUp::Found(report) if report.outcome.is_none() => {
                Err(answers::refused(&answer, self.client.key()))
            }
            _ => Ok(Cancellation::AlreadyOver),
        }
    }

    async fn by_id(&self, id: &str) -> Result<LookedUp, Error> {
        let path = format!("/v1/calls/{}", words::percent(id));
        let answer = self.client.ask(self.client.get(&path)).await?;
        answers::by_id(&answer, self.client.key())
    }

    /// There is no filter for metadata: all calls since then are read, newest first.
    async fn by_reference(&self, dial: Reference) -> Result<LookedUp, Error> {
        let Some(made) = dial.call.made_at() else {
            return Ok(LookedUp::Unsupported);
        };
        let too_many = || Error::NoAnswer {
            why: "its list of calls is too long to find one by its reference".to_owned(),
        };
        let reference = dial.to_string();
        let mut asked = 0;
        for page in 0..MOST_PAGES {
            let path = list_path(made - CLOCKS_DIFFER, page * PAGE);
            let answer = self.client.ask(self.client.get(&path)).await?;
            let (calls, total) = answers::page(&answer, self.client.key())?;
            let is_last = calls.is_empty() || page * PAGE + calls.len() >= total;
            for call in calls {
                // Whether lists contain the metadata is undocumented.
                let found = if call.get("metadata").is_some() {
                    report::of_call(call)
                } else if let Some(id) = protocol::name(call.get("call_id").cloned()) {
                    asked += 1;
                    if asked > MOST_ASKED {
                        return Err(too_many());
                    }
                    match self.by_id(&id).await? {
                        LookedUp::Found(report) => Some(report),
                        _ => None,
                    }
                } else {
                    None
                };
                if let Some(report) = found
                    && report.reference.as_ref() == Some(&reference)
                {
                    return Ok(LookedUp::Found(report));
                }
            }
            if is_last {
                return Ok(LookedUp::NotFound);
            }
        }
        Err(too_many())
    }
}

impl Provider for Bland {
    /// The address alone: two keys of one account cannot be told from keys of two.
    fn account(&self) -> Option<String> {
        Some(self.client.account("bland", &[]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: Some(LookUps::Hint),
            idempotency: Some(Idempotency::None),
            cancels: Some(true),
            lists: Some(false),
            webhooks: Some(Webhooks::PerCall),
            answering_machine: Some(&[AnsweringMachine::HangUp, AnsweringMachine::LeaveMessage]),
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
            match provider_call_id.filter(|id| is_verbatim(id)) {
                Some(id) => self.by_id(id).await,
                None => self.by_reference(dial).await,
            }
        })
    }

    fn check<'a>(&'a self, account_url: &'a str) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(check::check(self, account_url))
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        report::of_webhook(webhook.body)
    }
}

/// `from` and `to` are positions in the list, not telephone numbers; `to` is exclusive.
fn list_path(since: DateTime<Utc>, from: usize) -> String {
    let since = words::percent(&since.to_rfc3339());
    let to = from + PAGE;
    format!("/v1/calls?start_date={since}&sort_by=created_at&ascending=false&from={from}&to={to}")
}

#[cfg(test)]
mod tests;
