//! What Telnyx tells about an account.

use serde_json::Value;

use super::{Telnyx, is_application};
use crate::{
    domain::Phone,
    provider::{
        check::{Finding, Inquiry, is_number, no_from, no_scripts, own_webhooks},
        platform::text,
        words::percent,
    },
};

pub(super) async fn check(telnyx: &Telnyx) -> Vec<Finding> {
    let mut asked = Inquiry::of(&telnyx.client);
    let is_answer = |body: &Value| body.pointer("/data").is_some();
    let Some(body) = asked.key("/v2/balance", is_answer).await else {
        return asked.found;
    };
    asked.found.extend(of_balance(&body));

    let connection = &telnyx.connection_id;
    let path = format!("/v2/call_control_applications/{}", percent(connection));
    let is_it = |body: &_| text(body, "/data/id").as_ref() == Some(connection);
    let repair = "set CONNECTION to the id of a Call Control application";
    let name = format!("application {connection}");
    let known = asked.there_is("application", &name, &path, is_it, repair);
    let known = known.await;
    asked.but(known.as_ref().and_then(of_application));

    match &telnyx.from {
        None => asked.add(no_from()),
        Some(from) => of_number(&mut asked, from, connection).await,
    }
    let mut aliases = telnyx.scripts.aliases().peekable();
    if aliases.peek().is_none() {
        asked.add(no_scripts());
    }
    for (alias, id) in aliases {
        if is_application(id) {
            let told = format!("script {alias} is an application, {id}: its calls are refused");
            let repair = "set SCRIPTS to the ids of assistants in the account";
            asked.add(Finding::wrong("script", told, repair));
            continue;
        }
        let path = format!("/v2/ai/assistants/{}", percent(id));
        let is_it = |body: &_| text(body, "/id").as_deref() == Some(id);
        let repair = "set SCRIPTS to the ids of assistants in the account";
        let name = format!("assistant {id} ({alias})");
        asked.there_is("script", &name, &path, is_it, repair).await;
    }
    asked.add(own_webhooks());
    asked.add(Finding::unknown(
        "signature",
        "whether PUBLIC_KEYS has the account's key cannot be asked",
    ));
    asked.found
}

fn of_balance(body: &Value) -> Option<Finding> {
    let credit = text(body, "/data/available_credit")?;
    let currency = text(body, "/data/currency").unwrap_or_default();
    let told = format!("{credit} {currency} can be spent");
    let is_spent = credit.parse::<f64>().is_ok_and(|credit| credit <= 0.0);
    Some(if is_spent {
        Finding::wrong("balance", told, "add funds")
    } else {
        Finding::ok("balance", told)
    })
}

/// What is odd about the application.
fn of_application(body: &Value) -> Option<Finding> {
    if body.pointer("/data/active").and_then(Value::as_bool) == Some(false) {
        let told = "the application is switched off";
        return Some(Finding::wrong(
            "application",
            told,
            "switch it on at Telnyx",
        ));
    }
    text(body, "/data/outbound/outbound_voice_profile_id")
        .is_none()
        .then(|| {
            let told = "the application has no outbound voice profile: it cannot call";
            let repair = "give it one that allows the countries you call";
            Finding::wrong("application", told, repair)
        })
}

/// Owned, or verified as a caller id. A filter that Telnyx ignored would list all numbers.
async fn of_number(asked: &mut Inquiry<'_>, from: &Phone, connection: &str) {
    let number = from.as_e164();
    let name = format!("number {number}");
    let path = format!(
        "/v2/phone_numbers?filter%5Bphone_number%5D={}",
        percent(number)
    );
    let Some(body) = asked.told("number", &path).await else {
        return;
    };
    let owned = body.pointer("/data").and_then(Value::as_array);
    let mut owned = owned.into_iter().flatten();
    let Some(owned) = owned.find(|item| is_number(item, "/phone_number", from)) else {
        let path = format!("/v2/verified_numbers/{}", percent(number));
        let is_it = |body: &_| is_number(body, "/data/phone_number", from);
        let repair = "buy or verify it at Telnyx, or change FROM";
        asked.there_is("number", &name, &path, is_it, repair).await;
        return;
    };
    let status = text(owned, "/status").unwrap_or_default();
    asked.add(if !status.is_empty() && status != "active" {
        let told = format!("{name} is there, but {status}");
        Finding::wrong(
            "number",
            told,
            "see at Telnyx what it needs, or change FROM",
        )
    } else if text(owned, "/connection_id").is_some_and(|id| id != connection) {
        let told = format!("{name} is there, but assigned to another application");
        Finding::warn("number", told, "assign it to the one of CONNECTION")
    } else {
        Finding::ok("number", format!("{name} is there"))
    });
}
