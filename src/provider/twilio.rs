//! Twilio Programmable Voice: `https://api.twilio.com`.
//!
//! `answers` reads its responses, `report` its reports of calls, `script` builds the URL of the TwiML,
//! `signature` verifies reports. Where Twilio's documentation is silent the safe choice was made; see
//! `docs/providers/twilio.md`.

use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Cancellation, Capabilities, Error, Finding, Idempotency, LookUps, LookedUp, Order, Provider,
    Reply, Webhook, Webhooks,
    answer::Answer,
    client::{Client, Credentials},
    platform::Scripts,
    signature::{Rejection, Secrets, Verified},
    words,
};
use crate::domain::{
    AnsweringMachine, Concerns, Outcome, Phone, Placement, Reference, Refusal, Report,
};

mod answers;
mod check;
mod report;
mod script;
mod signature;

/// Default address, for accounts in the United States; other regions have hosts of their own.
pub const ADDRESS: &str = "https://api.twilio.com";
/// Range of Twilio's fields, in seconds.
const RING: (i32, i32) = (1, 600);
const DURATION: (i32, i32) = (1, 14_400);
/// Events of a callback. `initiated` has left the queue; `answered` arrives as `in-progress`.
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
/// A failed callback is sent again, five times, whatever went wrong. By default Twilio repeats it once, and
/// only if there was no response.
const RETRIES: &str = "#rc=5&rp=all";

/// A Twilio account or subaccount.
#[derive(Debug)]
pub struct Twilio {
    client: Client,
    account_sid: String,
    /// Whether it is an API key's, not the Auth Token.
    has_own_key: bool,
    from: Option<Phone>,
    scripts: Scripts,
}

impl Twilio {
    /// Client of an account, with its Auth Token, or an API key as `SK...:secret`.
    ///
    /// Twilio signs with the Auth Token in either case. `from` is the default caller id; `scripts` are
    /// aliases of TwiML URLs, `*` that of all other scripts. Does not connect yet.
    pub fn new(
        address: &str,
        account_sid: &str,
        key: SecretString,
        from: Option<Phone>,
        scripts: Scripts,
    ) -> Result<Self, Error> {
        let has_own_key = key.expose_secret().contains(':');
        let credentials = match key.expose_secret().split_once(':') {
            Some((sid, secret)) => Credentials::Basic(sid.to_owned(), secret.into()),
            None => Credentials::Basic(account_sid.to_owned(), key),
        };
        Ok(Self {
            client: Client::new(address, credentials)?,
            account_sid: account_sid.to_owned(),
            has_own_key,
            from,
            scripts,
        })
    }

    fn place_fields(&self, order: &Order<'_>) -> Result<Vec<(&'static str, String)>, Refusal> {
        let call = order.call;
        let from = call.from_number.as_ref().or(self.from.as_ref());
        let from = from.ok_or_else(|| {
            let why = "Twilio needs a number to call from: give the call one, or the trunk";
            refused(Concerns::CallerId, why)
        })?;
        let url = script::url(&self.scripts, call).map_err(|why| refused(Concerns::Script, why))?;
        let seconds =
            |seconds: i32, (least, most): (i32, i32)| seconds.clamp(least, most).to_string();
        let mut fields = vec![
            ("To", call.phone.as_e164().to_owned()),
            ("From", from.as_e164().to_owned()),
            ("Url", url),
            ("StatusCallback", format!("{}{RETRIES}", order.webhook_url)),
            ("Timeout", seconds(call.ring_timeout_sec, RING)),
            ("TimeLimit", seconds(call.max_duration_sec, DURATION)),
        ];
        // The script gets `AnsweredBy` and acts on it.
        let detection = match call.answering_machine {
            AnsweringMachine::Ignore => None,
            AnsweringMachine::HangUp => Some("Enable"),
            AnsweringMachine::LeaveMessage => Some("DetectMessageEnd"),
        };
        fields.extend(detection.map(|how| ("MachineDetection", how.to_owned())));
        fields.extend(EVENTS.map(|event| ("StatusCallbackEvent", event.to_owned())));
        Ok(fields)
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        let fields = match self.place_fields(&order) {
            Ok(fields) => fields,
            Err(refusal) => return Placement::Refused(refusal),
        };
        let request = self.client.post_form(&self.path(None), fields);
        let is_own = order.call.from_number.is_some();
        let read = |answer: &_| answers::placement(answer, is_own, self.client.key());
        self.client.place(request, order.deadline, read).await
    }

    async fn cancel_now(&self, id: &str) -> Result<Cancellation, Error> {
        let answer = self.set_status(id, "completed").await?;
        if !answers::still_waits(&answer) {
            return answers::cancellation(&answer, self.client.key());
        }
        // Queued or ringing: only this status is documented to end a call there.
        let answer = self.set_status(id, "canceled").await?;
        answers::cancellation(&answer, self.client.key())
    }

    async fn set_status(&self, id: &str, status: &'static str) -> Result<Answer, Error> {
        let request = self
            .client
            .post_form(&self.path(Some(id)), [("Status", status)]);
        self.client.ask(request).await
    }

    async fn by_id(&self, id: &str) -> Result<LookedUp, Error> {
        let answer = self
            .client
            .ask(self.client.get(&self.path(Some(id))))
            .await?;
        answers::by_id(&answer, self.client.key())
    }

    /// Path of the account's calls, or of one call.
    fn path(&self, id: Option<&str>) -> String {
        let account = words::percent(&self.account_sid);
        let id = id.map(|id| format!("/{}", words::percent(id)));
        let id = id.unwrap_or_default();
        format!("/2010-04-01/Accounts/{account}/Calls{id}.json")
    }
}

/// Refuses this request only: nothing was sent.
fn refused(concerns: Concerns, why: &str) -> Refusal {
    Refusal::Permanent {
        outcome: Outcome::Blocked,
        concerns,
        why: why.to_owned(),
    }
}

impl Provider for Twilio {
    fn account(&self) -> Option<String> {
        Some(self.client.account("twilio", &[&self.account_sid]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: Some(LookUps::ById),
            idempotency: Some(Idempotency::None),
            cancels: Some(true),
            lists: Some(false),
            webhooks: Some(Webhooks::PerCall),
            calls_per_second: Some(1.0),
            // A machine is detected and reported; the script has to act on it.
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

    /// By the provider's id only: nothing that Twilio stores about a call names our reference. So its list of
    /// calls says nothing about dials that the database has lost.
    fn look_up<'a>(
        &'a self,
        _dial: Reference,
        provider_call_id: Option<&'a str>,
    ) -> BoxFuture<'a, Result<LookedUp, Error>> {
        Box::pin(async move {
            match provider_call_id {
                Some(id) => self.by_id(id).await,
                None => Ok(LookedUp::Unsupported),
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
        report::of_webhook(webhook.body)
    }

    /// JSON in place of TwiML is warning 15003 in Twilio's debugger.
    fn reply(&self) -> Reply {
        Reply::Nothing
    }
}

#[cfg(test)]
mod tests;
