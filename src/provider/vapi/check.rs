//! What Vapi tells about an organization.

use serde_json::Value;

use super::{Transport, Vapi, Webhooks};
use crate::{
    domain::Phone,
    provider::{
        check::{Finding, Inquiry, is_number, no_scripts, own_webhooks},
        platform::text,
        words::percent,
    },
};

/// Messages that reports are made of.
const MESSAGES: [&str; 2] = ["status-update", "end-of-call-report"];

pub(super) async fn check(vapi: &Vapi, account_url: &str) -> Vec<Finding> {
    let mut asked = Inquiry::of(&vapi.client);
    if asked.key("/call?limit=1", Value::is_array).await.is_none() {
        return asked.found;
    }
    for (number, id) in vapi.settings.numbers.iter() {
        let path = format!("/phone-number/{}", percent(id));
        let is_it = |body: &_| text(body, "/id").as_deref() == Some(id);
        let repair = "set NUMBERS to the numbers of the organization, with their ids";
        let name = format!("number {}", number.as_e164());
        let known = asked.there_is("number", &name, &path, is_it, repair).await;
        asked.but(known.and_then(|body| of_number(&body, number, vapi.settings.transport)));
    }
    let mut aliases = vapi.settings.scripts.aliases().peekable();
    if aliases.peek().is_none() {
        asked.add(no_scripts());
    }
    let is_inherited = vapi.settings.webhooks == Webhooks::Inherited;
    for (alias, script) in aliases {
        let (kind, id) = match script.split_once(':') {
            Some((kind @ ("squad" | "workflow"), id)) => (kind, id),
            _ => ("assistant", vapi.settings.scripts.with_version(alias).0),
        };
        let path = format!("/{kind}/{}", percent(id));
        let is_it = |body: &_| text(body, "/id").as_deref() == Some(id);
        let repair = "set SCRIPTS to ids in the organization";
        let name = format!("{kind} {script} ({alias})");
        let known = asked.there_is("script", &name, &path, is_it, repair).await;
        if let (Some(body), true) = (known, is_inherited) {
            asked.add(of_server(&body, &name, account_url));
        }
    }
    if !is_inherited {
        asked.add(own_webhooks());
        let told =
            "whether CREDENTIAL exists, and has the secret of WEBHOOK_SECRETS, cannot be asked";
        asked.add(Finding::unknown("signature", told));
    }
    asked.add(Finding::unknown(
        "concurrency",
        "Vapi tells of its limit and its balance only in the dashboard",
    ));
    asked.found
}

/// What is odd about a number that is there.
fn of_number(body: &Value, number: &Phone, transport: Transport) -> Option<Finding> {
    let number_is = number.as_e164();
    let provider = text(body, "/provider").unwrap_or_default();
    let carrier = match provider.as_str() {
        "twilio" => Transport::Twilio,
        "vapi" | "byo-phone-number" => Transport::Sip,
        _ => Transport::Other,
    };
    match text(body, "/status").as_deref() {
        Some("blocked") => {
            let told = format!("number {number_is} is blocked");
            return Some(Finding::wrong(
                "number",
                told,
                "ask Vapi, or call from another",
            ));
        }
        Some("activating") => {
            let told = format!("number {number_is} is not active yet");
            return Some(Finding::warn("number", told, "wait until it is"));
        }
        _ => {}
    }
    if body.get("number").is_some_and(Value::is_string) && !is_number(body, "/number", number) {
        let told = format!("the id of {number_is} is that of another number");
        return Some(Finding::wrong("number", told, "correct NUMBERS"));
    }
    (carrier != transport && !provider.is_empty()).then(|| {
        let told = format!("calls from {number_is} are carried by {provider}, which CARRIER does not say: the ring timeout has no effect");
        let word = match carrier {
            Transport::Twilio => "twilio",
            Transport::Sip => "sip",
            Transport::Other => "other",
        };
        Finding::warn("number", told, format!("set CARRIER to {word}"))
    })
}

/// Whether reports on a script's calls come here, where calls do not bring their own address.
fn of_server(body: &Value, name: &str, account_url: &str) -> Finding {
    let repair = format!(
        "set the server URL of the {name} to {account_url}, with the credential whose secret is in WEBHOOK_SECRETS, and retries; or set CREDENTIAL"
    );
    let messages = body.get("serverMessages").and_then(Value::as_array);
    let lacks = |wanted: &&str| messages.is_some_and(|told| told.iter().all(|it| it != wanted));
    match text(body, "/server/url") {
        None => {
            let told = format!(
                "the {name} has no server of its own: reports go to that of its number, or of the organization, which cannot be asked"
            );
            Finding::warn("webhook", told, repair)
        }
        Some(url) if url.trim_end_matches('/') != account_url => {
            let told = format!("the {name} reports to {url}, not to {account_url}");
            Finding::wrong("webhook", told, repair)
        }
        Some(_) => match MESSAGES.iter().find(|message| lacks(message)) {
            Some(message) => {
                let told = format!("the {name} does not send {message}");
                Finding::wrong("webhook", told, "switch it on in its server messages")
            }
            None => Finding::ok("webhook", format!("the {name} reports to {account_url}")),
        },
    }
}
