//! What ElevenLabs tells about a workspace.

use serde_json::Value;

use super::{Carrier, ElevenLabs};
use crate::provider::{
    check::{Finding, Inquiry, is_number, no_scripts},
    platform::{number, text},
    words::percent,
};

/// Events that reports are made of.
const EVENTS: [&str; 2] = ["transcript", "call_initiation_failure"];

pub(super) async fn check(labs: &ElevenLabs, account_url: &str) -> Vec<Finding> {
    let mut asked = Inquiry::of(&labs.client);
    let is_answer = |body: &Value| body.get("conversations").is_some_and(Value::is_array);
    let path = "/v1/convai/conversations?page_size=1";
    if asked.key(path, is_answer).await.is_none() {
        return asked.found;
    }
    if let Some(body) = asked.told("balance", "/v1/user/subscription").await {
        asked.found.extend(of_subscription(&body));
    }
    for (number, id) in labs.settings.numbers.iter() {
        let path = format!("/v1/convai/phone-numbers/{}", percent(id));
        let is_it = |body: &_| is_number(body, "/phone_number", number);
        let repair = "set NUMBERS to the numbers of the workspace, with their ids";
        let name = format!("number {}", number.as_e164());
        let known = asked.there_is("number", &name, &path, is_it, repair).await;
        let carrier = known.and_then(|body| text(&body, "/provider"));
        asked.but(carrier.and_then(|carrier| of_carrier(&name, &carrier, labs.settings.carrier)));
    }
    let scripts = &labs.settings.scripts;
    let mut aliases = scripts.aliases().peekable();
    if aliases.peek().is_none() {
        asked.add(no_scripts());
    }
    // Webhooks by their ids, with whose they are.
    let mut used = Vec::new();
    for (alias, script) in aliases {
        let (agent, _) = scripts.with_version(alias);
        let path = format!("/v1/convai/agents/{}", percent(agent));
        let is_it = |body: &_| text(body, "/agent_id").as_deref() == Some(agent);
        let repair = "set SCRIPTS to the ids of agents in the workspace";
        let name = format!("agent {script} ({alias})");
        let known = asked.there_is("script", &name, &path, is_it, repair).await;
        let own = "/platform_settings/workspace_overrides/webhooks";
        if let Some(webhooks) = known.as_ref().and_then(|body| body.pointer(own))
            && text(webhooks, "/post_call_webhook_id").is_some()
        {
            used.push((format!("the {name}"), webhooks.clone()));
        }
    }
    if let Some(body) = asked.told("webhook", "/v1/convai/settings").await {
        let webhooks = body.get("webhooks").cloned().unwrap_or_default();
        used.insert(0, ("the workspace".to_owned(), webhooks));
        of_webhooks(&mut asked, &used, account_url).await;
    }
    asked.found
}

fn of_subscription(body: &Value) -> Option<Finding> {
    let (used, limit) = (
        number(body, "/character_count")?,
        number(body, "/character_limit")?,
    );
    let told = format!("{used} of {limit} credits are used");
    Some(if used >= limit {
        Finding::warn(
            "balance",
            told,
            "add credits, unless usage beyond them is billed",
        )
    } else {
        Finding::ok("balance", told)
    })
}

/// The request to place a call depends on the carrier.
fn of_carrier(name: &str, provider: &str, carrier: Carrier) -> Option<Finding> {
    let word = match carrier {
        Carrier::Twilio => "twilio",
        Carrier::Sip => "sip_trunk",
        Carrier::Exotel => "exotel",
    };
    (provider != word).then(|| {
        let told = format!("{name} is carried by {provider}, which CARRIER does not say");
        let right = provider.trim_end_matches("_trunk");
        Finding::wrong("number", told, format!("set CARRIER to {right}"))
    })
}

/// Whether the post-call webhooks come here, with the events that end calls.
async fn of_webhooks(asked: &mut Inquiry<'_>, used: &[(String, Value)], account_url: &str) {
    let repair = format!(
        "in the settings of Agents, make a post-call webhook to {account_url} with the events transcript and call initiation failure, and retries; put its secret into WEBHOOK_SECRETS"
    );
    let known = asked.told("webhook", "/v1/workspace/webhooks").await;
    let known = known
        .as_ref()
        .and_then(|body| body.get("webhooks")?.as_array());
    for (whose, webhooks) in used {
        let Some(id) = text(webhooks, "/post_call_webhook_id") else {
            let told = format!("{whose} has no post-call webhook: nobody hears how calls end");
            asked.add(Finding::wrong("webhook", told, &*repair));
            continue;
        };
        let events = webhooks.get("events").and_then(Value::as_array);
        let lacks = |wanted: &&str| events.is_some_and(|on| on.iter().all(|event| event != wanted));
        if let Some(event) = EVENTS.iter().find(|event| lacks(event)) {
            let told = format!("the webhook of {whose} lacks the event {event}");
            asked.add(Finding::wrong("webhook", told, &*repair));
        }
        let Some(webhook) = known.and_then(|all| {
            all.iter()
                .find(|webhook| text(webhook, "/webhook_id").as_ref() == Some(&id))
        }) else {
            continue;
        };
        let is_off = |name: &str| webhook.get(name).and_then(Value::as_bool) == Some(true);
        let url = text(webhook, "/webhook_url").unwrap_or_default();
        asked.add(if url.trim_end_matches('/') != account_url {
            let told = format!("{whose} reports to {url}, not to {account_url}");
            Finding::wrong("webhook", told, &*repair)
        } else if is_off("is_disabled") || is_off("is_auto_disabled") {
            let told = format!("the webhook of {whose} is switched off");
            Finding::wrong("webhook", told, "switch it on at ElevenLabs")
        } else {
            Finding::ok("webhook", format!("{whose} reports to {account_url}"))
        });
    }
}
