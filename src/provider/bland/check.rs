//! What Bland tells about an account.

use super::Bland;
use crate::{
    domain::Phone,
    provider::{
        check::{Finding, Inquiry, lists_number, no_scripts, own_webhooks},
        platform::{number, text},
        words::percent,
    },
};

pub(super) async fn check(bland: &Bland, account_url: &str) -> Vec<Finding> {
    let mut asked = Inquiry::of(&bland.client);
    let is_answer = |body: &_| text(body, "/status").is_some_and(|status| status != "error");
    let Some(body) = asked.key("/v1/me", is_answer).await else {
        return asked.found;
    };
    match text(&body, "/status").as_deref() {
        None | Some("active") => {}
        Some(status) => {
            let told = format!("the account is {status}");
            asked.add(Finding::wrong("account", told, "ask Bland why"));
        }
    }
    if let Some(balance) = number(&body, "/billing/current_balance") {
        let told = format!("the balance is {balance} credits");
        asked.add(if balance <= 0.0 {
            Finding::wrong("balance", told, "add credits")
        } else {
            Finding::ok("balance", told)
        });
    }
    match &bland.settings.from {
        None => asked.add(Finding::ok(
            "number",
            "none is set: Bland shows one of its own",
        )),
        Some(from) => of_number(&mut asked, from).await,
    }
    let scripts = &bland.settings.scripts;
    let mut aliases = scripts.aliases().peekable();
    if aliases.peek().is_none() {
        asked.add(no_scripts());
    }
    for (alias, script) in aliases {
        let repair = "set SCRIPTS to the ids of pathways and personas in the account";
        let name = format!("{script} ({alias})");
        if let Some(persona) = script.strip_prefix("persona:") {
            let path = format!("/v1/personas/{}", percent(persona));
            let is_it = |body: &_| text(body, "/data/id").as_deref() == Some(persona);
            asked.there_is("script", &name, &path, is_it, repair).await;
        } else {
            let (id, version) = scripts.with_version(alias);
            let mut path = format!("/v1/pathway/{}", percent(id));
            // The other versions are words, such as `production`, that cannot be asked for.
            if let Some(version) = version.filter(|version| version.parse::<u32>().is_ok()) {
                path = format!("{path}/version/{version}");
            }
            let name = format!("pathway {name}");
            let is_it = |body: &_| text(body, "/name").is_some();
            asked.there_is("script", &name, &path, is_it, repair).await;
        }
    }
    asked.add(if account_url.starts_with("https://") {
        own_webhooks()
    } else {
        let told = "Bland reports to https only, and refuses calls with another address";
        Finding::wrong("webhook", told, "set PGDIAL_PUBLIC_URL to an https address")
    });
    asked.add(Finding::unknown(
        "signature",
        "whether webhooks are signed, with the secret of WEBHOOK_SECRETS, cannot be asked",
    ));
    asked.found
}

async fn of_number(asked: &mut Inquiry<'_>, from: &Phone) {
    let number = from.as_e164();
    for list in ["inbound", "outbound"] {
        let Some(body) = asked.told("number", &format!("/v1/{list}")).await else {
            return;
        };
        if lists_number(&body, &format!("/{list}_numbers"), from) {
            asked.add(Finding::ok("number", format!("number {number} is there")));
            return;
        }
    }
    let told = format!("number {number} is not of the account");
    asked.add(Finding::wrong(
        "number",
        told,
        "buy it at Bland, or change FROM",
    ));
}
