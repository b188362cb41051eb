//! Vapi: `https://api.vapi.ai`, or `https://api.eu.vapi.ai` for organizations in the EU.
//!
//! `answers` reads its responses, `report` and `ended` its reports of calls, `signature` verifies them. Where
//! Vapi's documentation is silent the safe choice was made; see `docs/providers/vapi.md`.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use hyper::{HeaderMap, header};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    Cancellation, Capabilities, Error, Finding, Idempotency, LookUps, LookedUp, Order, Provider,
    Webhook,
    answer::Answer,
    client::{Client, Credentials},
    platform::{
        CLOCKS_DIFFER, Numbers, REFERENCE, Scripts, TRUNK, text, variables, voicemail_message,
    },
    protocol::is_verbatim,
    signature::{Rejection, Secrets, Verified},
    words,
};
use crate::domain::{
    AnsweringMachine, ClaimedCall, Concerns, Outcome, Phone, Placement, Reference, Refusal, Report,
};
use answers::Page;

mod answers;
mod check;
mod ended;
mod report;
mod signature;

/// Default address, for organizations outside the EU.
pub const ADDRESS: &str = "https://api.vapi.ai";
/// Ranges of Vapi's fields: seconds, seconds, characters.
const RING: (i32, i32) = (1, 600);
const DURATION: (i32, i32) = (10, 43_200);
const LONGEST_NAME: usize = 40;
/// Call objects contain the whole conversation, so few are requested at once.
const PAGE: usize = 50;
/// Limit of pages read for one look-up.
const MOST_PAGES: usize = 200;

/// Settings of an organization beside its key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Default caller id; if none, the first of `numbers`.
    pub from: Option<Phone>,
    /// Caller ids of the account.
    pub numbers: Numbers,
    /// Aliases of assistants, squads and workflows.
    pub scripts: Scripts,
    /// How those numbers reach the network.
    pub transport: Transport,
    /// Where Vapi sends its reports.
    pub webhooks: Webhooks,
}

/// Carrier of the calls, which determines how Vapi is given the ring timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Numbers imported from Twilio.
    Twilio,
    /// Vapi's own numbers, and those of a SIP trunk.
    Sip,
    /// Others: Vapi cannot be given a ring timeout.
    #[default]
    Other,
}

/// Where Vapi sends its reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Webhooks {
    /// To a URL of each call, signed with the credential of this id. It replaces the assistant's server, for
    /// its tools too.
    PerCall {
        /// Id of the credential, as in Vapi's dashboard.
        credential_id: String,
    },
    /// To the server of the assistant, number or organization, which must have been set to our URL.
    #[default]
    Inherited,
}

/// A Vapi organization.
#[derive(Debug)]
pub struct Vapi {
    client: Client,
    settings: Settings,
}

impl Vapi {
    /// Client of an organization, with its private key. Does not connect yet.
    pub fn new(address: &str, key: SecretString, settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(address, Credentials::Bearer(key))?,
            settings,
        })
    }

    fn place_body(&self, order: &Order<'_>) -> Result<Value, Refusal> {
        let call = order.call;
        let from = call.from_number.as_ref().or(self.settings.from.as_ref());
        let number = self.settings.numbers.id(from).ok_or_else(|| {
            let why = "the number to call from has no phone number id of Vapi: give the trunk one";
            Refusal::Permanent {
                outcome: Outcome::Blocked,
                concerns: Concerns::CallerId,
                why: why.to_owned(),
            }
        })?;
        let reference = call.reference().to_string();
        let script = self.settings.scripts.resolve(&call.script_id);
        let mut body = Map::new();
        let mut field = |name: &str, value: Value| body.insert(name.to_owned(), value);
        if let Some(squad) = script.strip_prefix("squad:") {
            field("squadId", squad.into());
            field("squadOverrides", self.overrides(order, &reference));
        } else if let Some(workflow) = script.strip_prefix("workflow:") {
            // A workflow takes no other settings.
            let overrides = json!({ "variableValues": variables(&call.metadata) });
            field("workflowId", workflow.into());
            field("workflowOverrides", overrides);
        } else {
            let (id, version) = self.settings.scripts.with_version(&call.script_id);
            field("assistantId", id.into());
            field("assistantOverrides", self.overrides(order, &reference));
            if let Some(version) = version {
                field("assistantVersion", version.into());
            }
        }
        field("phoneNumberId", number.into());
        if self.settings.transport == Transport::Sip {
            let ring = json!({ "provider": "vapi.sip", "dialTimeout": ring(call) });
            field("transport", ring);
        }
        let customer = json!({ "number": call.phone.as_e164(), "externalId": reference });
        field("customer", customer);
        if reference.len() <= LONGEST_NAME {
            field("name", reference.into());
        }
        Ok(body.into())
    }

    /// Settings of this call that override those of an assistant, or of all members of a squad.
    fn overrides(&self, order: &Order<'_>, reference: &str) -> Value {
        let call = order.call;
        let (least, most) = DURATION;
        let mut overrides = Map::new();
        let mut field = |name: &str, value: Value| overrides.insert(name.to_owned(), value);
        field("variableValues", variables(&call.metadata).into());
        field(
            "metadata",
            json!({ REFERENCE: reference, TRUNK: call.trunk }),
        );
        let longest = call.max_duration_sec.clamp(least, most);
        field("maxDurationSeconds", longest.into());
        // With a message Vapi leaves it, without one it hangs up; the assistant may have one of its own.
        let message = match call.answering_machine {
            AnsweringMachine::Ignore => None,
            AnsweringMachine::HangUp => Some(Some(String::new())),
            AnsweringMachine::LeaveMessage => Some(voicemail_message(&call.metadata)),
        };
        if let Some(message) = message {
            field("voicemailDetection", json!({ "provider": "vapi" }));
            if let Some(message) = message {
                field("voicemailMessage", message.into());
            }
        }
        if let Webhooks::PerCall { credential_id } = &self.settings.webhooks {
            // Without a plan nothing is retried.
            let plan = json!({ "type": "exponential", "maxRetries": 5, "baseDelaySeconds": 2 });
            let server = json!({
                "url": order.webhook_url, "credentialId": credential_id, "timeoutSeconds": 20,
                "backoffPlan": plan,
            });
            field("server", server);
            let messages = json!(["status-update", "end-of-call-report"]);
            field("serverMessages", messages);
        }
        if self.settings.transport == Transport::Twilio {
            let ring = json!([{ "provider": "twilio", "timeout": ring(call) }]);
            field("transportConfigurations", ring);
        }
        overrides.into()
    }

    async fn place_now(&self, order: Order<'_>) -> Placement {
        let body = match self.place_body(&order) {
            Ok(body) => body,
            Err(refusal) => return Placement::Refused(refusal),
        };
        let request = self.client.post("/call", &body);
        let read = |answer: &_| answers::placement(answer, self.client.key());
        self.client.place(request, order.deadline, read).await
    }

    async fn call(&self, id: &str) -> Result<Answer, Error> {
        let path = format!("/call/{}", words::percent(id));
        self.client.ask(self.client.get(&path)).await
    }

    /// A live call is ended through a URL of its own. (DELETE would erase it, and let it go on.)
    async fn cancel_now(&self, id: &str) -> Result<Cancellation, Error> {
        let answer = self.call(id).await?;
        let call = answer.json();
        let is_over = text(&call, "/status").is_some_and(|status| status == "ended");
        match answer.status.as_u16() {
            200 if is_over => return Ok(Cancellation::AlreadyOver),
            404 => return Ok(Cancellation::AlreadyOver),
            200 => {}
            _ => return Err(answers::refused(&answer, self.client.key())),
        }
        let url = answers::control_url(&call, id, &self.client.url(""));
        let url = url.ok_or_else(|| answer.unread("the call has no control URL of Vapi's"))?;
        let request = Client::post_to(&url, &json!({ "type": "end-call" }));
        answers::cancellation(&self.client.ask(request).await?, self.client.key())
    }

    /// Lists calls since a time, newest first, until `is_enough`.
    ///
    /// There is no cursor and no documented order, so a period with too many calls is split in halves.
    async fn list(
        &self,
        since: DateTime<Utc>,
        is_enough: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>, Error> {
        let mut calls = Vec::new();
        let mut times = vec![(since, None)];
        for _ in 0..MOST_PAGES {
            let Some((from, until)) = times.pop() else {
                return Ok(calls);
            };
            let answer = self
                .client
                .ask(self.client.get(&list_path(from, until)))
                .await?;
            match answers::page(&answer, PAGE, self.client.key())? {
                Page::Whole(page) => {
                    calls.extend(page);
                    if is_enough(&calls) {
                        return Ok(calls);
                    }
                }
                Page::Cut => {
                    let end = until.or_else(|| date(&answer));
                    let middle = end.and_then(|end| middle(from, end));
                    let middle = middle.ok_or_else(|| answer.unread("its list cannot be split"))?;
                    times.extend([(from, Some(middle)), (middle, until)]);
                }
            }
        }
        Err(Error::NoAnswer {
            why: format!("its list of calls has more than {MOST_PAGES} pages"),
        })
    }

    async fn by_reference(&self, dial: Reference) -> Result<LookedUp, Error> {
        let Some(made) = dial.call.made_at() else {
            return Ok(LookedUp::Unsupported);
        };
        let reference = dial.to_string();
        let is_ours = |call: &Value| report::reference(call).as_ref() == Some(&reference);
        let is_enough = |calls: &[Value]| calls.iter().any(is_ours);
        let calls = self.list(made - CLOCKS_DIFFER, is_enough).await?;
        Ok(answers::by_reference(calls, dial, &self.client.url("")))
    }

    async fn look_up_now(&self, dial: Reference, id: Option<&str>) -> Result<LookedUp, Error> {
        match id.filter(|id| is_verbatim(id)) {
            Some(id) => {
                let address = self.client.url("");
                answers::by_id(&self.call(id).await?, &address, self.client.key())
            }
            None => self.by_reference(dial).await,
        }
    }

    async fn calls_since_now(&self, since: DateTime<Utc>) -> Result<Option<Vec<Report>>, Error> {
        let calls = self.list(since - CLOCKS_DIFFER, |_| false).await?;
        let address = self.client.url("");
        let reports = calls
            .into_iter()
            .filter_map(|call| report::of_list(call, &address));
        Ok(Some(reports.collect()))
    }
}

impl Provider for Vapi {
    /// The address alone: the API does not name the organization of a key, and two keys of one cannot be told
    /// from keys of two.
    fn account(&self) -> Option<String> {
        Some(self.client.account("vapi", &[]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: Some(LookUps::Hint),
            idempotency: Some(Idempotency::None),
            cancels: Some(true),
            lists: Some(true),
            webhooks: Some(match self.settings.webhooks {
                Webhooks::PerCall { .. } => super::Webhooks::PerCall,
                Webhooks::Inherited => super::Webhooks::PerAccount,
            }),
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
        Box::pin(self.look_up_now(dial, provider_call_id))
    }

    fn calls_since(
        &self,
        since: DateTime<Utc>,
    ) -> BoxFuture<'_, Result<Option<Vec<Report>>, Error>> {
        Box::pin(self.calls_since_now(since))
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

fn ring(call: &ClaimedCall) -> i32 {
    let (least, most) = RING;
    call.ring_timeout_sec.clamp(least, most)
}

fn list_path(from: DateTime<Utc>, until: Option<DateTime<Utc>>) -> String {
    let written =
        |time: DateTime<Utc>| words::percent(&time.to_rfc3339_opts(SecondsFormat::Millis, true));
    let from = written(from);
    let until = until.map_or_else(String::new, |time| {
        format!("&createdAtLt={}", written(time))
    });
    format!("/call?limit={PAGE}&createdAtGe={from}{until}")
}

/// Present time by the clock that stamps the calls.
fn date(answer: &Answer) -> Option<DateTime<Utc>> {
    let date = answer.headers.get(header::DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.to_utc())
}

/// Midpoint of two times, in the milliseconds of a list's filter; none if there is none between.
fn middle(from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let half = (until - from).num_milliseconds() / 2;
    (half > 0).then(|| from + TimeDelta::milliseconds(half))
}

#[cfg(test)]
mod tests;
