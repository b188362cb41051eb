//! Helpers shared by the tests of the platforms' adapters.

use std::{collections::BTreeMap, time::Duration};

use hyper::{HeaderMap, Method, StatusCode, body::Bytes, header::HeaderName};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use crate::{
    domain::{ClaimedCall, Concerns, Outcome, Placement, Refusal},
    provider::{
        Deadline, Finding, Order, Provider, Stopwatch, Webhook, answer::Answer, signature::Verified,
    },
};

pub(in crate::provider) const DIAL: &str = "0197f5e0-0000-7000-8000-000000000001-1";
pub(in crate::provider) const WEBHOOK: &str =
    "https://calls.example.com/callbacks/call-status/default/x/y";

/// How long to wait for an expected request.
const PATIENCE: Duration = Duration::from_secs(20);
const DATE: &str = "Fri, 02 Jan 2026 04:00:00 GMT";

/// The call of `DIAL` with these changes.
pub(in crate::provider) fn claimed(change: &Value) -> ClaimedCall {
    let mut call = json!({
        "id": "0197f5e0-0000-7000-8000-000000000001", "claim_no": 1, "attempt": 1,
        "phone": "+14155550123", "from_number": null, "script_id": "welcome",
        "metadata": {"name": "Ada", "order": "4711"}, "trunk": "default", "campaign": "default",
        "lease_until": "2026-01-02T03:04:05.678901Z", "lease_sec": 60, "ring_timeout_sec": 45, "max_duration_sec": 1800
    });
    for (name, value) in change.as_object().unwrap() {
        call[name] = value.clone();
    }
    serde_json::from_value(call).unwrap()
}

/// An order for the call, in time.
pub(in crate::provider) fn order(call: &ClaimedCall) -> Order<'_> {
    Order {
        call,
        webhook_url: WEBHOOK.to_owned(),
        deadline: Deadline::of_claim(Stopwatch::start(), Duration::from_mins(1)),
    }
}

pub(in crate::provider) fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// Short description of a placement.
pub(in crate::provider) fn word(placement: &Placement) -> String {
    match placement {
        Placement::Placed { provider_call_id } => format!("placed {provider_call_id}"),
        Placement::Refused(Refusal::Permanent {
            outcome, concerns, ..
        }) => {
            let whose = match concerns {
                Concerns::Number => "number",
                _ => "request",
            };
            format!("{outcome} {whose}")
        }
        Placement::Refused(Refusal::Transient { .. }) => "transient".to_owned(),
        Placement::Refused(Refusal::Capacity { .. }) => "capacity".to_owned(),
        Placement::Refused(Refusal::NumberLimit { .. }) => "number limit".to_owned(),
        Placement::Refused(Refusal::Forbidden { .. }) => "forbidden".to_owned(),
        Placement::Refused(Refusal::Account { .. }) => "account".to_owned(),
        Placement::Late => "late".to_owned(),
        Placement::Unknown { .. } => "unknown".to_owned(),
    }
}

/// Outcome by its name in the tables.
pub(in crate::provider) fn outcome(word: &str) -> Outcome {
    let known = Outcome::ALL
        .into_iter()
        .find(|known| known.as_str() == word);
    known.unwrap_or_else(|| panic!("{word} is no outcome"))
}

/// Headers by name.
pub(in crate::provider) fn headers(named: &BTreeMap<String, String>) -> HeaderMap {
    let header = |(name, value): (&String, &String)| {
        let name: HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    };
    named.iter().map(header).collect()
}

/// A signed request, and whether the platform's own verifier accepts it.
#[derive(Debug, Deserialize)]
pub(in crate::provider) struct Vector {
    pub(in crate::provider) name: String,
    secret: String,
    headers: BTreeMap<String, String>,
    body: String,
    /// Time of verification, if the age is checked.
    pub(in crate::provider) now_s: Option<i64>,
    pub(in crate::provider) valid: bool,
}

impl Vector {
    pub(in crate::provider) fn verified(&self, provider: &impl Provider) -> Option<Verified> {
        let headers = headers(&self.headers);
        provider.claims_signature(&headers).ok()?;
        let webhook = Webhook {
            method: &Method::POST,
            url: WEBHOOK,
            headers: &headers,
            body: self.body.as_bytes(),
        };
        let secrets = self.secret.parse().unwrap();
        provider.verify(&webhook, &secrets).ok()
    }
}

/// Gives each request the next response, and reports the requests.
pub(in crate::provider) async fn answering(
    listener: TcpListener,
    answers: &[impl AsRef<str>],
) -> Vec<String> {
    let answers = answers.iter().map(|body| (200, body.as_ref().to_owned()));
    answering_with(listener, answers.collect()).await
}

/// What an account is found to be if it gives these responses: a line per finding. Also the paths asked for.
pub(in crate::provider) async fn checked<P: Provider + 'static>(
    provider: impl FnOnce(&str) -> P,
    account_url: &str,
    answers: &[(u16, Value)],
) -> (Vec<String>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = provider(&format!("http://{}", listener.local_addr().unwrap()));
    let answers = answers
        .iter()
        .map(|(status, body)| (*status, body.to_string()));
    let asked = answering_with(listener, answers.collect());
    let (found, asked) = tokio::join!(provider.check(account_url), asked);
    let line = |found: &Finding| {
        let (severity, repair) = (found.severity.as_str(), found.repair.as_deref());
        let repair = repair.map_or_else(String::new, |repair| format!(" -> {repair}"));
        format!("{severity} {}: {}{repair}", found.about, found.message)
    };
    let path = |request: &String| {
        assert!(request.starts_with("GET "), "it only reads: {request}");
        request.split(' ').nth(1).unwrap().to_owned()
    };
    (
        found.iter().map(line).collect(),
        asked.iter().map(path).collect(),
    )
}

async fn answering_with(listener: TcpListener, answers: Vec<(u16, String)>) -> Vec<String> {
    let mut asked = Vec::new();
    for (status, body) in answers {
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let (mut stream, _) = accepted.expect("another request").unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, form)) = text.split_once("\r\n\r\n") {
                let length = head.to_lowercase();
                let length = length
                    .split_once("content-length: ")
                    .map_or("0", |(_, rest)| rest);
                let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
                if form.len() >= length {
                    asked.push(text);
                    break;
                }
            }
            let read = stream.read(&mut part).await.unwrap();
            request.extend_from_slice(&part[..read]);
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\ndate: {DATE}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
    }
    asked
}
