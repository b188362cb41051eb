//! What Twilio tells about an account.

use serde_json::Value;

use super::{Twilio, script};
use crate::{
    domain::Phone,
    provider::{
        check::{Finding, Inquiry, lists_number, no_from, own_webhooks},
        platform::text,
        words::percent,
    },
};

pub(super) async fn check(twilio: &Twilio, account_url: &str) -> Vec<Finding> {
    let mut asked = Inquiry::of(&twilio.client);
    let account = format!("/2010-04-01/Accounts/{}", percent(&twilio.account_sid));
    // A standard API key may not read the account, but its calls.
    let (path, field) = if twilio.has_own_key {
        (format!("{account}/Calls.json?PageSize=1"), "calls")
    } else {
        (format!("{account}.json"), "sid")
    };
    let is_answer = |body: &Value| body.get(field).is_some();
    let Some(body) = asked.key(&path, is_answer).await else {
        return asked.found;
    };
    asked.found.extend(of_account(&body));
    if let Some(body) = asked
        .told("balance", &format!("{account}/Balance.json"))
        .await
        && let (Some(balance), Some(currency)) = (text(&body, "/balance"), text(&body, "/currency"))
    {
        let told = format!("the balance is {balance} {currency}");
        let is_spent = balance.parse::<f64>().is_ok_and(|balance| balance <= 0.0);
        asked.add(if is_spent {
            Finding::warn("balance", told, "add funds, unless you are invoiced")
        } else {
            Finding::ok("balance", told)
        });
    }
    match &twilio.from {
        None => asked.add(no_from()),
        Some(from) => of_number(&mut asked, &account, from).await,
    }
    for (alias, script) in twilio
        .scripts
        .aliases()
        .filter(|(_, url)| !script::is_url(url))
    {
        let told = format!("script {alias} is no address of TwiML: {script}");
        asked.add(Finding::wrong(
            "script",
            told,
            "set SCRIPTS to https addresses of TwiML",
        ));
    }
    asked.add(Finding::unknown(
        "script",
        "the addresses of TwiML are yours: Twilio cannot be asked about them",
    ));
    asked.add(if account_url.starts_with("https://") {
        own_webhooks()
    } else {
        let told = "reports come over http, where anybody can read them";
        Finding::warn("webhook", told, "set PGDIAL_PUBLIC_URL to an https address")
    });
    asked.add(Finding::unknown(
        "signature",
        "whether WEBHOOK_SECRETS is the primary Auth Token cannot be asked",
    ));
    asked.found
}

fn of_account(body: &Value) -> Option<Finding> {
    let status = text(body, "/status")?;
    Some(if status != "active" {
        Finding::wrong(
            "account",
            format!("the account is {status}"),
            "ask Twilio why",
        )
    } else if text(body, "/type").is_some_and(|kind| kind == "Trial") {
        let told = "it is a trial account, which calls verified numbers only";
        Finding::warn("account", told, "upgrade it before you call others")
    } else {
        Finding::ok("account", "the account is active")
    })
}

/// Owned, or verified as a caller id. A filter that Twilio ignored would list all numbers.
async fn of_number(asked: &mut Inquiry<'_>, account: &str, from: &Phone) {
    let number = from.as_e164();
    for list in ["IncomingPhoneNumbers", "OutgoingCallerIds"] {
        let path = format!("{account}/{list}.json?PhoneNumber={}", percent(number));
        let Some(body) = asked.told("number", &path).await else {
            return;
        };
        for field in ["/incoming_phone_numbers", "/outgoing_caller_ids"] {
            if lists_number(&body, field, from) {
                asked.add(Finding::ok("number", format!("number {number} is there")));
                return;
            }
        }
    }
    let told = format!("number {number} is neither of the account nor verified");
    asked.add(Finding::wrong(
        "number",
        told,
        "buy or verify it at Twilio, or change FROM",
    ));
}
