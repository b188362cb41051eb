//! ElevenLabs Agents: `https://api.elevenlabs.io`, or a host of its region.
//!
//! `answers` reads its responses, `report` its reports of calls, `signature` verifies them. Where ElevenLabs'
//! documentation is silent the safe choice was made; see `docs/providers/elevenlabs.md`.
//!
//! A call has no report URL of its own: a workspace reports about all its agents to one. Our calls are
//! recognized by the conversation id, or by the reference that a transcription repeats.

use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    Cancellation, Capabilities, Error, Finding, Idempotency, LookUps, LookedUp, Order, Provider,
    Webhook, Webhooks,
    client::{Client, Credentials},
    platform::{Numbers, REFERENCE, Scripts, variables},
    protocol::is_verbatim,
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

/// Default address; workspaces with data residency have hosts of their own.
pub const ADDRESS: &str = "https://api.elevenlabs.io";
/// Prefix of ElevenLabs' own variables.
const RESERVED: &str = "system__";
/// A reference has one conversation. More of them mean that the filter was ignored.
const MOST_LISTED: usize = 5;

/// Settings of a workspace beside its key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Default caller id; if none, the first of `numbers`.
    pub from: Option<Phone>,
    /// Caller ids of the account.
    pub numbers: Numbers,
    /// Aliases of agents.
    pub scripts: Scripts,
    /// Carrier of those numbers.
    pub carrier: Carrier,
}

/// Carrier of calls; each has its own API path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carrier {
    /// Numbers imported from Twilio.
    #[default]
    Twilio,
    /// Numbers of a SIP trunk.
    Sip,
    /// Numbers of Exotel.
    Exotel,
}

impl Carrier {
    const fn path(self) -> &'static str {
        match self {
            Self::Twilio => "/v1/convai/twilio/outbound-call",
            Self::Sip => "/v1/convai/sip-trunk/outbound-call",
            Self::Exotel => "/v1/convai/exotel/outbound-call",
        }
    }
}

/// An ElevenLabs workspace.
#[derive(Debug)]
pub struct ElevenLabs {
    client: Client,
    settings: Settings,
}

impl ElevenLabs {
    /// Client of a workspace, with its API key. Does not connect yet.
    pub fn new(address: &str, key: SecretString, settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(address, Credentials::Header("xi-api-key", key))?,
            settings,
        })
    }

    fn place_body(&self, order: &Order<'_>) -> Result<Value, Refusal> {
        let call = order.call;
        let refused = |concerns, why: &str| Refusal::Permanent {
            outcome: Outcome::Blocked,
            concerns,
            why: why.to_owned(),
        };
        let from = call.from_number.as_ref().or(self.settings.from.as_ref());
        let number = self.settings.numbers.id(from).ok_or_else(|| {
            let why = "the number to call from has no id of ElevenLabs: give the trunk one";
            refused(Concerns::CallerId, why)
        })?;
        let mut variables = variables(&call.metadata);
        if variables.keys().any(|name| name.starts_with(RESERVED)) {
            return Err(refused(
                Concerns::Request,
                "names in the metadata must not begin with system__",
            ));
        }
        for value in variables.values_mut() {
            if value.is_array() || value.is_object() || value.is_null() {
                *value = Value::String(value.to_string());
            }
        }
        let reference = call.reference().to_string();
        variables.insert(REFERENCE.to_owned(), reference.as_str().into());
        let mut client_data = json!({ "user_id": reference, "dynamic_variables": variables });
        let (agent, branch) = self.settings.scripts.with_version(&call.script_id);
        if let (Some(branch), Some(fields)) = (branch, client_data.as_object_mut()) {
            fields.insert("branch_id".to_owned(), branch.into());
        }
        let mut telephony = json!({ "ringing_timeout_secs": call.ring_timeout_sec });
        if self.settings.carrier == Carrier::Twilio
            && call.answering_machine == AnsweringMachine::HangUp
            && let Some(fields) = telephony.as_object_mut()
        {
            let hang_up = json!({ "action": "hang_up", "answered_by": ["machine_start", "fax"] });
            let detection = json!({ "mode": "enable", "actions": [hang_up] });
            fields.insert("twilio_machine_detection".to_owned(), detection);
        }
        Ok(json!({
            "agent_id": agent,
            "agent_phone_number_id": number,
            "to_number": call.phone.as_e164(),
            "conversation_initiation_client_data": client_data,
            "telephony_call_config": telephony,
        }))
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        let body = match self.place_body(&order) {
            Ok(body) => body,
            Err(refusal) => return Placement::Refused(refusal),
        };
        let carrier = self.settings.carrier;
        let request = self.client.post(carrier.path(), &body);
        let read = |answer: &_| answers::placement(answer, carrier, self.client.key());
        self.client.place(request, order.deadline, read).await
    }

    async fn by_id(&self, id: &str) -> Result<LookedUp, Error> {
        let path = format!("/v1/convai/conversations/{}", words::percent(id));
        let answer = self.client.ask(self.client.get(&path)).await?;
        answers::by_id(&answer, &self.client.url(""), self.client.key())
    }

    /// The list does not say whose a conversation is, so each one is looked up.
    async fn by_reference(&self, dial: Reference) -> Result<LookedUp, Error> {
        let reference = dial.to_string();
        let path = format!(
            "/v1/convai/conversations?user_id={}&page_size=100",
            words::percent(&reference)
        );
        let answer = self.client.ask(self.client.get(&path)).await?;
        let ids = answers::listed(&answer, self.client.key())?;
        if ids.is_empty() {
            return Ok(LookedUp::NotFound);
        }
        for id in ids.iter().take(MOST_LISTED) {
            let found = self.by_id(id).await?;
            if matches!(&found, LookedUp::Found(report) if report.reference.as_ref() == Some(&reference))
            {
                return Ok(found);
            }
        }
        Err(answer.unread("no conversation in the list carries the reference"))
    }
}

impl Provider for ElevenLabs {
    /// The address alone: the API does not name the workspace of a key, and two keys of one cannot be told
    /// from keys of two.
    fn account(&self) -> Option<String> {
        Some(self.client.account("elevenlabs", &[]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: Some(LookUps::Hint),
            idempotency: Some(Idempotency::None),
            cancels: Some(false),
            lists: Some(false),
            webhooks: Some(Webhooks::PerAccount),
            answering_machine: Some(match self.settings.carrier {
                Carrier::Twilio => &[AnsweringMachine::HangUp],
                Carrier::Sip | Carrier::Exotel => &[],
            }),
            ..Capabilities::UNKNOWN
        }
    }

    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(self.place_now(order))
    }

    /// There is no request to end a call: DELETE would erase the conversation, and let it go on.
    fn cancel<'a>(
        &'a self,
        _provider_call_id: &'a str,
    ) -> BoxFuture<'a, Result<Cancellation, Error>> {
        Box::pin(async { Ok(Cancellation::Unsupported) })
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

    fn claims_signature(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        signature::claimed(headers)
    }

    fn verify(&self, webhook: &Webhook<'_>, secrets: &Secrets) -> Result<Verified, Rejection> {
        signature::verify(webhook, secrets)
    }

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        report::of_webhook(webhook.body, &self.client.url(""))
    }
}

#[cfg(test)]
mod tests;
