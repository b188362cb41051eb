//! The generic adapter: any provider that speaks the protocol over HTTP.
//!
//! `POST {address}/api/v1/calls` places, `POST {address}/api/v1/calls/{id}/cancel` ends, `GET
//! {address}/api/v1/calls/{id}` and `GET {address}/api/v1/calls?reference=` look up, `GET
//! {address}/api/v1/calls?since=` lists. `answer` maps responses to dials, `look_up` responses to look-ups.

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{
    Cancellation, Capabilities, Error, LookedUp, Order, Provider, Webhook,
    client::{Built, Client, Credentials, Limits},
    protocol, words,
};
use crate::domain::{AnsweringMachine, Phone, Placement, Reference, Report};

mod answer;
mod look_up;

// Entry points for the fuzz targets.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

/// Pages read of one list; a provider whose cursor never ends must not occupy us for ever.
const MOST_PAGES: usize = 10_000;

/// A provider account behind an HTTP address.
#[derive(Debug)]
pub struct HttpProvider(Client);

/// Body of `POST /api/v1/calls`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceBody<'a> {
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    script_id: &'a str,
    metadata: &'a RawValue,
    webhook_url: &'a str,
    reference: &'a str,
    max_duration_sec: i32,
    ring_timeout_sec: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    answering_machine: Option<AnsweringMachine>,
}

impl HttpProvider {
    /// An adapter for the provider at `address` (`https://voice.example.com`, a path is allowed), with its key, if it
    /// needs one. Does not connect yet.
    pub fn new(address: &str, key: Option<SecretString>) -> Result<Self, Error> {
        let credentials = key.map_or(Credentials::None, Credentials::Bearer);
        Ok(Self(Client::new(address, credentials)?))
    }

    /// How long each of its requests may take.
    pub fn limit(&mut self, limits: Limits) {
        self.0.limits = limits;
        self.0.place_timeout = limits.total;
    }

    fn place_request(&self, order: &Order<'_>) -> Built {
        let call = order.call;
        let reference = call.reference().to_string();
        let body = PlaceBody {
            to: call.phone.as_e164(),
            from: call.from_number.as_ref().map(Phone::as_e164),
            script_id: &call.script_id,
            metadata: &call.metadata,
            webhook_url: &order.webhook_url,
            reference: &reference,
            max_duration_sec: call.max_duration_sec,
            ring_timeout_sec: call.ring_timeout_sec,
            answering_machine: Some(call.answering_machine)
                .filter(|told| *told != AnsweringMachine::Ignore),
        };
        // Strings, numbers and a `Value` always serialise.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let dial_before = call
            .lease_until
            .to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut request = self
            .0
            .post_builder("/api/v1/calls")
            .header("idempotency-key", reference)
            .header("x-dial-before", dial_before);
        if let Some(trace) = &call.traceparent {
            request = request.header("traceparent", trace);
        }
        request.body(Full::from(body))
    }

    async fn cancel_now(&self, provider_call_id: &str) -> Result<Cancellation, Error> {
        let path = format!("/api/v1/calls/{}/cancel", words::percent(provider_call_id));
        let answer = self.0.ask(self.0.post(&path, &json!({}))).await?;
        answer::cancellation(&answer, self.0.key())
    }

    async fn look_up_now(
        &self,
        dial: Reference,
        provider_call_id: Option<&str>,
    ) -> Result<LookedUp, Error> {
        // An id that we had to shorten is not theirs: asked for it, they would deny the call.
        if let Some(id) = provider_call_id.filter(|id| protocol::is_verbatim(id)) {
            let path = format!("/api/v1/calls/{}", words::percent(id));
            let answer = self.0.ask(self.0.get(&path)).await?;
            return look_up::by_id(&answer, self.0.key());
        }
        let reference = words::percent(&dial.to_string());
        let path = format!("/api/v1/calls?reference={reference}");
        let answer = self.0.ask(self.0.get(&path)).await?;
        look_up::by_reference(&answer, dial, self.0.key())
    }

    async fn calls_since_now(&self, since: DateTime<Utc>) -> Result<Option<Vec<Report>>, Error> {
        let text = since.to_rfc3339_opts(SecondsFormat::Micros, true);
        let first = format!("/api/v1/calls?since={}", words::percent(&text));
        let (mut calls, mut cursor) = (Vec::new(), None::<String>);
        for _page in 0..MOST_PAGES {
            let path = match &cursor {
                Some(cursor) => format!("{first}&cursor={}", words::percent(cursor)),
                None => first.clone(),
            };
            let answer = self.0.ask(self.0.get(&path)).await?;
            let Some(page) = look_up::page(&answer, since, self.0.key())? else {
                return Ok(None);
            };
            calls.extend(page.calls);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Some(calls));
            }
        }
        Err(Error::NoAnswer {
            why: format!("its list of calls has more than {MOST_PAGES} pages"),
        })
    }
}

impl Provider for HttpProvider {
    /// By the address alone: two keys of one account cannot be told from keys of two accounts.
    fn account(&self) -> Option<String> {
        Some(self.0.account("http", &[]))
    }

    /// Nothing but how long it waits: the protocol does not say what a provider makes of it.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            place_timeout: self.0.place_timeout,
            ..Capabilities::UNKNOWN
        }
    }

    fn place<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Placement> {
        Box::pin(async move {
            let request = self.place_request(&order);
            let read = |answer: &_| answer::placement(answer, self.0.key());
            self.0.place(request, order.deadline, read).await
        })
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

    fn read(&self, webhook: &Webhook<'_>) -> Report {
        protocol::read_report(webhook.body)
    }
}

#[cfg(test)]
mod tests;
